//! Migration: adds what an existing table lacks, and checks that its columns and key fit.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension};
use telemetra_core::{ExternalError, Table};

use super::error::{failed, refused};
use super::schema::{create_index, create_table, definition, key_order, quoted, sql_type};

/// A column of an existing table.
struct Found {
    name: String,
    sql_type: String,
    not_null: bool,
    default: bool,
    /// The position in the primary key, from 1; 0 if the column is not part of it.
    key: i64,
}

/// Adds the statements that bring `table` up to date: they create the table, or its missing columns and
/// indexes.
///
/// # Errors
///
/// If the existing table has another key or a column that does not fit. The message names the table and the
/// column.
pub(super) fn plan(
    connection: &Connection,
    path: &Path,
    table: &Table,
    clear: bool,
    steps: &mut Vec<String>,
) -> Result<(), ExternalError> {
    let name = table.name();
    let read = |error| failed(path, &format!("could not read the columns of the table {name}"), error);
    let found = columns(connection, name).map_err(read)?;
    if found.is_empty() {
        steps.push(create_table(table));
        return plan_indexes(connection, path, table, steps);
    }
    check_made(connection, path, name)?;
    check_key(path, table, &found)?;
    check_columns(path, table, &found)?;
    if clear {
        steps.push(format!("DELETE FROM {}", quoted(name)));
    }
    let empty = clear || !has_rows(connection, name).map_err(read)?;
    for column in table.all_columns() {
        if found.iter().any(|known| known.name.eq_ignore_ascii_case(&column.name)) {
            continue;
        }
        if !column.nullable && !empty {
            return Err(refused(
                path,
                format!(
                    "the table {name} has rows and lacks the column {}, which may not be null; let it be \
                     null, start over, or use another file",
                    column.name
                ),
            ));
        }
        steps.push(format!("ALTER TABLE {} ADD COLUMN {}", quoted(name), definition(column)));
    }
    plan_indexes(connection, path, table, steps)
}

/// Returns the columns of a table.
fn columns(connection: &Connection, table: &str) -> rusqlite::Result<Vec<Found>> {
    let mut statement = connection
        .prepare("SELECT name, type, \"notnull\", dflt_value IS NOT NULL, pk FROM pragma_table_info(?1)")?;
    let rows = statement.query_map([table], |row| {
        Ok(Found {
            name: row.get(0)?,
            sql_type: row.get(1)?,
            not_null: row.get(2)?,
            default: row.get(3)?,
            key: row.get(4)?,
        })
    })?;
    rows.collect()
}

/// Checks that telemetra made an existing table, as it must not change anybody else's: its tables are strict
/// and without row ids, which others hardly are.
fn check_made(connection: &Connection, path: &Path, table: &str) -> Result<(), ExternalError> {
    let ours: bool = connection
        .query_row(
            "SELECT EXISTS (
                SELECT 1 FROM pragma_table_list
                WHERE schema = 'main' AND name = ?1 COLLATE NOCASE AND type = 'table' AND strict AND wr
             )",
            [table],
            |row| row.get(0),
        )
        .map_err(|error| failed(path, &format!("could not read what the table {table} is"), error))?;
    if ours {
        return Ok(());
    }
    let why = format!("it has a table {table} that telemetra did not make; rename one, or use another file");
    Err(refused(path, why))
}

/// Returns whether the table exists and has rows.
pub(super) fn has_rows(connection: &Connection, table: &str) -> rusqlite::Result<bool> {
    if columns(connection, table)?.is_empty() {
        return Ok(false);
    }
    connection.query_row(&format!("SELECT EXISTS (SELECT 1 FROM {})", quoted(table)), [], |row| row.get(0))
}

/// Checks the primary key. Rows are overwritten by their key, so a table with another key would hold other
/// rows.
fn check_key(path: &Path, table: &Table, found: &[Found]) -> Result<(), ExternalError> {
    let mut keys: Vec<_> = found.iter().filter(|column| column.key > 0).collect();
    keys.sort_by_key(|column| column.key);
    let keys: Vec<_> = keys.into_iter().map(|column| &*column.name).collect();
    let wanted = key_order(table);
    let same = keys.len() == wanted.len() && keys.iter().zip(&wanted).all(|(a, b)| a.eq_ignore_ascii_case(b));
    if same {
        return Ok(());
    }
    Err(refused(
        path,
        format!(
            "the table {} has the key ({}) there and ({}) in this pipeline; rename the table, or \
             use another file",
            table.name(),
            keys.join(", "),
            wanted.join(", ")
        ),
    ))
}

/// Checks the columns that the database has.
fn check_columns(path: &Path, table: &Table, found: &[Found]) -> Result<(), ExternalError> {
    for known in found {
        let (name, place) = (table.name(), &known.name);
        let column = table.all_columns().iter().find(|column| column.name.eq_ignore_ascii_case(place));
        let why = match column {
            None if known.not_null && !known.default => {
                format!("may not be null there, and no column of this pipeline's table {name} is called so")
            }
            Some(column) if !known.sql_type.eq_ignore_ascii_case(sql_type(column.kind)) => {
                format!("is {} there and {} in this pipeline", known.sql_type, sql_type(column.kind))
            }
            Some(column) if column.nullable && known.not_null => {
                "may not be null there and may be null in this pipeline".to_owned()
            }
            _ => continue,
        };
        return Err(refused(
            path,
            format!("the column {place} of the table {name} {why}; rename it, or use another file"),
        ));
    }
    Ok(())
}

/// Creates missing indexes, and replaces those whose columns or condition have changed. Indexes with other
/// names are left alone, as they may be a reader's.
fn plan_indexes(
    connection: &Connection,
    path: &Path,
    table: &Table,
    steps: &mut Vec<String>,
) -> Result<(), ExternalError> {
    for index in table.indexes() {
        let found: Option<(String, String)> = connection
            .query_row(
                "SELECT tbl_name, coalesce(sql, '') FROM sqlite_schema
                 WHERE type = 'index' AND name = ?1 COLLATE NOCASE",
                [&*index.name],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()
            .map_err(|error| failed(path, &format!("could not read the index {}", index.name), error))?;
        let wanted = create_index(table, index);
        let Some((owner, sql)) = found else {
            steps.push(wanted);
            continue;
        };
        if !owner.eq_ignore_ascii_case(table.name()) {
            return Err(refused(
                path,
                format!(
                    "the index {} of the table {} is one of the table {owner} there; give it another name by \
                     `index_named`",
                    index.name,
                    table.name()
                ),
            ));
        }
        // SQLite stores the text of the statement. Earlier releases wrote it without quotes.
        if sql.replace('"', "") != wanted.replace('"', "") {
            steps.push(format!("DROP INDEX {}", quoted(&index.name)));
            steps.push(wanted);
        }
    }
    Ok(())
}
