//! The best sold items of the last hour, updated as orders come. After Flink's Top-N query.

use telemetra::prelude::*;

#[derive(serde::Deserialize)]
struct Order {
    item: String,
    time: EventTime,
    pieces: u64,
}

impl Event for Order {
    type Key = String;
    fn time(&self) -> EventTime {
        self.time
    }
    fn key(&self) -> &str {
        &self.item
    }
}

pub(crate) fn run(tables: &MemorySink) -> anyhow::Result<()> {
    let orders = [
        r#"{"item": "tea", "time": "2026-01-01T09:10:00Z", "pieces": 3}"#,
        r#"{"item": "milk", "time": "2026-01-01T09:20:00Z", "pieces": 5}"#,
        r#"{"item": "salt", "time": "2026-01-01T09:30:00Z", "pieces": 1}"#,
        r#"{"item": "rice", "time": "2026-01-01T09:40:00Z", "pieces": 4}"#,
        r#"{"item": "tea", "time": "2026-01-01T09:50:00Z", "pieces": 4}"#,
    ];
    let best = Layout::ranked("best_sold", &["item"]);
    Pipeline::<Order>::new()
        .source(crate::records(orders), SerdeJson::new())
        .sink(tables.clone())
        .table_of(Table::clone(best.table()))
        .group("sold", sliding(hours(1), minutes(10)), |a| a.sum("pieces", |order| order.pieces))
        .key_columns(["item"])
        .unpublished()
        .extend(move |group| {
            let now = group.summaries.clone().latest(group.windows);
            group.publish_as(
                &best,
                now.top(3, "best sold", |pieces| i64::try_from(*pieces).unwrap_or(i64::MAX)),
            );
        })
        .start()?
        .wait()?;
    Ok(())
}

#[test]
fn the_board_follows_the_last_hour() -> anyhow::Result<()> {
    use telemetra::core::{Action, Ranked};
    let tables = MemorySink::new().with_log();
    run(&tables)?;
    let changes: Vec<_> = tables.batches().into_iter().flat_map(|batch| batch.changes).collect();
    let best = |pieces: i64| {
        changes.iter().any(|change| {
            let place = change.row::<Ranked<String>>();
            change.action == Action::Upsert
                && place.is_some_and(|place| place.rank == 1 && place.key == "tea" && place.value == pieces)
        })
    };
    assert!(best(3) && best(7), "{changes:?}");
    // At the end of input no item has orders in the last hour any more.
    assert!(tables.table("best_sold").is_empty());
    Ok(())
}
