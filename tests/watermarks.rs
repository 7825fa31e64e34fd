//! Watermarks neither stick nor jump: nothing that one partition does, or does not do, blocks, skews or loses the others.
#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

mod support;

use std::time::Duration;

use support::hand::{Hand, at, idle_after_a_second, reached, steady};
use support::log::Log;
use support::watch::{finish, in_time, until};
use support::*;
use telemetra::core::source::{Memory as MemorySource, MemoryHandle, MemoryStep};
use telemetra::core::*;
use telemetra::ops::{Report, Running};
use telemetra::sinks::{Lines, MemorySink};

/// Runs a script, and checks fates and every change against the plain definition.
fn assert_specified(script: &Script, time: &TimeConfig, workers: usize) -> (MemorySink, Report) {
    let (owned, time_too) = (script.clone(), time.clone());
    let (sink, report) = in_time("the script", move || run(&owned, &time_too, workers, 5).unwrap());
    let (fates, counted) = reference_fates(script, time);
    assert_eq!(report.fates, fates);
    assert_eq!(published(&sink.batches()), specified(&counted, time));
    (sink, report)
}

fn start(source: MemorySource, time: &TimeConfig, hand: &Hand, workers: usize) -> (Running, MemorySink) {
    let sink = MemorySink::new().with_log();
    let pipeline = pipeline_from(source, time, &sink).clock(hand.clock()).workers(workers);
    (pipeline.start().unwrap(), sink)
}

fn has_read(running: &Running, records: u64) -> bool {
    running.status().partitions.iter().map(|partition| partition.offset).sum::<u64>() == records
}

/// How long a partition has been silent.
fn silence(running: &Running, name: &str) -> Vec<Option<Duration>> {
    let all = running.status().partitions.into_iter();
    all.filter(|partition| partition.id.as_str() == name).map(|partition| partition.silent).collect()
}

fn silences(running: &Running) -> Vec<Option<Duration>> {
    running.status().partitions.iter().map(|partition| partition.silent).collect()
}

#[test]
fn a_partition_that_follows_is_asked_again_also_if_the_clock_stands_still() {
    let mut source = MemorySource::default();
    let partition = source.handle("p");
    let (running, sink) = start(source, &small_time(), &Hand::new(), 1);
    for n in 0..5 {
        partition.append(at("a", n * 10, &format!("e{n}")));
        until("the record is read", || has_read(&running, n + 1));
    }
    partition.end();
    assert_eq!(finish(running).unwrap().fates.on_time, 5);
    assert!(!summaries(&sink).is_empty());
}

#[test]
fn a_silent_partition_holds_the_others_back_until_it_is_idle_and_loses_nothing_when_it_wakes() {
    let mut source = MemorySource::default().partition("busy", steady("a", 0, 500));
    let (busy, silent) = (source.handle("busy"), source.handle("silent"));
    silent.append(at("b", 3, "b0"));
    let hand = Hand::new();
    let (running, sink) = start(source, &idle_after_a_second(), &hand, 2);
    until("all is read", || has_read(&running, 51));
    std::thread::sleep(Duration::from_millis(20));
    assert!(!reached(&running, 1), "the silent partition is not idle yet");
    assert_eq!(summaries(&sink).len(), 0);
    // What is busy stays so.
    hand.pass(900, || silence(&running, "silent"));
    busy.append(at("a", 500, "a500"));
    until("it is read", || has_read(&running, 52));
    hand.pass(200, || silence(&running, "silent"));
    until("the busy partition goes on alone", || reached(&running, 480));
    // Its event is late by the floor that it followed: applied as a correction, not lost.
    silent.append(at("b", 470, "b1"));
    until("it is read", || has_read(&running, 53));
    busy.append(at("a", 600, "a600"));
    silent.append(at("b", 600, "b2"));
    busy.end();
    silent.end();
    let report = finish(running).unwrap();
    assert_eq!((report.fates.read, report.fates.on_time + report.fates.late_applied), (55, 55));
    assert_eq!(report.fates.late_applied, 1, "{:?}", report.fates);
    assert!(summaries(&sink).iter().any(|(key, summary)| key == "b" && summary.window.end.0 == BASE + 480));
}

