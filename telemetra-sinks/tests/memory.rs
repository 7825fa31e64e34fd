//! The sink in memory, as a host reads it.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Alert, ReadingsRow, alert, batch, device, letter, moment, moment_of, readings, sort, tables};
use telemetra_core::{EventTime, Layout, Moment, Sink};
use telemetra_sinks::MemorySink;

fn filled() -> MemorySink {
    let memory = MemorySink::new().with_log();
    let mut sink = memory.clone();
    assert_eq!(sink.open(&tables(), None).unwrap(), None);
    let mut changes = vec![
        readings("d2", 0, 2),
        readings("d1", 1, 3),
        readings("d1", 0, 1),
        moment("d1", 0, true),
        Layout::of_row().upsert(alert("d1", 0, -5), 0),
        Layout::of_row().upsert(device("d1", None, 0), 0),
    ];
    sort(&mut changes);
    sink.apply(&[batch(0, changes)]).unwrap();
    memory
}

#[test]
fn rows_come_by_table_by_type_and_all() {
    let memory = filled();
    let names: Vec<_> = memory.rows().iter().map(|change| change.table().to_owned()).collect();
    let minutes = ["device_minute"; 3];
    assert_eq!(names, [&["alerts"], &minutes[..], &["devices", "moments"]].concat());
    let minutes: Vec<_> =
        memory.rows_of::<ReadingsRow>().into_iter().map(|row| (row.key, row.summary.value.count)).collect();
    assert_eq!(minutes, [("d1".to_owned(), 1), ("d1".to_owned(), 3), ("d2".to_owned(), 2)]);
    assert_eq!(memory.table("device_minute").len(), 3);
    assert_eq!(memory.rows_of::<Moment<String>>(), [moment_of("d1", 0, 1, true)]);
    assert_eq!(memory.rows_of::<Alert>(), [alert("d1", 0, -5)]);
    assert!(memory.rows_of::<String>().is_empty() && memory.table("other").is_empty());
}

#[test]
fn a_row_is_overwritten_by_its_key_and_withdrawn() {
    let memory = filled();
    let mut sink = memory.clone();
    let closed = common::moments_in("moments").upsert(moment_of("d1", 0, 2, false), 1);
    let gone = Layout::of_row().withdraw(alert("d1", 0, 99), 1);
    let second = batch(1, vec![gone, closed]);
    sink.apply(&[batch(0, vec![readings("d9", 0, 1)]), second.clone()]).unwrap();
    assert_eq!(memory.rows_of::<Moment<String>>(), [moment_of("d1", 0, 2, false)]);
    assert_eq!(memory.table("moments")[0].revision, 1);
    assert!(memory.rows_of::<Alert>().is_empty());
    assert_eq!(memory.table("device_minute").len(), 3, "a time that is durable is not applied again");
    assert_eq!(memory.batches().len(), 2);
    assert_eq!(memory.batches()[1], second);
    assert_eq!(sink.open(&tables(), None).unwrap(), Some(second.time));
    assert!(MemorySink::new().batches().is_empty());
}

#[test]
fn letters_are_there_once_by_place() {
    let memory = filled();
    let mut sink: Box<dyn Sink> = Box::new(memory.clone());
    sink.dead_letters(&[letter(7, b"x"), letter(3, b"y")]).unwrap();
    sink.dead_letters(&[letter(7, b"x")]).unwrap();
    let offsets: Vec<_> = memory.dead_letters().iter().map(|letter| letter.offset).collect();
    assert_eq!((offsets, memory.durable()), (vec![3, 7], Some(EventTime(1_767_225_659_999))));
}
