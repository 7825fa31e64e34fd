//! A pipeline with three groupings in a few worlds of each kind: the tables are those of a computation over the
//! events that were counted.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use telemetra_core::{
    Data, Event, EventId, EventTime, Moment, MomentRule, SerdeJson, SummaryRow, TimeConfig, WindowSpec,
    ZScore,
};

use crate::pipeline::windows::{WindowKind, sessions, tumbling};
use crate::testkit::world::{Draft, Outcome, ProcessRun, World};
use crate::{PipelineError, Running};

/// The gap of sessions, in milliseconds.
const GAP: u64 = 20;

#[derive(Debug, Deserialize)]
struct Reading {
    device: u64,
    time: u64,
    id: u64,
    pulses: u64,
}

impl Event for Reading {
    type Key = u64;
    fn time(&self) -> EventTime {
        EventTime(self.time)
    }
    fn key(&self) -> u64 {
        self.device
    }
    fn id(&self) -> Option<EventId> {
        Some(EventId::of(&self.id.to_string()))
    }
}

fn pulses(draft: &Draft) -> u64 {
    draft.number % 7
}

fn encode(draft: &Draft) -> Vec<u8> {
    let Draft { time, key, id, .. } = draft;
    format!(r#"{{"device":{key},"time":{},"id":{id},"pulses":{}}}"#, time.0, pulses(draft)).into_bytes()
}

fn start(run: &ProcessRun) -> Result<Running, PipelineError> {
    let pipeline = run.pipeline::<Reading>(SerdeJson::new());
    pipeline
        .group("sliding", WindowKind::default(), |a| a.count("readings"))
        .rules([MomentRule::count("busy", ZScore::new(1.0)?.samples(2..=4)?, |count: &u64| *count)])
        .chance_period(Duration::from_millis(150))
        .group("tumbling", tumbling(Duration::from_millis(40)), |a| {
            (a.count("readings"), a.sum("pulses", |reading: &Reading| reading.pulses))
        })
        .group("sessions", sessions(Duration::from_millis(GAP)), |a| {
            (a.count("readings"), a.max("most", |reading: &Reading| reading.pulses))
        })
        .start()
}

/// By the key and the start of the window, its end and its values.
type Rows<V> = BTreeMap<(u64, u64), (u64, V)>;

fn rows_of<V: Data>(outcome: &Outcome) -> Rows<V> {
    let rows = outcome.rows_of::<SummaryRow<u64, V>>().into_iter();
    rows.map(|SummaryRow { key, summary }| {
        ((key, summary.window.start.or_epoch().0), (summary.window.end.0, V::clone(&summary.value)))
    })
    .collect()
}

fn equal<V: std::fmt::Debug + PartialEq>(found: &Rows<V>, wanted: &Rows<V>) -> Result<(), String> {
    let other = found.iter().find(|(at, row)| wanted.get(at) != Some(row));
    match other.or_else(|| wanted.iter().find(|(at, row)| found.get(at) != Some(row))) {
        Some(row) => Err(format!("{row:?} is not in both")),
        None => Ok(()),
    }
}

/// All three tables, computed from the events that were counted.
fn has_the_tables_of_what_counts(outcome: &Outcome) -> Result<(), String> {
    let (mut slid, mut tumbled) = (Rows::<u64>::new(), Rows::<(u64, i128)>::new());
    for draft in &outcome.counted {
        let (key, time) = (draft.key, draft.time.0);
        for n in 0..3 {
            let first = time / 10 * 10 - n * 10;
            slid.entry((key, first)).or_insert((first + 30, 0)).1 += 1;
        }
        let first = time / 40 * 40;
        let (_, (readings, sum)) = tumbled.entry((key, first)).or_insert((first + 40, (0, 0)));
        (*readings, *sum) = (*readings + 1, *sum + i128::from(pulses(draft)));
    }
    let mut sorted: Vec<&Draft> = outcome.counted.iter().collect();
    sorted.sort_by_key(|draft| (draft.key, draft.time));
    let near = |a: &&Draft, b: &&Draft| a.key == b.key && b.time.0 < a.time.0 + GAP;
    let sessions = sorted.chunk_by(near).map(|session| {
        let (first, last) = (session[0], session[session.len() - 1]);
        let most = session.iter().map(|draft| pulses(draft) as i64).max();
        ((first.key, first.time.0), (last.time.0 + GAP, (session.len() as u64, most)))
    });
    equal(&rows_of(outcome), &slid).map_err(|error| format!("sliding: {error}"))?;
    equal(&rows_of(outcome), &tumbled).map_err(|error| format!("tumbling: {error}"))?;
    equal(&rows_of(outcome), &sessions.collect()).map_err(|error| format!("sessions: {error}"))
}

fn world() -> World {
    let time = TimeConfig {
        windows: WindowSpec::sliding(Duration::from_millis(30), Duration::from_millis(10))
            .unwrap_or_default(),
        out_of_orderness: Duration::from_millis(15),
        allowed_lateness: Duration::from_millis(40),
        max_future_skew: Some(Duration::from_secs(10)),
        idle_after: None,
        deduplicate: true,
        ..TimeConfig::default()
    };
    World::new(time, encode, start).ends_with(has_the_tables_of_what_counts)
}

#[test]
fn tables_are_those_of_what_counts_whatever_happens() {
    world().check(&[], 12);
}

#[test]
fn partitions_join_and_fall_silent_and_the_process_is_killed() {
    world().kills_unsettled().check(&[], 6);
}

#[test]
fn input_grows_after_a_bounded_run() {
    world().grows_after_its_end().check(&[], 6);
}

#[test]
fn nothing_is_late_because_the_process_was_suspended() {
    world().suspends().check(&[], 4);
}

#[test]
fn another_partition_of_the_same_name_is_refused() {
    world().replaces_a_partition().check(&[], 4);
}

#[test]
fn what_a_replaced_process_does_has_no_effect() {
    world().overlaps().check(&[], 4);
}

/// Worlds in which nothing is found would say little of the rules.
#[test]
fn moments_are_found() {
    let mut found = 0;
    for seed in 0..3 {
        let outcome = world().run(seed).unwrap_or_else(|violation| panic!("{violation}"));
        found += outcome.rows_of::<Moment<u64>>().len();
    }
    assert!(found > 0);
}
