//! The bound on values in a differential collection.

use std::fmt::Debug;
use std::hash::Hash;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The bound on values in a differential collection: cloneable, ordered, hashable, and serialisable for other
/// processes and for checkpoints.
///
/// Implemented for every type that meets the bounds. A type with an `f64` does not meet them: floats have no
/// total order, and a sum of floats depends on the order of adding. Keep such numbers in fixed point, as
/// [`Micro`](crate::Micro) does. Values are cloned, sorted and compared often, so put what is large behind an
/// [`Arc`](std::sync::Arc).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be data in a collection",
    note = "data is `Clone + Debug + Ord + Hash + Send + Sync + Serialize + DeserializeOwned`: derive these",
    note = "a field of type `f64` has neither `Ord` nor `Hash`: keep it in fixed point, as `Micro` does"
)]
pub trait Data: Clone + Debug + Ord + Hash + Send + Sync + Serialize + DeserializeOwned + 'static {}
impl<T: Clone + Debug + Ord + Hash + Send + Sync + Serialize + DeserializeOwned + 'static> Data for T {}
