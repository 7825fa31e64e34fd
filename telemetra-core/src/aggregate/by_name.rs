//! Aggregates by name: aggregates that get their inputs from events by closures, and name the columns of
//! their results.
//!
//! An *aggregate* is a value that may contain closures. Its state is an [`Accumulator`]: plain data, which is
//! merged, slid, checkpointed and finished without the aggregate. So operators and checkpoints do not deal
//! with closures. The split is that of a `CombineFn` and its accumulator in Beam.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use compact_str::CompactString;

use crate::aggregate::accumulator_of::AccumulatorOf;
use crate::aggregate::distinct_ids::DistinctIds;
use crate::aggregate::extreme::{End, Extreme, Greatest, Least};
use crate::aggregate::name_counts::Counted;
use crate::aggregate::number::{MaybeNumber, Number, value_of};
use crate::aggregate::{Accumulate, Accumulator, Count, Distinct, Mean, Sum, TopK};
use crate::column::{Column, ColumnKind, Value};
use crate::error::ConfigError;
use crate::read::event::Events;
use crate::time::window::Window;

/// An aggregate: how an event is added to an accumulator, and the columns of the result.
///
/// [`Aggregates`] makes the built-in ones. A tuple of up to eight aggregates is an aggregate.
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

    /// Checks its settings, before a pipeline starts. By default there are none.
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

/// A factory of aggregates of one type of events. Each method takes the name of the column and, except
/// `count`, a closure that gets a value from an event. Where it gets an `Option` of a number, events with `None`
/// are passed over.
///
/// ```
/// # struct Reading { device: String, celsius: f64, ok: bool }
/// # impl telemetra_core::Event for Reading {
/// #     type Key = String;
/// #     fn time(&self) -> telemetra_core::EventTime { Default::default() }
/// #     fn key(&self) -> &str { &self.device }
/// # }
/// use telemetra_core::{Accumulator, Aggregate, Aggregates};
/// let a = Aggregates::<Reading>::new();
/// let (readings, celsius) = (a.count("readings"), a.mean("celsius", |r| r.celsius));
/// let aggregate = (readings, celsius, a.count_if("failures", |r| !r.ok));
///
/// let mut state = Default::default();
/// for (celsius, ok) in [(-1.5, true), (2.0, false)] {
///     Aggregate::<Reading>::add(&aggregate, &mut state, &Reading { device: "d1".into(), celsius, ok });
/// }
/// let (readings, celsius, failures) = state.finish();
/// assert_eq!((readings, celsius.mean(1_000_000), failures), (2, Some(0.25), 1));
/// ```
pub struct Aggregates<E>(PhantomData<fn() -> E>);

impl<E> Copy for Aggregates<E> {}
impl<E> Clone for Aggregates<E> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<E> Default for Aggregates<E> {
    fn default() -> Self {
        Self::new()
    }
}
impl<E> fmt::Debug for Aggregates<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Aggregates")
    }
}

impl<E> Aggregates<E> {
    /// Creates the factory.
    #[must_use]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<E: Events> Aggregates<E> {
    /// The number of events.
    #[must_use]
    pub fn count(self, name: &str) -> CountOf {
        CountOf { column: Column::named(name, ColumnKind::Integer) }
    }

