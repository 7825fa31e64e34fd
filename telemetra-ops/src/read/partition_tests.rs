//! The reader of one partition: its floor, its turns, and what it says of itself.

#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::channel;
use std::time::Duration;

use telemetra_core::engine::SequencerState;
use telemetra_core::{DecodeError, EventTime, ExternalError};

use crate::checkpoint::floor_log::FloorLog;
use crate::checkpoint::floors::{Raise, RestoredFloors};
use crate::cluster::progress::SourceProgress;
use crate::read::ingress::lock;
use crate::read::partition::{Beginning, OpenPartition, PartitionReader};
use crate::read::scripted::{Script, config};
use crate::support::failure::{Failure, PipelineError};
use crate::support::logged::logged;

const MS: Duration = Duration::from_millis(1);

fn reader(open: OpenPartition, least: u64) -> PartitionReader {
    PartitionReader::new(open, &config(), EventTime(least), EventTime::MIN)
}

/// A partition `a` at an offset, as a checkpoint kept it.
fn kept(script: &Script, floor: u64) -> OpenPartition {
    let floor = EventTime(floor);
    let state = SequencerState { greatest: floor.plus(5), floor, ..SequencerState::default() };
    OpenPartition { sequencer: Some(state), ..script.open("a") }
}

/// Sequences an event of this time.
fn place(reader: &PartitionReader, number: u64, time: u64) {
    let sequenced = reader.sequence(number, &Failure::default(), |sequencer, _| {
        sequencer.place(EventTime(time), || None, EventTime::MIN)
    });
    assert!(sequenced.unwrap().fate.is_counted());
}

fn raise(offset: u64, floor: u64) -> Raise {
    Raise { offset, floor: EventTime(floor) }
}

/// The floors of earlier runs that have logged raises of `a`, if any.
fn restored(raises: Option<&[Raise]>) -> RestoredFloors {
    let raises = raises.map(|raises| (telemetra_core::PartitionId::new("a"), raises.to_vec()));
    RestoredFloors { is_known: true, raises: raises.into_iter().collect(), exact_after: None }
}

/// Begins a reader at offset 3, behind sinks that have everything before 50.
fn begin(
    open: impl FnOnce(&Script) -> OpenPartition,
    raises: Option<&[Raise]>,
    joins: bool,
) -> (EventTime, Option<Vec<Raise>>, PartitionReader) {
    let script = Script::default();
    script.lock().offset = 3;
    let (reader, log) = (reader(open(&script), 20), Arc::new(FloorLog::new(String::new())));
    let (restored, after_sinks) = (restored(raises), EventTime(50));
    let beginning =
        Beginning { log: &log, restored: &restored, joins, after_sinks, exact_until: EventTime(60) };
    let (floor, raises) = reader.begin(&beginning);
    assert_eq!(reader.floor(), floor);
    (floor, raises, reader)
}

#[test]
fn nothing_takes_effect_before_what_others_have_sent() {
    let script = Script::default();
    assert_eq!(reader(script.open("a"), 20).floor(), EventTime(20));
    assert_eq!(reader(kept(&script, 10), 20).floor(), EventTime(20));
    assert_eq!(reader(kept(&script, 40), 20).floor(), EventTime(40));
    let ended = OpenPartition { ended: true, ..kept(&script, 40) };
    assert_eq!(reader(ended, 20).floor(), EventTime::MAX);
}

#[test]
fn a_partition_that_no_run_knew_joins_behind_the_sinks_if_there_were_runs() {
    let (floor, raises, reader) = begin(|script| script.open("a"), None, true);
    assert_eq!((floor, raises), (EventTime(50), Some(vec![raise(3, 50)])));
    let state = lock(&reader.state);
    assert!(!state.floors.may_raise(EventTime(59)) && state.floors.may_raise(EventTime(60)));
    drop(state);
    let (floor, raises, _) = begin(|script| script.open("a"), None, false);
    assert_eq!((floor, raises), (EventTime(20), Some(vec![raise(3, 20)])));
}

#[test]
fn a_partition_of_the_checkpoint_goes_on_with_the_raises_ahead() {
    let logged = [raise(2, 30), raise(3, 40), raise(7, 80)];
    let (floor, raises, _) = begin(|script| kept(script, 20), Some(&logged), true);
    assert_eq!((floor, raises), (EventTime(40), Some(vec![raise(3, 40), raise(7, 80)])));
    let (floor, raises, _) = begin(|script| kept(script, 20), None, true);
    assert_eq!((floor, raises), (EventTime(20), None), "it does not join, as it was there");
    let (floor, raises, _) = begin(|script| kept(script, 20), Some(&[]), true);
    assert_eq!((floor, raises), (EventTime(20), Some(vec![])));
}

