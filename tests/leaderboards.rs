//! The newest summaries, the boards made of them and their join with what is known of streams equal their plain
//! definition, update by update.
#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use differential_dataflow::VecCollection;
use differential_dataflow::consolidation::consolidate_updates;
use differential_dataflow::input::Input;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use support::{Counted, *};
use telemetra::core::*;
use telemetra::ops::{
    Describe, Ingest, Ingress, IngressConfig, Latest, StreamRows, Summaries, Top, Windows, spec,
};
use timely::dataflow::operators::{Capture, Probe, capture::Extract};

type Rows<'scope> = VecCollection<'scope, EventTime, StreamRow, isize>;
type Answers<'scope> = VecCollection<'scope, EventTime, Answer, isize>;

/// All that is computed here, in one collection.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Answer {
    Latest(StreamId, Summary<Out>),
    Ranked(Ranked),
    Described(StreamId, Summary<Out>, Option<StreamRow>),
    /// Of all summaries, and not only the newest.
    OfAll(Box<Self>),
}

fn count(out: &Out) -> i64 {
    out.0 as i64
}

fn longest(out: &Out) -> Option<i64> {
    out.2.map(|longest| longest as i64)
}

fn fast<'scope>(
    summaries: Summaries<'scope, Out>,
    streams: Rows<'scope>,
    rules: WindowRules,
) -> Answers<'scope> {
    let latest = summaries.clone().latest(rules);
    let boards = latest.clone().top(2, "busiest", count).concat(latest.clone().top(9, "longest", longest));
    let described = latest.clone().describe(streams.clone());
    let of_all = summaries.clone().top(3, "all", count).map(Answer::Ranked);
    let of_all = of_all.concat(summaries.describe(streams).map(of_described));
    of_all
        .map(|answer| Answer::OfAll(Box::new(answer)))
        .concat(latest.map(|(key, summary)| Answer::Latest(key, summary)))
        .concatenate([boards.map(Answer::Ranked), described.map(of_described)])
}

fn plain<'scope>(
    summaries: Summaries<'scope, Out>,
    streams: Rows<'scope>,
    clock: VecCollection<'scope, EventTime, EventTime, isize>,
) -> Answers<'scope> {
    let latest = spec::latest(summaries.clone(), clock);
    let boards = spec::top(latest.clone(), 2, "busiest", count).concat(spec::top(
        latest.clone(),
        9,
        "longest",
        longest,
    ));
    let described = spec::describe(latest.clone(), streams.clone());
    let of_all = spec::top(summaries.clone(), 3, "all", count).map(Answer::Ranked);
    let of_all = of_all.concat(spec::describe(summaries, streams).map(of_described));
    of_all
        .map(|answer| Answer::OfAll(Box::new(answer)))
        .concat(latest.map(|(key, summary)| Answer::Latest(key, summary)))
        .concatenate([boards.map(Answer::Ranked), described.map(of_described)])
}

fn of_described((key, (summary, row)): (StreamId, (Summary<Out>, Option<StreamRow>))) -> Answer {
    Answer::Described(key, summary, row)
}

/// A change of the answers.
type Said = (Answer, EventTime, isize);

fn consolidated(mut updates: Vec<Said>) -> Vec<Said> {
    consolidate_updates(&mut updates);
    updates
}

/// The boundaries from `first` to `last`, each held from its last instant to that of the next.
fn ticks(spec: WindowSpec, first: EventTime, last: EventTime) -> Vec<(EventTime, EventTime, isize)> {
    let mut ticks = Vec::new();
    let mut boundary = first;
    while boundary < last {
        let newest = spec.newest_during(boundary);
        ticks.extend([(boundary, newest.start, 1), (boundary, newest.end, -1)]);
        boundary = boundary.plus(spec.slide());
    }
    ticks
}

/// As [`Words`], but a message that begins with `!` changes the title of its stream.
struct Tagged;

