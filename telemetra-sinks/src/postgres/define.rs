//! The SQL that creates tables, columns and indexes.

use std::fmt::Write;

use telemetra_core::{Column, ColumnKind, Table};

use super::fit::FoundColumn;

/// Returns the names of a table's key columns. A table that is partitioned by day needs the time among them.
pub(super) fn keys(table: &Table, partitioned: bool) -> Vec<&str> {
    let mut keys: Vec<&str> = table.keys().iter().map(|column| &*column.name).collect();
    if let Some(day) = table.day_column().filter(|day| partitioned && !keys.contains(&&*day.name)) {
        keys.push(&day.name);
    }
    keys
}

/// Returns the statement that creates a table. Rows are stored in the order in which they arrive; the key's
/// index finds those of a subject.
pub(super) fn create_table(table: &Table, partitioned: bool) -> String {
    let mut sql = format!("CREATE TABLE {} (", quoted(table.name()));
    for column in table.all_columns() {
        let _ = write!(sql, "{}, ", define(column));
    }
    let keys: Vec<_> = keys(table, partitioned).into_iter().map(quoted).collect();
    let _ = write!(sql, "PRIMARY KEY ({}))", keys.join(", "));
    if let Some(column) = table.day_column().filter(|_| partitioned) {
        let _ = write!(sql, " PARTITION BY RANGE ({})", quoted(&column.name));
    }
    sql.push(';');
    sql
}

/// Returns the statements that create indexes, except one over the key, which exists already.
pub(super) fn create_indexes(table: &Table, partitioned: bool) -> String {
    let keys = keys(table, partitioned);
    let mut sql = String::new();
    for index in table.indexes().iter().filter(|index| index.only.is_some() || index.columns != keys) {
        let columns: Vec<_> = index.columns.iter().map(|column| quoted(column)).collect();
        let (name, on) = (quoted(&index.name), quoted(table.name()));
        let _ = write!(sql, "CREATE INDEX IF NOT EXISTS {name} ON {on} ({})", columns.join(", "));
        if let Some(only) = &index.only {
            let _ = write!(sql, " WHERE {only}");
        }
        sql.push(';');
    }
    sql
}

/// Returns the statements that add missing nullable columns. Existing rows would have no value for any other
/// column.
pub(super) fn add_columns(table: &Table, found: &[FoundColumn]) -> String {
    let is_new = |column: &&Column| column.nullable && !found.iter().any(|found| found.name == column.name);
    let added = table.all_columns().iter().filter(is_new);
    added
        .map(|column| format!("ALTER TABLE {} ADD COLUMN {};", quoted(table.name()), define(column)))
        .collect()
}

/// Returns a column's name, type and null constraint.
fn define(column: &Column) -> String {
    let null = if column.nullable { "" } else { " NOT NULL" };
    format!("{} {}{null}", quoted(&column.name), type_of(column.kind))
}

/// Returns the type of a column, as Postgres names it.
pub(super) fn type_of(kind: ColumnKind) -> &'static str {
    match kind {
        ColumnKind::Bool => "boolean",
        ColumnKind::Integer => "bigint",
        ColumnKind::Float => "double precision",
        ColumnKind::Decimal => "numeric(39,6)",
        ColumnKind::Time => "timestamp with time zone",
        ColumnKind::Json => "jsonb",
        ColumnKind::Bytes => "bytea",
        ColumnKind::Integers => "bigint[]",
        ColumnKind::Floats => "double precision[]",
        ColumnKind::Texts => "text[]",
        _ => "text",
    }
}

/// Quotes a text as an SQL literal, under `standard_conforming_strings`.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Quotes a name as an SQL identifier.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
