//! Partitions that come into being while the pipeline runs, and those that are gone when it starts again.
#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use support::cluster::cluster;
use support::growing::Growing;
use support::watch::{finish, until};
use support::*;
use telemetra::core::checkpoint::Directory;
use telemetra::core::*;
use telemetra::ops::{Drain, PipelineError, RestoreError};
use telemetra::sinks::MemorySink;

/// Late is never too late: whenever a partition is found, the answer in the end is the same.
fn patient() -> TimeConfig {
    TimeConfig { allowed_lateness: Duration::from_secs(100), ..small_time() }
}

fn pipeline(source: &Growing, sink: &MemorySink) -> Sayings {
    let pipeline = sayings(source.clone(), Words, &patient());
    pipeline.max_watermark_drift(Duration::from_millis(200_000)).rules(small_rules()).sink(sink.clone())
}

/// Records of one partition: one every few milliseconds.
fn records(name: &str, events: u64, from: u64) -> Vec<String> {
    let record = |n: u64| {
        format!("k{} {} {name}-{n} u{} {}", n % 3, BASE + from + n * 4, n % 5, "m".repeat((n % 9) as usize))
    };
    (0..events).map(record).collect()
}

fn rows(sink: &MemorySink) -> Vec<Published> {
    sink.rows().iter().map(Published::of).collect()
}

/// The rows in the end if all partitions had been there from the beginning.
fn expected(script: &Script) -> Vec<Published> {
    rows(&run(script, &patient(), 1, 7).unwrap().0)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(40), max_shrink_iters: 4, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_new_partition_counts_from_its_first_record_whenever_it_is_found(
        first in 1u64..120,
        found in prop::collection::vec((1u64..80, 0u64..400, 0u64..2_000), 1..6),
        workers in 1usize..=4,
    ) {
        let (source, sink) = (Growing::default(), MemorySink::new());
        let mut script = vec![records("p0", first, 0)];
        let mut handles = vec![source.add("p0", &script[0])];
        let running = pipeline(&source, &sink).workers(workers).start().unwrap();
        for (number, (events, from, pause)) in found.into_iter().enumerate() {
            std::thread::sleep(Duration::from_micros(pause));
            let name = format!("p{}", number + 1);
            script.push(records(&name, events, from));
            handles.push(source.add(&name, &script[number + 1]));
        }
        let all = script.iter().map(|records| records.len() as u64).sum::<u64>();
        until("all is read", || running.fates().read == all && running.status().partitions.len() == script.len());
        handles.iter().for_each(|handle| handle.end());
        let report = finish(running).unwrap();
        prop_assert_eq!(report.fates.on_time + report.fates.late_applied, all);
        prop_assert_eq!(rows(&sink), expected(&script));
        for number in 1..script.len() {
            prop_assert_eq!(source.opened(&format!("p{number}")), (1, 1));
        }
    }
}

#[test]
fn in_a_cluster_one_process_reads_it() {
    let (source, sink) = (Growing::default(), MemorySink::new());
    let mut script: Script = (0..3).map(|n| records(&format!("p{n}"), 50, n)).collect();
    let mut handles: Vec<_> = (0..3).map(|n| source.add(&format!("p{n}"), &script[n])).collect();
    // Three of the four have something to read at the start, so nothing new falls to the last.
    let pipelines: Vec<_> = (0..4).map(|_| pipeline(&source, &sink).workers(2)).collect();
    let read: Arc<Vec<AtomicU64>> = Arc::new((0..4).map(|_| AtomicU64::new(0)).collect());
    let (shared, ends) = (Arc::clone(&read), Arc::new(AtomicU64::new(u64::MAX)));
    let end = Arc::clone(&ends);
    let feeding = source.clone();
    let feeder = std::thread::spawn(move || {
        let sum = || read.iter().map(|read| read.load(Ordering::SeqCst)).sum::<u64>();
        until("the first three are read", || sum() == 150);
        for n in 3..9 {
            script.push(records(&format!("p{n}"), 20 + n, n * 30));
            handles.push(feeding.add(&format!("p{n}"), &script[n as usize]));
        }
        let all = script.iter().map(|records| records.len() as u64).sum::<u64>();
        until("all are read", || sum() == all);
        handles.iter().for_each(|handle| handle.end());
        end.store(all, Ordering::SeqCst);
        script
    });
    let reports = cluster(pipelines, move |process, running| {
        until("it has ended", || {
            shared[process].store(running.fates().read, Ordering::SeqCst);
            ends.load(Ordering::SeqCst) < u64::MAX
        });
        running.wait().unwrap()
    });
    let script = feeder.join().unwrap();
    let reports: Vec<_> = reports.into_iter().map(Result::unwrap).collect();
    let counts: Vec<usize> = reports.iter().map(|report| report.partitions.len()).collect();
    assert_eq!((counts.iter().sum::<usize>(), counts[3]), (9, 0), "{counts:?}");
    assert!((3..9).all(|n| source.opened(&format!("p{n}")) == (1, 1)));
    assert_eq!(rows(&sink), expected(&script));
}

