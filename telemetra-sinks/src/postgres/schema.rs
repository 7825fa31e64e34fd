//! The tables: made where there are none, brought up to date, and checked, by whoever comes first.

use std::fmt::Write;
use std::sync::Arc;

use telemetra_core::{Column, ColumnKind, ExternalError, Table};
use tokio_postgres::{Client, Error};

use super::error::refused;
use super::session::Session;

/// Held while tables are made: "TLMT".
pub(super) const LOCK: i64 = 0x544c_4d54;

/// A part of the schema with versions of its own. A step of `migrations` takes the tables from one version to the next.
pub(super) struct Component<'a> {
    pub(super) name: &'static str,
    pub(super) migrations: &'a [String],
    /// What must not be there before the first step.
    pub(super) tables: &'a [&'a str],
}

const MADE: &str = "
    CREATE TABLE IF NOT EXISTS telemetra_schema (
        component text PRIMARY KEY, version bigint NOT NULL, applied_at timestamptz NOT NULL DEFAULT now()
    );
    CREATE SEQUENCE IF NOT EXISTS telemetra_generations;
";

/// The tables of every database, in each of their versions: the times reached, and the dead letters.
const FIXED: &str = "
    CREATE TABLE telemetra_progress (
        pipeline text NOT NULL, shard bigint NOT NULL, shards bigint NOT NULL, time timestamptz, generation bigint NOT NULL,
        PRIMARY KEY (pipeline, shard)
    );
    CREATE TABLE telemetra_dead_letters (
        partition text NOT NULL, \"offset\" bigint NOT NULL, idx bigint NOT NULL,
        fate text NOT NULL, reason text NOT NULL, bytes bytea NOT NULL,
        PRIMARY KEY (partition, \"offset\", idx)
    );
";

/// Makes or updates the tables of rows, and checks them.
pub(super) fn prepare_rows(
    session: &Session,
    tables: &[Arc<Table>],
    partitioned: bool,
) -> Result<(), ExternalError> {
    let mut names: Vec<&str> = tables.iter().map(|table| table.name()).collect();
    names.extend(["telemetra_progress", "telemetra_dead_letters"]);
    prepare(session, &Component { name: "tables", migrations: &[FIXED.to_owned()], tables: &names })?;
    let foreign = session.run(&"could not make the tables", async |client| {
        client.batch_execute(&format!("BEGIN; SELECT pg_advisory_xact_lock({LOCK})")).await?;
        let foreign = make_rows(client, tables, partitioned).await;
        client.batch_execute(if matches!(foreign, Ok(None)) { "COMMIT" } else { "ROLLBACK" }).await?;
        foreign
    })?;
    match foreign {
        Some(table) => Err(is_foreign(session, &table)),
        None => check(session, tables, partitioned),
    }
}

/// Makes the tables that are new, and gives those that are there the columns and indexes that are new. `Some` is a table that is there and
/// was not made by us.
async fn make_rows(
    client: &Client,
    tables: &[Arc<Table>],
    partitioned: bool,
) -> Result<Option<String>, Error> {
    let known =
        client.query("SELECT component FROM telemetra_schema WHERE component LIKE 'table %'", &[]).await?;
    let known: Vec<&str> = known.iter().map(|row| row.get(0)).collect();
    for table in tables {
        let found = columns_of(client, table).await?;
        let component = format!("table {}", table.name());
        let is_known = known.contains(&&*component);
        let mut sql = String::new();
        match (is_known, found.is_empty()) {
            // It was dropped by somebody: checking says so.
            (true, true) => continue,
            (false, true) => sql.push_str(&create_table(table, partitioned)),
            // A database of before tables were listed one by one lists none.
            (false, false) if !known.is_empty() => return Ok(Some(table.name().to_owned())),
            (_, false) => sql.push_str(&add_columns(table, &found)),
        }
        sql.push_str(&create_indexes(table, partitioned));
        client.batch_execute(&sql).await?;
        if !is_known {
            client
                .execute("INSERT INTO telemetra_schema (component, version) VALUES ($1, 1)", &[&component])
                .await?;
        }
    }
    Ok(None)
}

/// The names of a table's key. One that is cut into days needs the time in it.
pub(super) fn keys(table: &Table, partitioned: bool) -> Vec<&str> {
    let mut keys: Vec<&str> = table.keys().iter().map(|column| &*column.name).collect();
    if let Some(day) = table.day_column().filter(|day| partitioned && !keys.contains(&&*day.name)) {
        keys.push(&day.name);
    }
    keys
}

/// Rows lie in the order in which they come, and the key finds those of a subject.
fn create_table(table: &Table, partitioned: bool) -> String {
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

/// An index over the key is there already.
fn create_indexes(table: &Table, partitioned: bool) -> String {
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

/// Columns that may be null; of one that may not, the rows that are there would have no value.
fn add_columns(table: &Table, found: &[FoundColumn]) -> String {
    let is_new = |column: &&Column| column.nullable && !found.iter().any(|found| found.name == column.name);
    let added = table.all_columns().iter().filter(is_new);
    added
        .map(|column| format!("ALTER TABLE {} ADD COLUMN {};", quoted(table.name()), define(column)))
        .collect()
}

fn define(column: &Column) -> String {
    let null = if column.nullable { "" } else { " NOT NULL" };
    format!("{} {}{null}", quoted(&column.name), type_of(column.kind))
}

/// The type of a column, as Postgres shows it.
fn type_of(kind: ColumnKind) -> &'static str {
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

/// Makes or updates the tables, in one transaction. Several processes may start at once: one does it, the others wait.
pub(super) fn prepare(session: &Session, component: &Component<'_>) -> Result<(), ExternalError> {
    let newest = i64::try_from(component.migrations.len()).unwrap_or(i64::MAX);
    let found = session.run(&"could not make the tables", async |client| {
        client.batch_execute(&format!("BEGIN; SELECT pg_advisory_xact_lock({LOCK})")).await?;
        let found = migrate(client, component).await;
        let end = if matches!(found, Ok(Found::Version(version)) if version <= newest) {
            "COMMIT"
        } else {
            "ROLLBACK"
        };
        client.batch_execute(end).await?;
        found
    })?;
    match found {
        Found::Version(version) if version > newest => Err(refused(
            session.place(),
            format!(
                "its {} have version {version} and this version of telemetra knows up to {newest}; \
                 use the newer telemetra, or another database or schema",
                component.name
            ),
        )),
        Found::Version(_) => Ok(()),
        Found::Foreign(table) => Err(is_foreign(session, &table)),
    }
}

fn is_foreign(session: &Session, table: &str) -> ExternalError {
    let why = format!("it has a table {table} that telemetra did not make; use another database or schema");
    refused(session.place(), why)
}

enum Found {
    Version(i64),
    Foreign(String),
}

async fn migrate(client: &Client, component: &Component<'_>) -> Result<Found, Error> {
    let exists = "SELECT relname::text FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relname::text = ANY($1::text[])";
    let version = match client.query_opt(exists, &[&&["telemetra_schema"][..]]).await? {
        None => 0,
        Some(_) => {
            let version = "SELECT version FROM telemetra_schema WHERE component = $1";
            client.query_opt(version, &[&component.name]).await?.map_or(0, |row| row.get(0))
        }
    };
    if version == 0 {
        if let Some(row) = client.query(exists, &[&component.tables]).await?.first() {
            return Ok(Found::Foreign(row.get(0)));
        }
        client.batch_execute(MADE).await?;
    }
    let done = usize::try_from(version).unwrap_or(0);
    let Some(steps) = component.migrations.get(done..).filter(|steps| !steps.is_empty()) else {
        return Ok(Found::Version(version));
    };
    for step in steps {
        client.batch_execute(step).await?;
    }
    let newest = i64::try_from(component.migrations.len()).unwrap_or(i64::MAX);
    client
        .execute(
            "INSERT INTO telemetra_schema (component, version) VALUES ($1, $2)
             ON CONFLICT (component) DO UPDATE SET version = excluded.version, applied_at = now()",
            &[&component.name, &newest],
        )
        .await?;
    Ok(Found::Version(newest))
}

/// A column that a table has.
struct FoundColumn {
    name: String,
    kind: String,
    /// Whether a row needs a value for it.
    needed: bool,
    is_key: bool,
    /// Whether its table is cut into partitions.
    is_partitioned: bool,
}

async fn columns_of(client: &Client, table: &Table) -> Result<Vec<FoundColumn>, Error> {
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
fn check(session: &Session, tables: &[Arc<Table>], partitioned: bool) -> Result<(), ExternalError> {
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

/// A name as an identifier of SQL.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
