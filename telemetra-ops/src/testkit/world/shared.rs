//! What the parts of one world share: the clock, whether the process lives, and what was found.

use std::fmt::Display;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use telemetra_core::{Clock, EventTime, ExternalError};

/// Locks what no panic leaves inconsistent.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The time in a world.
#[derive(Clone, Debug)]
pub(super) struct VirtualTime(Arc<AtomicU64>);

impl VirtualTime {
    pub(super) fn new(start: EventTime) -> Self {
        Self(Arc::new(AtomicU64::new(start.0)))
    }

    pub(super) fn now(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    /// Lets a millisecond pass.
    pub(super) fn tick(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
        std::thread::sleep(Duration::from_micros(50));
    }

    pub(super) fn clock(&self) -> Clock {
        let time = self.clone();
        Clock::from_fn(move || EventTime(time.now()))
    }
}

/// What is broken, as far as it was found.
#[derive(Clone, Debug, Default)]
pub(super) struct Findings(Arc<Mutex<Vec<String>>>);

impl Findings {
    pub(super) fn add(&self, what: impl Display) {
        let mut all = lock(&self.0);
        // One fault shows in many places.
        if all.len() < 20 {
            all.push(what.to_string());
        }
    }

    pub(super) fn all(&self) -> Vec<String> {
        lock(&self.0).clone()
    }
}

/// A process that can be killed: from then on nothing that it does has an effect.
#[derive(Clone, Debug, Default)]
pub(super) struct Process(Arc<AtomicBool>);

impl Process {
    pub(super) fn kill(&self) -> ExternalError {
        self.0.store(true, Ordering::SeqCst);
        ExternalError::permanent("killed")
    }

    pub(super) fn is_killed(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// An error if it was killed.
    pub(super) fn lives(&self) -> Result<(), ExternalError> {
        if self.is_killed() { Err(ExternalError::permanent("killed")) } else { Ok(()) }
    }
}

/// Counts calls in one life.
#[derive(Debug, Default)]
pub(super) struct Calls(AtomicUsize);

impl Calls {
    /// The number of this one, from 0.
    pub(super) fn next(&self) -> usize {
        self.0.fetch_add(1, Ordering::SeqCst)
    }
}

/// Waits until so many milliseconds have passed, or the process was killed.
pub(super) fn stall(time: &VirtualTime, process: &Process, millis: u64) {
    let until = time.now() + millis;
    while time.now() < until && !process.is_killed() {
        time.tick();
    }
}
