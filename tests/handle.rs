//! The handle of a pipeline: draining, stopping, dropping, asking, and pushing into a channel.
#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use support::watch::{finish, in_time, until};
use support::*;
use telemetra::core::checkpoint::Directory;
use telemetra::core::source::{Channel, Memory as MemorySource, MemoryStep, PushError};
use telemetra::core::*;
use telemetra::ops::{Drain, Pipeline, PipelineError, Report, Running};
use telemetra::sinks::MemorySink;
use telemetra::timely::container::CapacityContainerBuilder;
use telemetra::timely::dataflow::channels::pact::Pipeline as Direct;
use telemetra::timely::dataflow::operators::Inspect;
use telemetra::timely::dataflow::operators::generic::Operator;

/// One event every five milliseconds, of two keys.
fn records(events: u64) -> Vec<String> {
    (0..events)
        .map(|n| format!("k{} {} e{n} u{} {}", n % 2, BASE + n * 5, n % 7, "m".repeat((n % 9) as usize)))
        .collect()
}

fn drain(running: Running, how: Drain) -> Report {
    let report = in_time("draining", move || running.drain(how)).unwrap();
    assert!(report.fates.is_balanced(), "{:?}", report.fates);
    report
}

fn undisturbed(records: &[String]) -> MemorySink {
    run(&vec![records.to_vec()], &small_time(), 1, 10).unwrap().0
}

/// A service may share it by `Arc`, without a lock.
const _: fn(&Running) -> &(dyn Send + Sync) = |running| running;

fn offset(running: &Running) -> u64 {
    running.status().partitions[0].offset
}

/// A source that goes on after these records.
fn open_source(records: &[String]) -> MemorySource {
    let mut source = source(&vec![records.to_vec()], 10);
    let _ = source.handle("p0");
    source
}

#[test]
fn draining_closes_windows_as_if_the_sources_had_ended() {
    let records = records(200);
    for workers in [1, 3] {
        let sink = MemorySink::new().with_log();
        let running =
            pipeline_from(open_source(&records), &small_time(), &sink).workers(workers).start().unwrap();
        until("all is read", || offset(&running) == 200);
        assert!(!running.is_finished());
        let report = drain(running, Drain::CloseWindows);
        assert_eq!((report.fates.read, report.partitions[0].floor), (200, EventTime::MAX));
        assert_eq!(published(&sink.batches()), published(&undisturbed(&records).batches()));
    }
}

#[test]
fn draining_that_keeps_windows_and_a_restart_equal_an_undisturbed_run() {
    let all = records(300);
    let (expected, expected_report) = run(&vec![all.clone()], &small_time(), 1, 10).unwrap();
    for (first, workers) in [(0, 1), (1, 2), (40, 1), (150, 3), (299, 2), (300, 4)] {
        let folder = tempfile::tempdir().unwrap();
        let (sink, store) = (MemorySink::new().with_log(), Directory::new(folder.path()));
        let mut source = source(&vec![all[..first].to_vec()], 10);
        let partition = source.handle("p0");
        let start = |workers| {
            let pipeline = pipeline_from(source.clone(), &small_time(), &sink).workers(workers);
            pipeline.checkpoints(store.clone(), Duration::from_millis(200)).start().unwrap()
        };
        let running = start(workers);
        until("the first part is read", || offset(&running) == first as u64);
        let report = drain(running, Drain::KeepWindows);
        assert_eq!(report.fates.read, first as u64);
        let before = summaries(&sink).len();
        all[first..].iter().for_each(|record| partition.append(record.as_str()));
        partition.end();
        let report = finish(start(3)).unwrap();
        assert_eq!(report.fates, expected_report.fates, "after {first} of {}", all.len());
        assert!(before < summaries(&sink).len(), "some windows were open");
        assert_eq!(published(&sink.batches()), published(&expected.batches()), "after {first}");
        assert_eq!(sink.rows(), expected.rows());
    }
}

