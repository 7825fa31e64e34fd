//! The bound on everything that travels through a collection.

use std::fmt::Debug;
use std::hash::Hash;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A value that can be data in a collection: ordered, hashable, and able to travel between processes.
///
/// Implemented for every type that meets the bounds. A type that holds an `f64` does not: floats have no total order, and
/// their sums depend on the order of adding. Keep such numbers in fixed point, as [`Micro`](crate::Micro) does.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be data in a collection",
    note = "data is `Clone + Debug + Ord + Hash + Send + Sync + Serialize + DeserializeOwned`: derive these",
    note = "a field of type `f64` has neither `Ord` nor `Hash`: keep it in fixed point, for instance as `telemetra::core::Micro`"
)]
pub trait Data: Clone + Debug + Ord + Hash + Send + Sync + Serialize + DeserializeOwned + 'static {}
impl<T: Clone + Debug + Ord + Hash + Send + Sync + Serialize + DeserializeOwned + 'static> Data for T {}
