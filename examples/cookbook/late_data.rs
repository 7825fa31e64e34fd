//! Late data: a late event within the allowed lateness corrects its window, and a later one goes to a side
//! output. After Flink's `sideOutputLateData`.

use telemetra::prelude::*;

#[derive(serde::Deserialize)]
struct Reading {
    meter: String,
    time: EventTime,
    watts: u64,
}

impl Event for Reading {
    type Key = String;
    fn time(&self) -> EventTime {
        self.time
    }
    fn key(&self) -> &str {
        &self.meter
    }
}

pub(crate) fn run(tables: &MemorySink) -> anyhow::Result<()> {
    let readings = [
        r#"{"meter": "m1", "time": "2026-01-01T09:00:10Z", "watts": 100}"#,
        r#"{"meter": "m1", "time": "2026-01-01T09:03:00Z", "watts": 300}"#,
        // This event is two minutes late: its window has a second revision.
        r#"{"meter": "m1", "time": "2026-01-01T09:00:50Z", "watts": 500}"#,
        r#"{"meter": "m1", "time": "2026-01-01T10:00:00Z", "watts": 100}"#,
        // This event is an hour late: too late.
        r#"{"meter": "m1", "time": "2026-01-01T09:00:30Z", "watts": 900}"#,
    ];
    let time =
        TimeConfig { out_of_orderness: seconds(10), allowed_lateness: minutes(5), ..TimeConfig::default() };
    let report = Pipeline::<Reading>::new()
        .source(crate::records(readings), SerdeJson::new())
        .sink(tables.clone())
        .time(time)
        .group("consumption", tumbling(minutes(1)), |a| a.max("peak", |reading| reading.watts))
        .key_columns(["meter"])
        .start()?
        .wait()?;
    println!("{} late, {} too late", report.fates.late_applied, report.fates.too_late);
    Ok(())
}

#[test]
fn late_readings_correct_their_window() -> anyhow::Result<()> {
    let tables = MemorySink::new();
    run(&tables)?;
    let consumption = crate::summaries::<String, Option<i64>>(&tables, "consumption");
    assert_eq!(consumption.len(), 3);
    assert_eq!((consumption[0].2, tables.table("consumption")[0].revision), (Some(500), 1));
    let letters = tables.dead_letters();
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].fate, Fate::TooLate);
    Ok(())
}
