//! The aggregates by name of numbers: sum, mean, least and greatest.

use std::marker::PhantomData;

use crate::aggregate::by_name::{Aggregate, debug_by_column};
use crate::aggregate::extreme::{End, Extreme};
use crate::aggregate::number::{MaybeNumber, Number, value_of};
use crate::aggregate::{Accumulate, Mean, Sum};
use crate::column::{Column, Value};
use crate::read::event::Events;
use crate::time::window::Window;

debug_by_column!(SumOf<F, N>, MeanOf<F, N>, ExtremeOf<F, N, X>);

/// The aggregate of [`Aggregates::sum`](crate::Aggregates::sum).
#[derive(Clone)]
pub struct SumOf<F, N> {
    pub(crate) column: Column,
    pub(crate) of: F,
    pub(crate) number: PhantomData<fn() -> N>,
}

impl<E: Events, N: MaybeNumber, F> Aggregate<E> for SumOf<F, N>
where
    F: for<'a> Fn(&E::Of<'a>) -> N + Send + Sync + 'static,
{
    type State = Sum;

    fn add(&self, state: &mut Sum, event: &E::Of<'_>) {
        if let Some(number) = (self.of)(event).number() {
            state.add(number.units());
        }
    }

    fn columns(&self) -> Vec<Column> {
        vec![self.column.clone()]
    }

    fn values(&self, output: &i128, _: Window, put: &mut dyn FnMut(Value<'_>)) {
        put(value_of::<N::Number>(*output));
    }
}

/// The aggregate of [`Aggregates::mean`](crate::Aggregates::mean).
#[derive(Clone)]
pub struct MeanOf<F, N> {
    pub(crate) column: Column,
    pub(crate) of: F,
    pub(crate) number: PhantomData<fn() -> N>,
}

impl<E: Events, N: MaybeNumber, F> Aggregate<E> for MeanOf<F, N>
where
    F: for<'a> Fn(&E::Of<'a>) -> N + Send + Sync + 'static,
{
    type State = Mean;

    fn add(&self, state: &mut Mean, event: &E::Of<'_>) {
        if let Some(number) = (self.of)(event).number() {
            state.add(number.units());
        }
    }

    fn columns(&self) -> Vec<Column> {
        vec![self.column.clone()]
    }

    fn values(&self, output: &Mean, _: Window, put: &mut dyn FnMut(Value<'_>)) {
        put(Value::or_null(output.mean(N::Number::SCALE).map(Value::Float)));
    }
}

/// The aggregate of [`Aggregates::min`](crate::Aggregates::min) and [`Aggregates::max`](crate::Aggregates::max).
#[derive(Clone)]
pub struct ExtremeOf<F, N, X> {
    pub(crate) column: Column,
    pub(crate) of: F,
    pub(crate) number: PhantomData<fn() -> (N, X)>,
}

impl<E: Events, N: MaybeNumber, X: End, F> Aggregate<E> for ExtremeOf<F, N, X>
where
    F: for<'a> Fn(&E::Of<'a>) -> N + Send + Sync + 'static,
{
    type State = Extreme<i64, X>;

    fn add(&self, state: &mut Extreme<i64, X>, event: &E::Of<'_>) {
        if let Some(number) = (self.of)(event).number() {
            state.add(number.units());
        }
    }

    fn columns(&self) -> Vec<Column> {
        vec![self.column.clone()]
    }

    fn values(&self, output: &Option<i64>, _: Window, put: &mut dyn FnMut(Value<'_>)) {
        put(Value::or_null(output.map(|units| value_of::<N::Number>(units.into()))));
    }
}
