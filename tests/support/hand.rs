//! A clock that is moved by hand, and what is read by it.
#![allow(dead_code, unreachable_pub, reason = "each test uses its part")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::watch::until;

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
pub struct Hand {
    now: Arc<AtomicU64>,
    monotonic: Arc<AtomicU64>,
}

/// No more than one gap between two polls may count.
const STEP: u64 = 100;

impl Hand {
    pub fn new() -> Self {
        let clock = || Arc::new(AtomicU64::new(BASE + 5_000));
        Self { now: clock(), monotonic: clock() }
    }

    pub fn clock(&self) -> Clock {
        let (now, monotonic) = (Arc::clone(&self.now), Arc::clone(&self.monotonic));
        let clock = Clock::from_fn(move || EventTime(now.load(Ordering::SeqCst)));
        clock.with_monotonic(move || Duration::from_millis(monotonic.load(Ordering::SeqCst)))
    }

    /// Time goes by.
    pub fn advance(&self, millis: u64) {
        self.now.fetch_add(millis, Ordering::SeqCst);
        self.monotonic.fetch_add(millis, Ordering::SeqCst);
    }

    /// Somebody sets the clock.
    pub fn set(&self, step: i64) {
        self.now.fetch_add(step.cast_unsigned(), Ordering::SeqCst);
    }

    /// Time goes by in which these partitions are asked and have nothing. A step in which one was not asked is repeated, so that
    /// others may be silent for longer.
    pub fn pass(&self, millis: u64, silent: impl Fn() -> Vec<Option<Duration>>) {
        let mut left = millis;
        while left > 0 {
            let step = left.min(STEP);
            until("all were asked", || silent().iter().all(Option::is_some));
            let before = silent();
            let grown = |before: &Option<Duration>| before.map(|before| before + Duration::from_millis(step));
            let mut looks = 0;
            until("all were asked and had nothing", || {
                if looks % 100 == 0 {
                    self.advance(step);
                }
                looks += 1;
                silent().iter().zip(&before).all(|(now, before)| *now >= grown(before))
            });
            left -= step;
        }
    }
}

pub fn idle_after_a_second() -> TimeConfig {
    TimeConfig { idle_after: Some(Duration::from_secs(1)), ..small_time() }
}

/// Whether all that took effect before so many milliseconds after the base is in the sinks.
pub fn reached(running: &Running, millis: u64) -> bool {
    running.status().durable >= EventTime(BASE + millis)
}
