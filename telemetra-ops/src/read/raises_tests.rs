//! Raises of floors: those of earlier runs, and new ones that wait for their log.

use std::sync::Arc;

use telemetra_core::engine::Sequencer;
use telemetra_core::{EventTime, PartitionId};

use crate::checkpoint::floor_log::FloorLog;
use crate::checkpoint::floors::Raise;
use crate::read::raises::FloorRaises;
use crate::read::scripted::config;

fn sequencer() -> Sequencer {
    let time = config().time;
    Sequencer::new(&time, time.strategy())
}

fn log() -> Arc<FloorLog> {
    Arc::new(FloorLog::new(String::new()))
}

fn raise(offset: u64, floor: u64) -> Raise {
    Raise { offset, floor: EventTime(floor) }
}

/// Writes the log, as far as it goes.
fn write(log: &FloorLog) {
    if let Some((version, _)) = log.unwritten() {
        log.written(version);
    }
}

#[test]
fn floors_are_raised_before_the_records_that_they_were_raised_before() {
    let mut floors = FloorRaises::new(&log(), vec![raise(3, 10), raise(5, 20)], EventTime::MIN, false);
    let mut sequencer = sequencer();
    for (offset, floor) in [(2, 0), (3, 10), (4, 10), (5, 20), (9, 20)] {
        floors.replay(offset, &mut sequencer);
        assert_eq!(sequencer.floor(), EventTime(floor), "at {offset}");
    }
}

#[test]
fn a_floor_is_raised_when_that_is_logged() {
    let (log, id, mut sequencer) = (log(), PartitionId::new("a"), sequencer());
    let mut floors = FloorRaises::new(&log, Vec::new(), EventTime::MIN, false);
    assert!(floors.is_settled(&mut sequencer));
    floors.raise(&id, 7, EventTime(30), &mut sequencer);
    assert!(!floors.is_settled(&mut sequencer));
    assert_eq!(sequencer.floor(), EventTime::MIN);
    let expected = self::log();
    expected.raise(&id, raise(7, 30));
    assert_eq!(log.unwritten(), expected.unwritten());
    write(&log);
    assert!(floors.is_settled(&mut sequencer) && floors.is_settled(&mut sequencer));
    assert_eq!(sequencer.floor(), EventTime(30));
    floors.raise(&id, 8, EventTime(30), &mut sequencer);
    assert!(floors.is_settled(&mut sequencer) && log.unwritten().is_none(), "it is there already");
}

#[test]
fn without_checkpoints_a_floor_is_raised_at_once() {
    let (mut floors, mut sequencer) = (FloorRaises::default(), sequencer());
    let id = PartitionId::new("a");
    floors.raise(&id, 7, EventTime(30), &mut sequencer);
    assert_eq!(sequencer.floor(), EventTime(30));
    assert!(floors.is_settled(&mut sequencer) && floors.is_end_logged(&id, 7));
}

#[test]
fn nothing_is_read_before_the_beginning_is_logged() {
    let (log, mut sequencer) = (log(), sequencer());
    let mut floors = FloorRaises::new(&log, Vec::new(), EventTime::MIN, false);
    floors.wait_for(log.raise(&PartitionId::new("a"), raise(0, 0)));
    assert!(!floors.is_settled(&mut sequencer));
    write(&log);
    assert!(floors.is_settled(&mut sequencer));
    assert_eq!(sequencer.floor(), EventTime::MIN, "the beginning is no raise");
}

#[test]
fn an_end_is_logged_once_and_counts_when_that_is_durable() {
    let (log, id) = (log(), PartitionId::new("a"));
    let mut floors = FloorRaises::new(&log, Vec::new(), EventTime::MIN, false);
    assert!(!floors.is_end_logged(&id, 7));
    assert!(log.take_request());
    assert!(!floors.is_end_logged(&id, 7));
    assert!(!log.take_request(), "once is enough");
    write(&log);
    assert!(floors.is_end_logged(&id, 7));
    let mut ended = FloorRaises::new(&log, Vec::new(), EventTime::MIN, true);
    assert!(ended.is_end_logged(&id, 7), "it had ended in an earlier run");
    assert!(!log.take_request());
}

#[test]
fn floors_are_not_raised_where_sinks_have_seen_others_do_it() {
    let floors = FloorRaises::new(&log(), Vec::new(), EventTime(30), false);
    assert!(!floors.may_raise(EventTime(20)));
    assert!(floors.may_raise(EventTime(30)) && floors.may_raise(EventTime(40)));
}
