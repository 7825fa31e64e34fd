//! Readings of sensors: an event type of your own, two groupings, one of them by sessions, moments, and
//! tables in SQLite.
//!
//! ```sh
//! cargo run --release --example iot_readings
//! ```
//!
//! The tests run the same pipeline into Postgres in a process that they kill.

#[cfg(test)]
mod tests;

use telemetra::core::checkpoint::CheckpointStore;
use telemetra::prelude::*;

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
struct Reading {
    device: String,
    site: u32,
    time: EventTime,
    celsius: f64,
}

impl Event for Reading {
    type Key = String;

    fn time(&self) -> EventTime {
        self.time
    }

    fn key(&self) -> &str {
        &self.device
    }
}

fn start(
    source: impl Source + 'static,
    sink: impl Sink + 'static,
    checkpoints: impl CheckpointStore + 'static,
) -> anyhow::Result<Running> {
    Ok(Pipeline::<Reading>::new()
        .source(source, SerdeJson::new())
        .sink(sink)
        .checkpoints(checkpoints, minutes(1))
        .workers(2)
        .group("device_minute", tumbling(minutes(1)), |a| {
            (a.count("readings"), a.mean("celsius", |r| r.celsius), a.max("hottest", |r| r.celsius))
        })
        .key_columns(["device"])
        .gauge_moments("departure", ZScore::new(6.0)?, Micro::SCALE, |(_, celsius, _)| celsius.rounded())
        .group_by("site_visits", |r| r.site, sessions(minutes(5)), |a| a.count("readings"))
        .key_columns(["site"])
        .start()?)
}

/// An hour of four devices at two sites, as JSON lines: each device reads every ten seconds, is silent for
/// ten minutes, and one is hot once. One reading in fifty comes two minutes late.
fn lines() -> Vec<String> {
    const START: u64 = 1_767_225_600_000;
    let mut lines = Vec::new();
    for tick in (0..360_u64).filter(|tick| !(120..180).contains(tick)) {
        for device in 0..4_u32 {
            let hot = device == 2 && (300..306).contains(&tick);
            let celsius = if hot { 80.0 } else { 20.0 + f64::from((tick as u32 * 7 + device) % 11) / 10.0 };
            // Readings come out of order by up to six seconds.
            let time = EventTime(START + tick * 10_000 + u64::from(device) * 37 % 3 * 3_000);
            let reading = Reading { device: format!("d{device}"), site: device % 2, time, celsius };
            lines.extend(serde_json::to_string(&reading));
        }
    }
    // No reading is delayed beyond the silence: that would be too late.
    let before = 120 * 4;
    for n in (0..lines.len() - 48).rev().filter(|n| n % 50 == 7 && !(before - 48..before).contains(n)) {
        let late = lines.remove(n);
        lines.insert(n + 48, late);
    }
    lines
}

fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let database = folder.path().join("readings.db");
    let source = MemorySource::default().partition("readings", lines());
    let report =
        start(source, Sqlite::new(&database), Directory::new(folder.path().join("checkpoints")))?.wait()?;
    println!("{} readings; moments by device:", report.fates.read);
    let database = rusqlite::Connection::open(&database)?;
    let mut moments = database.prepare("SELECT device, started_at, value FROM device_minute_moments")?;
    let mut rows = moments.query([])?;
    while let Some(row) = rows.next()? {
        let at = EventTime(row.get::<_, i64>(1)?.try_into()?);
        println!("  {} from {at}: {:.1} °C", row.get::<_, String>(0)?, row.get::<_, f64>(2)?);
    }
    Ok(())
}
