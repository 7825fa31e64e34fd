//! Waiting for facts, for tests.

use std::time::{Duration, Instant};

/// Waits until this is so.
///
/// # Panics
///
/// If it is not so after 20 seconds.
pub(crate) fn wait_until(what: &str, is: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is() {
        assert!(begun.elapsed() < Duration::from_secs(20), "waited in vain: {what}");
        std::thread::sleep(Duration::from_micros(200));
    }
}
