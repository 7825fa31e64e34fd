//! A small world for tests: events of one line, pipelines over them, and the specification run on the same events.
#![allow(dead_code, unreachable_pub, reason = "each test uses its part")]
#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

pub mod cluster;
pub mod growing;
pub mod hand;
pub mod log;
pub mod streams;
pub mod watch;

use std::collections::BTreeMap;
use std::time::Duration;

use differential_dataflow::consolidation::consolidate_updates;
use differential_dataflow::input::Input;
use proptest::prelude::{Strategy, prop, prop_oneof};
use telemetra::core::aggregate::AccumulatorOf;
use telemetra::core::detect::{Carried, Usual};
use telemetra::core::source::Memory as MemorySource;
use telemetra::core::*;
use telemetra::differential_dataflow;
use telemetra::ops::testkit::spec;
use telemetra::ops::{Group, OwnKey, Pipeline, PipelineError, Report, WindowKind};
use telemetra::sinks::MemorySink;
use telemetra::timely;
use timely::dataflow::operators::Capture;
use timely::dataflow::operators::capture::Extract;

pub const BASE: u64 = 1_000_000_000;

/// An event of these tests: someone says something.
#[derive(Clone, Debug)]
pub struct Saying {
    pub key: String,
    pub time: EventTime,
    pub id: String,
    pub user: String,
    pub message: String,
}

impl Event for Saying {
    type Key = String;

    fn time(&self) -> EventTime {
        self.time
    }

    fn key(&self) -> &str {
        &self.key
    }

    fn id(&self) -> Option<EventId> {
        Some(EventId::of(&self.id))
    }
}

/// The accumulator under test: a count, distinct users, the longest message. The last cannot subtract.
pub type Acc = (Project<Messages, Count>, Project<Users, Distinct>, Project<Lengths, Max<u64>>);
pub type Out = <Acc as Accumulator>::Output;

/// The pipelines of these tests.
pub type Sayings = Pipeline<Saying, Group<Saying, String, AccumulatorOf<Acc>, OwnKey>>;

#[derive(Debug)]
pub struct Messages;
#[derive(Debug)]
pub struct Users;
#[derive(Debug)]
pub struct Lengths;

impl<'e> Pick<&'e Saying> for Messages {
    type Picked = Option<&'e Saying>;
    fn pick(event: &'e Saying) -> Self::Picked {
        Some(event)
    }
}
impl<'e> Pick<&'e Saying> for Users {
    type Picked = Option<&'e str>;
    fn pick(event: &'e Saying) -> Self::Picked {
        Some(&event.user)
    }
}
impl<'e> Pick<&'e Saying> for Lengths {
    type Picked = Option<u64>;
    fn pick(event: &'e Saying) -> Self::Picked {
        Some(event.message.len() as u64)
    }
}

/// The accumulator as an aggregate, with its columns.
pub fn aggregate() -> AccumulatorOf<Acc> {
    let columns = vec![
        Column::new("messages", ColumnKind::Integer),
        Column::new("users", ColumnKind::Integer),
        Column::nullable("longest", ColumnKind::Integer),
    ];
    Aggregates::<Saying>::new().accumulator(columns, |(messages, users, longest): &Out, _, put| {
        put(Value::Unsigned(*messages));
        put(Value::Unsigned(*users));
        put(Value::or_null(longest.map(Value::Unsigned)));
    })
}

/// Reads `key time id user message`, separated by single spaces; `-` is a record without events.
#[derive(Clone, Debug)]
pub struct Words;

impl Decoder<Saying> for Words {
    fn decode<'a>(
        &self,
        record: Record<'a>,
        _arena: &'a Arena,
        events: &mut Vec<Saying>,
    ) -> Result<(), DecodeError> {
        let text = std::str::from_utf8(record.value).map_err(|_| DecodeError::new("not UTF-8"))?;
        if text == "-" {
            return Ok(());
        }
        let mut words = text.splitn(5, ' ').map(ToOwned::to_owned);
        let mut word = || words.next().ok_or(DecodeError::new("too few words"));
        let (key, time, id, user, message) = (word()?, word()?, word()?, word()?, word()?);
        let time = time.parse().map_err(|_| DecodeError::field("time", "not a number"))?;
        events.push(Saying { key, time: EventTime(time), id, user, message });
        Ok(())
    }
}