#[test]
fn the_last_windows_close_by_the_clock_when_all_partitions_are_idle() {
    let mut source =
        MemorySource::default().partition("p", steady("a", 0, 300)).partition("q", steady("b", 0, 200));
    let handles = ["p", "q", "never"].map(|name| source.handle(name));
    let hand = Hand::new();
    let (running, sink) = start(source, &idle_after_a_second(), &hand, 2);
    until("all is read", || has_read(&running, 50));
    until("the last windows close", || {
        hand.advance(10);
        reached(&running, 330)
    });
    // The last pane is in three windows.
    let last = summaries(&sink).iter().map(|(_, summary)| summary.window.end.0).max();
    assert_eq!(last, Some(BASE + 320));
    assert_eq!(summaries(&sink).iter().filter(|(key, _)| key == "a").count(), 32);
    // Time went on: what comes now for those windows is late, and still counts.
    handles[0].append(at("a", 295, "late"));
    handles.iter().for_each(|handle| handle.end());
    let report = finish(running).unwrap();
    assert_eq!(report.fates.read, 51);
    assert_eq!(report.fates.on_time + report.fates.late_applied + report.fates.too_late, 51);
}

#[test]
fn a_partition_that_has_ended_holds_nobody_back() {
    let mut source = MemorySource::default().partition("short", [at("a", 5, "e")]);
    let long = source.handle("long");
    let (running, sink) = start(source, &small_time(), &Hand::new(), 3);
    steady("b", 0, 400).into_iter().for_each(|record| long.append(record));
    until("the other's windows close", || reached(&running, 370));
    assert!(summaries(&sink).iter().any(|(key, _)| key == "a"), "and those of the one that ended");
    long.end();
    assert_eq!(finish(running).unwrap().fates.on_time, 41);
}

#[test]
fn workers_without_a_partition_hold_nobody_back() {
    for script in [vec![steady("a", 0, 500)], vec![vec![]], vec![vec![], steady("a", 0, 200), vec![]], vec![]]
    {
        let (sink, report) = assert_specified(&script, &small_time(), 4);
        assert_eq!(summaries(&sink).is_empty(), report.fates.read == 0);
    }
}

#[test]
fn an_empty_file_ends_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("empty");
    std::fs::write(&path, "").unwrap();
    let sink = MemorySink::new().with_log();
    let pipeline = pipeline_from(MemorySource::default(), &small_time(), &sink);
    let report = finish(pipeline.source(Lines::file(&path), Words).workers(2).start().unwrap()).unwrap();
    assert_eq!((report.fates, report.partitions.len()), (Fates::default(), 1));
    assert!(sink.batches().is_empty());
}

#[test]
fn an_event_a_year_ahead_moves_no_watermark() {
    let year = 366 * 86_400_000;
    let mut records = steady("a", 0, 300);
    let undisturbed = assert_specified(&vec![records.clone()], &small_time(), 2).0;
    for position in [0, 10, 31] {
        records.insert(position, at("a", year, &format!("future{position}")));
    }
    let (sink, report) = assert_specified(&vec![records], &small_time(), 2);
    assert_eq!((report.fates.from_future, report.fates.on_time), (3, 30));
    assert_eq!(published(&sink.batches()), published(&undisturbed.batches()));
    let letters = sink.dead_letters();
    assert_eq!(letters.iter().map(|letter| letter.offset).collect::<Vec<_>>(), [0, 10, 31]);
    assert!(letters.iter().all(|letter| letter.reason.contains("ahead of processing time")));
}

#[test]
fn one_wrong_date_poisons_no_replay() {
    let time =
        TimeConfig { max_future_skew: None, max_jump: Some(Duration::from_secs(86_400)), ..small_time() };
    let year = 366 * 86_400_000;
    let mut records = steady("a", 0, 3_000);
    let undisturbed = run(&vec![records.clone(), steady("b", 0, 3_000)], &time, 2, 5).unwrap().0;
    records.insert(10, at("a", year, "wrong"));
    let (sink, report) = run(&vec![records.clone(), steady("b", 0, 3_000)], &time, 2, 5).unwrap();
    assert_eq!((report.fates.from_future, report.fates.on_time), (1, 600));
    assert_eq!(published(&sink.batches()), published(&undisturbed.batches()));
    assert!(sink.dead_letters()[0].reason.contains("of all events before it"));
    // Without the bound it does, and that is told.
    let log = Log::of_this_program();
    let time = TimeConfig { max_jump: None, ..time };
    let (_, report) = run(&vec![records, steady("b", 0, 3_000)], &time, 2, 5).unwrap();
    assert!(report.fates.are_often_too_late() && report.fates.too_late == 290, "{:?}", report.fates);
    assert_eq!(log.lines(&["WARN", "many events are too late"]).len(), 1);
}

