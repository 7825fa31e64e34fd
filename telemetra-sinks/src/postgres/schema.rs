//! The schema: tables are created, migrated and checked by the first process that starts.

use std::sync::Arc;

use telemetra_core::{ExternalError, Table};
use tokio_postgres::{Client, Error};

use super::change_log;
use super::define::{add_columns, create_indexes, create_table};
use super::error::refused;
use super::fit::{check, columns_of};
use super::session::Session;

/// The advisory lock that is held while tables are created: "TLMT".
pub(super) const LOCK: i64 = 0x544c_4d54;

/// A part of the schema with versions of its own. Each migration brings the tables from one version to the
/// next.
pub(super) struct Component<'a> {
    pub(super) name: &'static str,
    pub(super) migrations: &'a [String],
    /// The tables that must not exist before the first migration.
    pub(super) tables: &'a [&'a str],
}

const MADE: &str = "
    CREATE TABLE IF NOT EXISTS telemetra_schema (
        component text PRIMARY KEY, version bigint NOT NULL, applied_at timestamptz NOT NULL DEFAULT now()
    );
    CREATE SEQUENCE IF NOT EXISTS telemetra_generations;
";

/// The tables of every database, in version 1: progress, and dead letters.
const FIXED: &str = "
    CREATE TABLE telemetra_progress (
        pipeline text NOT NULL, shard bigint NOT NULL, shards bigint NOT NULL,
        time timestamptz, generation bigint NOT NULL,
        PRIMARY KEY (pipeline, shard)
    );
    CREATE TABLE telemetra_dead_letters (
        partition text NOT NULL, \"offset\" bigint NOT NULL, idx bigint NOT NULL,
        fate text NOT NULL, reason text NOT NULL, bytes bytea NOT NULL,
        PRIMARY KEY (partition, \"offset\", idx)
    );
";

/// Version 2: the tables of each pipeline; whether rows of an earlier run are still there, and how far that
/// run was.
const OWNERS: &str = "
    ALTER TABLE telemetra_progress
        ADD COLUMN tables text[] NOT NULL DEFAULT '{}',
        ADD COLUMN starts_over boolean NOT NULL DEFAULT false,
        ADD COLUMN before timestamptz;
";

/// Version 3: the times of the events in dead letters.
const LETTER_TIMES: &str = "ALTER TABLE telemetra_dead_letters ADD COLUMN time timestamptz";

/// Version 4: the traces that the records of dead letters are part of.
const LETTER_TRACES: &str = "ALTER TABLE telemetra_dead_letters ADD COLUMN traceparent text";

/// Version 5: the log of changes. `history` is another one after rows were deleted to start over, or divided
/// among another number of shards; all records after `changes_since` are kept, and null means that there is no
/// log.
const CHANGES: &str = "
    ALTER TABLE telemetra_progress ADD COLUMN history uuid, ADD COLUMN changes_since timestamptz;
    CREATE TABLE telemetra_changes (
        pipeline text NOT NULL, \"table\" text NOT NULL, key jsonb NOT NULL, subject text NOT NULL,
        time timestamptz NOT NULL, revision bigint NOT NULL, action text NOT NULL, \"row\" jsonb NOT NULL
    );
    CREATE INDEX telemetra_changes_by_time ON telemetra_changes (pipeline, time);
";

/// Creates or migrates the tables of rows, and checks them. `logged`: with what a log of changes needs.
pub(super) fn prepare_rows(
    session: &Session,
    tables: &[Arc<Table>],
    partitioned: bool,
    logged: bool,
) -> Result<(), ExternalError> {
    let mut names: Vec<&str> = tables.iter().map(|table| table.name()).collect();
    names.extend(["telemetra_progress", "telemetra_dead_letters", "telemetra_changes"]);
    let migrations = [FIXED, OWNERS, LETTER_TIMES, LETTER_TRACES, CHANGES].map(str::to_owned);
    prepare(session, &Component { name: "tables", migrations: &migrations, tables: &names })?;
    let misfit = session.run(&"could not make the tables", async |client| {
        client.batch_execute(&format!("BEGIN; SELECT pg_advisory_xact_lock({LOCK})")).await?;
        let misfit = make_rows(client, tables, partitioned, logged).await;
        // If one table is refused, the others are not changed either.
        client.batch_execute(if matches!(misfit, Ok(None)) { "COMMIT" } else { "ROLLBACK" }).await?;
        misfit
    })?;
    match misfit {
        None => Ok(()),
        Some(Misfit::Foreign(table)) => Err(is_foreign(session, &table)),
        Some(Misfit::Unfit(why)) => Err(refused(session.place(), why)),
    }
}

/// The reason why an existing table is not used.
enum Misfit {
    /// The table of this name was not created by telemetra.
    Foreign(String),
    /// The table cannot take the rows, for this reason.
    Unfit(String),
}

/// Creates new tables, and adds new columns and indexes to existing ones, after checking them.
async fn make_rows(
    client: &Client,
    tables: &[Arc<Table>],
    partitioned: bool,
    logged: bool,
) -> Result<Option<Misfit>, Error> {
    let known =
        client.query("SELECT component FROM telemetra_schema WHERE component LIKE 'table %'", &[]).await?;
    let known: Vec<&str> = known.iter().map(|row| row.get(0)).collect();
    for table in tables {
        let found = columns_of(client, table).await?;
        let component = format!("table {}", table.name());
        let is_known = known.contains(&&*component);
        let mut sql = if is_known {
            if let Err(why) = check(table, &found, partitioned) {
                return Ok(Some(Misfit::Unfit(why)));
            }
            add_columns(table, &found)
        } else if found.is_empty() {
            create_table(table, partitioned)
        } else {
            return Ok(Some(Misfit::Foreign(table.name().to_owned())));
        };
        sql.push_str(&create_indexes(table, partitioned));
        if logged {
            sql.push_str(&change_log::create_index(table));
        }
        client.batch_execute(&sql).await?;
        if !is_known {
            client
                .execute("INSERT INTO telemetra_schema (component, version) VALUES ($1, 1)", &[&component])
                .await?;
        }
    }
    Ok(None)
}

/// Creates or migrates the tables of a component, in one transaction. If several processes start at once, one
/// does it and the others wait.
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

/// Builds the error of a table that telemetra did not create.
fn is_foreign(session: &Session, table: &str) -> ExternalError {
    let why = format!("it has a table {table} that telemetra did not make; use another database or schema");
    refused(session.place(), why)
}

enum Found {
    Version(i64),
    Foreign(String),
}

/// Runs the migrations that are missing.
async fn migrate(client: &Client, component: &Component<'_>) -> Result<Found, Error> {
    let exists = "SELECT relname::text FROM pg_class
                  WHERE relnamespace = quote_ident(current_schema())::regnamespace
                        AND relname::text = ANY($1::text[])";
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