#[test]
fn a_restart_finds_it_in_the_checkpoint_or_as_new() {
    let (source, sink) = (Growing::default(), MemorySink::new());
    let (older, newer) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let script = vec![records("p0", 60, 0), records("p1", 40, 30)];
    let start = |folder: &tempfile::TempDir, sink: &MemorySink| {
        let store = Directory::new(folder.path());
        pipeline(&source, sink)
            .workers(2)
            .checkpoints(store, Duration::from_millis(1_000_000))
            .start()
            .unwrap()
    };
    let kept = source.add("p0", &script[0]);
    let running = start(&older, &sink);
    until("the first is read", || running.fates().read == 60);
    running.drain(Drain::KeepWindows).unwrap();
    for entry in std::fs::read_dir(older.path()).unwrap() {
        copy(&entry.unwrap().path(), newer.path());
    }
    // Without being looked for: it is there when the pipeline starts again, from a checkpoint that does not know it.
    let found = source.add("p1", &script[1]);
    let running = start(&newer, &sink);
    until("both are read", || running.fates().read == 100);
    running.drain(Drain::KeepWindows).unwrap();
    assert_eq!(source.opened("p1"), (1, 1));
    // From the checkpoint that knows it, and again from the one that does not.
    kept.end();
    found.end();
    for (folder, opened) in [(&newer, (2, 1)), (&older, (3, 2))] {
        let sink = MemorySink::new();
        let report = finish(start(folder, &sink)).unwrap();
        assert_eq!(report.fates.read, 100);
        assert_eq!(source.opened("p1"), opened);
        assert_eq!(rows(&sink), expected(&script));
    }
}

fn copy(folder: &std::path::Path, into: &std::path::Path) {
    let target = into.join(folder.file_name().unwrap());
    if !folder.is_dir() {
        std::fs::copy(folder, target).unwrap();
        return;
    }
    std::fs::create_dir_all(&target).unwrap();
    for entry in std::fs::read_dir(folder).unwrap() {
        copy(&entry.unwrap().path(), &target);
    }
}

#[test]
fn a_partition_that_is_gone_is_an_error_unless_its_end_was_read() {
    for ended in [false, true] {
        let (source, sink) = (Growing::default(), MemorySink::new());
        let folder = tempfile::tempdir().unwrap();
        let start = |sink: &MemorySink| {
            let store = Directory::new(folder.path());
            pipeline(&source, sink).checkpoints(store, Duration::from_millis(100)).start()
        };
        let (kept, other) =
            (source.add("p0", &records("p0", 60, 0)), source.add("p1", &records("p1", 20, 0)));
        if ended {
            other.end();
        }
        let running = start(&sink).unwrap();
        let floor = |running: &telemetra::ops::Running| running.status().partitions[1].floor;
        until("both are read", || {
            running.fates().read == 80 && (!ended || floor(&running) == EventTime::MAX)
        });
        running.drain(Drain::KeepWindows).unwrap();
        source.remove("p1");
        for life in 0..2 {
            match start(&MemorySink::new()) {
                Err(PipelineError::Restore(RestoreError::Gone { partition, .. })) => {
                    assert!(!ended && partition.as_str() == "p1");
                }
                Err(other) => panic!("{other}"),
                Ok(running) => {
                    assert!(ended, "what it counted would vanish");
                    assert_eq!(running.fates().read, 80 + life, "what was counted stays counted");
                    kept.append(format!("k0 {} again-{life} u m", BASE + 300 + life));
                    until("one more is read", || running.fates().read == 81 + life);
                    running.drain(Drain::KeepWindows).unwrap();
                }
            }
        }
    }
}

#[test]
fn trouble_with_looking_does_not_disturb_what_is_read() {
    let (source, sink) = (Growing::default(), MemorySink::new());
    let kept = source.add("p0", &records("p0", 20, 0));
    let running = pipeline(&source, &sink).workers(2).start().unwrap();
    let trouble = [ExternalError::permanent("forbidden"), ExternalError::transient("the line is down")];
    source.fail_to_list(trouble.into_iter().collect());
    until("both errors are given", || source.has_failed_to_list());
    source.shut("p1", true);
    let shut = source.add("p1", &records("p1", 30, 0));
    let found = source.add("p2", &records("p2", 30, 0));
    until("what can be opened is read all the same", || running.fates().read == 50);
    until("the status has the error", || !running.status().discovery_failing.is_empty());
    source.shut("p1", false);
    until("the other is tried again", || running.fates().read == 80);
    until("it works again", || running.status().discovery_failing.is_empty());
    [kept, shut, found].iter().for_each(|handle| handle.end());
    finish(running).unwrap();
}

#[test]
fn when_all_have_ended_nothing_new_is_read() {
    let (source, sink) = (Growing::default(), MemorySink::new());
    source.add("p0", &records("p0", 20, 0)).end();
    let running = pipeline(&source, &sink).start().unwrap();
    until("it has ended", || running.is_finished());
    source.add("p1", &records("p1", 30, 0)).end();
    until("it is found", || source.opened("p1") == (1, 1));
    assert_eq!(finish(running).unwrap().fates.read, 20);
}