/// [`Words`], of which each event is shown before it counts.
pub struct Shown<F>(pub F);

impl<F: Fn(&Saying) + Send + Sync> Decoder<Saying> for Shown<F> {
    fn decode<'a>(
        &self,
        record: Record<'a>,
        arena: &'a Arena,
        events: &mut Vec<Saying>,
    ) -> Result<(), DecodeError> {
        Words.decode(record, arena, events)?;
        events.last().into_iter().for_each(&self.0);
        Ok(())
    }
}

/// Settings in which little time is enough for everything to happen.
pub fn small_time() -> TimeConfig {
    TimeConfig {
        windows: WindowSpec::sliding(Duration::from_millis(30), Duration::from_millis(10)).unwrap(),
        out_of_orderness: Duration::from_millis(15),
        allowed_lateness: Duration::from_millis(40),
        horizon: None,
        max_future_skew: Some(Duration::from_secs(10)),
        max_jump: None,
        idle_after: None,
        deduplicate: true,
    }
}

/// Rules that fire often: few samples, low thresholds, both kinds of silence, judges with and without a memory.
pub fn small_rules() -> Vec<MomentRule<Out>> {
    let detector = || ZScore::new(1.0).unwrap().samples(2..=4).unwrap();
    let floored = || detector().floor(VarianceFloor::Poisson).unwrap().min_value(0.0).unwrap();
    let learnt = || Ewma::new(0.8).unwrap().min_samples(3).unwrap().learning().forgets_after(400);
    let steady = floored().hysteresis(0.4).unwrap().min_duration(2).unwrap().cooldown(60);
    let mean = |out: &Out| Some(MeanOf { sum: i128::from(out.1 * 10), events: out.0 });
    let longest = |out: &Out| out.2.map(|longest| longest as i64);
    let rules = vec![
        MomentRule::count("busy", floored(), |out: &Out| out.0).for_key(&"k1".to_owned(), detector()),
        MomentRule::gauge("longer", detector(), 1, longest),
        MomentRule::count("either", learnt().max(detector().samples(2..=3).unwrap()), |out: &Out| out.0),
        MomentRule::count("steady", steady, |out: &Out| out.0),
        MomentRule::count("again", floored(), |out: &Out| out.0).absent_after(40),
        MomentRule::count("all", floored(), |out: &Out| out.0).include_moments(),
        MomentRule::mean("mean", detector(), 1, mean).absent_after(60),
        MomentRule::mean("mean steadily", detector().hysteresis(0.4).unwrap(), 1, mean),
        MomentRule::gauge("drift", learnt().all(detector()).cooldown(30), 1, longest),
    ];
    rules.into_iter().map(|rule| rule.explain(said)).collect()
}

/// An explanation that says all that it is given.
fn said(peak: &Out, usual: &Usual<'_, Out>) -> Vec<Carried> {
    let name = format!("{peak:?} after {:?} of {}", usual.summaries, usual.windows);
    vec![Carried::new("messages", &name, peak.0 as f64, usual.mean(|out| out.0.into()))]
}

/// The clock of these tests: it stands well after all events but those from the future.
pub fn clock() -> Clock {
    Clock::fixed(EventTime(BASE + 5_000))
}

/// Partitions of records.
pub type Script = Vec<Vec<String>>;

pub fn source(script: &Script, per_poll: usize) -> MemorySource {
    let memory = MemorySource::default().records_per_poll(per_poll);
    script.iter().enumerate().fold(memory, |memory, (number, records)| {
        memory.partition(&format!("p{number}"), records.iter().map(String::as_str))
    })
}

/// The period over which moments are compared.
pub const COMPARED: Duration = Duration::from_millis(150);

/// A pipeline of sayings without rules and sinks.
pub fn sayings(
    source: impl Source + 'static,
    decoder: impl Decoder<Saying> + 'static,
    time: &TimeConfig,
) -> Sayings {
    let pipeline = Pipeline::<Saying>::new().source(source, decoder).time(time.clone()).clock(clock());
    let period = COMPARED.max(Duration::from_millis(time.windows.slide()));
    pipeline.group("sayings", WindowKind::default(), |_| aggregate()).chance_period(period)
}

pub fn pipeline_from(source: MemorySource, time: &TimeConfig, sink: &MemorySink) -> Sayings {
    sayings(source, Words, time)
        .max_watermark_drift(Duration::from_secs(10))
        .sink(sink.clone())
        .rules(small_rules())
}

