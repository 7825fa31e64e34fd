//! Partitions with nothing to read, in clusters: none holds back another, wherever it is read, and none runs ahead of another.
#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

mod support;

use std::time::Duration;

use support::cluster::cluster;
use support::hand::{Hand, at, idle_after_a_second, reached, steady};
use support::watch::{finish, until};
use support::*;
use telemetra::core::source::{Memory as MemorySource, MemoryHandle};
use telemetra::core::*;
use telemetra::ops::{PartitionStatus, Running};
use telemetra::sinks::MemorySink;

/// So large that reading never waits for what is durable, the first of which is [`BASE`].
const ANY_LEAD: u64 = 2 * BASE;

/// As many processes that share a clock, and a sink that the first writes.
struct World {
    hand: Hand,
    processes: Vec<Running>,
    sink: MemorySink,
    handles: Vec<MemoryHandle>,
}

impl World {
    /// Partitions with these records, that go on. Each falls to the next process.
    fn start(processes: usize, drift: u64, partitions: &[(&str, Vec<String>)]) -> Self {
        let mut source = MemorySource::default();
        let (hand, sink) = (Hand::new(), MemorySink::new().with_log());
        let handles = partitions.iter().map(|(name, records)| {
            let handle = source.handle(name);
            records.iter().for_each(|record| handle.append(record.as_str()));
            handle
        });
        let handles = handles.collect();
        let time = idle_after_a_second();
        let pipeline = || {
            let pipeline = pipeline_from(source.clone(), &time, &sink).clock(hand.clock());
            pipeline.max_watermark_drift(Duration::from_millis(drift)).workers(2)
        };
        let pipelines = (0..processes).map(|_| pipeline()).collect();
        let processes = cluster(pipelines, |_, running| running).into_iter().map(Result::unwrap).collect();
        Self { hand, processes, sink, handles }
    }

    fn partition(&self, name: &str) -> PartitionStatus {
        let all = self.processes.iter().flat_map(|process| process.status().partitions);
        all.into_iter().find(|partition| partition.id.as_str() == name).unwrap()
    }

    /// Time goes by in which these partitions are asked and have nothing.
    fn pass(&self, millis: u64, silent: &[&str]) {
        self.hand.pass(millis, || silent.iter().map(|name| self.partition(name).silent).collect());
    }

    fn has_read(&self, name: &str, records: u64) -> bool {
        self.partition(name).offset == records
    }

    /// Whether all that took effect before so many milliseconds after the base is in the sinks.
    fn reached(&self, millis: u64) -> bool {
        reached(&self.processes[0], millis)
    }

    /// Ends all partitions; what became of all events.
    fn finish(self) -> Fates {
        self.handles.iter().for_each(MemoryHandle::end);
        let ended = self.processes.into_iter().map(|process| finish(process).unwrap().fates);
        ended.fold(Fates::default(), |sum, fates| sum + fates)
    }
}

/// A record without an event: once it is read, silence has begun.
fn nothing() -> Vec<String> {
    vec!["-".to_owned()]
}

fn floor(millis: u64) -> EventTime {
    EventTime(BASE + millis)
}

#[test]
fn a_process_that_has_nothing_to_read_holds_the_others_back_until_it_is_idle() {
    for busy_first in [true, false] {
        let (busy, never) = (("busy", steady("a", 0, 500)), ("never", Vec::new()));
        let partitions = if busy_first { [busy, never] } else { [never, busy] };
        let world = World::start(2, ANY_LEAD, &partitions);
        let busy = &world.handles[usize::from(!busy_first)];
        let never = &world.handles[usize::from(busy_first)];
        until("all is read", || world.has_read("busy", 50));
        std::thread::sleep(Duration::from_millis(50));
        assert!(!world.reached(1), "the silent partition is not idle yet");
        assert!(summaries(&world.sink).is_empty());
        // What is busy stays so.
        let mut read = 50;
        until("the busy process goes on alone", || {
            world.hand.advance(100);
            busy.append(at("a", read * 10, &format!("a{read}")));
            read += 1;
            until("it is read", || world.has_read("busy", read));
            world.reached(480)
        });
        assert!(summaries(&world.sink).iter().any(|(_, summary)| summary.window.end == floor(480)));
        let followed = EventTime((read - 1) * 10 + BASE).minus(15 + 5);
        until("it is caught up with", || world.partition("never").floor == followed);
        assert_eq!(world.partition("busy").floor, followed);
        // What comes now is late by the floor that was followed, and counts.
        never.append(format!("b {} b0 u m", followed.0 - 10));
        until("it is read", || world.has_read("never", 1));
        let fates = world.finish();
        assert_eq!((fates.read, fates.on_time, fates.late_applied), (read + 1, read, 1));
    }
}

