//! The protocols among the workers of a process, checked in all their interleavings by loom.
//!
//! The sources of the protocols are compiled here with loom's locks in place of the standard ones.
#![allow(dead_code, reason = "the model uses a part of each protocol")]

/// The items that the sources import from their crate.
mod support {
    pub(crate) use crate::defects;

    pub(crate) mod sync {
        pub(crate) use std::sync::PoisonError;

        pub(crate) use loom::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
        pub(crate) use loom::sync::{Mutex, MutexGuard, RwLock, RwLockReadGuard};
    }
}

#[path = "../src/support/defects.rs"]
mod defects;
#[path = "../src/read/shared_list.rs"]
mod shared_list;
#[path = "../src/checkpoint/trigger.rs"]
mod trigger;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use loom::sync::atomic::Ordering;
use loom::sync::{Condvar, Mutex};
use loom::thread;
use shared_list::SharedList;
use telemetra_core::EventTime;
use trigger::{Arrival, CheckpointTrigger};

const INTERVAL: u64 = 60_000;
const SLIDE: u64 = 5_000;
/// The greatest floor that partitions have noted. The floors of the model go further, so that workers do not agree by what they see.
const GREATEST: EventTime = EventTime(65_000);
/// The boundary before, of which there is a checkpoint.
const LAST: Option<EventTime> = Some(EventTime(60_000));

/// The two questions of a worker in each of its turns: how far it may send, and where it stops.
type Limit = fn(&CheckpointTrigger, EventTime) -> (EventTime, Option<EventTime>);

/// The floor, and a number that rises whenever a worker may have something new to do: a worker that has nothing to do sleeps until then, so
/// that loom sees for itself when all sleep for ever.
struct World {
    trigger: CheckpointTrigger,
    floor: Mutex<(EventTime, usize)>,
    changed: Condvar,
}

impl World {
    fn floor(&self) -> (EventTime, usize) {
        *self.floor.lock().expect("nobody panics")
    }

    fn change(&self, change: impl FnOnce(&mut EventTime)) {
        let mut floor = self.floor.lock().expect("nobody panics");
        change(&mut floor.0);
        floor.1 += 1;
        self.changed.notify_all();
    }

    fn sleep(&self, seen: usize) {
        let mut floor = self.floor.lock().expect("nobody panics");
        while floor.1 == seen {
            floor = self.changed.wait(floor).expect("nobody panics");
        }
    }

    /// One worker's turns, as ingest takes them, until it has let its capabilities go. Returns the boundaries at which it kept its part.
    fn work(&self, limit: Limit) -> Vec<EventTime> {
        let (mut waiting, mut kept) = (None, Vec::new());
        loop {
            let (floor, seen) = self.floor();
            if let Some(cut) = waiting {
                if !self.trigger.is_released(cut) {
                    self.sleep(seen);
                    continue;
                }
                waiting = None;
            }
            let (limit, cut) = limit(&self.trigger, floor);
            if let Some(cut) = cut {
                let arrival = self.trigger.arrive(cut, floor);
                if arrival != Arrival::Skip {
                    kept.push(cut);
                    waiting = Some(cut);
                }
                if arrival == Arrival::KeepAll {
                    self.trigger.release(cut, floor);
                }
                self.change(|_| ());
            } else if limit == EventTime::MAX {
                self.change(|_| ());
                return kept;
            } else {
                self.sleep(seen);
            }
        }
    }
}

/// Two workers, while the floor passes a boundary and then comes to the end.
fn model(limit: Limit, cuts_at_the_end: bool, is_late: bool) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(move || {
        let trigger = CheckpointTrigger::new(Some(INTERVAL), Duration::ZERO, 2, SLIDE, LAST);
        let mut trigger = trigger.with_cut_at_the_end(cuts_at_the_end);
        // Both know the first floor, so the next boundary is at 120,000.
        let _ = trigger.limit(GREATEST, GREATEST);
        if is_late {
            pass_over(&mut trigger);
        }
        let floor = Mutex::new((EventTime(125_000), 0));
        let world = Arc::new(World { trigger, floor, changed: Condvar::new() });
        let other = thread::spawn({
            let world = Arc::clone(&world);
            move || world.work(limit)
        });
        let reader = thread::spawn({
            let world = Arc::clone(&world);
            move || world.change(|floor| *floor = EventTime::MAX)
        });
        let mine = world.work(limit);
        let others = other.join().expect("the other worker ends");
        reader.join().expect("the reader ends");
        assert_eq!(mine, others, "a checkpoint has the parts of all workers or of none");
    });
}

