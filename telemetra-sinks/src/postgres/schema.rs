//! The tables: made where there are none, brought up to date, and checked, by whoever comes first.

use std::fmt::Write;

use telemetra_core::ExternalError;
use tokio_postgres::{Client, Error};

use super::error::refused;
use super::session::Session;
use crate::tabular::tables::Table;
use crate::{Column, Layout};

/// Held while tables are made: "TLMT".
pub(super) const LOCK: i64 = 0x544c_4d54;

/// A part of the schema with versions of its own. A step of `migrations` takes the tables from one version to the next.
pub(super) struct Component<'a> {
    pub(super) name: &'static str,
    pub(super) migrations: &'a [String],
    /// What must not be there before the first step.
    pub(super) tables: &'a [&'static str],
}

const MADE: &str = "
    CREATE TABLE IF NOT EXISTS telemetra_schema (
        component text PRIMARY KEY, version bigint NOT NULL, applied_at timestamptz NOT NULL DEFAULT now()
    );
    CREATE SEQUENCE IF NOT EXISTS telemetra_generations;
";

/// What the tables of rows do not say themselves.
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
    CREATE INDEX streams_live ON streams (stream_id) WHERE is_live;
    CREATE INDEX moments_by_stream ON moments (stream_id, started_at DESC);
    CREATE INDEX moments_by_time ON moments (started_at DESC);
    CREATE INDEX moments_by_type ON moments (moment_type, started_at DESC);
    CREATE INDEX moments_open ON moments (started_at DESC) WHERE ended_at IS NULL;
    CREATE INDEX viewers_by_stream ON viewer_timeseries (stream_id, timestamp DESC);
    CREATE INDEX transactions_by_stream ON transactions (stream_id, timestamp DESC);
";

/// The tables of rows, in each of their versions.
pub(super) fn rows<S>(layout: &Layout<S>, partitioned: bool) -> Vec<String> {
    let mut first: String =
        Table::ALL.into_iter().map(|table| create_table(table, layout, partitioned)).collect();
    first.push_str(FIXED);
    vec![first]
}

/// The names of all tables of rows.
pub(super) const ROWS: [&str; 7] = [
    "streams",
    "chat_summary_minute",
    "moments",
    "viewer_timeseries",
    "transactions",
    "telemetra_progress",
    "telemetra_dead_letters",
];

/// The column by which a table is cut into days, if it can be.
pub(super) const fn day_column(table: Table) -> Option<&'static str> {
    match table {
        Table::Summaries => Some("window_start"),
        Table::Viewers | Table::Transactions => Some("timestamp"),
        Table::Streams | Table::Moments => None,
    }
}

/// The names of a table's key. One that is cut into days needs the time in it.
pub(super) fn keys(table: Table, partitioned: bool) -> Vec<&'static str> {
    let by_time = partitioned && matches!(table, Table::Viewers | Table::Transactions);
    let mut keys = match table {
        Table::Streams => vec!["stream_id"],
        Table::Summaries => vec!["stream_id", "window_start"],
        Table::Moments => vec!["moment_id"],
        Table::Viewers => vec!["event_id"],
        Table::Transactions => vec!["transaction_id"],
    };
    if by_time {
        keys.push("timestamp");
    }
    keys
}

/// Rows of summaries lie in the order in which they come, and the key finds those of a stream by time.
fn create_table<S>(table: Table, layout: &Layout<S>, partitioned: bool) -> String {
    let mut sql = format!("CREATE TABLE {} (", table.name());
    for column in table.columns(layout) {
        let null = if column.nullable { "" } else { " NOT NULL" };
        let _ = write!(sql, "{} {}{null}, ", quoted(column.name), column.kind.postgres());
    }
    let _ = write!(sql, "PRIMARY KEY ({}))", keys(table, partitioned).join(", "));
    if let Some(column) = day_column(table).filter(|_| partitioned) {
        let _ = write!(sql, " PARTITION BY RANGE ({column})");
    }
    sql.push(';');
    sql
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
        Found::Foreign(table) => Err(refused(
            session.place(),
            format!("it has a table {table} that telemetra did not make; use another database or schema"),
        )),
    }
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

/// Checks that the tables can take the rows: what is written has a column of its type, and what is not written may be absent.
pub(super) fn check<S>(
    session: &Session,
    layout: &Layout<S>,
    partitioned: bool,
) -> Result<(), ExternalError> {
    for table in Table::ALL {
        let found = session.run(&format!("could not read the columns of {}", table.name()), async |client| {
            client
                .query(
                    "SELECT attname::text, format_type(atttypid, atttypmod), attnotnull AND NOT atthasdef AND attidentity = '' AND attgenerated = '',
                            (SELECT relkind = 'p' FROM pg_class WHERE oid = attrelid)
                     FROM pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped",
                    &[&table.name()],
                )
                .await
        })?;
        let found: Vec<(String, String, bool, bool)> =
            found.iter().map(|row| (row.get(0), row.get(1), row.get(2), row.get(3))).collect();
        compare(table, &table.columns(layout), &found, partitioned)
            .map_err(|why| refused(session.place(), why))?;
    }
    Ok(())
}

fn compare(
    table: Table,
    columns: &[Column],
    found: &[(String, String, bool, bool)],
    partitioned: bool,
) -> Result<(), String> {
    let name = table.name();
    if found.is_empty() {
        return Err(format!("its table {name} is gone; restore it, or use another database or schema"));
    }
    let mut missing = Vec::new();
    for column in columns {
        match found.iter().find(|(found, ..)| found == column.name) {
            None => missing.push(format!("{} {}", quoted(column.name), column.kind.postgres())),
            Some((_, kind, ..)) if kind != column.kind.postgres() => {
                return Err(format!(
                    "its table {name} has the column {} of type {kind}, and {} is written to it; use another database or schema",
                    column.name,
                    column.kind.postgres()
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
    let needed = found
        .iter()
        .find(|(found, _, needed, _)| *needed && !columns.iter().any(|column| column.name == found));
    if let Some((needed, ..)) = needed {
        return Err(format!(
            "its table {name} needs a value for the column {needed}, which this pipeline's rows do not have; \
             drop it, or use another database or schema"
        ));
    }
    let is_partitioned = found.iter().any(|(.., is_partitioned)| *is_partitioned);
    if day_column(table).is_some() && is_partitioned != partitioned {
        let (is, wants) = if is_partitioned { ("", "has none") } else { ("not ", "has a retention") };
        return Err(format!(
            "its table {name} is {is}cut into days, and this pipeline {wants}; that is settled when the tables are \
             made: use another database or schema, or set the retention accordingly"
        ));
    }
    Ok(())
}

/// A name as an identifier of SQL.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
