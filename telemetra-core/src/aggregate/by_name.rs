//! Aggregates by name: aggregates that get their inputs from events by closures, and name the columns of
//! their results.
//!
//! An *aggregate* is a value that may contain closures. Its state is an [`Accumulator`]: plain data, which is
//! merged, slid, checkpointed and finished without the aggregate. So operators and checkpoints do not deal
//! with closures. The split is that of a `CombineFn` and its accumulator in Beam.

use crate::aggregate::{Accumulate, Accumulator, Count};
use crate::column::{Column, Value};
use crate::error::ConfigError;
use crate::read::event::Events;
use crate::time::window::Window;

/// An aggregate of a grouping: the function that adds an event to an accumulator, and the columns of the result.
///
/// [`Aggregates`](crate::Aggregates) makes the built-in ones. A tuple of up to eight aggregates is an aggregate.
///
/// # Contract
///
/// * **Pure.** The effect of adding depends on the state and the event alone.
/// * **Columns.** [`values`](Self::values) puts one value for each of [`columns`](Self::columns), in that
///   order. Equal outputs and windows put equal values.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an aggregate of events of `{E}`",
    note = "make one by `|a| (a.count(\"name\"), a.mean(\"name\", |event| event.field))`, \
            or implement `Aggregate<{E}>`"
)]
pub trait Aggregate<E: Events>: Send + Sync + 'static {
    /// The accumulator.
    type State: Accumulator;

    /// Checks the settings of the aggregate. A pipeline calls it at its start, which then fails with the error. By
    /// default there are none.
    ///
    /// # Errors
    ///
    /// If a setting cannot work.
    fn check(&self) -> Result<(), ConfigError> {
        Ok(())
    }

    /// Adds an event to the accumulator.
    fn add(&self, state: &mut Self::State, event: &E::Of<'_>);

    /// The columns of the result.
    fn columns(&self) -> Vec<Column>;

    /// Puts the value of each column for a result.
    fn values(
        &self,
        output: &<Self::State as Accumulator>::Output,
        window: Window,
        put: &mut dyn FnMut(Value<'_>),
    );
}

macro_rules! debug_by_column {
    ($($type:ident <$($p:ident),*>),+) => {$(
        impl<$($p),*> std::fmt::Debug for $type<$($p),*> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($type), "({})"), self.column.name)
            }
        }
    )+};
}
pub(crate) use debug_by_column;
debug_by_column!(CountIf<F>);

/// The aggregate of [`Aggregates::count`](crate::Aggregates::count).
#[derive(Clone, Debug)]
pub struct CountOf {
    pub(crate) column: Column,
}

impl<E: Events> Aggregate<E> for CountOf {
    type State = Count;

    fn add(&self, state: &mut Count, event: &E::Of<'_>) {
        let _ = event;
        state.add(());
    }

    fn columns(&self) -> Vec<Column> {
        vec![self.column.clone()]
    }

    fn values(&self, output: &u64, _: Window, put: &mut dyn FnMut(Value<'_>)) {
        put(Value::Unsigned(*output));
    }
}

/// The aggregate of [`Aggregates::count_if`](crate::Aggregates::count_if).
#[derive(Clone)]
pub struct CountIf<F> {
    pub(crate) column: Column,
    pub(crate) holds: F,
}

impl<E: Events, F> Aggregate<E> for CountIf<F>
where
    F: for<'a> Fn(&E::Of<'a>) -> bool + Send + Sync + 'static,
{
    type State = Count;

    fn add(&self, state: &mut Count, event: &E::Of<'_>) {
        if (self.holds)(event) {
            state.add(());
        }
    }

    fn columns(&self) -> Vec<Column> {
        vec![self.column.clone()]
    }

    fn values(&self, output: &u64, _: Window, put: &mut dyn FnMut(Value<'_>)) {
        put(Value::Unsigned(*output));
    }
}