impl Decoder for Tagged {
    fn decode<'a>(
        &self,
        record: &'a [u8],
        arena: &'a Arena,
        events: &mut Vec<Event<'a>>,
    ) -> Result<(), DecodeError> {
        let first = events.len();
        Words.decode(record, arena, events)?;
        for event in &mut events[first..] {
            if let Event::Chat(ChatMessage { header, user_id, message, .. }) = *event
                && message.starts_with('!')
            {
                *event = Event::Meta(StreamMeta {
                    header,
                    event_type: MetaType::TitleChange,
                    // At one time one title, so that the newest is never a matter of order.
                    new_title: Some(if header.time.0 % 2 == 0 { "even" } else { "odd" }),
                    new_category: (user_id.len() % 2 == 0).then_some("even"),
                    started_at: None,
                    ended_at: None,
                    duration_minutes: None,
                });
            }
        }
        Ok(())
    }
}

/// The answers to a script by the graph API.
fn graph(script: &Script, time: &TimeConfig, workers: usize, per_poll: usize) -> (Vec<Said>, Fates) {
    let config = IngressConfig { time: time.clone(), clock: clock(), sentiment: None, lead: 10_000 };
    let source = Box::new(source(script, per_poll));
    let ingress = Ingress::open(config, vec![(source, Arc::new(Tagged))], workers).unwrap();
    let rules = time.window_rules(4);
    let updates = Arc::new(Mutex::new(Vec::new()));
    let (shared, said) = (ingress.clone(), Arc::clone(&updates));
    let guards = timely::execute(timely::Config::process(workers), move |worker| {
        let said = Arc::clone(&said);
        let probe = worker.dataflow::<EventTime, _, _>(|scope| {
            let ingested = scope.ingest::<Acc>(&shared);
            let answers = fast(ingested.partials.windows(rules), ingested.facts.stream_rows(), rules);
            answers.inspect(move |update| said.lock().unwrap().push(update.clone())).inner.probe().0
        });
        while !probe.done() {
            worker.step_or_park(Some(Duration::from_millis(10)));
        }
    });
    guards.unwrap().join().into_iter().for_each(|result| result.unwrap());
    assert!(ingress.take_error().is_none());
    (consolidated(std::mem::take(&mut updates.lock().unwrap())), ingress.fates())
}

/// The answers to the events that count, by definition.
fn defined(counted: &[Counted], time: &TimeConfig) -> Vec<Said> {
    let spec = time.windows;
    let first = counted.iter().map(|event| event.effective.plus(1)).min().unwrap_or_default();
    let last = counted.iter().map(|event| event.effective).max().unwrap_or_default();
    let clock_ticks = ticks(spec, first, last.plus(2 * (spec.size() + spec.slide())));
    let records: Vec<_> = counted
        .iter()
        .map(|event| {
            let Counted { key, time, user, message, effective } = event;
            (key.clone(), *time, format!("{key} {} e {user} {message}", time.0), *effective)
        })
        .collect();
    let captured = timely::execute_directly(move |worker| {
        let (mut events, mut clock, captured) = worker.dataflow::<EventTime, _, _>(|scope| {
            let (events_in, events) = scope.new_collection::<(StreamId, (EventTime, String)), isize>();
            let (clock_in, clock) = scope.new_collection::<EventTime, isize>();
            let windows = spec::windows(events.clone(), spec, |acc: &mut Acc, record: &String| {
                let (arena, mut events) = (Arena::default(), Vec::new());
                Tagged.decode(record.as_bytes(), &arena, &mut events).unwrap();
                events.iter().for_each(|event| acc.add(event));
            });
            let patches = events.flat_map(|(key, (_, record))| {
                let (arena, mut events) = (Arena::default(), Vec::new());
                Tagged.decode(record.as_bytes(), &arena, &mut events).unwrap();
                match Fact::of(&events[0]) {
                    Some(Fact::Meta(patch)) => Some((key, patch)),
                    _ => None,
                }
            });
            let rows = patches.reduce(|key, patches, output| {
                let mut profile = StreamProfile::default();
                patches.iter().for_each(|(patch, _)| profile.apply(patch));
                output.push((profile.row(key), 1));
            });
            let rows = rows.map(|(_, row)| row);
            (events_in, clock_in, plain(windows, rows, clock).inner.capture())
        });
        records.into_iter().for_each(|(key, at, record, effective)| {
            events.update_at((key, (at, record)), effective, 1);
        });
        clock_ticks.into_iter().for_each(|(boundary, at, diff)| clock.update_at(boundary, at, diff));
        drop((events, clock));
        while worker.step() {}
        captured
    });
    consolidated(captured.extract().into_iter().flat_map(|(_, updates)| updates).collect())
}

