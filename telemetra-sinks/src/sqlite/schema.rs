//! The schema of an SQLite database: it creates the tables that are missing, adds new columns, and checks that the rest fits.

use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, TransactionBehavior};
use telemetra_core::{Column, ColumnKind, ExternalError, Table};

use super::error::{failed, refused};

/// Counts up whenever the fixed tables change.
const VERSION: i64 = 1;
/// Marks a database as ours: "TLMT".
const APPLICATION: i64 = 0x544c_4d54;

/// The tables of every database: the time reached, and the dead letters.
const FIXED: &str = "
    CREATE TABLE telemetra_progress (id INTEGER PRIMARY KEY CHECK (id = 1), time INTEGER NOT NULL) STRICT;
    CREATE TABLE telemetra_dead_letters (
        \"partition\" TEXT NOT NULL, \"offset\" INTEGER NOT NULL, idx INTEGER NOT NULL,
        fate TEXT NOT NULL, reason TEXT NOT NULL, bytes BLOB NOT NULL,
        PRIMARY KEY (\"partition\", \"offset\", idx)
    ) STRICT;
";

/// Makes the tables that there are not, and checks those that there are.
pub(super) fn prepare(
    connection: &Connection,
    path: &Path,
    tables: &[Arc<Table>],
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
    let is_new = application != APPLICATION;
    if is_new {
        let found: i64 = connection
            .query_row("SELECT count(*) FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'", [], |row| {
                row.get(0)
            })
            .map_err(read)?;
        if found > 0 || application != 0 {
            return Err(refused(path, "it has tables that telemetra did not make; use another file"));
        }
    }
    let made = |error| failed(path, &"could not make the tables", error);
    if is_new {
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(())).map_err(made)?;
    }
    let behaviour = TransactionBehavior::Immediate;
    let transaction = rusqlite::Transaction::new_unchecked(connection, behaviour).map_err(made)?;
    if is_new {
        transaction.execute_batch(FIXED).map_err(made)?;
        transaction.pragma_update(None, "application_id", APPLICATION).map_err(made)?;
        transaction.pragma_update(None, "user_version", VERSION).map_err(made)?;
    }
    for table in tables {
        let found = columns_of(&transaction, table).map_err(|error| {
            failed(path, &format!("could not read the columns of {}", table.name()), error)
        })?;
        let statements = if found.is_empty() {
            vec![create_table(table)]
        } else {
            fit(table, &found).map_err(|why| refused(path, why))?
        };
        let statements = statements.into_iter().chain(create_indexes(table));
        statements.map(|sql| transaction.execute_batch(&sql)).collect::<Result<(), _>>().map_err(made)?;
    }
    transaction.commit().map_err(made)
}

/// Deletes all rows, in one transaction.
pub(super) fn clear(connection: &Connection, tables: &[Arc<Table>]) -> rusqlite::Result<()> {
    let transaction = rusqlite::Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    let tables = tables.iter().map(|table| table.name());
    for table in tables.chain(["telemetra_dead_letters", "telemetra_progress"]) {
        transaction.execute(&format!("DELETE FROM {}", quoted(table)), [])?;
    }
    transaction.commit()
}

/// The columns of a table that exists, each with its place in the primary key, from 1, or 0.
fn columns_of(connection: &Connection, table: &Table) -> rusqlite::Result<Vec<(String, i64)>> {
    let mut statement = connection.prepare("SELECT name, pk FROM pragma_table_info(?1)")?;
    statement.query_map([table.name()], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// The key columns in the order of the tree: times first. Then a batch lies side by side, and is written several times as fast as when
/// each of its rows goes to the page of its subject. Only narrow indexes are written here and there.
fn stored_key(table: &Table) -> Vec<&str> {
    let is_time = |column: &&Column| column.kind == ColumnKind::Time;
    let times = table.keys().iter().filter(is_time);
    let others = table.keys().iter().filter(|column| !is_time(column));
    times.chain(others).map(|column| &*column.name).collect()
}

fn create_table(table: &Table) -> String {
    let keys: Vec<_> = stored_key(table).into_iter().map(quoted).collect();
    format!(
        "CREATE TABLE {} ({}, PRIMARY KEY ({})) STRICT, WITHOUT ROWID",
        quoted(table.name()),
        table.all_columns().iter().map(define).collect::<Vec<_>>().join(", "),
        keys.join(", ")
    )
}

fn create_indexes(table: &Table) -> impl Iterator<Item = String> + '_ {
    table.indexes().iter().map(|index| {
        let columns: Vec<_> = index.columns.iter().map(|column| quoted(column)).collect();
        let condition = index.only.as_ref().map(|only| format!(" WHERE {only}")).unwrap_or_default();
        format!(
            "CREATE INDEX IF NOT EXISTS {} ON {} ({}){condition}",
            quoted(&index.name),
            quoted(table.name()),
            columns.join(", ")
        )
    })
}

/// The statements that make a table that exists fit, or why it cannot.
fn fit(table: &Table, found: &[(String, i64)]) -> Result<Vec<String>, String> {
    let name = table.name();
    let mut key: Vec<_> = found.iter().filter(|(_, place)| *place > 0).collect();
    key.sort_by_key(|(_, place)| *place);
    let key: Vec<_> = key.into_iter().map(|(name, _)| name.as_str()).collect();
    if key != stored_key(table) {
        let (has, wants) = (key.join(", "), stored_key(table).join(", "));
        return Err(format!(
            "its table {name} has the key {has}, and this pipeline's has {wants}; use another file, or name the table otherwise"
        ));
    }
    let columns = table.all_columns();
    if let Some((other, _)) =
        found.iter().find(|(found, _)| !columns.iter().any(|column| column.name == *found))
    {
        let has: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
        let wants: Vec<_> = columns.iter().map(|column| &*column.name).collect();
        return Err(format!(
            "its table {name} has the column {other}, which this pipeline does not write: it has the columns {}, and the pipeline's table {}; \
             use another file, or name the table otherwise",
            has.join(", "),
            wants.join(", ")
        ));
    }
    let mut added = Vec::new();
    for column in columns.iter().filter(|column| !found.iter().any(|(found, _)| column.name == *found)) {
        if !column.nullable {
            return Err(format!(
                "its table {name} has no column {}, and rows that are there would have no value for it; \
                 let the column be null, or use another file",
                column.name
            ));
        }
        added.push(format!("ALTER TABLE {} ADD COLUMN {}", quoted(name), define(column)));
    }
    Ok(added)
}

fn define(column: &Column) -> String {
    let null = if column.nullable { "" } else { " NOT NULL" };
    format!("{} {}{null}", quoted(&column.name), type_of(column.kind))
}

fn type_of(kind: ColumnKind) -> &'static str {
    match kind {
        ColumnKind::Bool | ColumnKind::Integer | ColumnKind::Time => "INTEGER",
        ColumnKind::Float => "REAL",
        ColumnKind::Bytes => "BLOB",
        _ => "TEXT",
    }
}

/// A name as an identifier of SQL.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
