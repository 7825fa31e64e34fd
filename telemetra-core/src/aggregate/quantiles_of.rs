//! The aggregate of quantiles, by name.

use std::fmt;
use std::marker::PhantomData;

use crate::aggregate::Accumulate;
use crate::aggregate::aggregates::Aggregates;
use crate::aggregate::by_name::Aggregate;
use crate::aggregate::number::{MaybeNumber, Number, value_of};
use crate::aggregate::quantiles::{Quantiles, millionths};
use crate::column::{Column, Value};
use crate::error::ConfigError;
use crate::read::event::Events;
use crate::time::window::Window;

impl<E: Events> Aggregates<E> {
    /// Quantiles of a number that is not negative, by the sketch [`Quantiles`]: one column for each fraction,
    /// named by its percentage.
    ///
    /// The fractions `[0.5, 0.99, 0.999]` of `latency` make the columns `latency_p50`, `latency_p99` and
    /// `latency_p99_9`. They are null without events. Fractions are from 0 to 1, with six decimals at most;
    /// others are refused when the pipeline starts.
    ///
    /// Each value differs from the exact quantile by less than 0.8 %, and never depends on the order of
    /// events. A window costs sixteen bytes for each of the sketch's buckets that has a number in it, which
    /// its row keeps until it cannot be corrected any more. A sketch of another precision is an
    /// [`accumulator`](Self::accumulator).
    ///
    /// ```
    /// # struct Request { path: String, millis: u64 }
    /// # impl telemetra_core::Event for Request {
    /// #     type Key = String;
    /// #     fn time(&self) -> telemetra_core::EventTime { Default::default() }
    /// #     fn key(&self) -> &str { &self.path }
    /// # }
    /// use telemetra_core::{Accumulator, Aggregate, Aggregates};
    /// let a = Aggregates::<Request>::new();
    /// let aggregate = a.quantiles("latency", [0.5, 0.99], |r| r.millis);
    /// let names: Vec<_> = Aggregate::<Request>::columns(&aggregate).into_iter().map(|c| c.name).collect();
    /// assert_eq!(names, ["latency_p50", "latency_p99"]);
    ///
    /// let mut state = Default::default();
    /// for millis in 1..=100 {
    ///     Aggregate::<Request>::add(&aggregate, &mut state, &Request { path: "/".into(), millis });
    /// }
    /// let finished = state.finish();
    /// assert_eq!((finished.quantile(0.5), finished.quantile(0.99)), (Some(50), Some(99)));
    /// ```
    pub fn quantiles<N: MaybeNumber, F, const Q: usize>(
        self,
        name: &str,
        fractions: [f64; Q],
        of: F,
    ) -> QuantilesOf<F, N, Q>
    where
        F: for<'a> Fn(&E::Of<'a>) -> N + Send + Sync + 'static,
    {
        QuantilesOf { name: name.to_owned(), fractions, of, number: PhantomData }
    }
}

/// The aggregate of [`Aggregates::quantiles`].
#[derive(Clone)]
pub struct QuantilesOf<F, N, const Q: usize> {
    name: String,
    fractions: [f64; Q],
    of: F,
    number: PhantomData<fn() -> N>,
}

impl<F, N, const Q: usize> fmt::Debug for QuantilesOf<F, N, Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "QuantilesOf({}, {:?})", self.name, self.fractions)
    }
}

/// A fraction in millionths as a percentage in a name: `50`, `99_9`.
fn percentage(millionths: u32) -> String {
    let (whole, part) = (millionths / 10_000, millionths % 10_000);
    let text = format!("{whole}_{part:04}");
    text.trim_end_matches('0').trim_end_matches('_').to_owned()
}

impl<E: Events, N: MaybeNumber, F, const Q: usize> Aggregate<E> for QuantilesOf<F, N, Q>
where
    F: for<'a> Fn(&E::Of<'a>) -> N + Send + Sync + 'static,
{
    type State = Quantiles;

    fn check(&self) -> Result<(), ConfigError> {
        match self.fractions.iter().find(|fraction| !(0.0..=1.0).contains(*fraction)) {
            Some(fraction) => Err(ConfigError::new(
                "quantiles",
                format!("`{}` asks for the fraction {fraction}", self.name),
                "fractions are from 0 to 1: the 99th percentile is 0.99",
            )),
            None => Ok(()),
        }
    }

    fn add(&self, state: &mut Quantiles, event: &E::Of<'_>) {
        if let Some(number) = (self.of)(event).number() {
            state.add(number);
        }
    }

    fn columns(&self) -> Vec<Column> {
        let name = |fraction| format!("{}_p{}", self.name, percentage(millionths(fraction)));
        self.fractions
            .iter()
            .map(|&fraction| Column::named(name(fraction), N::Number::KIND).or_null())
            .collect()
    }

    fn values(&self, output: &Quantiles, _: Window, put: &mut dyn FnMut(Value<'_>)) {
        for &fraction in &self.fractions {
            put(Value::or_null(output.quantile(fraction).map(|units| value_of::<N::Number>(units.into()))));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fraction_is_named_by_its_percentage() {
        let names = [0.0, 0.05, 0.1, 0.5, 0.99, 0.999, 0.9999, 0.000_1, 0.1005, 1.0];
        let names = names.map(|fraction| percentage(millionths(fraction)));
        assert_eq!(names, ["0", "5", "10", "50", "99", "99_9", "99_99", "0_01", "10_05", "100"]);
    }
}
