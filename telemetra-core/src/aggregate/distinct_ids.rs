//! The aggregate that counts different ids that are numbers.

use std::fmt;

use crate::aggregate::by_name::Aggregate;
use crate::aggregate::{Accumulate, Distinct};
use crate::column::{Column, Value};
use crate::read::event::Events;
use crate::time::window::Window;

/// The aggregate of [`Aggregates::distinct_ids`](crate::Aggregates::distinct_ids).
#[derive(Clone)]
pub struct DistinctIds<F> {
    pub(crate) column: Column,
    pub(crate) of: F,
}

impl<F> fmt::Debug for DistinctIds<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DistinctIds({})", self.column.name)
    }
}

impl<E: Events, I: Into<Option<u64>>, F> Aggregate<E> for DistinctIds<F>
where
    F: for<'a> Fn(&E::Of<'a>) -> I + Send + Sync + 'static,
{
    type State = Distinct;

    fn add(&self, state: &mut Distinct, event: &E::Of<'_>) {
        if let Some(id) = (self.of)(event).into() {
            state.add(id);
        }
    }

    fn columns(&self) -> Vec<Column> {
        vec![self.column.clone()]
    }

    fn values(&self, output: &u64, _: Window, put: &mut dyn FnMut(Value<'_>)) {
        put(Value::Unsigned(*output));
    }
}