pub fn run(
    script: &Script,
    time: &TimeConfig,
    workers: usize,
    per_poll: usize,
) -> Result<(MemorySink, Report), PipelineError> {
    let sink = MemorySink::new().with_log();
    let source = source(script, per_poll);
    let report = pipeline_from(source, time, &sink).workers(workers).start()?.wait()?;
    assert!(report.fates.is_balanced(), "{:?}", report.fates);
    Ok((sink, report))
}

/// A row that the pipelines of these tests publish.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub enum Published {
    Summary(String, Summary<Out>),
    Moment(Moment<String>),
}

impl Published {
    pub fn of(change: &Change) -> Self {
        let summary = change.row::<SummaryRow<String, Out>>();
        let summary = summary.map(|row| Self::Summary(row.key.clone(), row.summary.clone()));
        let moment = || Self::Moment(change.row::<Moment<String>>().expect("one of the two").clone());
        summary.unwrap_or_else(moment)
    }
}

/// The summaries that a sink holds, by key and window.
pub fn summaries(sink: &MemorySink) -> Vec<(String, Summary<Out>)> {
    sink.rows_of::<SummaryRow<String, Out>>().into_iter().map(|row| (row.key, row.summary)).collect()
}

/// Changes in the order of their tables and keys.
pub fn sort(changes: &mut [Change]) {
    changes.sort_by(|one, other| one.row.compare_key(&*other.row));
}

/// The moments that a sink holds, sorted.
pub fn moments(sink: &MemorySink) -> Vec<Moment<String>> {
    let mut moments = sink.rows_of::<Moment<String>>();
    moments.sort();
    moments
}

/// A change of a collection of rows.
pub type Update = (Published, EventTime, isize);

/// What became of each event of a script by the definition, without any of the library's code for it; and the events that
/// count: key, time, user and message, and the effective time.
pub fn reference_fates(script: &Script, time: &TimeConfig) -> (Fates, Vec<Counted>) {
    let slide = time.windows.slide();
    let now = clock().now().0;
    let (mut fates, mut counted) = (Fates::default(), Vec::new());
    for partition in script {
        let (mut greatest, mut floor) = (0u64, 0u64);
        let mut seen: BTreeMap<&str, u64> = BTreeMap::new();
        for record in partition.iter().filter(|record| *record != "-") {
            let words: Vec<&str> = record.splitn(5, ' ').collect();
            let Some(at) = (words.len() == 5).then(|| words[1].parse::<u64>().ok()).flatten() else {
                fates.count(Fate::Malformed);
                continue;
            };
            if at > now + millis(time.max_future_skew.unwrap()) {
                fates.count(Fate::FromFuture);
                continue;
            }
            greatest = greatest.max(at);
            floor = floor.max(greatest.saturating_sub(millis(time.out_of_orderness)) / slide * slide);
            let end = at / slide * slide + slide;
            if end + millis(time.allowed_lateness) < floor {
                fates.count(Fate::TooLate);
                continue;
            }
            seen.retain(|_, end| *end + millis(time.allowed_lateness) >= floor);
            if time.deduplicate && seen.contains_key(words[2]) {
                fates.count(Fate::Duplicate);
                continue;
            }
            seen.insert(words[2], end);
            let late = end <= floor;
            fates.count(if late { Fate::LateApplied } else { Fate::OnTime });
            counted.push(Counted {
                key: words[0].into(),
                time: EventTime(at),
                user: words[3].to_owned(),
                message: words[4].to_owned(),
                effective: EventTime(if late { floor + slide } else { end } - 1),
            });
        }
    }
    (fates, counted)
}

#[derive(Clone, Debug)]
pub struct Counted {
    pub key: String,
    pub time: EventTime,
    pub user: String,
    pub message: String,
    pub effective: EventTime,
}

pub fn add(acc: &mut Acc, time: EventTime, user: &str, message: &str) {
    let (user, message) = (user.to_owned(), message.to_owned());
    acc.add(&Saying { key: String::new(), time, id: String::new(), user, message });
}

