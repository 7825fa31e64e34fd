//! Every built-in accumulator keeps the contract.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use telemetra_core::aggregate::{Multiplicities, Sample};
use telemetra_core::testkit::accumulator_compliance;
use telemetra_core::{
    Accumulate, Accumulator, Count, Distinct, Event, EventTime, Events, HyperLogLog, Max, Mean, Min, Pick,
    PowerSums, Project, Quantiles, Sliding, Sum, TopK, TwoStacks,
};

const NUMBERS: &[i64] =
    &[0, 1, 1, -1, 7, 7, 42, -1_000_000, i64::MAX, i64::MIN, 3, 9, 9, 2, -8, 5, 6, 4, 4, 4];

/// Names with many repetitions, short and long, more of them than are searched one by one.
fn names() -> Vec<String> {
    (0..160usize).map(|n| "é".repeat(n % 3) + &"x".repeat(n * n % 23) + &(n % 13).to_string()).collect()
}

#[test]
fn numbers() {
    accumulator_compliance::<Count, i64>(NUMBERS);
    accumulator_compliance::<Sum, i64>(NUMBERS);
    accumulator_compliance::<Mean, i64>(NUMBERS);
    accumulator_compliance::<PowerSums, i64>(NUMBERS);
    accumulator_compliance::<Min<i64>, i64>(NUMBERS);
    accumulator_compliance::<Max<i64>, i64>(NUMBERS);
    accumulator_compliance::<Quantiles, i64>(NUMBERS);
    accumulator_compliance::<Quantiles<1>, i64>(NUMBERS);
    accumulator_compliance::<Quantiles<10>, i64>(NUMBERS);
    accumulator_compliance::<Sum, i64>(&[]);
}

#[test]
fn names_and_ids() {
    let names = names();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for some in [&names[..], &names[..5], &names[..1], &[]] {
        accumulator_compliance::<Distinct, &str>(some);
        accumulator_compliance::<Multiplicities, &str>(some);
        let numbered: Vec<(&str, usize)> = some.iter().copied().zip(0..).collect();
        accumulator_compliance::<Sample<usize, 8>, (&str, usize)>(&numbered);
        accumulator_compliance::<TopK<0>, &str>(some);
        accumulator_compliance::<TopK<1>, &str>(some);
        accumulator_compliance::<TopK<10>, &str>(some);
        accumulator_compliance::<TopK<1000>, &str>(some);
        accumulator_compliance::<HyperLogLog<4>, &str>(some);
        accumulator_compliance::<HyperLogLog<12>, &str>(some);
    }
}

#[test]
fn tuples() {
    type Six = (Count, Sum, Mean, Min<i64>, Max<i64>, PowerSums);
    accumulator_compliance::<(Count,), i64>(NUMBERS);
    accumulator_compliance::<Six, i64>(NUMBERS);
    accumulator_compliance::<((Count, Sum), (Min<i64>, (Max<i64>, PowerSums))), i64>(NUMBERS);
}

/// A reading of a sensor, borrowed from the record it was decoded from.
struct Reading<'a> {
    sensor: &'a str,
    tags: &'a [&'a str],
    celsius: Option<i64>,
}

impl Event for Reading<'_> {
    type Key = String;
    fn time(&self) -> EventTime {
        EventTime::MIN
    }
    fn key(&self) -> &str {
        self.sensor
    }
}

struct Readings;
impl Events for Readings {
    type Key = String;
    type Of<'a> = Reading<'a>;
}

