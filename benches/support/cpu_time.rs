//! Time of the processor as what criterion measures: on a machine that does other work it says more than the clock.

use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds that this thread has been running.
#[derive(Debug)]
pub(crate) struct CpuTime;

/// The scheduler's statistics in `/proc` are as of the last tick, which is too coarse.
fn now() -> f64 {
    let ran = clock_gettime(ClockId::ThreadCPUTime);
    ran.tv_sec as f64 * 1e9 + ran.tv_nsec as f64
}

impl Measurement for CpuTime {
    type Intermediate = f64;
    type Value = f64;

    fn start(&self) -> f64 {
        now()
    }
    fn end(&self, begun: f64) -> f64 {
        now() - begun
    }
    fn add(&self, a: &f64, b: &f64) -> f64 {
        a + b
    }
    fn zero(&self) -> f64 {
        0.0
    }
    fn to_f64(&self, value: &f64) -> f64 {
        *value
    }
    fn formatter(&self) -> &dyn ValueFormatter {
        // It too counts in nanoseconds.
        WallTime.formatter()
    }
}