#[test]
fn a_partition_that_joined_after_the_checkpoint_is_raised_as_it_was_then() {
    let (floor, raises, _) = begin(|script| script.open("a"), Some(&[raise(0, 30), raise(7, 80)]), true);
    assert_eq!((floor, raises), (EventTime(30), Some(vec![raise(0, 30), raise(7, 80)])));
    let (floor, raises, _) = begin(|script| script.open("a"), Some(&[]), true);
    assert_eq!((floor, raises), (EventTime(20), Some(vec![raise(3, 20)])), "its beginning is logged anew");
}

#[test]
fn one_that_joins_while_it_runs_is_read_once_its_floor_is_logged() {
    let log = Arc::new(FloorLog::new(String::new()));
    let reader = reader(Script::default().open("a"), 20);
    reader.join(&log);
    let (version, blob) = log.unwritten().unwrap();
    let id = telemetra_core::PartitionId::new("a");
    log.written(version);
    let other = FloorLog::new(String::new());
    other.raise(&id, raise(0, 20));
    assert_eq!(Some(blob), other.unwritten().map(|(_, blob)| blob));
    let mut guard = lock(&reader.state);
    let state = &mut *guard;
    assert!(state.floors.is_settled(&mut state.sequencer));
}

#[test]
fn batches_are_sequenced_in_the_order_in_which_they_were_taken() {
    let reader = Arc::new(reader(Script::default().open("a"), 0));
    let (done, order) = channel();
    let (other, second) = (Arc::clone(&reader), done.clone());
    let thread = std::thread::spawn(move || {
        other.sequence(1, &Failure::default(), |_, _| second.send(1).unwrap()).unwrap();
    });
    assert_eq!(reader.sequence(0, &Failure::default(), |_, _| done.send(0).unwrap()), Some(()));
    thread.join().unwrap();
    assert_eq!([order.recv().unwrap(), order.recv().unwrap()], [0, 1]);
    place(&reader, 2, 35);
    assert_eq!((reader.floor(), reader.fates().on_time), (EventTime(30), 1));
}

#[test]
fn nobody_waits_for_a_turn_in_a_pipeline_that_has_failed() {
    let (reader, failure) = (reader(Script::default().open("a"), 0), Failure::default());
    failure.set(PipelineError::Stopped);
    assert_eq!(reader.sequence(1, &failure, |_, _| ()), None);
    assert_eq!(reader.sequence(0, &failure, |_, _| 7), Some(7), "whose turn it is does not wait");
}

#[test]
fn it_has_ended_when_all_that_was_taken_is_sequenced() {
    let reader = reader(Script::default().open("a"), 0);
    lock(&reader.state).taken = 2;
    lock(&reader.state).exhausted = true;
    place(&reader, 0, 35);
    assert_eq!(reader.floor(), EventTime(30));
    place(&reader, 1, 45);
    assert_eq!(reader.floor(), EventTime::MAX);
    assert_eq!(reader.status().watermark, EventTime(45));
}

#[test]
fn silence_is_counted_while_it_is_asked_and_has_nothing() {
    let reader = reader(Script::default().open("a"), 0);
    let nothing = |now: u32| reader.had_nothing(&mut lock(&reader.state), now * MS, 10 * MS);
    let silent = || reader.status().silent;
    assert_eq!(silent(), None);
    nothing(100);
    nothing(110);
    assert_eq!(silent(), Some(10 * MS));
    reader.idle.store(true, Ordering::Release);
    nothing(115);
    assert_eq!((silent(), reader.status().idle), (Some(15 * MS), true));
    reader.not_asked();
    assert_eq!((silent(), reader.silent()), (None, Some(15)), "it is not known how it is now");
    nothing(120);
    let expected = (Some(15 * MS), true);
    assert_eq!(
        (silent(), reader.status().idle),
        expected,
        "the time in which it was not asked does not count"
    );
    nothing(5_000);
    assert_eq!((silent(), reader.status().idle), (Some(Duration::ZERO), false), "a stall");
    reader.idle.store(true, Ordering::Release);
    nothing(5_005);
    reader.had_something(&mut lock(&reader.state));
    assert_eq!((silent(), reader.silent(), reader.status().idle), (None, None, false));
    nothing(5_007);
    assert_eq!(silent(), Some(Duration::ZERO), "silence begins anew");
}

