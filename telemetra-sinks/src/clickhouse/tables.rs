//! The tables in the database: made, extended, and checked.

use telemetra_core::{ExternalError, Table};

use super::encode::{OWN, type_of};
use super::server::{Session, name, quoted};

/// The table of progress.
pub(super) const PROGRESS: &str = "telemetra_progress";

/// Returns whether the server has times of milliseconds, which came with 20.4.
pub(super) fn has_millis(session: &Session) -> Result<bool, ExternalError> {
    let version = session.query("SELECT version()", "could not ask ClickHouse for its version")?;
    let mut parts = version.trim().split('.').map_while(|part| part.parse::<u32>().ok());
    let (major, minor) = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    Ok((major, minor) >= (20, 4))
}

/// Makes the table of progress if it is missing.
pub(super) fn make_progress(session: &Session) -> Result<(), ExternalError> {
    let sql = format!(
        "CREATE TABLE IF NOT EXISTS {PROGRESS} (pipeline String, number UInt64, state String) \
         ENGINE = ReplacingMergeTree(number) ORDER BY pipeline"
    );
    session.query(&sql, "could not make the table telemetra_progress").map(|_| ())
}

/// Makes a table and its view, adds columns that are new, and checks the others.
pub(super) fn make(session: &Session, table: &Table, has_millis: bool) -> Result<(), ExternalError> {
    let own = OWN.map(|(name, kind)| (name.to_owned(), kind.to_owned()));
    let mut columns = Vec::new();
    for column in table.all_columns() {
        let failed = |why: &str| {
            let (table, column) = (table.name(), &column.name);
            ExternalError::permanent(format!("could not make the table {table}: the column `{column}` {why}"))
        };
        if own.iter().any(|(name, _)| *name == *column.name) {
            return Err(failed("has a name that the sink uses itself"));
        }
        let kind =
            type_of(column, has_millis).ok_or_else(|| failed("has a kind without a type in ClickHouse"))?;
        columns.push((column.name.to_string(), kind));
    }
    columns.extend(own);
    let list = |columns: &[(String, String)]| {
        columns.iter().map(|(column, kind)| format!("{} {kind}", name(column))).collect::<Vec<_>>().join(", ")
    };
    let what = format!("could not make the table {}", table.name());
    let keys: Vec<_> = table.keys().iter().map(|key| name(&key.name)).collect();
    session.query(
        &format!(
            "CREATE TABLE IF NOT EXISTS {} ({}) ENGINE = ReplacingMergeTree(_version) ORDER BY ({})",
            name(table.name()),
            list(&columns),
            keys.join(", ")
        ),
        &what,
    )?;
    check(session, table, &columns)?;
    let shown: Vec<_> = table.all_columns().iter().map(|column| name(&column.name)).collect();
    let view = name(&format!("{}_current", table.name()));
    // Made anew, as the table may have got columns.
    session.query(&format!("DROP TABLE IF EXISTS {view}"), &what)?;
    session.query(
        &format!(
            "CREATE VIEW IF NOT EXISTS {view} AS SELECT {}, _revision FROM {} FINAL WHERE _deleted = 0",
            shown.join(", "),
            name(table.name())
        ),
        &what,
    )?;
    Ok(())
}

/// Adds the columns that a table does not have yet, and refuses a table of another shape.
fn check(session: &Session, table: &Table, columns: &[(String, String)]) -> Result<(), ExternalError> {
    let what = format!("could not look at the table {}", table.name());
    let refuse = |why: String| {
        let table = table.name();
        ExternalError::permanent(format!(
            "could not use the table {table}: {why}; move the data, or give the pipeline's table another name"
        ))
    };
    let of = format!(
        "FROM system.columns WHERE database = currentDatabase() AND table = {}",
        quoted(table.name())
    );
    // The format escapes quotes and backslashes, which types contain.
    let found = session.query(&format!("SELECT name, type {of} FORMAT TabSeparatedRaw"), &what)?;
    let found: Vec<_> = found.lines().filter_map(|line| line.split_once('\t')).collect();
    for (n, (column, kind)) in columns.iter().enumerate() {
        match found.iter().find(|(name, _)| name == column) {
            Some((_, found)) if found == kind => {}
            Some((_, found)) => {
                return Err(refuse(format!("its column `{column}` is {found} and not {kind}")));
            }
            None if n < table.keys().len() => {
                return Err(refuse(format!("it has no column `{column}`, which is in the key")));
            }
            None => {
                let what = format!("could not add the column `{column}` to the table {}", table.name());
                session.query(
                    &format!("ALTER TABLE {} ADD COLUMN {} {kind}", name(table.name()), name(column)),
                    &what,
                )?;
            }
        }
    }
    let of =
        format!("FROM system.tables WHERE database = currentDatabase() AND name = {}", quoted(table.name()));
    let found = session.query(&format!("SELECT engine, sorting_key {of} FORMAT TabSeparatedRaw"), &what)?;
    let (engine, key) = found.trim_end().split_once('\t').unwrap_or((&found, ""));
    let keys: Vec<_> = table.keys().iter().map(|key| &*key.name).collect();
    // Clusters and ClickHouse's cloud have engines of their own, which replace too.
    if !engine.ends_with("ReplacingMergeTree") {
        return Err(refuse(format!("its engine is {engine} and not ReplacingMergeTree")));
    }
    // Newer servers keep the parentheses of a single column.
    let key = key.replace(['`', '(', ')'], "");
    if key != keys.join(", ") {
        return Err(refuse(format!("it is ordered by {key} and not by {}", keys.join(", "))));
    }
    Ok(())
}