/// A record: mostly a good event near `position`, sometimes late, far off, repeated or broken.
fn script() -> impl Strategy<Value = Script> {
    let disorder = prop_oneof![6 => -12i64..12, 3 => -60i64..12, 1 => -200i64..12];
    let record = (0u8..5, disorder, 0u16..300, 0u8..5, 0u8..10, 0u8..20);
    let partition = prop::collection::vec(record, 0..80);
    (prop::collection::vec(partition, 1..4), 1i64..12).prop_map(|(partitions, pace)| {
        let render = |(position, (key, disorder, id, user, length, oddity)): (usize, _)| {
            let time = (BASE + 500).saturating_add_signed(position as i64 * pace + disorder);
            let message = if oddity < 3 { "!".to_owned() } else { "m".repeat(length as usize) };
            if oddity == 19 { "broken".to_owned() } else { format!("k{key} {time} e{id} u{user} {message}") }
        };
        partitions.into_iter().map(|records| records.into_iter().enumerate().map(render).collect()).collect()
    })
}

fn cases() -> u32 {
    std::env::var("TELEMETRA_ORACLE_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(100)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn answers_to_events_equal_the_plain_definition(
        script in script(),
        workers in 1usize..=4,
        per_poll in 1usize..40,
        retires in any::<bool>(),
    ) {
        let mut time = small_time();
        if !retires {
            time.horizon = Some(1_000_000);
        }
        let (fates, counted) = reference_fates(&script, &time);
        let (mut found, found_fates) = graph(&script, &time, workers, per_poll);
        let mut expected = defined(&counted, &time);
        if retires {
            // By definition nothing ever retires; the newest summaries do not notice.
            found.retain(|(answer, ..)| !matches!(answer, Answer::OfAll(_)));
            expected.retain(|(answer, ..)| !matches!(answer, Answer::OfAll(_)));
        }
        prop_assert_eq!(found_fates, fates);
        for (found, expected) in found.iter().zip(&expected) {
            prop_assert_eq!(found, expected);
        }
        prop_assert_eq!(found.len(), expected.len());
    }
}

/// Something that is there for a while: what, from when, for how long.
type Span<D> = (D, u64, Option<u64>);

fn spans<D: std::fmt::Debug>(data: impl Strategy<Value = D>) -> impl Strategy<Value = Vec<Span<D>>> {
    prop::collection::vec((data, 0u64..130, prop::option::of(1u64..50)), 0..40)
}

/// The changes of a collection in which each thing comes and, perhaps, goes; in pieces of 20 ms.
fn changes<D: Clone>(spans: &[Span<D>]) -> Vec<(D, EventTime, isize)> {
    let come = spans.iter().map(|(data, from, _)| (data.clone(), EventTime(*from), 1));
    let goes = |(data, from, length): &Span<D>| Some((data.clone(), EventTime(from + (*length)?), -1));
    let mut changes: Vec<_> = come.chain(spans.iter().filter_map(goes)).collect();
    changes.sort_by_key(|(_, at, _)| at.0 / 20);
    changes
}

type Records = Vec<((StreamId, Summary<Out>), EventTime, isize)>;
type RowChanges = Vec<(StreamRow, EventTime, isize)>;

