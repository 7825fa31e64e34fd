//! Tables that change from one run to the next.

use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;
use telemetra_core::{Column, ColumnKind, EventTime, Layout, Retry, Sink, Table};
use telemetra_sinks::Sqlite;

use super::rows::{batch, devices, one, open, readings, schema};

fn table(layout: &Layout<(String, u64)>) -> Table {
    layout.table().as_ref().clone()
}

#[test]
fn a_table_gains_columns_and_indexes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let write = |layout: &Layout<(String, u64)>, nth, device: &str| {
        let mut sink = Sqlite::new(&path);
        let before = sink.open(&[Arc::clone(layout.table())], None).unwrap();
        sink.apply(&[batch(nth, vec![layout.upsert((device.to_owned(), nth), 0)])]).unwrap();
        before
    };
    let a = Column::new("a", ColumnKind::Integer);
    let b = Column::new("b", ColumnKind::Integer);
    open(&path, table(&devices(&[]))).unwrap();
    // An empty table takes any column.
    write(&devices(std::slice::from_ref(&a)), 1, "d1");

    let error = open(&path, table(&devices(&[a.clone(), b.clone()]))).unwrap_err();
    assert_eq!(error.retry(), Retry::Permanent);
    assert!(error.to_string().contains("the table devices has rows and lacks the column b"), "{error}");

    let wide = devices(&[a.clone(), b.clone().or_null()]).map_table(|table| table.index(["b"]));
    assert_eq!(write(&wide, 2, "d2"), Some(batch(1, vec![]).time), "it goes on from where it was");
    let row = |device: &str| {
        let sql = format!("SELECT a || ' ' || ifnull(b, 'null') FROM devices WHERE device = '{device}'");
        one::<String>(&path, &sql)
    };
    assert_eq!((row("d1"), row("d2")), ("1 null".to_owned(), "2 2".to_owned()));
    let has = |sql: &str| assert!(schema(&path).contains(sql), "{}", schema(&path));
    has(r#"CREATE INDEX "devices_by_b" ON "devices" ("b")"#);

    // An index over other columns is made anew; one that a reader made is left alone.
    Connection::open(&path).unwrap().execute_batch("CREATE INDEX mine ON devices (a)").unwrap();
    let wide = devices(&[a.clone(), b.clone().or_null()])
        .map_table(|table| table.index_named("devices_by_b", ["b", "a"], Some("a > 1")));
    write(&wide, 3, "d3");
    has(r#""devices_by_b" ON "devices" ("b", "a") WHERE a > 1"#);
    has("INDEX mine");

    // A column that is lost stays; if it may not be null, no row could be written.
    write(&devices(&[a]), 4, "d2");
    assert_eq!((row("d2"), row("d3")), ("4 null".to_owned(), "3 3".to_owned()));
    let error = open(&path, table(&devices(&[b.or_null()]))).unwrap_err();
    assert!(error.to_string().contains("the column a of the table devices may not be null"), "{error}");
    assert_eq!(one::<String>(&path, "PRAGMA integrity_check"), "ok");
}

#[test]
fn a_table_that_does_not_fit_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let text = |name| Column::new(name, ColumnKind::Text);
    let n = || Column::nullable("n", ColumnKind::Integer);
    let base = || Table::new("devices").key(text("device"));
    open(&path, base().column(n()).column(text("name")).index(["n"])).unwrap();
    let start = schema(&path);
    let refused = |table: Table, wanted: &str| {
        let error = open(&path, table).unwrap_err();
        assert_eq!(error.retry(), Retry::Permanent);
        assert!(error.to_string().contains(wanted) && error.to_string().contains("t.db"), "{error}");
        assert_eq!(schema(&path), start, "a table that is refused changes nothing");
    };
    refused(
        base().key(text("site")).column(n()),
        "the table devices has the key (device) there and (device, site)",
    );
    refused(
        Table::new("devices").key(text("site")).column(n()),
        "the table devices has the key (device) there and (site) in this pipeline",
    );
    refused(
        base().column(Column::nullable("n", ColumnKind::Text)).column(text("name")),
        "the column n of the table devices is INTEGER there and TEXT in this pipeline",
    );
    refused(
        base().column(n()).column(text("name").or_null()),
        "the column name of the table devices may not be null there and may be null in this pipeline",
    );
    refused(base().column(n()).column(text("name")).index(["q"]), "`q`");
    let other = Table::new("others").key(text("device")).index_named("devices_by_n", ["device"], None);
    refused(other, "the index devices_by_n of the table others is one of the table devices there");
    let fits = base().column(n()).column(text("name"));
    let both = [fits.clone().index(["n"]), fits.clone().index(["n"]).renamed("others")].map(Arc::new);
    let error = Sqlite::new(&path).open(&both, None).unwrap_err();
    assert!(error.to_string().contains("two tables have an index devices_by_n"), "{error}");
    let twice = [Arc::new(fits.clone()), Arc::new(fits.renamed("Devices"))];
    let error = Sqlite::new(&path).open(&twice, None).unwrap_err();
    assert!(error.to_string().contains("two tables are called Devices"), "{error}");
}

