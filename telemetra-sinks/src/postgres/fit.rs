//! The check that an existing table can take the rows.

use telemetra_core::Table;
use tokio_postgres::{Client, Error};

use super::define::{keys, quoted, type_of};

/// A column of an existing table.
pub(super) struct FoundColumn {
    pub(super) name: String,
    kind: String,
    /// True if a row must have a value for it.
    needed: bool,
    is_key: bool,
    /// True if its table is partitioned.
    is_partitioned: bool,
}

/// Returns the columns of a table in the schema in which tables are created, and none if there is no such
/// table. A table of the same name in a later schema of the `search_path` belongs to somebody else.
pub(super) async fn columns_of(client: &Client, table: &Table) -> Result<Vec<FoundColumn>, Error> {
    let found = client
        .query(
            "SELECT attname::text, format_type(atttypid, atttypmod),
                    attnotnull AND NOT atthasdef AND attidentity = '' AND attgenerated = '',
                    relkind = 'p',
                    EXISTS (
                        SELECT FROM pg_index
                        WHERE indrelid = attrelid AND indisprimary AND attnum = ANY(indkey::int2[])
                    )
             FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
             WHERE relnamespace = quote_ident(current_schema())::regnamespace AND relname = $1
                   AND attnum > 0 AND NOT attisdropped",
            &[&table.name()],
        )
        .await?;
    let column = |row: &tokio_postgres::Row| FoundColumn {
        name: row.get(0),
        kind: row.get(1),
        needed: row.get(2),
        is_partitioned: row.get(3),
        is_key: row.get(4),
    };
    Ok(found.iter().map(column).collect())
}

/// Checks that a table can take the rows after its missing nullable columns are added. The error says what
/// does not fit.
pub(super) fn check(table: &Table, found: &[FoundColumn], partitioned: bool) -> Result<(), String> {
    let (name, columns) = (table.name(), table.all_columns());
    if found.is_empty() {
        return Err(format!("its table {name} is gone; restore it, or use another database or schema"));
    }
    // The key is checked first: if it differs, adding columns would be in vain.
    let is_partitioned = found.iter().any(|found| found.is_partitioned);
    if table.day_column().is_some() && is_partitioned != partitioned {
        let (is, wants) = if is_partitioned { ("", "has none") } else { ("not ", "has a retention") };
        return Err(format!(
            "its table {name} is {is}cut into days, and this pipeline {wants}; that is settled when the \
             tables are made: use another database or schema, or set the retention accordingly"
        ));
    }
    let mut wants = keys(table, partitioned);
    wants.sort_unstable();
    let mut has: Vec<_> =
        found.iter().filter(|found| found.is_key).map(|found| found.name.as_str()).collect();
    has.sort_unstable();
    if has != wants {
        return Err(format!(
            "its table {name} has the key ({}), and this pipeline's rows have ({}); \
             use another database or schema, or name the table otherwise",
            has.join(", "),
            wants.join(", ")
        ));
    }
    let mut missing = Vec::new();
    for column in columns {
        match found.iter().find(|found| found.name == column.name) {
            None if column.nullable => {}
            None => missing.push(format!("{} {}", quoted(&column.name), type_of(column.kind))),
            Some(FoundColumn { kind, .. }) if kind != type_of(column.kind) => {
                return Err(format!(
                    "its table {name} has the column {} of type {kind}, and {} is written to it; \
                     use another database or schema",
                    column.name,
                    type_of(column.kind)
                ));
            }
            Some(_) => {}
        }
    }
    if !missing.is_empty() {
        return Err(format!(
            "its table {name} lacks the columns that this pipeline's rows have: {}; \
             add them, or use another database or schema",
            missing.join(", ")
        ));
    }
    let needed =
        found.iter().find(|found| found.needed && !columns.iter().any(|column| column.name == found.name));
    if let Some(FoundColumn { name: needed, .. }) = needed {
        return Err(format!(
            "its table {name} needs a value for the column {needed}, which this pipeline's rows do \
             not have; drop it, or use another database or schema"
        ));
    }
    Ok(())
}