#[test]
fn silence_without_bounds_is_silence_still() {
    let reader = reader(Script::default().open("a"), 0);
    for now in [Duration::ZERO, Duration::MAX] {
        reader.had_nothing(&mut lock(&reader.state), now, Duration::MAX);
    }
    assert!(reader.silent().is_some());
}

#[test]
fn others_follow_what_is_active_and_the_furthest_of_what_is_not() {
    let reader = reader(Script::default().open("a"), 0);
    assert_eq!(reader.progress(MS), SourceProgress::Active(EventTime::MIN));
    reader.idle.store(true, Ordering::Release);
    assert_eq!(reader.progress(MS), SourceProgress::NONE, "it had no event yet");
    place(&reader, 0, 35);
    reader.idle.store(false, Ordering::Release);
    assert_eq!(reader.progress(MS), SourceProgress::Active(EventTime(30)));
    reader.idle.store(true, Ordering::Release);
    let idle = |reached| SourceProgress::Idle { watermark: EventTime(35), reached: EventTime(reached) };
    assert_eq!(reader.progress(MS), idle(35));
    for now in [1, 8] {
        reader.had_nothing(&mut lock(&reader.state), now * MS, MS);
    }
    reader.idle.store(true, Ordering::Release);
    assert_eq!(reader.progress(100 * MS), idle(42), "it was silent for 7 ms");
    reader.idle.store(false, Ordering::Release);
    lock(&reader.state).taken = 1;
    lock(&reader.state).exhausted = true;
    reader.publish(&mut lock(&reader.state));
    assert!(!reader.is_end_noted());
    assert_eq!(reader.progress(100 * MS), idle(35));
    assert!(reader.is_end_noted());
    assert_eq!(reader.progress(120 * MS), idle(55), "it has been over for 20 ms");
    assert_eq!((reader.since_end(130 * MS), reader.since_end(90 * MS)), (30, 0));
}

#[test]
fn it_is_logged_once_what_records_look_like_if_all_are_malformed() {
    let error = DecodeError::new("there is no time");
    let lines_of = |reader: &PartitionReader, record: &[u8]| logged(|| reader.log_malformed(record, &error));
    let with = |malformed: u32, counted: u64| {
        let reader = reader(Script::default().open("a"), 0);
        (0..counted).for_each(|number| place(&reader, number, 35));
        let all = |sequencer: &mut telemetra_core::engine::Sequencer| {
            (0..malformed).for_each(|_| sequencer.malformed());
        };
        reader.sequence(counted, &Failure::default(), |sequencer, _| all(sequencer)).unwrap();
        reader
    };
    let reader = with(3, 0);
    let long = [b"<xml>".as_slice(), &[b'x'; 100]].concat();
    let first = lines_of(&reader, &long);
    assert_eq!(first.len(), 1);
    let start = format!("start=\"<xml>{}\"", "x".repeat(55));
    for part in ["WARN", "partition=a", "records=3", "reason=there is no time", &start] {
        assert!(first[0].contains(part), "{part} is missing in {}", first[0]);
    }
    assert_eq!(lines_of(&reader, b"<xml>"), Vec::<String>::new());
    assert_eq!(lines_of(&with(3, 1), b"<xml>"), Vec::<String>::new(), "others could be decoded");
}

#[test]
fn a_checkpoint_keeps_where_it_is_and_the_status_says_how_it_stands() {
    let script = Script::default();
    let reader = reader(script.open("a"), 0);
    place(&reader, 0, 35);
    let mut state = script.lock();
    (state.offset, state.identity, state.lag, state.lost) = (3, Some(7), Some(4), 5);
    drop(state);
    let kept = reader.keep();
    assert_eq!((kept.id.as_str(), kept.offset, kept.identity, kept.ended), ("a", 3, Some(7), false));
    assert_eq!((kept.sequencer.greatest, kept.sequencer.floor), (EventTime(35), EventTime(30)));
    lock(&reader.state).done = true;
    assert!(reader.keep().ended);
    let status = reader.status();
    assert_eq!((status.id.as_str(), status.offset, status.lag, status.lost), ("a", 3, Some(4), 5));
    assert_eq!((status.watermark, status.floor, status.fates.on_time), (EventTime(35), EventTime(30), 1));
    assert_eq!((status.retries, status.failing, status.idle), (0, None, false));
    lock(&reader.state).retry.failed(&ExternalError::transient("away"));
    let failing = reader.status();
    assert_eq!((failing.retries, failing.failing.map(|failing| failing.error)), (1, Some("away".to_owned())));
}
