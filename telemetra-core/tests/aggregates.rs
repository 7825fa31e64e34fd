//! Aggregates by name: what each computes, the columns it has, and that no order and no split of the events
//! changes it.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use telemetra_core::testkit::accumulator_compliance;
use telemetra_core::{
    Accumulator, Aggregate, Aggregates, Column, ColumnKind, Count, Distinct, Event, EventTime, Events, Max,
    Micro, Number, Pick, Project, Value, Window, json,
};

/// A reading of a sensor, which borrows from the record it was decoded from.
#[derive(Copy, Clone, Debug)]
struct Reading<'a> {
    sensor: &'a str,
    celsius: f64,
    pulses: i64,
    ok: bool,
}

impl Event for Reading<'_> {
    type Key = ();
    fn time(&self) -> EventTime {
        EventTime::MIN
    }
    fn key(&self) {}
}

struct Readings;
impl Events for Readings {
    type Key = ();
    type Of<'a> = Reading<'a>;
}

const ONE: Window = Window { start: telemetra_core::SignedTime(0), end: EventTime(60_000) };

fn a() -> Aggregates<Readings> {
    Aggregates::new()
}

fn reading(sensor: &str, celsius: f64, pulses: i64, ok: bool) -> Reading<'_> {
    Reading { sensor, celsius, pulses, ok }
}

/// A window with something in it.
fn some() -> Vec<Reading<'static>> {
    vec![
        reading("a", -1.5, 4, true),
        reading("b", 0.25, -6, false),
        reading("a", 30.0, 2, true),
        reading("c", 0.1, 2, true),
    ]
}

