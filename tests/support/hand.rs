//! A clock that is moved by hand, and what is read by it.
#![allow(dead_code, unreachable_pub, reason = "each test uses its part")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use telemetra::core::{Clock, EventTime, TimeConfig};
use telemetra::ops::Running;

use super::{BASE, small_time};

/// A record `millis` after the base.
pub fn at(key: &str, millis: u64, id: &str) -> String {
    format!("{key} {} {id} u m", BASE + millis)
}

/// One event every ten milliseconds.
pub fn steady(key: &str, from: u64, to: u64) -> Vec<String> {
    (from..to).step_by(10).map(|millis| at(key, millis, &format!("{key}{millis}"))).collect()
}

/// A clock that is moved by hand.
#[derive(Clone, Debug)]
pub struct Hand(Arc<AtomicU64>);

impl Hand {
    pub fn new() -> Self {
        Self(Arc::new(AtomicU64::new(BASE + 5_000)))
    }

    pub fn clock(&self) -> Clock {
        let now = Arc::clone(&self.0);
        Clock::from_fn(move || EventTime(now.load(Ordering::SeqCst)))
    }

    pub fn advance(&self, millis: u64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

pub fn idle_after_a_second() -> TimeConfig {
    TimeConfig { idle_after: Some(Duration::from_secs(1)), ..small_time() }
}

/// Whether all that took effect before so many milliseconds after the base is in the sinks.
pub fn reached(running: &Running, millis: u64) -> bool {
    running.status().durable >= EventTime(BASE + millis)
}
