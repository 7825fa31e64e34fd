//! Readings of sensors: an event type of your own, two groupings of which one is by sessions, moments, tables in SQLite.
//!
//! ```sh
//! cargo run --release --example iot_readings
//! ```

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
    folder: &std::path::Path,
) -> anyhow::Result<Running> {
    Ok(Pipeline::<Reading>::new()
        .source(source, SerdeJson::new())
        .sink(sink)
        .checkpoints(Directory::new(folder), minutes(1))
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

/// An hour of four devices at two sites, as JSON lines: each reads every ten seconds, is silent for ten minutes, and one is hot once.
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
    lines
}

fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let database = folder.path().join("readings.db");
    let source = MemorySource::default().partition("readings", lines());
    let report = start(source, Sqlite::new(&database), &folder.path().join("checkpoints"))?.wait()?;
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use telemetra::core::SummaryRow;
    use telemetra::core::aggregate::Mean;

    use super::*;

    type Minute = SummaryRow<String, (u64, Mean, Option<i64>)>;

    #[test]
    fn tables_equal_a_batch_recomputation_over_kills_and_restarts() -> anyhow::Result<()> {
        let (folder, sink) = (tempfile::tempdir()?, MemorySink::new());
        let all = lines();
        // Stopped after each quarter, as if killed: what is not in a checkpoint is read again.
        for part in 1..=3 {
            let mut source = MemorySource::default();
            let handle = source.handle("readings");
            all[..all.len() * part / 4].iter().for_each(|line| handle.append(line.as_str()));
            let running = start(source, sink.clone(), folder.path())?;
            while running.fates().read < (all.len() * part / 4) as u64 {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            running.stop()?;
        }
        let source = MemorySource::default().partition("readings", all.clone());
        let report = start(source, sink.clone(), folder.path())?.wait()?;
        assert_eq!(report.fates.on_time, all.len() as u64);

        let mut minutes: BTreeMap<(String, u64), (u64, i64)> = BTreeMap::new();
        let mut by_site: BTreeMap<u32, Vec<u64>> = BTreeMap::new();
        for reading in all.iter().map(|line| serde_json::from_str::<Reading>(line)) {
            let reading = reading?;
            let micros = (reading.celsius * 1e6).round() as i64;
            let minute =
                minutes.entry((reading.device, reading.time.0 / 60_000 * 60_000)).or_insert((0, i64::MIN));
            *minute = (minute.0 + 1, minute.1.max(micros));
            by_site.entry(reading.site).or_default().push(reading.time.0);
        }
        let found: BTreeMap<_, _> = sink
            .rows_of::<Minute>()
            .into_iter()
            .map(|row| {
                (
                    (row.key, row.summary.window.start.0),
                    (row.summary.value.0, row.summary.value.2.unwrap_or(0)),
                )
            })
            .collect();
        assert_eq!(found, minutes);

        let mut visits = Vec::new();
        for (site, mut times) in by_site {
            times.sort_unstable();
            visits.extend(times.chunk_by(|a, b| b - a < 300_000).map(|run| (site, run[0], run.len() as u64)));
        }
        let rows = sink.rows_of::<SummaryRow<u32, u64>>();
        let found: Vec<_> =
            rows.iter().map(|row| (row.key, row.summary.window.start.0, *row.summary.value)).collect();
        assert_eq!(found, visits);
        assert_eq!(visits.len(), 4, "each site was silent once");

        let moments = sink.rows_of::<Moment<String>>();
        assert!(moments.iter().any(|moment| moment.key == "d2"), "{moments:?}");
        Ok(())
    }

    #[test]
    fn the_event_keeps_its_contract() {
        let lines = lines();
        let good: Vec<&[u8]> = lines[..20].iter().map(|line| line.as_bytes()).collect();
        telemetra::core::testkit::decoder_compliance::<Reading>(
            &SerdeJson::<Reading>::new(),
            &good,
            &[b"{}", b"7"],
        );
    }
}