#[test]
fn a_table_that_somebody_made_later_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    Sqlite::new(&path).open(&[], None).unwrap();
    let made =
        "CREATE TABLE Devices (device TEXT NOT NULL PRIMARY KEY); INSERT INTO devices VALUES ('theirs')";
    Connection::open(&path).unwrap().execute_batch(made).unwrap();
    let start = schema(&path);
    let wider = devices(&[Column::nullable("n", ColumnKind::Integer)]);
    for mut sink in [Sqlite::new(&path), Sqlite::new(&path).start_over()] {
        let error = sink.open(&[Arc::clone(wider.table())], None).unwrap_err();
        assert_eq!(error.retry(), Retry::Permanent);
        assert!(error.to_string().contains("a table devices that telemetra did not make"), "{error}");
        assert_eq!((schema(&path), one::<i64>(&path, "SELECT count(*) FROM devices")), (start.clone(), 1));
    }
}

/// The schema of an earlier release, which wrote the names of tables and indexes without quotes.
const EARLIER: &str = r#"PRAGMA journal_mode = WAL;
CREATE TABLE device_minute ("device" TEXT NOT NULL, "window_start" INTEGER NOT NULL, \
"window_end" INTEGER NOT NULL, "readings" INTEGER NOT NULL, "per_second" REAL NOT NULL, "mean" REAL, \
"names" TEXT NOT NULL, \
"revision" INTEGER NOT NULL, "updated_at" INTEGER NOT NULL, \
PRIMARY KEY ("window_start", "device")) STRICT, WITHOUT ROWID;
CREATE TABLE telemetra_progress (id INTEGER PRIMARY KEY CHECK (id = 1), time INTEGER NOT NULL) STRICT;
CREATE TABLE telemetra_dead_letters (
        "partition" TEXT NOT NULL, "offset" INTEGER NOT NULL, idx INTEGER NOT NULL,
        fate TEXT NOT NULL, reason TEXT NOT NULL, bytes BLOB NOT NULL,
        PRIMARY KEY ("partition", "offset", idx)
    ) STRICT;
CREATE INDEX device_minute_by_device_window_start ON device_minute (device, window_start);
INSERT INTO telemetra_progress VALUES (1, 5);
PRAGMA application_id = 1414286676; PRAGMA user_version = 1"#;

#[test]
fn a_database_of_an_earlier_release_is_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch(&EARLIER.replace("\\\n", "")).unwrap();
    let table = readings().table().as_ref().clone();
    assert_eq!(open(&path, table.clone()).unwrap(), Some(EventTime(5)));
    let owner = "SELECT pipeline || tables || starts_over FROM telemetra_progress";
    assert_eq!(one::<String>(&path, owner), "telemetra[\"device_minute\"]0");
    // Now there is nothing to make, so opening does not wait for another writer.
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(open(&path, table.clone()).unwrap(), Some(EventTime(5)));
    connection.execute_batch("ROLLBACK").unwrap();

    let fresh = folder.path().join("fresh.db");
    open(&fresh, table).unwrap();
    assert_eq!(statements(&fresh), statements(&path), "a new database has the same tables");
    let version =
        "SELECT application_id || ' ' || user_version FROM pragma_application_id, pragma_user_version";
    assert_eq!(one::<String>(&fresh, version), one::<String>(&path, version));
}

/// The statements of a schema without quotes, sorted.
fn statements(path: &Path) -> Vec<String> {
    let mut all: Vec<_> = schema(path).replace('"', "").split(";\n").map(str::to_owned).collect();
    all.sort();
    all
}