/// The answers to any collections, by the operators if `workers` is some, else by definition.
fn of_collections(records: &Records, rows: &RowChanges, workers: Option<usize>) -> Vec<Said> {
    let time = small_time();
    let rules = time.window_rules(0);
    let clock_ticks = ticks(rules.windows, EventTime(10), EventTime(500));
    let updates = Arc::new(Mutex::new(Vec::new()));
    let (said, records, rows) = (Arc::clone(&updates), records.clone(), rows.clone());
    let guards = timely::execute(timely::Config::process(workers.unwrap_or(1)), move |worker| {
        let (index, peers) = (worker.index(), worker.peers());
        let said = Arc::clone(&said);
        let (mut records_in, mut rows_in, mut clock_in) = worker.dataflow::<EventTime, _, _>(|scope| {
            let (records_in, records) = scope.new_collection();
            let (rows_in, rows) = scope.new_collection();
            let (clock_in, clock) = scope.new_collection();
            let answers = match workers {
                Some(_) => fast(records, rows, rules),
                None => plain(records, rows, clock),
            };
            answers.inspect(move |update| said.lock().unwrap().push(update.clone()));
            (records_in, rows_in, clock_in)
        });
        if index == 0 {
            clock_ticks.iter().for_each(|(boundary, at, diff)| clock_in.update_at(*boundary, *at, *diff));
        }
        clock_in.close();
        let mine = |number: &usize| number % peers == index;
        for piece in 0..10 {
            let inside = |at: EventTime| at.0 / 20 == piece;
            records_in.advance_to(EventTime(20 * piece));
            rows_in.advance_to(EventTime(20 * piece));
            for (_, (data, at, diff)) in
                records.iter().enumerate().filter(|(n, (_, at, _))| mine(n) && inside(*at))
            {
                records_in.update_at(data.clone(), *at, *diff);
            }
            for (_, (row, at, diff)) in
                rows.iter().enumerate().filter(|(n, (_, at, _))| mine(n) && inside(*at))
            {
                rows_in.update_at(row.clone(), *at, *diff);
            }
            records_in.flush();
            rows_in.flush();
            (0..piece).for_each(|_| {
                worker.step();
            });
        }
    });
    guards.unwrap().join().into_iter().for_each(|result| result.unwrap());
    consolidated(std::mem::take(&mut updates.lock().unwrap()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    /// Also of such collections as no windows make: with windows that come early, are corrected in time, or are there twice.
    #[test]
    fn answers_to_any_collections_equal_the_plain_definition(
        records in spans((0u8..5, 1u64..14, 0u64..6)),
        rows in spans((0u8..6, 0u64..3)),
        workers in 1usize..=4,
    ) {
        let spec = small_time().windows;
        let records: Records = changes(&records)
            .into_iter()
            .map(|((key, pane, value), at, diff)| {
                let window = spec.window_ending(EventTime(10 * pane));
                let value = Arc::new((value, 0, (value > 1).then_some(value / 2)));
                ((StreamId::new(&format!("k{key}")), Summary { window, value }), at, diff)
            })
            .collect();
        let rows: RowChanges = changes(&rows)
            .into_iter()
            .map(|((key, updated), at, diff)| {
                let row = StreamProfile::default().row(&StreamId::new(&format!("k{key}")));
                (StreamRow { updated_at: EventTime(updated), ..row }, at, diff)
            })
            .collect();
        let found = of_collections(&records, &rows, Some(workers));
        let expected = of_collections(&records, &rows, None);
        for (found, expected) in found.iter().zip(&expected) {
            prop_assert_eq!(found, expected);
        }
        prop_assert_eq!(found.len(), expected.len());
    }
}

/// The random scripts reach what can go differently; else equality would say little.
#[test]
fn random_scripts_reach_silence_lateness_and_new_leaders() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let time = small_time();
    let (mut late, mut silent, mut leaders, mut restated) = (0, 0, 0, 0);
    for _ in 0..20 {
        let script = script().new_tree(&mut runner).unwrap().current();
        let (said, fates) = graph(&script, &time, 2, 10);
        late += fates.of(Fate::LateApplied);
        for (answer, at, diff) in &said {
            let replaced = |test: &dyn Fn(&Answer) -> bool| {
                said.iter().any(|(other, then, diff)| then == at && *diff > 0 && test(other))
            };
            match answer {
                Answer::Latest(key, _) if *diff < 0 => {
                    silent +=
                        u32::from(!replaced(&|other| matches!(other, Answer::Latest(k, _) if k == key)));
                }
                Answer::Ranked(place) if place.rank == 1 && *diff < 0 => {
                    leaders += u32::from(replaced(&|other| {
                        matches!(other, Answer::Ranked(new)
                            if new.rank == 1 && new.board == place.board && new.stream_id != place.stream_id)
                    }));
                }
                Answer::OfAll(answer) => {
                    restated += u32::from(
                        *diff < 0
                            && matches!(&**answer, Answer::Described(_, summary, Some(_)) if summary.window.end < *at),
                    )
                }
                _ => {}
            }
        }
    }
    assert!(
        late > 100 && silent > 50 && leaders > 50 && restated > 100,
        "{late} late, {silent} fell silent, {leaders} new leaders, {restated} old summaries restated"
    );
}
