//! How much state the windows of one worker hold, counted as it changes.

use std::sync::atomic::{AtomicU64, Ordering};

use telemetra_core::engine::{StateSize, WindowState};

/// One in so many looks at a key measures its bytes, which takes about as long as merging a pane.
const ONE_IN: u64 = 64;
/// How much an old measurement weighs beside a new one.
const MEMORY: f64 = 255.0 / 256.0;

/// The state of one worker, for monitors.
#[derive(Debug, Default)]
pub(crate) struct StateSizeGauge {
    keys: AtomicU64,
    panes: AtomicU64,
    summaries: AtomicU64,
    bytes: AtomicU64,
}

impl StateSizeGauge {
    /// Keys, panes, summaries, and an estimate of what these would take encoded.
    pub(crate) fn get(&self) -> [u64; 4] {
        [&self.keys, &self.panes, &self.summaries, &self.bytes].map(|count| count.load(Ordering::Relaxed))
    }
}

/// Counts for the state_size.
#[derive(Debug, Default)]
pub(crate) struct StateSizeCounter {
    size: StateSize,
    looks: u64,
    pane: Average,
    summary: Average,
}

impl StateSizeCounter {
    /// A key that was of one size is now of another.
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

    /// Tells what there is of so many keys.
    pub(crate) fn publish(&self, keys: usize, state_size: &StateSizeGauge) {
        let StateSize { panes, summaries } = self.size;
        let bytes = self.pane.value() * panes as f64 + self.summary.value() * summaries as f64;
        state_size.keys.store(keys as u64, Ordering::Relaxed);
        state_size.panes.store(panes as u64, Ordering::Relaxed);
        state_size.summaries.store(summaries as u64, Ordering::Relaxed);
        state_size.bytes.store(bytes as u64, Ordering::Relaxed);
    }
}

/// An average that forgets.
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
