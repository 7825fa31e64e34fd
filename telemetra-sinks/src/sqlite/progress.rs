//! The progress of each pipeline that writes to the database, its tables, and whether it starts over.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use telemetra_core::{EventTime, ExternalError};

use super::error::{failed, refused};
use super::statements::millis;
use crate::owner::Owner;

/// The table of progress, since version 2. `starts_over` means that the rows of an earlier run are still
/// there; `before` is the time that run had reached.
pub(super) const TABLE: &str = "
    CREATE TABLE telemetra_progress (
        pipeline TEXT PRIMARY KEY, time INTEGER, tables TEXT NOT NULL,
        starts_over INTEGER NOT NULL, before INTEGER
    ) STRICT;
";

/// The migration from version 1, which stored one pipeline without a name. The next pipeline that opens the
/// database takes over its row.
pub(super) const FROM_1: &str = "
    ALTER TABLE telemetra_progress RENAME TO telemetra_progress_1;
    CREATE TABLE telemetra_progress (
        pipeline TEXT PRIMARY KEY, time INTEGER, tables TEXT NOT NULL,
        starts_over INTEGER NOT NULL, before INTEGER
    ) STRICT;
    INSERT INTO telemetra_progress SELECT '', time, '[]', 0, NULL FROM telemetra_progress_1;
    DROP TABLE telemetra_progress_1;
";

/// The progress of one pipeline, as stored in the database.
#[derive(Clone, Debug)]
pub(super) struct Progress {
    pub(super) owner: Owner,
    /// The last durable time.
    pub(super) time: Option<EventTime>,
    /// True if the tables hold rows of an earlier run, which the first change of this run deletes.
    pub(super) starts_over: bool,
    /// True if other pipelines write to this database too.
    pub(super) is_shared: bool,
}

/// Registers the pipeline in the database and returns its progress. With `over` it starts over: its time is
/// cleared, and existing rows count as those of an earlier run.
///
/// # Errors
///
/// If another pipeline uses the same name, or writes to one of the tables.
pub(super) fn enter(
    connection: &Connection,
    path: &Path,
    owner: Owner,
    (over, resumes): (bool, bool),
) -> Result<Progress, ExternalError> {
    let read = |error| failed(path, &"could not read telemetra_progress", error);
    let known = owners(connection).map_err(read)?;
    for other in &known {
        let why = if other.pipeline == owner.pipeline {
            owner.differs(other)
        } else {
            owner.shared(other).map(|table| {
                let theirs = &other.pipeline;
                format!(
                    "its table {table} is the pipeline `{theirs}`'s, and this one is called `{}`; if it is the same under \
                     another name, rename it back or in telemetra_progress, else give the table another name",
                    owner.pipeline
                )
            })
        };
        if let Some(why) = why {
            return Err(refused(path, format!("{why}, or use another file")));
        }
    }
    let is_shared = known.iter().any(|other| !other.pipeline.is_empty() && other.pipeline != owner.pipeline);
    let (mut time, mut starts_over, before) = row(connection, &owner.pipeline).map_err(read)?;
    let found = (time, starts_over, before);
    let mut before = before;
    if over && !starts_over {
        (starts_over, before, time) = (true, time, None);
    } else if over {
        time = None;
    } else if resumes && starts_over && time.is_none() {
        // A run that began to start over took no checkpoint, so the run before it continues.
        (starts_over, time, before) = (false, before, None);
    }
    let progress = Progress { time: time.map(event_time), starts_over, is_shared, owner };
    let same = known.contains(&progress.owner);
    if !same || found != (time, starts_over, before) {
        let store = || -> rusqlite::Result<()> {
            let transaction =
                rusqlite::Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
            transaction.execute("DELETE FROM telemetra_progress WHERE pipeline = ''", [])?;
            transaction.execute(
                "INSERT OR REPLACE INTO telemetra_progress (pipeline, time, tables, starts_over, before)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
                params![
                    progress.owner.pipeline,
                    time,
                    serde_json::json!(progress.owner.tables).to_string(),
                    starts_over,
                    before
                ],
            )?;
            transaction.commit()
        };
        store().map_err(|error| failed(path, &"could not write to telemetra_progress", error))?;
    }
    Ok(progress)
}

impl Progress {
    /// Stores the time that is reached, within a transaction.
    pub(super) fn advance(&self, connection: &Connection, time: EventTime) -> rusqlite::Result<()> {
        let mut statement = connection.prepare_cached(
            "UPDATE telemetra_progress SET time = ?2, starts_over = ?3, before = NULL WHERE pipeline = ?1",
        )?;
        match statement.execute(params![self.owner.pipeline, millis(time), self.starts_over])? {
            0 => Err(rusqlite::Error::QueryReturnedNoRows),
            _ => Ok(()),
        }
    }
}

/// Returns the time that a pipeline has reached; `None` if the database is not one of a sink's yet.
pub(super) fn reached(
    connection: &Connection,
    path: &Path,
    pipeline: &str,
) -> Result<Option<EventTime>, ExternalError> {
    let read = |error| failed(path, &"could not read telemetra_progress", error);
    let is_there = connection.table_exists(None, "telemetra_progress").map_err(read)?;
    // Before version 2 of the table there was no name.
    if !is_there || !connection.column_exists(None, "telemetra_progress", "pipeline").map_err(read)? {
        return Ok(None);
    }
    Ok(row(connection, pipeline).map_err(read)?.0.map(event_time))
}

/// Returns all pipelines that write to the database.
fn owners(connection: &Connection) -> rusqlite::Result<Vec<Owner>> {
    let mut statement = connection.prepare("SELECT pipeline, tables FROM telemetra_progress")?;
    let owners = statement.query_map([], |row| {
        let tables: String = row.get(1)?;
        Ok(Owner { pipeline: row.get(0)?, tables: serde_json::from_str(&tables).unwrap_or_default() })
    })?;
    owners.collect()
}

/// Returns the time, whether the pipeline starts over, and the time of the run before. A row without a name
/// is that of an earlier release.
fn row(connection: &Connection, pipeline: &str) -> rusqlite::Result<(Option<i64>, bool, Option<i64>)> {
    let row = connection
        .query_row(
            "SELECT time, starts_over, before FROM telemetra_progress WHERE pipeline IN (?1, '')
             ORDER BY pipeline DESC LIMIT 1",
            [pipeline],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .optional()?;
    Ok(row.unwrap_or_default())
}

fn event_time(millis: i64) -> EventTime {
    EventTime(u64::try_from(millis).unwrap_or(0))
}
