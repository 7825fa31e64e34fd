//! Tests of reading the logs of floors at a restart.

#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

use std::time::Duration;

use telemetra_core::checkpoint::{CheckpointStore, encode};
use telemetra_core::{EventTime, PartitionId};

use crate::checkpoint::floor_log::FloorLog;
use crate::checkpoint::floors::{Raise, Raises, RestoredFloors, floors_name, floors_of};
use crate::support::failure::{Failure, RestoreError};
use crate::support::retry::RetryDeadline;
use crate::testkit::world::MemoryStore;

fn id(name: &str) -> PartitionId {
    PartitionId::new(name)
}

fn raise(offset: u64, floor: u64) -> Raise {
    Raise { offset, floor: EventTime(floor) }
}

/// Logs a raise of a partition of a process of these settings, which ends after the checkpoint of 40.
fn log(store: &mut MemoryStore, process: usize, settings: &str, raised: Raise) {
    let log = FloorLog::new(settings.to_owned());
    log.begin(EventTime(5), Raises::new(), Raises::new());
    log.raise(&id(settings), raised);
    store.put(&floors_name(process), &encode(&log.ending(EventTime(40))).unwrap()).unwrap();
}

fn read(store: &mut MemoryStore, left: Option<u64>) -> Result<RestoredFloors, RestoreError> {
    let settings = ["now".to_owned(), "before".to_owned()];
    let deadline = RetryDeadline::new(Duration::ZERO, &Failure::default());
    RestoredFloors::read(store, &settings, left.map(EventTime), &deadline)
}

#[test]
fn the_logs_of_all_processes_count_that_read_with_these_settings() {
    let mut store = MemoryStore::default();
    store.put("00000000000000000040/complete", b"no log").unwrap();
    let none = read(&mut store, None).unwrap();
    assert_eq!(none, RestoredFloors::default(), "nothing is known");
    log(&mut store, 0, "now", raise(3, 30));
    log(&mut store, 1, "before", raise(4, 40));
    log(&mut store, 2, "others", raise(5, 50));
    let found = read(&mut store, None).unwrap();
    assert!(found.is_known);
    assert_eq!(found.raises, [(id("now"), vec![raise(3, 30)]), (id("before"), vec![raise(4, 40)])].into());
    assert_eq!(found.exact_after, Some(EventTime(5)));
    assert_eq!(read(&mut store, Some(40)).unwrap().exact_after, None, "its journal settles the end");
    assert_eq!(read(&mut store, Some(30)).unwrap().exact_after, Some(EventTime(5)));
}

#[test]
fn a_log_that_is_damaged_is_named() {
    let mut store = MemoryStore::default();
    store.put(&floors_name(1), b"no log").unwrap();
    let damaged = read(&mut store, None).unwrap_err();
    assert!(matches!(&damaged, RestoreError::Damaged { name, .. } if *name == floors_name(1)), "{damaged}");
}

#[test]
fn the_name_of_a_log_has_the_number_of_its_process() {
    assert_eq!(floors_name(12), "floors/0012");
    assert_eq!(
        [floors_of(&floors_name(12)), floors_of("floors/x"), floors_of("left-0012")],
        [Some(12), None, None]
    );
}