#[test]
fn an_idle_process_follows_what_another_reads_and_not_the_clock() {
    for reader_first in [true, false] {
        let (reader, idle) = (("reader", steady("a", 0, 100)), ("idle", vec![at("b", 50, "b0")]));
        let partitions = if reader_first { [reader, idle] } else { [idle, reader] };
        let world = World::start(2, 10_000, &partitions);
        let reader = &world.handles[usize::from(!reader_first)];
        let idle = &world.handles[usize::from(reader_first)];
        until("all is read", || world.has_read("reader", 10) && world.has_read("idle", 1));
        // The clock goes much faster than the time of what is read.
        for step in 0..30 {
            let millis = 100 + step * 10;
            world.pass(500, &["idle"]);
            reader.append(at("a", millis, &format!("a{millis}")));
            until("it is read", || world.has_read("reader", 11 + step));
        }
        until("the idle process follows", || world.partition("idle").floor == floor(370));
        until("the windows close", || world.reached(370));
        idle.append(at("b", 390, "b1"));
        let fates = world.finish();
        assert_eq!((fates.read, fates.on_time), (42, 42));
    }
}

#[test]
fn the_last_windows_close_by_the_clock_when_the_partitions_of_all_processes_are_idle() {
    for processes in [1, 2, 3] {
        let (ahead, behind) = (("ahead", steady("a", 0, 3_000)), ("behind", steady("b", 0, 200)));
        let partitions = [("never", nothing()), ahead, behind];
        let world = World::start(processes, 10_000, &partitions);
        until("all is read", || {
            world.has_read("ahead", 300) && world.has_read("behind", 20) && world.has_read("never", 1)
        });
        // The others wait for it and are not asked: their silence counts from when they are.
        world.pass(1_000, &["never"]);
        world.pass(1_000, &["ahead", "behind"]);
        // From the greatest watermark, 2 975: the others need not wait until the clock has brought theirs there.
        until("the last windows close", || world.reached(3_970));
        let last = summaries(&world.sink).iter().map(|(_, summary)| summary.window.end).max();
        assert_eq!(last, Some(floor(3_020)), "the last pane is in three windows");
        let greatest =
            || ["never", "ahead", "behind"].iter().map(|name| world.partition(name).floor).max().unwrap();
        let next = greatest() - floor(0) + 100;
        // All are woken, and hold each other back again.
        for (index, name) in ["never", "ahead", "behind"].iter().enumerate() {
            world.handles[index].append(at(name, next, &format!("{name}-next")));
        }
        let fates = world.finish();
        assert_eq!((fates.read, fates.on_time), (323, 323));
    }
}

#[test]
fn a_partition_that_has_ended_counts_among_the_idle() {
    for processes in [1, 2] {
        let partitions = [("never", nothing()), ("short", steady("a", 0, 300))];
        let world = World::start(processes, 10_000, &partitions);
        world.handles[1].end();
        until("all is read", || world.has_read("short", 30) && world.has_read("never", 1));
        // The end of the other is found when it is asked, for which it waits for this one.
        world.pass(1_000, &["never"]);
        until("the end is found", || world.partition("short").floor == EventTime::MAX);
        until("its last windows close", || {
            world.hand.advance(10);
            world.reached(320)
        });
        assert_eq!(world.finish().on_time, 30);
    }
}
