//! The webhook keeps the contract of sinks: a receiver that applies each id once has the tables.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value as Json;
use telemetra_core::testkit::{HeldRow, sink_compliance, tables_of_history};
use telemetra_core::{ColumnKind, Table};
use telemetra_sinks::Webhook;

use crate::receiver::Receiver;

/// The key of a body, in the words of the suite.
fn key_of(table: &Table, body: &Json) -> String {
    let part = |column: &telemetra_core::Column| {
        let text = body[&*column.name].as_str().unwrap();
        match column.kind {
            ColumnKind::Time => text.parse::<jiff::Timestamp>().unwrap().as_millisecond().to_string(),
            _ => text.to_owned(),
        }
    };
    table.keys().iter().map(part).collect::<Vec<_>>().join("/")
}

/// The tables of a receiver.
fn held(receiver: &Receiver) -> Vec<HeldRow> {
    let (mut rows, mut seen, tables) = (BTreeMap::new(), BTreeSet::new(), tables_of_history());
    for request in receiver.requests() {
        if !seen.insert(request.id().to_owned()) {
            continue;
        }
        let body = request.json();
        let table = tables.iter().find(|table| table.name() == body["table"]).unwrap();
        let place = (table.name().to_owned(), key_of(table, &body));
        match body["action"].as_str().unwrap() {
            "upsert" => rows.insert(place, body.to_string()),
            _ => rows.remove(&place),
        };
    }
    rows.into_iter().map(|((table, key), contents)| HeldRow { table, key, contents }).collect()
}

#[test]
fn compliance() {
    const ALL: [&str; 4] = ["devices", "device_minute", "moments", "payments"];
    let folder = tempfile::tempdir().unwrap();
    let receivers: std::cell::RefCell<HashMap<u32, Receiver>> = std::cell::RefCell::default();
    sink_compliance(
        &ALL,
        |n| {
            let mut receivers = receivers.borrow_mut();
            let url = receivers.entry(n).or_insert_with(Receiver::start).url();
            let webhook = Webhook::new(&url, folder.path().join(n.to_string())).unwrap();
            Box::new(ALL.iter().fold(webhook, |webhook, table| webhook.table(table)))
        },
        |n| held(&receivers.borrow()[&n]),
    );
}
