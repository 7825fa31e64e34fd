//! The state that the parts of one simulation share: the clock, whether the process runs, and the findings.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use telemetra_core::{Clock, EventTime, ExternalError};

/// Locks what no panic leaves inconsistent.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The time in a world, which passes, and leaps when the process was suspended.
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
        self.leap(1);
        std::thread::sleep(Duration::from_micros(50));
    }

    /// Lets so many milliseconds pass at once, as for a process that was suspended.
    pub(super) fn leap(&self, millis: u64) {
        self.0.fetch_add(millis, Ordering::AcqRel);
    }

    pub(super) fn clock(&self) -> Clock {
        let time = self.clone();
        Clock::from_fn(move || EventTime(time.now()))
    }
}

/// The violations that were found so far.
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

/// A process that can be killed, from when on nothing that it does has an effect; or that is taken for dead, and goes on when another
/// has replaced it.
#[derive(Clone, Debug, Default)]
pub(super) struct Process(Arc<ProcessInner>);

#[derive(Debug, Default)]
struct ProcessInner {
    state: Mutex<ProcessState>,
    changed: Condvar,
    /// True if it sleeps where others are killed.
    sleeps: bool,
}

#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
enum ProcessState {
    #[default]
    Runs,
    Killed,
    Asleep,
    Replaced,
}

impl Process {
    /// A process that falls asleep where others are killed.
    pub(super) fn sleeper() -> Self {
        Self(Arc::new(ProcessInner { sleeps: true, ..ProcessInner::default() }))
    }

    fn state(&self) -> ProcessState {
        *lock(&self.0.state)
    }

    pub(super) fn kill(&self) -> ExternalError {
        *lock(&self.0.state) = ProcessState::Killed;
        ExternalError::permanent("killed")
    }

    /// The place where the script has it be killed. One that sleeps instead goes on from here once it is woken.
    pub(super) fn dies(&self) -> Result<(), ExternalError> {
        if !self.0.sleeps {
            return Err(self.kill());
        }
        let mut state = lock(&self.0.state);
        if *state == ProcessState::Runs {
            *state = ProcessState::Asleep;
        }
        drop(state);
        self.runs()
    }

    pub(super) fn is_killed(&self) -> bool {
        self.state() == ProcessState::Killed
    }

    pub(super) fn is_asleep(&self) -> bool {
        self.state() == ProcessState::Asleep
    }

    /// Returns whether it may fail: it was killed, or replaced.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.state(), ProcessState::Killed | ProcessState::Replaced)
    }

    /// Wakes it, as another has taken its place.
    pub(super) fn wake(&self) {
        *lock(&self.0.state) = ProcessState::Replaced;
        self.0.changed.notify_all();
    }

    /// Waits while it sleeps; an error if it was killed.
    pub(super) fn runs(&self) -> Result<(), ExternalError> {
        let mut state = lock(&self.0.state);
        while *state == ProcessState::Asleep {
            state = self.0.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if *state == ProcessState::Killed { Err(ExternalError::permanent("killed")) } else { Ok(()) }
    }
}

/// The run that has opened a sink or claimed a store last, by its name.
#[derive(Clone, Debug, Default)]
pub(super) struct Owners(Arc<Mutex<BTreeMap<String, usize>>>);

impl Owners {
    pub(super) fn take(&self, name: &str, run: usize) {
        let mut owners = lock(&self.0);
        let owner = owners.entry(name.to_owned()).or_default();
        *owner = run.max(*owner);
    }

    /// Returns whether a later run has taken it.
    pub(super) fn is_of_another(&self, name: &str, run: usize) -> bool {
        lock(&self.0).get(name).is_some_and(|owner| *owner > run)
    }
}

/// Counts calls in one run.
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
