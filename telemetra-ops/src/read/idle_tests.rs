//! Partitions that have had nothing for long, and what their floors follow.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use telemetra_core::{Clock, EventTime, PartitionId, Polled, RecordBatch};

use crate::checkpoint::floor_log::FloorLog;
use crate::checkpoint::floors::{Raise, RestoredFloors};
use crate::cluster::progress::SourceProgress;
use crate::read::ingress::{Floors, IngressConfig, Shared, lock};
use crate::read::poll::PollResult;
use crate::read::poll_tests::{first, sequence};
use crate::read::scripted::{Script, Step, config, records, resumed};
use crate::support::logged::logged;
use crate::support::wait::wait_until;

/// A process that reads the partition `a`, which may be idle after 50 ms, and others, by a clock that the test moves.
struct Process {
    shared: Arc<Shared>,
    script: Script,
    elapsed: Arc<AtomicU64>,
}

impl Process {
    /// `a` has these batches, then nothing; `b` never has anything.
    fn new(batches: usize, floors: Option<Floors>) -> Self {
        Self::with(batches, floors, Some(Duration::from_millis(50)))
    }

    fn with(batches: usize, floors: Option<Floors>, idle_after: Option<Duration>) -> Self {
        let elapsed = Arc::new(AtomicU64::new(1));
        let time = Arc::clone(&elapsed);
        let monotonic = move || Duration::from_millis(time.load(Ordering::Relaxed));
        let clock = Clock::fixed(EventTime(1_000_000)).with_monotonic(monotonic);
        let mut config = IngressConfig { clock, ..config() };
        config.time.idle_after = idle_after;
        let idle = (0..999).map(|_| Step::Nothing(Polled::Idle(Duration::ZERO)));
        let script = Script::new((0..batches).map(|_| records(&["a 35"])).chain(idle));
        let shared = resumed(config, vec![script.open("a"), Script::default().open("b")], None, floors);
        Self { shared, script, elapsed }
    }

    /// Reads a batch of `a`, and has it sequenced with an event of this time.
    fn read(&self, number: u64, time: u64) {
        self.take(number);
        sequence(&self.shared, number, time);
    }

    fn take(&self, number: u64) {
        let taken = self.shared.poll(&first(&self.shared), true, EventTime::MIN, &mut RecordBatch::default());
        assert!(matches!(taken, PollResult::Batch(found) if found == number));
    }

    /// Asks `a` once, after so many milliseconds.
    fn ask_after(&self, millis: u64) {
        self.elapsed.fetch_add(millis, Ordering::Relaxed);
        let before = self.script.lock().polls;
        wait_until("it is asked", || {
            let (a, mut batch) = (first(&self.shared), RecordBatch::default());
            let asked = self.shared.poll(&a, true, EventTime::MIN, &mut batch);
            assert!(matches!(asked, PollResult::Nothing(_)));
            self.script.lock().polls > before
        });
    }

    /// Returns whether `a` is idle, and its floor.
    fn stands(&self) -> (bool, EventTime) {
        let status = &self.shared.status()[0];
        (status.idle, status.floor)
    }

    /// Ends `b`, with this watermark.
    fn end_b(&self, time: u64) {
        let b = Arc::clone(&self.shared.readers.read()[1]);
        lock(&b.state).taken = 1;
        lock(&b.state).exhausted = true;
        self.shared.sequence(&b, 0, |sequencer, _, now| {
            sequencer.place(EventTime(time), || None, now);
        });
    }
}

#[test]
fn an_idle_partition_follows_the_slowest_of_the_others() {
    let process = Process::new(1, None);
    process.read(0, 35);
    *lock(&process.shared.others) = SourceProgress::Active(EventTime(75));
    let b = Arc::clone(&process.shared.readers.read()[1]);
    process.shared.sequence(&b, 0, |sequencer, _, now| {
        sequencer.place(EventTime(95), || None, now);
    });
    process.ask_after(0);
    process.ask_after(49);
    assert_eq!(process.stands(), (false, EventTime(30)));
    process.ask_after(1);
    assert_eq!(process.stands(), (true, EventTime(70)), "in whole panes, of all processes");
    assert_eq!(process.shared.greatest_floor(), EventTime(90));
}

#[test]
fn where_all_are_idle_floors_follow_the_clock() {
    let process = Process::new(1, None);
    process.read(0, 35);
    process.end_b(35);
    for millis in [0, 50, 0] {
        process.ask_after(millis);
    }
    assert_eq!(process.stands(), (true, EventTime(80)), "35, and 50 ms of silence");
    assert_eq!(process.shared.greatest_floor(), EventTime(80));
}

#[test]
fn a_partition_is_not_idle_while_a_batch_of_it_is_not_sequenced() {
    let process = Process::new(2, None);
    process.read(0, 35);
    process.end_b(95);
    process.take(1);
    for millis in [0, 50, 50] {
        process.ask_after(millis);
    }
    assert_eq!(process.stands(), (false, EventTime(30)));
    sequence(&process.shared, 1, 35);
    process.ask_after(0);
    assert!(process.stands().0);
}

#[test]
fn a_partition_that_is_never_idle_holds_back_the_others() {
    let process = Process::with(1, None, None);
    process.read(0, 35);
    process.end_b(95);
    for _ in 0..3 {
        process.ask_after(1_000);
    }
    assert_eq!(process.stands(), (false, EventTime(30)));
}

#[test]
fn a_partition_behind_what_sinks_have_waits_for_it_until_it_is_lost() {
    let log = Arc::new(FloorLog::new(String::new()));
    let raises = [(PartitionId::new("a"), vec![Raise { offset: 0, floor: EventTime::MIN }])].into();
    let restored = RestoredFloors { is_known: true, raises, exact_after: Some(EventTime::MIN) };
    let floors = Floors { log: Arc::clone(&log), restored, patience: Duration::from_millis(200) };
    let process = Process::new(1, Some(floors));
    process.shared.begin_after(EventTime(99));
    let write = || log.unwritten().map(|(version, _)| log.written(version));
    assert!(write().is_some());
    process.read(0, 35);
    process.end_b(95);
    let asked = |times: &[u64]| logged(|| times.iter().for_each(|millis| process.ask_after(*millis)));
    assert!(asked(&[0, 99, 99]).is_empty());
    assert!(!process.stands().0, "what brought it there is still to come");
    let logged_lines = asked(&[2]);
    assert_eq!((logged_lines.len(), process.stands().0), (1, true));
    assert!(
        logged_lines[0].contains("does not come again") && logged_lines[0].contains("partition=a"),
        "{logged_lines:?}"
    );
}
