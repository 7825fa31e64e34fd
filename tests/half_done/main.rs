//! New partitions and dead letters that come while a checkpoint is half done: a restart from it neither loses nor doubles them.
#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

mod letters;
mod partitions;
#[path = "../support/mod.rs"]
mod support;
mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use support::watch::until;

const SHUT: u8 = 1;
const REACHED: u8 = 2;

/// Holds whoever comes while it is shut.
#[derive(Clone, Default)]
struct Gate(Arc<AtomicU8>);

impl Gate {
    fn shut(&self) {
        self.0.store(SHUT, Ordering::SeqCst);
    }

    fn open(&self) {
        self.0.store(0, Ordering::SeqCst);
    }

    /// Whether somebody waits at it.
    fn holds(&self) -> bool {
        self.0.load(Ordering::SeqCst) == REACHED
    }

    fn pass(&self) {
        let _ = self.0.compare_exchange(SHUT, REACHED, Ordering::SeqCst, Ordering::SeqCst);
        until("the gate opens", || self.0.load(Ordering::SeqCst) == 0);
    }
}
