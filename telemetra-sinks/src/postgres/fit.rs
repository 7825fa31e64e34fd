//! Whether the tables that are there can take the rows.

use std::sync::Arc;

use telemetra_core::{ExternalError, Table};
use tokio_postgres::{Client, Error};

use super::define::{keys, quoted, type_of};
use super::error::refused;
use super::session::Session;

/// A column that a table has.
pub(super) struct FoundColumn {
    pub(super) name: String,
    kind: String,
    /// Whether a row needs a value for it.
    needed: bool,
    is_key: bool,
    /// Whether its table is cut into partitions.
    is_partitioned: bool,
}

pub(super) async fn columns_of(client: &Client, table: &Table) -> Result<Vec<FoundColumn>, Error> {
    let found = client
        .query(
            "SELECT attname::text, format_type(atttypid, atttypmod), attnotnull AND NOT atthasdef AND attidentity = '' AND attgenerated = '',
                    (SELECT relkind = 'p' FROM pg_class WHERE oid = attrelid),
                    EXISTS (SELECT FROM pg_index WHERE indrelid = attrelid AND indisprimary AND attnum = ANY(indkey::int2[]))
             FROM pg_attribute WHERE attrelid = to_regclass(quote_ident($1)) AND attnum > 0 AND NOT attisdropped",
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

/// Checks that the tables can take the rows: what is written has a column of its type, and what is not written may be absent.
pub(super) fn check(
    session: &Session,
    tables: &[Arc<Table>],
    partitioned: bool,
) -> Result<(), ExternalError> {
    for table in tables {
        let what = format!("could not read the columns of {}", table.name());
        let found = session.run(&what, async |client| columns_of(client, table).await)?;
        compare(table, &found, partitioned).map_err(|why| refused(session.place(), why))?;
    }
    Ok(())
}

fn compare(table: &Table, found: &[FoundColumn], partitioned: bool) -> Result<(), String> {
    let (name, columns) = (table.name(), table.all_columns());
    if found.is_empty() {
        return Err(format!("its table {name} is gone; restore it, or use another database or schema"));
    }
    let mut missing = Vec::new();
    for column in columns {
        match found.iter().find(|found| found.name == column.name) {
            None => missing.push(format!("{} {}", quoted(&column.name), type_of(column.kind))),
            Some(FoundColumn { kind, .. }) if kind != type_of(column.kind) => {
                return Err(format!(
                    "its table {name} has the column {} of type {kind}, and {} is written to it; use another database or schema",
                    column.name,
                    type_of(column.kind)
                ));
            }
            Some(_) => {}
        }
    }
    if !missing.is_empty() {
        return Err(format!(
            "its table {name} lacks the columns that this pipeline's rows have: {}; add them, or use another database or schema",
            missing.join(", ")
        ));
    }
    let needed =
        found.iter().find(|found| found.needed && !columns.iter().any(|column| column.name == found.name));
    if let Some(FoundColumn { name: needed, .. }) = needed {
        return Err(format!(
            "its table {name} needs a value for the column {needed}, which this pipeline's rows do not have; \
             drop it, or use another database or schema"
        ));
    }
    let is_partitioned = found.iter().any(|found| found.is_partitioned);
    if table.day_column().is_some() && is_partitioned != partitioned {
        let (is, wants) = if is_partitioned { ("", "has none") } else { ("not ", "has a retention") };
        return Err(format!(
            "its table {name} is {is}cut into days, and this pipeline {wants}; that is settled when the tables are \
             made: use another database or schema, or set the retention accordingly"
        ));
    }
    let mut wants = keys(table, partitioned);
    wants.sort_unstable();
    let mut has: Vec<_> =
        found.iter().filter(|found| found.is_key).map(|found| found.name.as_str()).collect();
    has.sort_unstable();
    if has != wants {
        return Err(format!(
            "its table {name} has the key ({}), and this pipeline's rows have ({}); use another database or schema, or name the table otherwise",
            has.join(", "),
            wants.join(", ")
        ));
    }
    Ok(())
}
