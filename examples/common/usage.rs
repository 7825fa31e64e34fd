//! The resources that this process has used.

use serde::{Deserialize, Serialize};

/// Processor time and memory, read from `/proc`; zero on systems without it.
#[derive(Copy, Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Usage {
    pub(crate) cpu_seconds: f64,
    pub(crate) peak_rss_bytes: u64,
}

/// The kernel's ticks per second in `/proc`, the same on all its architectures.
const TICKS: f64 = 100.0;

impl Usage {
    pub(crate) fn now() -> Self {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let stat = read("/proc/self/stat");
        // The name, in brackets, may contain anything; user and system time are the 12th and 13th field after
        // it.
        let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
        let ticks: f64 = fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum();
        let status = read("/proc/self/status");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes =
            peak.and_then(|rest| rest.trim().trim_end_matches("kB").trim_end().parse::<u64>().ok());
        Self { cpu_seconds: ticks / TICKS, peak_rss_bytes: kilobytes.unwrap_or(0) * 1024 }
    }
}

impl std::ops::AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.cpu_seconds += other.cpu_seconds;
        self.peak_rss_bytes += other.peak_rss_bytes;
    }
}
