//! Fan-out: requests are read once, for several groupings and for rows of single requests. After Arroyo's
//! several sinks of one source and Kafka Streams' `split`.

use serde::{Deserialize, Serialize};
use telemetra::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
struct Request {
    page: String,
    country: String,
    time: EventTime,
    status: u16,
}

impl Event for Request {
    type Key = String;
    fn time(&self) -> EventTime {
        self.time
    }
    fn key(&self) -> &str {
        &self.page
    }
}

impl Row for Request {
    fn table() -> Table {
        Table::new("failures")
            .key(Column::new("time", ColumnKind::Time))
            .key(Column::new("page", ColumnKind::Text))
            .column(Column::new("status", ColumnKind::Integer))
    }
    fn values(&self, put: &mut dyn FnMut(Value<'_>)) {
        put(Value::Time(self.time));
        put(Value::Text(&self.page));
        put(Value::Unsigned(self.status.into()));
    }
}

pub(crate) fn run(tables: &MemorySink) -> anyhow::Result<()> {
    let requests = [
        r#"{"page": "/", "country": "ch", "time": "2026-01-01T09:00:00Z", "status": 200}"#,
        r#"{"page": "/tea", "country": "de", "time": "2026-01-01T09:00:20Z", "status": 503}"#,
        r#"{"page": "/", "country": "de", "time": "2026-01-01T09:02:00Z", "status": 200}"#,
    ];
    Pipeline::<Request>::new()
        .source(crate::records(requests), SerdeJson::new())
        .sink(tables.clone())
        .rows(|request| (request.status >= 500).then(|| request.clone()))
        .group("by_page", tumbling(minutes(1)), |a| a.count("requests"))
        .key_columns(["page"])
        .group_by(
            "by_country",
            |request| request.country.clone(),
            tumbling(hours(1)),
            |a| a.count("requests"),
        )
        .key_columns(["country"])
        .start()?
        .wait()?;
    Ok(())
}

#[test]
fn each_table_has_its_own_view_of_the_requests() -> anyhow::Result<()> {
    let tables = MemorySink::new();
    run(&tables)?;
    assert_eq!(crate::summaries::<String, u64>(&tables, "by_page").len(), 3);
    let nine = 1_767_258_000_000;
    let mut countries = crate::summaries::<String, u64>(&tables, "by_country");
    countries.sort();
    assert_eq!(countries, [("ch".to_owned(), nine, 1), ("de".to_owned(), nine, 2)]);
    let failures: Vec<_> = tables.rows_of::<Request>().into_iter().map(|request| request.page).collect();
    assert_eq!(failures, ["/tea"]);
    Ok(())
}