#[test]
fn an_event_at_the_end_of_a_pane_is_in_the_next() {
    let script = vec![vec![at("a", 9, "last"), at("a", 10, "first"), at("a", 100, "far")]];
    let (sink, _) = assert_specified(&script, &small_time(), 1);
    let count = |end: u64| {
        let found = summaries(&sink).into_iter().find(|(_, summary)| summary.window.end.0 == BASE + end);
        found.map(|(_, summary)| summary.value.0)
    };
    // Windows of 30 end at 10 with `last` alone, at 20 and 30 with both, at 40 with `first` alone.
    assert_eq!([10, 20, 30, 40, 50].map(count), [Some(1), Some(2), Some(2), Some(1), None]);
}

#[test]
fn times_next_to_the_epoch_are_times_like_others() {
    let time = small_time();
    let record = |millis: u64| format!("a {millis} e{millis} u m");
    for times in [vec![0], vec![0, 1, 9, 10, 11, 25, 3, 60, 0, 120, 30], vec![14, 15, 16]] {
        let script: Script = vec![times.iter().copied().map(record).collect(), vec![record(7)]];
        let (_, report) = assert_specified(&script, &time, 2);
        assert_eq!(report.fates.read, times.len() as u64 + 1);
    }
}

#[test]
fn windows_that_begin_before_1970_have_rows_like_others() {
    let time = TimeConfig {
        windows: WindowSpec::sliding(Duration::from_secs(6), Duration::from_secs(1)).unwrap(),
        ..small_time()
    };
    for workers in [1, 2] {
        let records = ["a 0 e0 u m".to_owned(), "a 2500 e1 u m".to_owned()];
        let (sink, report) = run(&vec![records.to_vec()], &time, workers, 5).unwrap();
        assert_eq!(report.fates.on_time, 2);
        let of = |(_, summary): (String, Summary<Out>)| {
            (summary.window.start.0, summary.window.end.0, summary.value.0)
        };
        let found: Vec<_> = summaries(&sink).into_iter().map(of).collect();
        let before = [
            (-5_000, 1_000, 1),
            (-4_000, 2_000, 1),
            (-3_000, 3_000, 2),
            (-2_000, 4_000, 2),
            (-1_000, 5_000, 2),
        ];
        assert_eq!(found, [&before[..], &[(0, 6_000, 2), (1_000, 7_000, 1), (2_000, 8_000, 1)]].concat());
        assert!(sink.batches().iter().flat_map(|batch| &batch.changes).all(|change| change.revision == 0));
    }
}

#[test]
fn a_gap_of_days_costs_nothing_and_loses_nothing() {
    let days = 3 * 86_400_000;
    let mut records = steady("a", 0, 200);
    records.extend(steady("a", days, days + 200));
    let sink = MemorySink::new();
    let time = TimeConfig { max_future_skew: None, ..small_time() };
    let pipeline = pipeline_from(source(&vec![records, steady("b", 0, 100)], 7), &time, &sink).workers(2);
    let report = finish(pipeline.start().unwrap()).unwrap();
    assert_eq!(report.fates.on_time, 50);
    let after = summaries(&sink).into_iter().filter(|(_, summary)| summary.window.end.0 > BASE + days);
    assert_eq!(after.count(), 22);
}

#[test]
fn a_partition_far_ahead_waits_for_the_others() {
    let time = TimeConfig { max_future_skew: None, ..small_time() };
    let mut source = MemorySource::default().records_per_poll(5).partition("far", steady("far", 0, 60_000));
    let near = source.handle("near");
    near.append(at("near", 0, "n"));
    let (running, _) = start(source, &time, &Hand::new(), 2);
    let far = |running: &Running| {
        let partitions = running.status().partitions;
        partitions.iter().find(|partition| partition.id.as_str() == "far").unwrap().clone()
    };
    // A lead of 10 000 is a thousand events; what is under way when it is reached is a few batches more.
    until("it is a lead ahead", || far(&running).offset >= 1_000);
    std::thread::sleep(Duration::from_millis(50));
    let waiting = far(&running);
    assert!(waiting.offset < 1_100, "{waiting:?}");
    steady("near", 10, 60_000).into_iter().for_each(|record| near.append(record));
    near.end();
    assert_eq!(finish(running).unwrap().fates.on_time, 12_000);
}