#[test]
fn stopping_does_not_wait_for_the_sources_and_a_restart_completes() {
    let all = records(300);
    let folder = tempfile::tempdir().unwrap();
    let (sink, store) = (MemorySink::new().with_log(), Directory::new(folder.path()));
    let mut source = source(&vec![all.clone()], 10);
    let partition = source.handle("p0");
    for workers in [2, 1] {
        let pipeline = pipeline_from(source.clone(), &small_time(), &sink).workers(workers);
        let running = pipeline.checkpoints(store.clone(), Duration::from_millis(20)).start().unwrap();
        until("there is a checkpoint", || workers == 1 || running.status().checkpoint.is_some());
        let report = in_time("stopping", move || running.stop()).unwrap();
        assert!(report.fates.is_balanced() && report.fates.read <= 300, "{:?}", report.fates);
    }
    assert!(partition.committed() > 0);
    partition.end();
    let pipeline = pipeline_from(source.clone(), &small_time(), &sink);
    let report = finish(pipeline.checkpoints(store, Duration::from_millis(20)).start().unwrap()).unwrap();
    assert_eq!(report.fates.on_time, 300);
    assert_eq!(published(&sink.batches()), published(&undisturbed(&all).batches()));
}

#[test]
fn dropping_the_handle_stops_the_pipeline_and_frees_its_source() {
    let (handle, channel) = Channel::bounded("host", 10).unwrap();
    let sink = MemorySink::new();
    let pipeline =
        pipeline_from(MemorySource::default(), &small_time(), &sink).source(channel, Words).workers(2);
    let running = pipeline.start().unwrap();
    handle.push(records(1).remove(0)).unwrap();
    in_time("dropping the handle", move || drop(running));
    assert!(handle.is_closed());
    assert!(matches!(handle.push("lost"), Err(PushError::Closed(record)) if record == b"lost"));
    assert!(summaries(&sink).is_empty(), "its window was open");
}

#[test]
fn several_pipelines_run_side_by_side() {
    let all: Vec<_> = [100, 250, 180, 220].map(records).into();
    let sinks: Vec<_> = all.iter().map(|_| MemorySink::new().with_log()).collect();
    let start = |number: usize| {
        let source = source(&vec![all[number].clone()], 10);
        pipeline_from(source, &small_time(), &sinks[number]).workers(1 + number % 3).start().unwrap()
    };
    let running: Vec<_> = (0..all.len()).map(start).collect();
    for (number, running) in running.into_iter().enumerate() {
        assert_eq!(finish(running).unwrap().fates.on_time, all[number].len() as u64);
        assert_eq!(published(&sinks[number].batches()), published(&undisturbed(&all[number]).batches()));
    }
}

#[test]
fn threads_push_into_a_channel_while_it_is_read_and_are_told_what_is_safe() {
    const THREADS: u64 = 4;
    const EACH: u64 = 200;
    let folder = tempfile::tempdir().unwrap();
    let (handle, channel) = Channel::bounded("host", 16).unwrap();
    for n in 0..16 {
        handle.try_push(format!("k {} first{n} u m", BASE + n)).unwrap();
    }
    let full = handle.try_push("one more");
    assert!(matches!(&full, Err(PushError::Full(record)) if record == b"one more"), "{full:?}");
    // Threads are not in step: what one pushes may be behind the others by any time.
    let time = TimeConfig { allowed_lateness: Duration::from_secs(10), ..small_time() };
    let sink = MemorySink::new();
    let pipeline = pipeline_from(MemorySource::default(), &time, &sink).source(channel, Words).workers(3);
    let store = Directory::new(folder.path());
    let running = pipeline.checkpoints(store, Duration::from_millis(100)).start().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let handle = handle.clone();
            scope.spawn(move || {
                for n in 0..EACH {
                    handle.push(format!("k {} t{thread}n{n} u{thread} m", BASE + n * 5)).unwrap();
                }
            });
        }
    });
    let pushed = 16 + THREADS * EACH;
    until("all is read", || offset(&running) == pushed);
    until("a checkpoint is told to the host", || handle.committed() > 0);
    // The host is told before the status is.
    until("the status has it", || running.status().checkpoint.is_some());
    let status = running.status();
    assert!(handle.committed() <= pushed && handle.waiting() == 0);
    assert!(status.checkpoints.0 > 0 && status.checkpoints.1 > 0);
    handle.close();
    let report = finish(running).unwrap();
    assert_eq!(report.fates.on_time + report.fates.late_applied, pushed);
    // Each event is in three windows of 30 by 10.
    assert_eq!(summaries(&sink).iter().map(|(_, summary)| summary.value.0).sum::<u64>(), 3 * pushed);
}

