//! Deduplication by id, within the allowed lateness. After Flink's deduplication and Kafka Streams' `EventDeduplication`.

use telemetra::core::EventId;
use telemetra::prelude::*;

#[derive(serde::Deserialize)]
struct Payment {
    id: String,
    shop: String,
    time: EventTime,
    cents: u64,
}

impl Event for Payment {
    type Key = String;
    fn time(&self) -> EventTime {
        self.time
    }
    fn key(&self) -> &str {
        &self.shop
    }
    fn id(&self) -> Option<EventId> {
        Some(EventId::of(&self.id))
    }
}

pub(crate) fn run(tables: &MemorySink) -> anyhow::Result<()> {
    let payments = [
        r#"{"id": "p1", "shop": "north", "time": "2026-01-01T09:00:00Z", "cents": 350}"#,
        r#"{"id": "p2", "shop": "north", "time": "2026-01-01T09:00:10Z", "cents": 120}"#,
        // The producer sends it again, as it got no acknowledgement.
        r#"{"id": "p1", "shop": "north", "time": "2026-01-01T09:00:00Z", "cents": 350}"#,
    ];
    let report = Pipeline::<Payment>::new()
        .source(crate::records(payments), SerdeJson::new())
        .sink(tables.clone())
        .time(TimeConfig { deduplicate: true, ..TimeConfig::default() })
        .group("turnover", tumbling(minutes(1)), |a| a.sum("cents", |payment| payment.cents))
        .key_columns(["shop"])
        .start()?
        .wait()?;
    println!("{} of {} were duplicates", report.fates.duplicate, report.fates.read);
    Ok(())
}

#[test]
fn what_is_sent_twice_counts_once() -> anyhow::Result<()> {
    let tables = MemorySink::new();
    run(&tables)?;
    let turnover = crate::summaries::<String, i128>(&tables, "turnover");
    assert_eq!(turnover, [("north".to_owned(), 1_767_258_000_000, 470)]);
    Ok(())
}
