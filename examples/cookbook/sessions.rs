//! Sessions of users. After Flink's `SessionWindowing` and Kafka Streams' session windows.

use telemetra::prelude::*;

#[derive(serde::Deserialize)]
struct Click {
    user: String,
    time: EventTime,
    page: String,
}

impl Event for Click {
    type Key = String;
    fn time(&self) -> EventTime {
        self.time
    }
    fn key(&self) -> &str {
        &self.user
    }
}

pub(crate) fn run(tables: &MemorySink) -> anyhow::Result<()> {
    let clicks = [
        r#"{"user": "ada", "time": "2026-01-01T09:00:00Z", "page": "/"}"#,
        r#"{"user": "bob", "time": "2026-01-01T09:05:00Z", "page": "/"}"#,
        r#"{"user": "ada", "time": "2026-01-01T09:40:00Z", "page": "/tea"}"#,
        // A late event joins two visits.
        r#"{"user": "ada", "time": "2026-01-01T09:20:00Z", "page": "/milk"}"#,
    ];
    let lateness = TimeConfig { allowed_lateness: hours(1), ..TimeConfig::default() };
    Pipeline::<Click>::new()
        .source(crate::records(clicks), SerdeJson::new())
        .sink(tables.clone())
        .time(lateness)
        .group("visits", sessions(minutes(30)), |a| {
            (a.count("clicks"), a.distinct("pages", |click| click.page.as_str()))
        })
        .key_columns(["user"])
        .start()?
        .wait()?;
    Ok(())
}

#[test]
fn a_late_click_joins_two_visits() -> anyhow::Result<()> {
    let tables = MemorySink::new();
    run(&tables)?;
    let mut visits = crate::summaries::<String, (u64, u64)>(&tables, "visits");
    visits.sort();
    let nine = 1_767_258_000_000;
    assert_eq!(visits, [("ada".to_owned(), nine, (3, 3)), ("bob".to_owned(), nine + 300_000, (1, 1))]);
    Ok(())
}
