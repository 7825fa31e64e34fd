//! What the kernel says of the threads of this process.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result};

/// CPU seconds by the first word of the threads' names. Those of threads that have ended are not in it.
pub(crate) fn cpu_by_name() -> Result<BTreeMap<String, f64>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir("/proc/self/task")? {
        // A thread may end while it is looked at.
        let Ok(stat) = fs::read_to_string(entry?.path().join("stat")) else { continue };
        let (head, tail) = stat.rsplit_once(')').context("unknown format")?;
        let name = head.split_once('(').context("unknown format")?.1;
        let fields: Vec<&str> = tail.split_whitespace().collect();
        let ticks = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
        let name = name.split([' ', ':', '-']).next().unwrap_or(name);
        *found.entry(name.to_owned()).or_insert(0.0) += ticks / 100.0;
    }
    Ok(found)
}