#[test]
fn the_status_of_a_running_pipeline_tells_how_it_stands() {
    let mut source = open_source(&records(200));
    let partition = source.handle("p0");
    let sink = MemorySink::new();
    let running = pipeline_from(source, &small_time(), &sink).workers(2).start().unwrap();
    until("all is read and durable", || running.status().durable >= EventTime(BASE + 970));
    let status = running.status();
    assert_eq!((status.fates.read, status.fates.on_time, running.fates().read), (200, 200, 200));
    let partition_status = &status.partitions[0];
    assert_eq!(
        (partition_status.id.as_str(), partition_status.offset, partition_status.idle),
        ("p0", 200, false)
    );
    // The last event is at 995; the disorder is 15, and a pane 10.
    assert_eq!((partition_status.watermark.0, partition_status.floor.0), (BASE + 980, BASE + 980));
    assert_eq!((status.sinks[0].name.as_str(), status.sinks[0].retries), ("memory", 0));
    assert!(status.sinks[0].changes > 0);
    assert_eq!((status.checkpoint, status.failure), (None, None));
    assert!(format!("{running:?}").contains("durable"));
    partition.end();
    finish(running).unwrap();
}

/// timely itself waits for the connections without an end.
#[test]
fn a_process_that_waits_for_the_others_of_its_cluster_can_be_stopped() {
    let (handle, channel) = Channel::bounded("host", 10).unwrap();
    let sink = MemorySink::new();
    let addresses = telemetra::ops::free_addresses(2).unwrap();
    let pipeline = pipeline_from(open_source(&records(20)), &small_time(), &sink)
        .source(channel, Words)
        .cluster(0, addresses.clone());
    let signal = pipeline.stop_signal();
    let starting = std::thread::spawn(move || pipeline.start().map(drop));
    // The connection is not that of a process, so the wait goes on.
    let mut connected = None;
    until("it waits for the others", || {
        connected = std::net::TcpStream::connect(&addresses[0]).ok();
        connected.is_some()
    });
    assert!(!starting.is_finished());
    signal.stop();
    let started = in_time("stopping", move || starting.join().unwrap());
    assert!(matches!(started, Err(PipelineError::Stopped)), "{started:?}");
    assert!(sink.batches().is_empty());
    // The source is given up, though the thread that waits for the connections is left behind.
    assert!(handle.is_closed());
}

/// A pipeline that nothing comes out of, being without state, sinks and checkpoints. With `seen` it hands each event to a
/// closure that counts it.
fn without_output(source: MemorySource, workers: usize, seen: Option<&Arc<AtomicU64>>) -> Running {
    let pipeline = Pipeline::<Saying>::new().time(small_time()).clock(clock()).source(source, Words);
    let pipeline = pipeline.workers(workers);
    let Some(seen) = seen.cloned() else { return pipeline.start().unwrap() };
    let inspects = pipeline.collect(
        "ids",
        |saying| Some(saying.id.clone()),
        move |_, ids| {
            let seen = Arc::clone(&seen);
            ids.inspect(move |_| {
                seen.fetch_add(1, Ordering::Relaxed);
            });
        },
    );
    inspects.start().unwrap()
}

