//! The aggregate of an accumulator of your own.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::aggregate::by_name::Aggregate;
use crate::aggregate::{Accumulate, Accumulator};
use crate::column::{Column, Value};
use crate::read::event::Events;
use crate::time::window::Window;

pub(crate) type PutValues<O> = Arc<dyn Fn(&O, Window, &mut dyn FnMut(Value<'_>)) + Send + Sync>;

/// The aggregate of [`Aggregates::accumulator`].
pub struct AccumulatorOf<A: Accumulator> {
    pub(crate) columns: Vec<Column>,
    pub(crate) values: PutValues<A::Output>,
    pub(crate) accumulator: PhantomData<fn() -> A>,
}

impl<A: Accumulator> Clone for AccumulatorOf<A> {
    fn clone(&self) -> Self {
        Self { columns: self.columns.clone(), values: Arc::clone(&self.values), accumulator: PhantomData }
    }
}

impl<A: Accumulator> fmt::Debug for AccumulatorOf<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccumulatorOf<{}>", std::any::type_name::<A>())
    }
}

impl<E: Events, A: Accumulator> Aggregate<E> for AccumulatorOf<A>
where
    A: for<'e, 'a> Accumulate<&'e E::Of<'a>>,
{
    type State = A;

    #[inline]
    fn add(&self, state: &mut A, event: &E::Of<'_>) {
        state.add(event);
    }

    fn columns(&self) -> Vec<Column> {
        self.columns.clone()
    }

    fn values(&self, output: &A::Output, window: Window, put: &mut dyn FnMut(Value<'_>)) {
        (self.values)(output, window, put);
    }
}
