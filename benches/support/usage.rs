//! What the kernel says of this process.

use std::fs;

use anyhow::{Context, Result};

/// CPU seconds of all threads, user and system, those that have ended included.
pub(crate) fn cpu_seconds() -> Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit_once(')').context("unknown format")?.1.split_whitespace().collect();
    let ticks = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
    // 100 ticks a second on every Linux that Rust runs on.
    Ok(ticks / 100.0)
}

/// The most memory that was resident at once.
pub(crate) fn peak_rss_bytes() -> Result<u64> {
    memory("VmHWM:")
}

/// The memory that is resident now.
#[allow(dead_code, reason = "each bench uses its part")]
pub(crate) fn rss_bytes() -> Result<u64> {
    memory("VmRSS:")
}

fn memory(name: &str) -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with(name)).context("unknown format")?;
    let kib: u64 = line.split_whitespace().nth(1).context("unknown format")?.parse()?;
    Ok(kib * 1024)
}