/// Starts such pipelines on open sources, and waits until the 200 records of each are read.
fn running_without_output() -> impl Iterator<Item = (Running, MemorySource, Option<Arc<AtomicU64>>)> {
    [(1, false), (1, true), (2, false), (2, true)].into_iter().map(|(workers, inspects)| {
        let (source, seen) = (open_source(&records(200)), inspects.then(Arc::default));
        let running = without_output(source.clone(), workers, seen.as_ref());
        until("all is read", || offset(&running) == 200);
        // Time for the workers to leave too early.
        std::thread::sleep(Duration::from_millis(50));
        assert!(!running.is_finished() && !running.stop_handle().has_ended());
        until("it stands where the source does", || running.status().durable == EventTime(BASE + 980));
        (running, source, seen)
    })
}

#[test]
fn a_pipeline_without_output_runs_until_its_source_ends() {
    for (running, mut source, seen) in running_without_output() {
        let stop = running.stop_handle();
        source.handle("p0").end();
        assert_eq!(finish(running).unwrap().fates.read, 200);
        assert!(stop.has_ended());
        assert!(seen.is_none_or(|seen| seen.load(Ordering::Relaxed) == 200));
    }
}

#[test]
fn a_pipeline_without_output_can_be_stopped_drained_and_dropped() {
    for (running, ..) in running_without_output() {
        assert_eq!(in_time("stopping", move || running.stop()).unwrap().fates.read, 200);
    }
    for how in [Drain::CloseWindows, Drain::KeepWindows] {
        for (running, ..) in running_without_output() {
            assert_eq!(drain(running, how).fates.read, 200);
        }
    }
    for (running, ..) in running_without_output() {
        let stop = running.stop_handle();
        in_time("dropping the handle", move || drop(running));
        assert!(stop.has_ended());
    }
}

#[test]
fn a_pipeline_without_output_ends_with_the_error_of_its_source() {
    for (workers, inspects) in [(1, false), (1, true), (2, false), (2, true)] {
        let script = [MemoryStep::Records(200), MemoryStep::Fail(Retry::Permanent)];
        let mut source = open_source(&[]).script("p0", script);
        let partition = source.handle("p0");
        let running = without_output(source, workers, inspects.then(Arc::default).as_ref());
        std::thread::sleep(Duration::from_millis(50));
        assert!(!running.is_finished() && !running.stop_handle().has_ended());
        records(200).iter().for_each(|record| partition.append(record.as_str()));
        let ended = in_time("waiting for the error", move || running.wait());
        assert!(matches!(ended, Err(PipelineError::Source { .. })), "{ended:?}");
    }
}

/// The pipeline's own operators have nothing left to do then.
#[test]
fn a_pipeline_has_not_ended_while_an_operator_of_its_users_works() {
    for (workers, is_stopped) in [(1, false), (1, true), (2, false), (2, true)] {
        let may_end = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&may_end);
        let sink = MemorySink::new();
        let pipeline = pipeline_from(source(&vec![records(200)], 10), &small_time(), &sink).workers(workers);
        let pipeline = pipeline.collect(
            "ids",
            |saying| Some(saying.id.clone()),
            move |_, ids| {
                let seen = Arc::clone(&seen);
                type Nothing = CapacityContainerBuilder<Vec<()>>;
                let scope = ids.scope();
                ids.unary::<Nothing, _, _, _>(Direct, "Lingers", move |capability, info| {
                    let activator = scope.activator_for(info.address);
                    let mut held = Some(capability);
                    move |input, _| {
                        input.for_each_stamp(|_, ids| ids.for_each(Vec::clear));
                        held = held.take().filter(|_| !seen.load(Ordering::Relaxed));
                        if held.is_some() {
                            activator.activate_after(Duration::from_millis(1));
                        }
                    }
                });
            },
        );
        let running = pipeline.start().unwrap();
        let stop = running.stop_handle();
        until("all is durable", || running.is_finished());
        std::thread::sleep(Duration::from_millis(50));
        assert!(!stop.has_ended());
        if is_stopped {
            in_time("stopping", move || running.stop()).unwrap();
        } else {
            may_end.store(true, Ordering::Relaxed);
            finish(running).unwrap();
        }
        assert!(stop.has_ended());
    }
}
