//! The locks of protocols that a model checks: the model has others in their place.

pub(crate) use std::sync::{Mutex, MutexGuard, PoisonError};
