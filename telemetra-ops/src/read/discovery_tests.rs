//! Partitions that come into being while the pipeline runs: who opens them, and what failures do.

use std::collections::BTreeSet;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use telemetra_core::{EventTime, ExternalError, PartitionId};

use crate::read::discovery::PartitionDiscovery;
use crate::read::ingress::Shared;
use crate::read::scripted::{Script, ScriptedSource, config, shared};
use crate::support::retry::RetryState;
use crate::support::wait::wait_until;

/// The discovery of partitions in one process, of the first so many that read something.
fn discovery(source: &ScriptedSource, place: (usize, usize)) -> PartitionDiscovery {
    PartitionDiscovery {
        source: Box::new(source.clone()),
        decoder: 0,
        every: Duration::from_millis(1),
        known: Arc::new(Mutex::new(BTreeSet::from([PartitionId::new("old")]))),
        place,
        retry: RetryState::new("looking for new partitions".to_owned()),
    }
}

/// A process that reads the partition `old`.
fn process() -> Arc<Shared> {
    shared(config(), vec![Script::idle(Duration::from_millis(1)).open("old")])
}

/// The names of the partitions that a process reads.
fn names(process: &Shared) -> Vec<String> {
    process.status().iter().map(|partition| partition.id.to_string()).collect()
}

/// Looks for partitions until this is so, and stops looking.
fn look_until(discovery: PartitionDiscovery, ingress: &Arc<Shared>, what: &str, is: impl Fn() -> bool) {
    let (stop, over) = channel();
    discovery.start(Arc::clone(ingress), over).expect("a thread can be started");
    wait_until(what, is);
    drop(stop);
}

#[test]
fn a_new_partition_is_opened_by_one_process_of_those_that_read() {
    const NAMES: [&str; 12] = ["p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8", "p9", "pa", "pb"];
    let mut read: Vec<String> = Vec::new();
    for place in [0, 1, 2] {
        let source = ScriptedSource::new(NAMES.map(|name| (name, Script::idle(Duration::from_millis(1)))));
        source.lock().partitions.insert("old", Script::default());
        let (process, mut discovery) = (process(), discovery(&source, (place, 3)));
        discovery.look(&process).expect("all can be opened");
        let new = names(&process).split_off(1);
        assert_eq!(source.opened(), new.iter().map(|name| format!("{name} new")).collect::<Vec<_>>());
        assert!(!new.is_empty() && new.len() < NAMES.len(), "process {place} reads {new:?}");
        read.extend(new);
        discovery.look(&process).expect("nothing is new");
        assert_eq!(source.opened().len() + 1, names(&process).len(), "what is known is not opened again");
    }
    read.sort();
    assert_eq!(read, NAMES);
}

#[test]
fn where_no_process_reads_anything_the_first_opens_what_is_new() {
    for (place, expected) in [(0, vec!["old", "new"]), (1, vec!["old"])] {
        let (source, process) = (ScriptedSource::new([("new", Script::default())]), process());
        discovery(&source, (place, 0)).look(&process).expect("it can be opened");
        assert_eq!(names(&process), expected);
    }
}

#[test]
fn what_cannot_be_opened_is_tried_again_and_keeps_no_other_from_being_read() {
    let source = ScriptedSource::new([("a", Script::default()), ("b", Script::default())]);
    source.lock().failures.push_back(ExternalError::transient("away"));
    let (process, mut discovery) = (process(), discovery(&source, (0, 1)));
    let error = discovery.look(&process).expect_err("one could not be opened");
    assert_eq!(
        (error.to_string(), names(&process)),
        ("away".to_owned(), vec!["old".to_owned(), "b".to_owned()])
    );
    discovery.look(&process).expect("now both are open");
    assert_eq!(names(&process), ["old", "b", "a"]);
}

#[test]
fn a_process_whose_partitions_have_ended_opens_one_and_does_not_read_it() {
    let process = shared(config(), Vec::new());
    assert_eq!(process.floor(), EventTime::MAX);
    let source = ScriptedSource::new([("a", Script::default())]);
    let mut discovery = discovery(&source, (0, 1));
    for _ in 0..2 {
        discovery.look(&process).expect("it can be opened");
        assert_eq!((source.opened().len(), names(&process).len()), (1, 0));
    }
}

#[test]
fn partitions_are_looked_for_again_and_again_until_the_pipeline_ends() {
    let source = ScriptedSource::new([("a", Script::idle(Duration::from_millis(1)))]);
    let process = process();
    look_until(discovery(&source, (0, 1)), &process, "`b` is found", || {
        if names(&process).contains(&"a".to_owned()) {
            source.lock().partitions.insert("b", Script::default());
        }
        names(&process) == ["old", "a", "b"]
    });
    wait_until("the source is let go", || source.clones() == 1);
    let (_stop, over) = channel();
    discovery(&source, (0, 1)).start(Arc::clone(&process), over).expect("a thread can be started");
    process.failure.halt();
    wait_until("the source is let go when the pipeline goes down", || source.clones() == 1);
}

#[test]
fn a_source_that_panics_is_asked_again() {
    let source = ScriptedSource::new([("a", Script::default())]);
    source.lock().panics = true;
    let (process, discovery) = (process(), discovery(&source, (0, 1)));
    let retry = discovery.retry.clone();
    source.lock().failures.push_back(ExternalError::transient("away"));
    look_until(discovery, &process, "`a` is found", || names(&process).len() == 2);
    wait_until("the source is let go", || source.clones() == 1);
    assert_eq!((retry.retries(), retry.failing()), (2, None), "it panicked, then it was away, then it works");
}
