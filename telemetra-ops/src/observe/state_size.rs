//! The size of the window state on a worker, maintained as it changes.

use std::sync::atomic::{AtomicU64, Ordering};

use telemetra_core::engine::{StateSize, WindowState};

/// The sampling rate of measurements: one look at a key in this number measures its bytes, which takes about
/// as long as merging a pane.
const ONE_IN: u64 = 64;
/// The weight of the previous average when a measurement is added.
const MEMORY: f64 = 255.0 / 256.0;

/// The size of the state on one worker, for metrics.
#[derive(Debug, Default)]
pub(crate) struct StateSizeGauge {
    keys: AtomicU64,
    panes: AtomicU64,
    summaries: AtomicU64,
    bytes: AtomicU64,
}

impl StateSizeGauge {
    /// Returns the number of keys, panes and summaries, and an estimate of their encoded size in bytes.
    pub(crate) fn get(&self) -> [u64; 4] {
        [&self.keys, &self.panes, &self.summaries, &self.bytes].map(|count| count.load(Ordering::Relaxed))
    }
}

/// Counts the state of one worker.
#[derive(Debug, Default)]
pub(crate) struct StateSizeCounter {
    size: StateSize,
    looks: u64,
    pane: Average,
    summary: Average,
}

impl StateSizeCounter {
    /// Records that the size of a key's state has changed.
    pub(crate) fn changed(&mut self, before: StateSize, windows: &impl WindowState) {
        self.size.panes = self.size.panes + windows.size().panes - before.panes;
        self.size.summaries = self.size.summaries + windows.size().summaries - before.summaries;
        if self.looks.is_multiple_of(ONE_IN) {
            let (pane, summary) = windows.newest_bytes();
            self.pane.add(pane);
            self.summary.add(summary);
        }
        self.looks += 1;
    }

    /// Updates the gauge, for this number of keys.
    pub(crate) fn publish(&self, keys: usize, state_size: &StateSizeGauge) {
        let StateSize { panes, summaries } = self.size;
        let bytes = self.pane.value() * panes as f64 + self.summary.value() * summaries as f64;
        state_size.keys.store(keys as u64, Ordering::Relaxed);
        state_size.panes.store(panes as u64, Ordering::Relaxed);
        state_size.summaries.store(summaries as u64, Ordering::Relaxed);
        state_size.bytes.store(bytes as u64, Ordering::Relaxed);
    }
}

/// An exponentially weighted average.
#[derive(Debug, Default)]
struct Average {
    sum: f64,
    weight: f64,
}

impl Average {
    fn add(&mut self, value: Option<u64>) {
        if let Some(value) = value {
            self.sum = self.sum * MEMORY + value as f64;
            self.weight = self.weight * MEMORY + 1.0;
        }
    }

    fn value(&self) -> f64 {
        if self.weight > 0.0 { self.sum / self.weight } else { 0.0 }
    }
}