/// The three ways to pick: one value, many, and perhaps none.
struct Sensor;
impl<'e, 'a> Pick<&'e Reading<'a>> for Sensor {
    type Picked = [&'e str; 1];
    fn pick(reading: &'e Reading<'a>) -> Self::Picked {
        [reading.sensor]
    }
}
struct Tags;
impl<'e, 'a> Pick<&'e Reading<'a>> for Tags {
    type Picked = std::iter::Copied<std::slice::Iter<'a, &'a str>>;
    fn pick(reading: &'e Reading<'a>) -> Self::Picked {
        reading.tags.iter().copied()
    }
}
struct Celsius;
impl<'e, 'a> Pick<&'e Reading<'a>> for Celsius {
    type Picked = Option<i64>;
    fn pick(reading: &'e Reading<'a>) -> Self::Picked {
        reading.celsius
    }
}

/// A pipeline asks for this bound; a tuple of projections must meet it.
#[test]
fn projections_take_events_of_any_lifetime() {
    fn takes_events<E: Events, A: for<'e, 'a> Accumulate<&'e E::Of<'a>>>() -> A {
        A::default()
    }
    let mut all = takes_events::<
        Readings,
        (
            Count,
            Project<Sensor, Distinct>,
            Project<Tags, TopK<5>>,
            Project<Celsius, (Max<i64>, Mean)>,
            Project<Celsius, PowerSums>,
            Project<Celsius, Count>,
        ),
    >();
    for (sensor, celsius) in [("a", Some(-3)), ("b", None), ("a", Some(5))] {
        let owned = [String::from("lab"), String::from(sensor)];
        all.add(&Reading { sensor: &owned[1], tags: &[&owned[0], &owned[1]], celsius });
    }
    let (count, sensors, tags, (max, mean), sums, with_celsius) = all.finish();
    assert_eq!((count, sensors, max, mean.mean(1), with_celsius), (3, 2, Some(5), Some(1.0), 2));
    assert_eq!((tags[0].name.as_str(), tags[0].count), ("lab", 3));
    assert_eq!(sums.sum_sq, 34);
}

#[test]
#[should_panic(expected = "the output depends on the order of adding")]
fn the_suite_finds_an_accumulator_that_depends_on_order() {
    #[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
    struct Last(Option<i64>);
    impl Accumulator for Last {
        type Output = Option<i64>;
        type Sliding = TwoStacks<Self>;
        fn merge(&mut self, other: &Self) {
            self.0 = other.0.or(self.0);
        }
        fn finish(&self) -> Option<i64> {
            self.0
        }
    }
    impl Accumulate<i64> for Last {
        fn add(&mut self, input: i64) {
            self.0 = Some(input);
        }
    }
    accumulator_compliance::<Last, i64>(NUMBERS);
}

#[test]
#[should_panic(expected = "the sliding form differs")]
fn the_suite_finds_a_sliding_form_that_forgets_to_let_go() {
    #[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
    struct Sticky(Count);
    #[derive(Debug, Default)]
    struct Sticks(Count);
    impl Accumulator for Sticky {
        type Output = u64;
        type Sliding = Sticks;
        fn merge(&mut self, other: &Self) {
            self.0.merge(&other.0);
        }
        fn finish(&self) -> u64 {
            self.0.finish()
        }
    }
    impl Sliding<Sticky> for Sticks {
        fn push(&mut self, pane: &Sticky) {
            self.0.merge(&pane.0);
        }
        fn pop(&mut self, _: &Sticky) {}
        fn finish(&self) -> u64 {
            self.0.finish()
        }
    }
    impl Accumulate<i64> for Sticky {
        fn add(&mut self, input: i64) {
            self.0.add(input);
        }
    }
    accumulator_compliance::<Sticky, i64>(NUMBERS);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Against the obvious way to count.
    #[test]
    fn distinct_and_top_are_exact(
        names in prop::collection::vec("[a-e]{0,3}|[a-z]{14,18}|\\PC{0,6}", 0..200),
    ) {
        let (mut distinct, mut top) = (Distinct::default(), TopK::<3>::default());
        let mut counts = std::collections::BTreeMap::<&str, u64>::new();
        for name in &names {
            distinct.add(name.as_str());
            top.add(name.as_str());
            *counts.entry(name).or_default() += 1;
        }
        prop_assert_eq!(distinct.finish(), counts.len() as u64);
        let mut expected: Vec<_> = counts.into_iter().collect();
        expected.sort_by_key(|&(name, count)| (std::cmp::Reverse(count), name));
        expected.truncate(3);
        let top = top.finish();
        let found: Vec<_> = top.iter().map(|held| (held.name.as_str(), held.count)).collect();
        prop_assert_eq!(found, expected);
    }
}
