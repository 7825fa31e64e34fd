//! The schema of an SQLite database: it creates the tables, or checks that those in the file fit.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};
use telemetra_core::ExternalError;

use super::error::{failed, refused};
use crate::tabular::tables::Table;
use crate::{Column, Layout};

/// Counts up whenever the tables change.
const VERSION: i64 = 1;
/// Marks a database as ours: "TLMT".
const APPLICATION: i64 = 0x544c_4d54;

/// What the tables do not say themselves: the time reached, the letters, and the ways in which readers look rows up.
const FIXED: &str = "
    CREATE TABLE telemetra_progress (id INTEGER PRIMARY KEY CHECK (id = 1), time INTEGER NOT NULL) STRICT;
    CREATE TABLE telemetra_dead_letters (
        \"partition\" TEXT NOT NULL, \"offset\" INTEGER NOT NULL, idx INTEGER NOT NULL,
        fate TEXT NOT NULL, reason TEXT NOT NULL, bytes BLOB NOT NULL,
        PRIMARY KEY (\"partition\", \"offset\", idx)
    ) STRICT;
    CREATE INDEX summaries_by_stream ON chat_summary_minute (stream_id, window_start);
    CREATE INDEX moments_by_stream ON moments (stream_id, started_at);
    CREATE INDEX moments_open ON moments (started_at) WHERE ended_at IS NULL;
    CREATE INDEX viewers_by_stream ON viewer_timeseries (stream_id, timestamp);
    CREATE INDEX transactions_by_stream ON transactions (stream_id, timestamp);
";

/// Makes the tables where there are none, and checks those that there are.
pub(super) fn prepare<S>(
    connection: &Connection,
    path: &Path,
    layout: &Layout<S>,
) -> Result<(), ExternalError> {
    let read = |error| failed(path, &"could not read the version of the tables", error);
    let pragma = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (version, application) =
        (pragma("user_version").map_err(read)?, pragma("application_id").map_err(read)?);
    if application == APPLICATION && version > VERSION {
        return Err(refused(
            path,
            format!(
                "its tables have version {version} and this version of telemetra knows up to {VERSION}; \
                 use the newer telemetra, or another file"
            ),
        ));
    }
    if application == APPLICATION {
        return check(connection, path, layout);
    }
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'", [], |row| row.get(0))
        .map_err(read)?;
    if tables > 0 || application != 0 {
        return Err(refused(path, "it has tables that telemetra did not make; use another file"));
    }
    create(connection, layout).map_err(|error| failed(path, &"could not make the tables", error))
}

fn create<S>(connection: &Connection, layout: &Layout<S>) -> rusqlite::Result<()> {
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    let transaction = rusqlite::Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    for table in Table::ALL {
        transaction.execute_batch(&create_table(table, layout))?;
    }
    transaction.execute_batch(FIXED)?;
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()
}

/// Deletes all rows, in one transaction.
pub(super) fn clear(connection: &Connection) -> rusqlite::Result<()> {
    let transaction = rusqlite::Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    let tables = Table::ALL.into_iter().map(Table::name);
    for table in tables.chain(["telemetra_dead_letters", "telemetra_progress"]) {
        transaction.execute(&format!("DELETE FROM {table}"), [])?;
    }
    transaction.commit()
}

/// A table is a tree by its key, the time first where it has one: then a batch lies side by side, and is written several times as
/// fast as when each of its rows goes to the page of its stream. Only the narrow index by stream is written here and there.
fn create_table<S>(table: Table, layout: &Layout<S>) -> String {
    let columns = table.columns(layout);
    let define = |column: &Column| {
        let null = if column.nullable { "" } else { " NOT NULL" };
        format!("{} {}{null}", quoted(column.name), column.kind.sqlite())
    };
    let mut keys: Vec<_> = columns[..table.keys()].iter().map(|column| quoted(column.name)).collect();
    keys.reverse();
    format!(
        "CREATE TABLE {} ({}, PRIMARY KEY ({})) STRICT, WITHOUT ROWID",
        table.name(),
        columns.iter().map(define).collect::<Vec<_>>().join(", "),
        keys.join(", ")
    )
}

/// Only the summaries' columns can differ: they are the user's.
fn check<S>(connection: &Connection, path: &Path, layout: &Layout<S>) -> Result<(), ExternalError> {
    let table = Table::Summaries;
    let found = connection
        .prepare("SELECT name FROM pragma_table_info(?1)")
        .and_then(|mut statement| {
            statement.query_map([table.name()], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()
        })
        .map_err(|error| failed(path, &format!("could not read the columns of {}", table.name()), error))?;
    let columns = table.columns(layout);
    if columns.iter().map(|column| column.name).eq(found.iter().map(String::as_str)) {
        return Ok(());
    }
    let expected: Vec<_> = columns.iter().map(|column| column.name).collect();
    Err(refused(
        path,
        format!(
            "its table {} has the columns {}, this pipeline's summaries have {}; use another file",
            table.name(),
            found.join(", "),
            expected.join(", ")
        ),
    ))
}

/// A name as an identifier of SQL.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