/// A checkpoint at 120,000, and none at 180,000, as that comes within the pause. Then the pause has passed.
fn pass_over(trigger: &mut CheckpointTrigger) {
    for arrival in [Arrival::Keep, Arrival::KeepAll] {
        let cut = EventTime(120_000);
        assert_eq!(trigger.limit(cut, GREATEST), (cut, Some(cut)));
        assert_eq!(trigger.arrive(cut, cut), arrival);
    }
    trigger.release(EventTime(120_000), EventTime(120_000));
    trigger.pause = Duration::MAX;
    let (cut, floor) = (EventTime(180_000), EventTime(185_000));
    assert_eq!(trigger.limit(floor, GREATEST), (cut, Some(cut)));
    assert_eq!(trigger.arrive(cut, floor), Arrival::Skip);
    assert_eq!(trigger.limit(floor, GREATEST), (floor, None), "the pause has not passed");
    trigger.pause = Duration::ZERO;
}

#[test]
fn workers_agree_at_which_boundaries_they_cut() {
    for cuts_at_the_end in [false, true] {
        model(|trigger, floor| trigger.limit(floor, GREATEST), cuts_at_the_end, false);
        // Here the floor is past 180,000, too.
        model(|trigger, floor| trigger.limit(floor.plus(60_000), GREATEST), cuts_at_the_end, true);
    }
}

#[test]
fn the_model_finds_a_worker_that_passes_over_a_cut_another_has_arrived_at() {
    let passes_over: Limit = |trigger, floor| {
        if floor == EventTime::MAX { (floor, None) } else { trigger.limit(floor, GREATEST) }
    };
    let found = catch_unwind(AssertUnwindSafe(|| model(passes_over, false, false)));
    let panic = found.expect_err("the fault is found");
    let said = panic.downcast_ref::<String>().map_or("", String::as_str);
    assert!(said.contains("deadlock") || said.contains("the parts of all"), "{said}");
}

/// The floor of a partition that rises while the list is asked.
type Floor = Arc<loom::sync::atomic::AtomicU64>;

fn floor_of(floor: &Floor) -> EventTime {
    EventTime(floor.load(Ordering::Acquire))
}

/// A worker asks for the floor while a partition's rises to `end`, and another joins by `add` at the least floor that it may have.
fn joining(end: u64, add: fn(&SharedList<Floor>) -> Option<Floor>) {
    loom::model(move || {
        let first = Floor::new(10.into());
        let list = Arc::new(SharedList::new(vec![Arc::clone(&first)], EventTime(0)));
        let joins = thread::spawn({
            let list = Arc::clone(&list);
            move || add(&list)
        });
        let rises = thread::spawn(move || first.store(end, Ordering::Release));
        let mut told = EventTime::MIN;
        for _ in 0..2 {
            let floor = list.floor(floor_of);
            assert!(floor >= told, "a capability that was let go is needed");
            told = floor;
        }
        rises.join().expect("the reader ends");
        let joined = joins.join().expect("the discovery ends");
        let last = list.floor(floor_of);
        assert!(last >= told, "a capability that was let go is needed");
        match joined {
            Some(joined) => {
                assert_eq!(last, floor_of(&joined).min(EventTime(end)), "it holds back the others")
            }
            None => assert_eq!(last, EventTime::MAX, "it is refused only where nothing is held any more"),
        }
    });
}

#[test]
fn a_partition_that_joins_needs_nothing_that_was_let_go() {
    let add = |list: &SharedList<Floor>| {
        let mut joined = None;
        list.add(|least| Arc::clone(joined.insert(Floor::new(least.0.into())))).then_some(joined).flatten()
    };
    for end in [20, u64::MAX] {
        joining(end, add);
    }
}

#[test]
fn the_model_finds_a_partition_that_joins_at_a_floor_from_before() {
    let early = |list: &SharedList<Floor>| {
        // The least floor as it was before the list was locked.
        let least = list.read().iter().map(floor_of).min().unwrap_or(EventTime::MAX);
        let mut joined = None;
        list.add(|_| Arc::clone(joined.insert(Floor::new(least.0.into())))).then_some(joined).flatten()
    };
    let found = catch_unwind(AssertUnwindSafe(|| joining(20, early)));
    let panic = found.expect_err("the fault is found");
    let said = panic.downcast_ref::<&str>().copied().unwrap_or_default();
    let text = panic.downcast_ref::<String>().map_or(said, String::as_str);
    assert!(text.contains("a capability that was let go"), "{text}");
}
