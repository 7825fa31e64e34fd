//! The factory of the built-in aggregates by name.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::aggregate::accumulator_of::AccumulatorOf;
use crate::aggregate::by_name::{CountIf, CountOf};
use crate::aggregate::distinct_ids::DistinctIds;
use crate::aggregate::extreme::{Greatest, Least};
use crate::aggregate::number::{MaybeNumber, Number};
use crate::aggregate::of_numbers::{ExtremeOf, MeanOf, SumOf};
use crate::aggregate::of_texts::{DistinctOf, TopOf};
use crate::aggregate::{Accumulate, Accumulator};
use crate::column::{Column, ColumnKind, Value};
use crate::read::event::Events;
use crate::time::window::Window;

/// A factory of aggregates of one type of events. Each method takes the name of the column and, except
/// `count`, a closure that gets a value from an event. If the closure returns an `Option` of a number, events
/// with `None` are skipped.
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
    /// Creates the factory. A pipeline passes one to the closure of `group`.
    #[must_use]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<E: Events> Aggregates<E> {
    /// The number of events. State: 8 bytes for each key and pane.
    #[must_use]
    pub fn count(self, name: &str) -> CountOf {
        CountOf { column: Column::named(name, ColumnKind::Integer) }
    }

    /// The number of events for which a condition holds. State: 8 bytes for each key and pane.
    pub fn count_if<F>(self, name: &str, holds: F) -> CountIf<F>
    where
        F: for<'a> Fn(&E::Of<'a>) -> bool + Send + Sync + 'static,
    {
        CountIf { column: Column::named(name, ColumnKind::Integer), holds }
    }

    /// The exact sum of a number, in fixed point. State: 16 bytes for each key and pane.
    ///
    /// ```
    /// # struct Reading { celsius: f64 }
    /// # impl telemetra_core::Event for Reading {
    /// #     type Key = ();
    /// #     fn time(&self) -> telemetra_core::EventTime { Default::default() }
    /// #     fn key(&self) {}
    /// # }
    ///
    /// use telemetra_core::{Accumulator, Aggregate, Aggregates};
    /// let total = Aggregates::<Reading>::new().sum("total", |r| r.celsius);
    /// let mut state = Default::default();
    /// for celsius in [0.1, 0.2] {
    ///     Aggregate::<Reading>::add(&total, &mut state, &Reading { celsius });
    /// }
    /// assert_eq!(state.finish(), 300_000, "of floats, in millionths; the column has 0.3");
    /// ```
    pub fn sum<N: MaybeNumber, F>(self, name: &str, of: F) -> SumOf<F, N>
    where
        F: for<'a> Fn(&E::Of<'a>) -> N + Send + Sync + 'static,
    {
        SumOf { column: Column::named(name, N::Number::KIND), of, number: PhantomData }
    }

    /// The mean of a number: an exact sum and a count, divided at the end. Null if no event has a number.
    /// State: 32 bytes for each key and pane.
    pub fn mean<N: MaybeNumber, F>(self, name: &str, of: F) -> MeanOf<F, N>
    where
        F: for<'a> Fn(&E::Of<'a>) -> N + Send + Sync + 'static,
    {
        MeanOf { column: Column::named(name, ColumnKind::Float).or_null(), of, number: PhantomData }
    }

    /// The least value of a number. Null if no event has a number. State: 16 bytes for each key and pane.
    ///
    /// ```
    /// # struct Reading { celsius: f64 }
    /// # impl telemetra_core::Event for Reading {
    /// #     type Key = ();
    /// #     fn time(&self) -> telemetra_core::EventTime { Default::default() }
    /// #     fn key(&self) {}
    /// # }
    ///
    /// use telemetra_core::{Accumulator, Aggregate, Aggregates};
    /// let a = Aggregates::<Reading>::new();
    /// let range = (a.min("coldest", |r| r.celsius), a.max("hottest", |r| r.celsius));
    /// let mut state = Default::default();
    /// for celsius in [20.5, -3.0, 7.0] {
    ///     Aggregate::<Reading>::add(&range, &mut state, &Reading { celsius });
    /// }
    /// assert_eq!(state.finish(), (Some(-3_000_000), Some(20_500_000)), "of floats, in millionths");
    /// ```
    pub fn min<N: MaybeNumber, F>(self, name: &str, of: F) -> ExtremeOf<F, N, Least>
    where
        F: for<'a> Fn(&E::Of<'a>) -> N + Send + Sync + 'static,
    {
        ExtremeOf { column: Column::named(name, N::Number::KIND).or_null(), of, number: PhantomData }
    }

    /// The greatest value of a number. Null if no event has a number. State: 16 bytes for each key and pane.
    pub fn max<N: MaybeNumber, F>(self, name: &str, of: F) -> ExtremeOf<F, N, Greatest>
    where
        F: for<'a> Fn(&E::Of<'a>) -> N + Send + Sync + 'static,
    {
        ExtremeOf { column: Column::named(name, N::Number::KIND).or_null(), of, number: PhantomData }
    }

    /// The exact number of different texts. State: 16 bytes for each different text, key and pane; see
    /// [`Distinct`](crate::Distinct). With many, use [`accumulator`](Self::accumulator) with a
    /// [`HyperLogLog`](crate::HyperLogLog).
    pub fn distinct<F>(self, name: &str, of: F) -> DistinctOf<F>
    where
        F: for<'e, 'a> Fn(&'e E::Of<'a>) -> &'e str + Send + Sync + 'static,
    {
        DistinctOf { column: Column::named(name, ColumnKind::Integer), of }
    }

    /// The exact number of different ids that are numbers. The closure returns a `u64` or, if some events have
    /// none, an `Option<u64>`. State: as for [`distinct`](Self::distinct).
    ///
    /// ```
    /// # struct Visit { page: String, user: u64 }
    /// # impl telemetra_core::Event for Visit {
    /// #     type Key = ();
    /// #     fn time(&self) -> telemetra_core::EventTime { Default::default() }
    /// #     fn key(&self) {}
    /// # }
    ///
    /// use telemetra_core::{Accumulator, Aggregate, Aggregates};
    /// let a = Aggregates::<Visit>::new();
    /// let reach = (a.distinct_ids("users", |v| v.user), a.distinct("pages", |v| &v.page));
    /// let mut state = Default::default();
    /// for (page, user) in [("/", 1), ("/", 2), ("/help", 2)] {
    ///     Aggregate::<Visit>::add(&reach, &mut state, &Visit { page: page.to_owned(), user });
    /// }
    /// assert_eq!(state.finish(), (2, 2));
    /// ```
    pub fn distinct_ids<I: Into<Option<u64>>, F>(self, name: &str, of: F) -> DistinctIds<F>
    where
        F: for<'a> Fn(&E::Of<'a>) -> I + Send + Sync + 'static,
    {
        DistinctIds { column: Column::named(name, ColumnKind::Integer), of }
    }

    /// The `K` most frequent texts and their exact counts, by count, then by name: a JSON list of `{"name",
    /// "count"}`. State: about 32 bytes for each different text, key and pane; see [`TopK`](crate::TopK).
    /// [`SpaceSaving`](crate::SpaceSaving) is bounded.
    ///
    /// ```
    /// # struct Visit { page: String, user: u64 }
    /// # impl telemetra_core::Event for Visit {
    /// #     type Key = ();
    /// #     fn time(&self) -> telemetra_core::EventTime { Default::default() }
    /// #     fn key(&self) {}
    /// # }
    ///
    /// use telemetra_core::{Accumulator, Aggregate, Aggregates};
    /// let pages = Aggregates::<Visit>::new().top::<2, _>("pages", |v| &v.page);
    /// let mut state = Default::default();
    /// for page in ["/", "/help", "/", "/about", "/help", "/"] {
    ///     Aggregate::<Visit>::add(&pages, &mut state, &Visit { page: page.to_owned(), user: 1 });
    /// }
    /// let top: Vec<_> = state.finish().into_iter().map(|page| (page.name.to_string(), page.count)).collect();
    /// assert_eq!(top, [("/".to_owned(), 3), ("/help".to_owned(), 2)]);
    /// ```
    pub fn top<const K: usize, F>(self, name: &str, of: F) -> TopOf<F, K>
    where
        F: for<'e, 'a> Fn(&'e E::Of<'a>) -> &'e str + Send + Sync + 'static,
    {
        TopOf { column: Column::named(name, ColumnKind::Json), of }
    }

    /// An aggregate made of your own accumulator, which takes references to events; `values` puts one value for
    /// each of `columns`, in their order. Use it for a built-in accumulator without a method here, too, such as
    /// a [`HyperLogLog`](crate::HyperLogLog) of a [`Project`](crate::Project)ion.
    ///
    /// ```
    /// # struct Reading { celsius: f64 }
    /// # impl telemetra_core::Event for Reading {
    /// #     type Key = ();
    /// #     fn time(&self) -> telemetra_core::EventTime { Default::default() }
    /// #     fn key(&self) {}
    /// # }
    ///
    /// use serde::{Deserialize, Serialize};
    /// use telemetra_core::{Accumulate, Accumulator, Aggregate, Aggregates, Column, ColumnKind, TwoStacks, Value};
    ///
    /// /// True if any reading was below zero.
    /// #[derive(Clone, Debug, Default, Serialize, Deserialize)]
    /// struct Frost(bool);
    ///
    /// impl Accumulator for Frost {
    ///     type Output = bool;
    ///     type Sliding = TwoStacks<Self>;
    ///     fn merge(&mut self, other: &Self) { self.0 |= other.0 }
    ///     fn finish(&self) -> bool { self.0 }
    /// }
    /// impl Accumulate<&Reading> for Frost {
    ///     fn add(&mut self, reading: &Reading) { self.0 |= reading.celsius < 0.0 }
    /// }
    ///
    /// let columns = vec![Column::new("frost", ColumnKind::Bool)];
    /// let frost = Aggregates::<Reading>::new().accumulator::<Frost>(columns, |frost, _window, put| put(Value::Bool(*frost)));
    /// let mut state = Frost::default();
    /// Aggregate::<Reading>::add(&frost, &mut state, &Reading { celsius: -0.5 });
    /// assert!(state.finish());
    /// ```
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
