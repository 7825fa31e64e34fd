//! Time of the processor as what criterion measures: on a machine that does other work it says more than the clock.

use std::fs;

use criterion::measurement::{Measurement, ValueFormatter, WallTime};

/// Nanoseconds that this thread has been running.
#[derive(Debug)]
pub(crate) struct CpuTime;

fn now() -> f64 {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    stat.split(' ').next().and_then(|ran| ran.parse().ok()).unwrap_or(f64::NAN)
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