/// Some time between one event and the next of a partition, in which the clock is set.
fn with_a_clock_set(step: i64) -> (Running, MemorySink, [MemoryHandle; 2], Hand) {
    let mut source = MemorySource::default();
    let handles = ["p", "q"].map(|name| source.handle(name));
    let hand = Hand::new();
    let (running, sink) = start(source, &idle_after_a_second(), &hand, 2);
    for (handle, key) in handles.iter().zip(["a", "b"]) {
        steady(key, 0, 200).into_iter().for_each(|record| handle.append(record));
    }
    until("all is read", || has_read(&running, 40));
    until("both were asked", || silences(&running).iter().all(Option::is_some));
    hand.set(step);
    (running, sink, handles, hand)
}

#[test]
fn a_clock_that_is_set_forward_makes_nothing_late() {
    let (running, _, handles, hand) = with_a_clock_set(3_600_000);
    hand.pass(100, || silences(&running));
    assert!(running.status().partitions.iter().all(|partition| !partition.idle), "{:?}", running.status());
    for (handle, key) in handles.iter().zip(["a", "b"]) {
        steady(key, 200, 400).into_iter().for_each(|record| handle.append(record));
        handle.end();
    }
    let report = finish(running).unwrap();
    assert_eq!((report.fates.read, report.fates.on_time), (80, 80));
}

#[test]
fn a_clock_that_is_set_back_holds_no_window_open() {
    let (running, sink, handles, hand) = with_a_clock_set(-3_600_000);
    hand.pass(1_100, || silences(&running));
    until("the last windows close", || reached(&running, 1_200));
    assert_eq!(summaries(&sink).iter().map(|(_, summary)| summary.window.end.0).max(), Some(BASE + 220));
    handles.iter().for_each(MemoryHandle::end);
    assert_eq!(finish(running).unwrap().fates.on_time, 40);
}

#[test]
fn a_pause_of_the_pipeline_is_no_silence_of_the_source() {
    let mut source = MemorySource::default();
    let handles = ["p", "q"].map(|name| source.handle(name));
    let hand = Hand::new();
    let (running, _) = start(source, &idle_after_a_second(), &hand, 2);
    for (handle, key) in handles.iter().zip(["a", "b"]) {
        steady(key, 0, 200).into_iter().for_each(|record| handle.append(record));
    }
    until("all is read", || has_read(&running, 40));
    hand.pass(700, || silences(&running));
    // Nobody is asked for an hour: what was known of the partitions is out of date.
    hand.advance(3_600_000);
    until("they are asked again", || {
        silences(&running)
            .iter()
            .all(|silent| silent.is_some_and(|silent| silent < Duration::from_millis(700)))
    });
    hand.pass(700, || silences(&running));
    assert!(running.status().partitions.iter().all(|partition| !partition.idle), "{:?}", running.status());
    for (handle, key) in handles.iter().zip(["a", "b"]) {
        steady(key, 200, 400).into_iter().for_each(|record| handle.append(record));
        handle.end();
    }
    assert_eq!(finish(running).unwrap().fates.on_time, 80);
}

#[test]
fn a_partition_that_is_held_back_is_not_called_idle_when_its_turn_comes() {
    // Each asked again once it may go on: it does not give its next record at once.
    for silence in [MemoryStep::Idle(Duration::from_millis(1)), MemoryStep::Pending(Duration::from_millis(1))]
    {
        let time = TimeConfig { max_future_skew: None, ..idle_after_a_second() };
        let mut source = MemorySource::default()
            .partition("far", [at("a", 50_000, "a0"), at("a", 50_010, "a1")])
            .script("far", [MemoryStep::Records(1), silence, silence, MemoryStep::Records(1)]);
        let near = source.handle("near");
        near.append(at("b", 0, "b0"));
        let hand = Hand::new();
        let (running, _) = start(source, &time, &hand, 2);
        until("the first records are read", || has_read(&running, 2));
        // The near partition comes closer for an hour.
        for step in 1..=60 {
            near.append(at("b", step * 500, &format!("b{step}")));
            hand.advance(60_000);
            until("it is read", || has_read(&running, 2 + step));
        }
        let far = running.status().partitions.into_iter().find(|one| one.id.as_str() == "far").unwrap();
        assert!(far.offset == 1 && !far.idle, "{far:?}");
        near.append(at("b", 51_000, "b51000"));
        near.end();
        let report = finish(running).unwrap();
        assert_eq!((report.fates.read, report.fates.on_time), (64, 64));
    }
}