fn fold<A: Aggregate<Readings>>(aggregate: &A, readings: &[Reading<'_>]) -> A::State {
    let mut state = A::State::default();
    readings.iter().for_each(|reading| aggregate.add(&mut state, reading));
    state
}

/// The values of an aggregate's columns, as JSON. Each must fit its column.
fn values_of<A: Aggregate<Readings>>(aggregate: &A, state: &A::State) -> Vec<String> {
    let (columns, mut values) = (aggregate.columns(), Vec::new());
    aggregate.values(&state.finish(), ONE, &mut |value| {
        let column = &columns[values.len()];
        assert!(value.fits(column.kind), "{value:?} in {column:?}");
        assert!(column.nullable || !matches!(value, Value::Null), "{column:?} may not be null");
        let mut text = String::new();
        json::value(&mut text, value).unwrap();
        values.push(text);
    });
    assert_eq!(values.len(), columns.len());
    values
}

/// The values over readings, and over none.
fn values<A: Aggregate<Readings>>(aggregate: &A, readings: &[Reading<'_>]) -> String {
    let (some, none) = (fold(aggregate, readings), A::State::default());
    format!("{} / {}", values_of(aggregate, &some).join(" "), values_of(aggregate, &none).join(" "))
}

fn columns<A: Aggregate<Readings>>(aggregate: &A) -> Vec<Column> {
    aggregate.columns()
}

#[test]
fn each_aggregate_computes_what_it_is_called() {
    let some = some();
    assert_eq!(values(&a().count("n"), &some), "4 / 0");
    assert_eq!(values(&a().count_if("failed", |r| !r.ok), &some), "1 / 0");
    assert_eq!(values(&a().sum("pulses", |r| r.pulses), &some), "2 / 0");
    assert_eq!(values(&a().sum("celsius", |r| r.celsius), &some), "28.85 / 0");
    assert_eq!(values(&a().mean("pulses", |r| r.pulses), &some), "0.5 / null");
    assert_eq!(values(&a().mean("celsius", |r| r.celsius as f32), &some), "7.2125 / null");
    assert_eq!(values(&a().min("pulses", |r| r.pulses), &some), "-6 / null");
    assert_eq!(values(&a().max("pulses", |r| r.pulses), &some), "4 / null");
    assert_eq!(values(&a().min("celsius", |r| r.celsius), &some), "-1.5 / null");
    assert_eq!(values(&a().max("celsius", |r| Micro::from(r.celsius)), &some), "30 / null");
    assert_eq!(values(&a().distinct("sensors", |r| r.sensor), &some), "3 / 0");
    assert_eq!(values(&a().distinct_ids("pulses", |r| r.pulses.unsigned_abs()), &some), "3 / 0");
    assert_eq!(values(&a().distinct_ids("ok", |r| r.ok.then_some(7)), &some), "1 / 0");
    assert_eq!(
        values(&a().top::<2, _>("top", |r| r.sensor), &some),
        r#"[{"name":"a","count":2},{"name":"b","count":1}] / []"#
    );
    assert_eq!(values(&a().quantiles("x", [0.5, 1.0], |r| r.pulses), &some), "2 4 / null null");
    assert_eq!(values(&a().quantiles("x", [0.01, 1.0], |r| r.celsius), &some), "0 30.015488 / null null");
    let warm = |r: &Reading<'_>| (r.celsius > 0.0).then_some(r.pulses);
    let of_warm =
        (a().sum("s", warm), a().mean("m", warm), a().min("l", warm), a().quantiles("q", [0.5], warm));
    assert_eq!(values(&of_warm, &some), "-2 -0.6666666666666666 -6 2 / 0 null null null");
    let quoted = [reading("it's \"one\"\n", 0.0, 0, true)];
    assert_eq!(
        values(&a().top::<2, _>("top", |r| r.sensor), &quoted),
        r#"[{"name":"it's \"one\"\n","count":1}] / []"#
    );
}

#[test]
fn each_aggregate_has_a_column_of_its_name() {
    use ColumnKind::{Float, Integer, Json};
    assert_eq!(columns(&a().count("x")), [Column::new("x", Integer)]);
    assert_eq!(columns(&a().count_if("x", |r| r.ok)), [Column::new("x", Integer)]);
    assert_eq!(columns(&a().sum("x", |r| r.pulses)), [Column::new("x", Integer)]);
    assert_eq!(columns(&a().sum("x", |r| r.celsius)), [Column::new("x", Float)]);
    assert_eq!(columns(&a().mean("x", |r| r.pulses)), [Column::nullable("x", Float)]);
    assert_eq!(columns(&a().min("x", |r| r.pulses as u8)), [Column::nullable("x", Integer)]);
    assert_eq!(columns(&a().max("x", |r| r.celsius)), [Column::nullable("x", Float)]);
    let quantiles = a().quantiles("x", [0.5, 0.999], |r| r.celsius);
    assert_eq!(columns(&quantiles), [Column::nullable("x_p50", Float), Column::nullable("x_p99_9", Float)]);
    assert_eq!(columns(&a().distinct("x", |r| r.sensor)), [Column::new("x", Integer)]);
    assert_eq!(columns(&a().distinct_ids("x", |_| 1)), [Column::new("x", Integer)]);
    assert_eq!(columns(&a().top::<3, _>("x", |r| r.sensor)), [Column::new("x", Json)]);
}

/// The sensors that failed, and the greatest temperature: an accumulator that a user could write.
struct Failed;
impl<'e, 'a> Pick<&'e Reading<'a>> for Failed {
    type Picked = Option<&'a str>;
    fn pick(reading: &'e Reading<'a>) -> Option<&'a str> {
        (!reading.ok).then_some(reading.sensor)
    }
}
struct Celsius;
impl<'e, 'a> Pick<&'e Reading<'a>> for Celsius {
    type Picked = [i64; 1];
    fn pick(reading: &'e Reading<'a>) -> [i64; 1] {
        [Micro::from(reading.celsius).0]
    }
}
type Mine = (Count, Project<Failed, Distinct>, Project<Celsius, Max<i64>>);

#[test]
fn an_accumulator_of_a_users_own_takes_its_place_among_the_named() {
    let mine = a().accumulator::<Mine>(
        vec![
            Column::new("per_second", ColumnKind::Float),
            Column::new("failed", ColumnKind::Integer),
            Column::nullable("greatest", ColumnKind::Float),
        ],
        |(count, failed, greatest), window, put| {
            put(Value::Float(*count as f64 / window.seconds()));
            put(Value::Unsigned(*failed));
            put(Value::or_null(greatest.map(|micro| Value::Float(Micro(micro).to_f64()))));
        },
    );
    let all = (a().count("n"), mine.clone(), a().sum("pulses", |r| r.pulses));
    let names: Vec<_> = columns(&all).iter().map(|column| column.name.to_string()).collect();
    assert_eq!(names, ["n", "per_second", "failed", "greatest", "pulses"]);
    assert_eq!(values(&all, &some()), format!("4 {} 1 30 2 / 0 0 0 null 0", 4.0 / 60.0));
    assert!(format!("{mine:?}").starts_with("AccumulatorOf<"));
    accumulator_compliance::<Mine, &Reading<'_>>(&some().iter().collect::<Vec<_>>());
}

#[test]
fn tuples_of_one_to_eight_have_the_columns_of_their_parts() {
    let (n, p) = (|| a().count("n"), || a().sum("p", |r: &Reading<'_>| r.pulses));
    let some = some();
    assert_eq!(values(&(n(),), &some), "4 / 0");
    assert_eq!(values(&(n(), p()), &some), "4 2 / 0 0");
    assert_eq!(values(&(n(), p(), n()), &some), "4 2 4 / 0 0 0");
    assert_eq!(values(&(n(), p(), n(), p()), &some), "4 2 4 2 / 0 0 0 0");
    assert_eq!(values(&(n(), p(), n(), p(), n()), &some), "4 2 4 2 4 / 0 0 0 0 0");
    assert_eq!(values(&(n(), p(), n(), p(), n(), p()), &some), "4 2 4 2 4 2 / 0 0 0 0 0 0");
    assert_eq!(values(&(n(), p(), n(), p(), n(), p(), n()), &some), "4 2 4 2 4 2 4 / 0 0 0 0 0 0 0");
    let eight = (n(), p(), n(), p(), n(), p(), n(), p());
    assert_eq!(values(&eight, &some), "4 2 4 2 4 2 4 2 / 0 0 0 0 0 0 0 0");
    let names: Vec<_> = columns(&eight).iter().map(|column| column.name.to_string()).collect();
    assert_eq!(names.concat(), "npnpnpnp");
    // Tuples nest.
    assert_eq!(values(&((n(), (p(), n())), (p(),)), &some), "4 2 4 2 / 0 0 0 0");
}

#[test]
fn numbers_are_summed_in_units_that_lose_no_order() {
    assert_eq!((7_u8.units(), u64::MAX.units(), (-7_i32).units()), (7, i64::MAX, -7));
    assert_eq!((1.5_f32.units(), (-1e-6_f64).units(), 4e-7_f64.units()), (1_500_000, -1, 0));
    assert_eq!((f64::NAN.units(), f64::INFINITY.units(), (-1e300).units()), (0, i64::MAX, i64::MIN));
    assert_eq!(Micro(3).units(), 3);
    // Sums of integers go beyond 64 bits inside; a column has the nearest that it can hold.
    let most = [reading("", 0.0, i64::MAX, true); 3];
    assert_eq!(values(&a().sum("x", |r| r.pulses), &most[..1]), "9223372036854775807 / 0");
    assert_eq!(values(&a().sum("x", |r| r.pulses), &most[..2]), "18446744073709551614 / 0");
    assert_eq!(values(&a().sum("x", |r| r.pulses), &most), "18446744073709551615 / 0");
    assert_eq!(values(&a().mean("x", |r| r.pulses), &most), format!("{:e} / null", i64::MAX as f64));
    let least = [reading("", 0.0, i64::MIN, true); 3];
    assert_eq!(values(&a().sum("x", |r| r.pulses), &least), "-9223372036854775808 / 0");
    let back = [most[0], least[0], most[1], reading("", 0.0, 5, true)];
    assert_eq!(values(&a().sum("x", |r| r.pulses), &back), "9223372036854775811 / 0");
}

#[test]
fn events_that_own_their_fields_are_aggregated_by_the_same_names() {
    #[derive(Debug)]
    struct Owned(String, f64);
    impl Event for Owned {
        type Key = String;
        fn time(&self) -> EventTime {
            EventTime::MIN
        }
        fn key(&self) -> &str {
            &self.0
        }
    }
    let a = Aggregates::<Owned>::default();
    let all =
        (a.distinct("who", |event| &event.0), a.max("most", |event| event.1), a.top::<1, _>("top", |e| &e.0));
    let mut state = Default::default();
    for (who, much) in [("x", 1.0), ("y", 2.5), ("x", -1.0)] {
        Aggregate::<Owned>::add(&all, &mut state, &Owned(who.to_owned(), much));
    }
    let (who, most, top) = state.finish();
    assert_eq!((who, most, top[0].name.as_str()), (2, Some(2_500_000), "x"));
    assert_eq!(format!("{all:?}"), "(DistinctOf(who), ExtremeOf(most), TopOf(top))");
    assert_eq!(format!("{a:?}"), "Aggregates");
}

fn events() -> impl Strategy<Value = Vec<(String, f64, i64, bool, usize)>> {
    let celsius = prop_oneof![
        -1e6..1e6,
        Just(0.1),
        Just(1e12),
        Just(-1e12),
        Just(f64::NAN),
        (0..5_i32).prop_map(|n| 10f64.powi(-n))
    ];
    prop::collection::vec(("[a-f]{0,2}", celsius, any::<i64>(), any::<bool>(), 0..5_usize), 0..80)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Partials of any split, encoded and decoded on the way, merged in any order, finish to what one pass
    /// gives: floats too.
    #[test]
    fn no_order_and_no_split_changes_an_aggregate(
        events in events(),
        order in prop::collection::vec(any::<u32>(), 80),
        merges in prop::collection::vec(any::<usize>(), 5),
    ) {
        let all = (
            a().count("n"),
            a().count_if("ok", |r| r.ok),
            a().sum("sum", |r| r.celsius),
            a().mean("mean", |r| r.celsius),
            a().sum("pulses", |r| r.pulses),
            a().distinct("sensors", |r| r.sensor),
            a().top::<3, _>("top", |r| r.sensor),
            (
                a().min("least", |r| r.celsius),
                a().max("most", |r| r.pulses),
                a().quantiles("q", [0.0, 0.5, 0.99], |r| r.celsius),
            ),
        );
        fn of((sensor, celsius, pulses, ok, _): &(String, f64, i64, bool, usize)) -> Reading<'_> {
            reading(sensor, *celsius, *pulses, *ok)
        }
        let forward: Vec<Reading<'_>> = events.iter().map(of).collect();
        let expected = values_of(&all, &fold(&all, &forward));

        let mut shuffled: Vec<_> = events.iter().zip(order).collect();
        shuffled.sort_by_key(|(_, place)| *place);
        let mut partials = vec![fold(&all, &[]); 5];
        for (event, _) in &shuffled {
            Aggregate::<Readings>::add(&all, &mut partials[event.4], &of(event));
        }
        for n in merges {
            if partials.len() > 1 {
                let one = bincode::serialize(&partials.swap_remove(n % partials.len())).unwrap();
                let other = n / 7 % partials.len();
                partials[other].merge(&bincode::deserialize(&one).unwrap());
            }
        }
        let mut merged = fold(&all, &[]);
        partials.iter().for_each(|partial| merged.merge(partial));
        prop_assert_eq!(values_of(&all, &merged), expected);
    }

    /// The sum of floats equals the sum of their millionths.
    #[test]
    fn a_sum_of_floats_is_exact_in_millionths(
        micros in prop::collection::vec(-1_000_000_000_000_i64..1_000_000_000_000, 0..60),
    ) {
        let readings: Vec<_> = micros.iter().map(|micro| reading("", *micro as f64 / 1e6, 0, true)).collect();
        let sum = fold(&a().sum("x", |r| r.celsius), &readings).finish();
        prop_assert_eq!(sum, micros.iter().map(|micro| i128::from(*micro)).sum::<i128>());
    }
}