    /// The number of events for which a condition holds.
    pub fn count_if<F>(self, name: &str, holds: F) -> CountIf<F>
    where
        F: for<'a> Fn(&E::Of<'a>) -> bool + Send + Sync + 'static,
    {
        CountIf { column: Column::named(name, ColumnKind::Integer), holds }
    }

    /// The sum of a number.
    pub fn sum<N: MaybeNumber, F>(self, name: &str, of: F) -> SumOf<F, N>
    where
        F: for<'a> Fn(&E::Of<'a>) -> N + Send + Sync + 'static,
    {
        SumOf { column: Column::named(name, N::Number::KIND), of, number: PhantomData }
    }

    /// The mean of a number.
    pub fn mean<N: MaybeNumber, F>(self, name: &str, of: F) -> MeanOf<F, N>
    where
        F: for<'a> Fn(&E::Of<'a>) -> N + Send + Sync + 'static,
    {
        MeanOf { column: Column::named(name, ColumnKind::Float).or_null(), of, number: PhantomData }
    }

    /// The least value of a number.
    pub fn min<N: MaybeNumber, F>(self, name: &str, of: F) -> ExtremeOf<F, N, Least>
    where
        F: for<'a> Fn(&E::Of<'a>) -> N + Send + Sync + 'static,
    {
        ExtremeOf { column: Column::named(name, N::Number::KIND).or_null(), of, number: PhantomData }
    }

    /// The greatest value of a number.
    pub fn max<N: MaybeNumber, F>(self, name: &str, of: F) -> ExtremeOf<F, N, Greatest>
    where
        F: for<'a> Fn(&E::Of<'a>) -> N + Send + Sync + 'static,
    {
        ExtremeOf { column: Column::named(name, N::Number::KIND).or_null(), of, number: PhantomData }
    }

    /// The exact number of different texts.
    pub fn distinct<F>(self, name: &str, of: F) -> DistinctOf<F>
    where
        F: for<'e, 'a> Fn(&'e E::Of<'a>) -> &'e str + Send + Sync + 'static,
    {
        DistinctOf { column: Column::named(name, ColumnKind::Integer), of }
    }

    /// The exact number of different ids. The closure returns an id or, for events that have none, an
    /// `Option`.
    pub fn distinct_ids<I: Into<Option<u64>>, F>(self, name: &str, of: F) -> DistinctIds<F>
    where
        F: for<'a> Fn(&E::Of<'a>) -> I + Send + Sync + 'static,
    {
        DistinctIds { column: Column::named(name, ColumnKind::Integer), of }
    }

    /// The `K` most frequent texts and their exact counts, by count, then by name: a JSON list of
    /// `{"name", "count"}`.
    pub fn top<const K: usize, F>(self, name: &str, of: F) -> TopOf<F, K>
    where
        F: for<'e, 'a> Fn(&'e E::Of<'a>) -> &'e str + Send + Sync + 'static,
    {
        TopOf { column: Column::named(name, ColumnKind::Json), of }
    }

    /// An aggregate made of your own accumulator, which takes references to events; `values` puts the values
    /// of its columns.
    pub fn accumulator<A>(
        self,
        columns: Vec<Column>,
        values: impl Fn(&A::Output, Window, &mut dyn FnMut(Value<'_>)) + Send + Sync + 'static,
    ) -> AccumulatorOf<A>
    where
        A: Accumulator + for<'e, 'a> Accumulate<&'e E::Of<'a>>,
    {
        AccumulatorOf { columns, values: Arc::new(values), accumulator: PhantomData }
    }
}

macro_rules! debug_by_column {
    ($($type:ident <$($p:ident),*>),+) => {$(
        impl<$($p),*> fmt::Debug for $type<$($p),*> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($type), "({})"), self.column.name)
            }
        }
    )+};
}
debug_by_column!(CountIf<F>, SumOf<F, N>, MeanOf<F, N>, ExtremeOf<F, N, X>, DistinctOf<F>);

/// The aggregate of [`Aggregates::count`].
#[derive(Clone, Debug)]
pub struct CountOf {
    column: Column,
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

/// The aggregate of [`Aggregates::count_if`].
#[derive(Clone)]
pub struct CountIf<F> {
    column: Column,
    holds: F,
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

/// The aggregate of [`Aggregates::sum`].
#[derive(Clone)]
pub struct SumOf<F, N> {
    column: Column,
    of: F,
    number: PhantomData<fn() -> N>,
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

/// The aggregate of [`Aggregates::mean`].
#[derive(Clone)]
pub struct MeanOf<F, N> {
    column: Column,
    of: F,
    number: PhantomData<fn() -> N>,
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

/// The aggregate of [`Aggregates::min`] and [`Aggregates::max`].
#[derive(Clone)]
pub struct ExtremeOf<F, N, X> {
    column: Column,
    of: F,
    number: PhantomData<fn() -> (N, X)>,
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

/// The aggregate of [`Aggregates::distinct`].
#[derive(Clone)]
pub struct DistinctOf<F> {
    column: Column,
    of: F,
}

impl<E: Events, F> Aggregate<E> for DistinctOf<F>
where
    F: for<'e, 'a> Fn(&'e E::Of<'a>) -> &'e str + Send + Sync + 'static,
{
    type State = Distinct;

    fn add(&self, state: &mut Distinct, event: &E::Of<'_>) {
        state.add((self.of)(event));
    }

    fn columns(&self) -> Vec<Column> {
        vec![self.column.clone()]
    }

    fn values(&self, output: &u64, _: Window, put: &mut dyn FnMut(Value<'_>)) {
        put(Value::Unsigned(*output));
    }
}

/// The aggregate of [`Aggregates::top`].
#[derive(Clone)]
pub struct TopOf<F, const K: usize> {
    column: Column,
    of: F,
}

impl<F, const K: usize> fmt::Debug for TopOf<F, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TopOf({})", self.column.name)
    }
}

impl<E: Events, F, const K: usize> Aggregate<E> for TopOf<F, K>
where
    F: for<'e, 'a> Fn(&'e E::Of<'a>) -> &'e str + Send + Sync + 'static,
{
    type State = TopK<K>;

    fn add(&self, state: &mut TopK<K>, event: &E::Of<'_>) {
        state.add((self.of)(event));
    }

    fn columns(&self) -> Vec<Column> {
        vec![self.column.clone()]
    }

    fn values(&self, output: &Vec<Counted>, _: Window, put: &mut dyn FnMut(Value<'_>)) {
        put(Value::Json(&CountedJson(output)));
    }
}

/// Names and counts, displayed as JSON: `[{"name":…,"count":…},…]`.
#[derive(Debug)]
pub struct CountedJson<'a>(pub &'a [Counted]);

impl fmt::Display for CountedJson<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (i, Counted { name, count }) in self.0.iter().enumerate() {
            let name: &CompactString = name;
            f.write_str(if i == 0 { "{\"name\":" } else { ",{\"name\":" })?;
            crate::json::string(f, name)?;
            write!(f, ",\"count\":{count}}}")?;
        }
        f.write_str("]")
    }
}
