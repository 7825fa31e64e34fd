//! The sink keeps the contract, as a reader by DuckDB and PyArrow sees it.

use serde_json::Value as Json;
use telemetra_core::testkit::{HeldRow, sink_compliance, tables_of_history};
use telemetra_sinks::Parquet;

use crate::reader::read;

#[test]
fn compliance() {
    let folder = tempfile::tempdir().unwrap();
    let store = |n: u32| folder.path().join(n.to_string());
    let tables = tables_of_history();
    let names: Vec<_> = tables.iter().map(|table| table.name()).collect();
    let held = |table: &telemetra_core::Table, row: &Json| {
        let part = |column: &telemetra_core::Column| match &row[&*column.name] {
            Json::String(text) => text.clone(),
            other => other.to_string(),
        };
        let key = table.keys().iter().map(part).collect::<Vec<_>>().join("/");
        HeldRow { table: table.name().to_owned(), key, contents: row.to_string() }
    };
    // Files are made after each batch, so that they can be read.
    sink_compliance(
        &names,
        |n| Box::new(Parquet::new(store(n)).rotate_bytes(1)),
        |n| {
            let found = read(&store(n), &tables);
            let of = |table: &std::sync::Arc<telemetra_core::Table>| {
                found.current(table.name()).iter().map(|row| held(table, row)).collect::<Vec<_>>()
            };
            tables.iter().flat_map(of).collect()
        },
    );
}
