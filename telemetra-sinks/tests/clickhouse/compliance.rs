//! The sink keeps the contract, as a query with `FINAL` sees it.

use std::cell::RefCell;
use std::collections::HashMap;

use serde_json::Value as Json;
use telemetra_core::ColumnKind;
use telemetra_core::testkit::{HeldRow, sink_compliance, tables_of_history};

use crate::{Database, newer};

#[test]
fn compliance() {
    keeps_the_contract(&Database::new);
}

#[test]
fn compliance_of_a_newer_version() {
    keeps_the_contract(&|| Database::made(newer().to_owned(), Database::name()));
}

fn keeps_the_contract(make: &dyn Fn() -> Database) {
    let databases: RefCell<HashMap<u32, Database>> = RefCell::default();
    let tables = tables_of_history();
    let names: Vec<_> = tables.iter().map(|table| table.name()).collect();
    sink_compliance(
        &names,
        |n| Box::new(databases.borrow_mut().entry(n).or_insert_with(make).sink()),
        |n| {
            let databases = databases.borrow();
            let mut held = Vec::new();
            for table in &tables {
                let name = table.name();
                for row in databases[&n].rows(&format!("SELECT * FROM {name}_current")) {
                    let part = |column: &telemetra_core::Column| match &row[&*column.name] {
                        // Before 20.4 times are milliseconds.
                        Json::String(text) if column.kind == ColumnKind::Time && text.contains(':') => {
                            let time: jiff::Timestamp =
                                format!("{}Z", text.replace(' ', "T")).parse().unwrap();
                            time.as_millisecond().to_string()
                        }
                        Json::String(text) => text.clone(),
                        other => other.to_string(),
                    };
                    let key = table.keys().iter().map(part).collect::<Vec<_>>().join("/");
                    held.push(HeldRow { table: name.to_owned(), key, contents: row.to_string() });
                }
            }
            held
        },
    );
}