/// The changes of summaries and moments by the plain differential definition, consolidated.
pub fn specified(counted: &[Counted], time: &TimeConfig) -> Vec<Update> {
    let spec = time.windows;
    let counted = counted.to_vec();
    let boundaries = counted.iter().map(|event| event.effective.plus(1));
    let first = boundaries.clone().min().unwrap_or_default();
    let last =
        boundaries.chain(counted.iter().map(|event| spec.pane_end(event.time).plus(spec.size()))).max();
    let last = last.unwrap_or_default().plus(2 * spec.slide());
    let captured = timely::execute_directly(move |worker| {
        let (mut events, mut clock, captured) = worker.dataflow::<EventTime, _, _>(|scope| {
            let (events_in, events) =
                scope.new_collection::<(String, (EventTime, (String, String))), isize>();
            let (clock_in, clock) = scope.new_collection::<EventTime, isize>();
            let windows = spec::windows(events, spec, |acc: &mut Acc, (user, message)| {
                add(acc, EventTime(0), user, message);
            });
            let moments = spec::moments(windows.clone(), clock, spec, small_rules().into());
            (events_in, clock_in, (windows.inner.capture(), moments.inner.capture()))
        });
        for Counted { key, time, user, message, effective } in counted {
            events.update_at((key, (time, (user, message))), effective, 1);
        }
        let mut boundary = first;
        while boundary < last {
            clock.update_at(boundary, boundary.minus(1), 1);
            clock.update_at(boundary, boundary.plus(spec.slide() - 1), -1);
            boundary = boundary.plus(spec.slide());
        }
        drop((events, clock));
        while worker.step() {}
        captured
    });
    let mut summaries: Vec<_> = captured.0.extract().into_iter().flat_map(|(_, updates)| updates).collect();
    let mut moments: Vec<_> = captured.1.extract().into_iter().flat_map(|(_, updates)| updates).collect();
    consolidate_updates(&mut summaries);
    consolidate_updates(&mut moments);
    let (rules, period) = (small_rules(), COMPARED.as_millis() as u64);
    let samples = rules.iter().map(MomentRule::max_samples).max().unwrap_or(0);
    let moments = spec::chance(&summaries, &moments, time.window_rules(samples), &rules, period);
    let mut updates: Vec<Update> = summaries
        .into_iter()
        .map(|((key, summary), at, diff)| (Published::Summary(key, summary), at, diff))
        .chain(moments.into_iter().map(|(moment, at, diff)| (Published::Moment(moment), at, diff)))
        .collect();
    consolidate_updates(&mut updates);
    updates
}

/// The changes that a sink was given, as changes of a collection, consolidated.
pub fn published(batches: &[Batch]) -> Vec<Update> {
    let mut table: BTreeMap<RowKey, Published> = BTreeMap::new();
    let mut updates = Vec::new();
    for batch in batches {
        for change in &batch.changes {
            let (key, row) = (RowKey::of(&*change.row), Published::of(change));
            if let Some(old) = table.remove(&key) {
                updates.push((old, batch.time, -1));
            }
            if change.action == Action::Upsert {
                table.insert(key, row.clone());
                updates.push((row, batch.time, 1));
            }
        }
    }
    consolidate_updates(&mut updates);
    updates
}

/// A record: mostly a good event near `position`, sometimes late, far off, repeated or broken.
fn record() -> impl Strategy<Value = (u8, i64, u16, u8, u8, u8)> {
    let disorder = prop_oneof![6 => -12i64..12, 3 => -60i64..12, 1 => -200i64..12, 1 => 20_000i64..20_010];
    (0u8..4, disorder, 0u16..300, 0u8..5, 0u8..10, 0u8..40)
}

pub fn script() -> impl Strategy<Value = Script> {
    let partition = prop::collection::vec(record(), 0..120);
    (prop::collection::vec(partition, 1..4), 1u64..8).prop_map(|(partitions, pace)| {
        let render = |(position, (key, disorder, id, user, length, oddity)): (usize, _)| match oddity {
            0 => "broken".to_owned(),
            1 => "-".to_owned(),
            _ => {
                let time = (BASE + 500).saturating_add_signed(position as i64 * pace as i64 + disorder);
                format!("k{key} {time} e{id} u{user} {}", "m".repeat(length as usize))
            }
        };
        partitions.into_iter().map(|records| records.into_iter().enumerate().map(render).collect()).collect()
    })
}

/// How many random cases to try: many by the environment, some by default.
pub fn cases(default: u32) -> u32 {
    std::env::var("TELEMETRA_ORACLE_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(default)
}

/// A span in milliseconds.
pub fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).expect("a span")
}
