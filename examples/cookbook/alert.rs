//! An alert on values that are unusual for each machine, without a limit set by hand. After Bytewax's
//! "Anomaly detector".

use telemetra::prelude::*;

#[derive(serde::Deserialize)]
struct Reading {
    machine: String,
    time: EventTime,
    celsius: f64,
}

impl Event for Reading {
    type Key = String;
    fn time(&self) -> EventTime {
        self.time
    }
    fn key(&self) -> &str {
        &self.machine
    }
}

pub(crate) fn run(tables: &MemorySink) -> anyhow::Result<()> {
    // A reading every ten seconds for half an hour; in the twentieth minute the press runs hot.
    let celsius = |n: u64| if (120..126).contains(&n) { 80.0 } else { 40.0 + (n % 7) as f64 / 10.0 };
    let line = |n| format!(r#"{{"machine": "press", "time": {}, "celsius": {}}}"#, n * 10_000, celsius(n));
    Pipeline::<Reading>::new()
        .source(MemorySource::default().partition("readings", (0..180).map(line)), SerdeJson::new())
        .sink(tables.clone())
        .group("temperature", tumbling(minutes(1)), |a| a.mean("celsius", |reading| reading.celsius))
        .key_columns(["machine"])
        .unpublished()
        .gauge_moments("hot", ZScore::new(3.0)?, Micro::SCALE, |mean| mean.rounded())
        .moments_table("alerts")
        .start()?
        .wait()?;
    Ok(())
}

#[test]
fn the_hot_minute_is_one_alert() -> anyhow::Result<()> {
    let tables = MemorySink::new();
    run(&tables)?;
    let alerts = tables.rows_of::<Moment<String>>();
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    assert_eq!(alerts[0].peak_at, EventTime(21 * 60_000));
    Ok(())
}
