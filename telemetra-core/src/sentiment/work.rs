//! Counts what scoring a message costs, so that tests can hold it to its length without a clock.

use std::cell::Cell;

thread_local! {
    static DONE: Cell<u64> = const { Cell::new(0) };
}

/// So much was done.
pub(super) fn done(steps: u64) {
    DONE.set(DONE.get() + steps);
}

/// What was done meanwhile on this thread.
pub(super) fn of(work: impl FnOnce()) -> u64 {
    let before = DONE.get();
    work();
    DONE.get() - before
}
