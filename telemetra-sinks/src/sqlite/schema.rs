//! The schema of an SQLite database: the statements that make its tables, and the check that it is ours.

use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, TransactionBehavior};
use telemetra_core::{Column, ColumnKind, ExternalError, Index, Table};

use super::error::{failed, refused};
use super::{migrate, progress};

/// The version of the sink's own tables, increased whenever they change.
const VERSION: i64 = 4;
/// The application id that marks a database as telemetra's: "TLMT".
const APPLICATION: i64 = 0x544c_4d54;

/// The table of dead letters.
const DEAD_LETTERS: &str = "
    CREATE TABLE telemetra_dead_letters (
        \"partition\" TEXT NOT NULL, \"offset\" INTEGER NOT NULL, idx INTEGER NOT NULL,
        fate TEXT NOT NULL, reason TEXT NOT NULL, bytes BLOB NOT NULL, time INTEGER, traceparent TEXT,
        PRIMARY KEY (\"partition\", \"offset\", idx)
    ) STRICT;
";

/// From the versions before 3: the times of the events in dead letters, in milliseconds since the epoch.
const LETTER_TIMES: &str = "ALTER TABLE telemetra_dead_letters ADD COLUMN time INTEGER";

/// From the versions before 4: the traces that the records of dead letters are part of.
const LETTER_TRACES: &str = "ALTER TABLE telemetra_dead_letters ADD COLUMN traceparent TEXT";

/// The treatment of existing rows.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Rows {
    Keep,
    /// They will be deleted later. Nothing is changed yet, but what cannot work is refused.
    DeleteLater,
    Delete,
}

/// Creates missing tables, columns and indexes, and checks existing ones, in one transaction.
pub(super) fn prepare(
    connection: &Connection,
    path: &Path,
    tables: &[Arc<Table>],
    rows: Rows,
) -> Result<(), ExternalError> {
    check_names(path, tables)?;
    let version = version_of(connection, path)?;
    let mut own = Vec::new();
    match version {
        0 => own.extend([progress::TABLE, DEAD_LETTERS].map(str::to_owned)),
        1 => own.extend([progress::FROM_1, LETTER_TIMES, LETTER_TRACES].map(str::to_owned)),
        2 => own.extend([LETTER_TIMES, LETTER_TRACES].map(str::to_owned)),
        3 => own.push(LETTER_TRACES.to_owned()),
        _ => {}
    }
    if version < VERSION {
        own.push(format!("PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION}"));
    }
    let mut steps = Vec::new();
    for table in tables {
        migrate::plan(connection, path, table, rows != Rows::Keep, &mut steps)?;
    }
    if rows == Rows::DeleteLater {
        steps.clear();
    }
    steps.splice(..0, own);
    // A database that lacks nothing is not locked for writing.
    if steps.is_empty() {
        return Ok(());
    }
    run(connection, version == 0, &steps).map_err(|error| failed(path, &"could not make the tables", error))
}

/// Returns whether any of these tables has rows.
pub(super) fn has_rows(
    connection: &Connection,
    path: &Path,
    tables: &[Arc<Table>],
) -> Result<bool, ExternalError> {
    if version_of(connection, path)? == 0 {
        return Ok(false);
    }
    for table in tables {
        if migrate::has_rows(connection, table.name())
            .map_err(|error| failed(path, &format!("could not read the table {}", table.name()), error))?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

fn run(connection: &Connection, fresh: bool, steps: &[String]) -> rusqlite::Result<()> {
    if fresh {
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    }
    let transaction = rusqlite::Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    for step in steps {
        transaction.execute_batch(step)?;
    }
    transaction.commit()
}

/// Checks that table names differ in more than case, which SQLite ignores.
fn check_names(path: &Path, tables: &[Arc<Table>]) -> Result<(), ExternalError> {
    for (n, table) in tables.iter().enumerate() {
        table.check().map_err(|error| refused(path, error))?;
        if tables[..n].iter().any(|other| other.name().eq_ignore_ascii_case(table.name())) {
            return Err(refused(path, format!("two tables are called {}; rename one", table.name())));
        }
        for index in table.indexes() {
            let mut others = tables[..n].iter().flat_map(|other| other.indexes());
            if others.any(|other| other.name.eq_ignore_ascii_case(&index.name)) {
                let name = &index.name;
                let why = format!("two tables have an index {name}; give one another name by `index_named`");
                return Err(refused(path, why));
            }
        }
    }
    Ok(())
}

/// Returns the version of the sink's own tables, 0 if the database is empty. Refuses a database that is
/// neither empty nor telemetra's.
fn version_of(connection: &Connection, path: &Path) -> Result<i64, ExternalError> {
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
        return Ok(version);
    }
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'", [], |row| row.get(0))
        .map_err(read)?;
    if tables > 0 || application != 0 {
        return Err(refused(path, "it has tables that telemetra did not make; use another file"));
    }
    Ok(0)
}

/// Returns the statement that creates a table.
///
/// A table is stored as a tree by its key, columns of time first. So the rows of a batch are next to each
/// other, and written several times as fast as if each went to the page of its subject.
pub(super) fn create_table(table: &Table) -> String {
    let columns: Vec<_> = table.all_columns().iter().map(definition).collect();
    let keys: Vec<_> = key_order(table).into_iter().map(quoted).collect();
    format!(
        "CREATE TABLE {} ({}, PRIMARY KEY ({})) STRICT, WITHOUT ROWID",
        quoted(table.name()),
        columns.join(", "),
        keys.join(", ")
    )
}

/// Returns the statement that creates an index of a table.
pub(super) fn create_index(table: &Table, index: &Index) -> String {
    let columns: Vec<_> = index.columns.iter().map(|column| quoted(column)).collect();
    let only = index.only.as_ref().map(|only| format!(" WHERE {only}")).unwrap_or_default();
    format!("CREATE INDEX {} ON {} ({}){only}", quoted(&index.name), quoted(table.name()), columns.join(", "))
}

/// Returns a column's name and type, for `CREATE TABLE` and `ALTER TABLE`.
pub(super) fn definition(column: &Column) -> String {
    let null = if column.nullable { "" } else { " NOT NULL" };
    format!("{} {}{null}", quoted(&column.name), sql_type(column.kind))
}

/// Returns the names of the key columns in the order of the primary key, columns of time first.
pub(super) fn key_order(table: &Table) -> Vec<&str> {
    let (times, others): (Vec<&Column>, Vec<&Column>) =
        table.keys().iter().partition(|column| column.kind == ColumnKind::Time);
    times.into_iter().chain(others).map(|column| &*column.name).collect()
}

/// Returns the SQL type of a kind of column.
pub(super) fn sql_type(kind: ColumnKind) -> &'static str {
    match kind {
        ColumnKind::Bool | ColumnKind::Integer | ColumnKind::Time => "INTEGER",
        ColumnKind::Float => "REAL",
        ColumnKind::Decimal
        | ColumnKind::Text
        | ColumnKind::Json
        | ColumnKind::Integers
        | ColumnKind::Floats
        | ColumnKind::Texts => "TEXT",
        ColumnKind::Bytes => "BLOB",
        // The kind is newer than this sink.
        _ => "ANY",
    }
}

/// Quotes a name as an SQL identifier.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
