//! The contracts, by the suites of the test kit.

use std::cell::RefCell;
use std::collections::BTreeMap;

use telemetra_core::testkit::{HeldRow, sink_compliance, store_compliance};
use telemetra_core::{Shard, Sink};
use telemetra_sinks::{Postgres, PostgresStore};

use super::server::{Database, database};

const TABLES: [(&str, &str); 5] = [
    ("devices", "device"),
    ("device_minute", "device || '/' || (extract(epoch from window_start) * 1000)::bigint"),
    ("moments", "moment_id"),
    ("payments", "id"),
    ("telemetra_dead_letters", "partition || '/' || \"offset\" || '/' || idx"),
];

/// All rows of a database, in the words of the suite.
pub(crate) fn held(database: &Database) -> Vec<HeldRow> {
    let mut client = database.client();
    let mut rows = Vec::new();
    for (table, key) in TABLES {
        // Other tests have other tables.
        if client.query_one("SELECT to_regclass($1) IS NULL", &[&table]).unwrap().get(0) {
            continue;
        }
        for row in client.query(&format!("SELECT {key}, t::text FROM {table} t"), &[]).unwrap() {
            rows.push(HeldRow { table: table.to_owned(), key: row.get(0), contents: row.get(1) });
        }
    }
    rows.sort();
    rows
}

/// A database for each store that the suite asks for.
fn suite(make: impl Fn(&Database) -> Postgres) {
    let databases: RefCell<BTreeMap<u32, Database>> = RefCell::default();
    sink_compliance(
        &TABLES.map(|(table, _)| table),
        |n| {
            let mut databases = databases.borrow_mut();
            let database = databases.entry(n).or_insert_with(database);
            Box::new(make(database)) as Box<dyn Sink>
        },
        |n| held(&databases.borrow()[&n]),
    );
}

#[test]
fn the_sink_keeps_its_contract() {
    suite(|database| Postgres::new(database.config()));
}

#[test]
fn a_shard_keeps_the_contract_too() {
    suite(|database| {
        Postgres::new(database.config()).shard(Shard { index: 1, of: 3 }).pipeline("it's another")
    });
}

#[test]
fn the_store_keeps_its_contract() {
    let database = database();
    store_compliance(&mut PostgresStore::new(database.config()));
    let mut claimed = PostgresStore::new(database.config()).pipeline("other");
    telemetra_core::checkpoint::CheckpointStore::claim(&mut claimed, 0, 1).unwrap();
    store_compliance(&mut claimed);
}
