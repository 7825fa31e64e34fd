//! The progress and the ownership of shards.
//!
//! A process that opens a shard gets a new generation. Each transaction locks the shard's row and compares
//! the generation. So a process that was believed dead and resumes finds, before it writes, that it has lost
//! the shard.

use std::sync::Arc;

use telemetra_core::{EventTime, ExternalError, Shard, Table};
use tokio_postgres::{Client, Error, Statement};

use super::array::{event_time, micros};
use super::error::refused;
use super::session::{BEGIN, Session, Timestamp};
use super::statements::once;
use super::truncate;
use crate::owner::Owner;

/// A shard of a pipeline and the generation with which this process holds it.
#[derive(Clone, Debug)]
pub(super) struct Fence {
    pub(super) pipeline: String,
    pub(super) shard: i64,
    of: i64,
    pub(super) generation: i64,
}

/// The statements that check and advance a fence.
#[derive(Default)]
pub(super) struct Prepared {
    lock: Option<Statement>,
    advance: Option<Statement>,
}

const ADVANCE: &str =
    "UPDATE telemetra_progress SET time = $4 WHERE pipeline = $1 AND shard = $2 AND generation = $3";
const DELETED: &str = "
    UPDATE telemetra_progress SET starts_over = false, before = NULL, time = NULL,
        history = gen_random_uuid(),
        changes_since = CASE WHEN changes_since IS NULL THEN NULL ELSE to_timestamp(0) END
    WHERE pipeline = $1 AND shard = $2";
const LOCK: &str = "
    SELECT time FROM telemetra_progress WHERE pipeline = $1 AND shard = $2 AND generation = $3
    FOR NO KEY UPDATE";

/// The result of taking over a shard.
#[derive(Debug)]
pub(super) struct Claimed {
    pub(super) fence: Fence,
    pub(super) time: Option<EventTime>,
    /// True if the tables hold rows of an earlier run, which the first change of this run deletes.
    pub(super) starts_over: bool,
}

/// Takes a shard over from the process that held it, and returns its progress. If the tables were written
/// with another number of shards, their rows of progress are replaced by rows for the new number, with the
/// least time among them, which every shard has reached for all its subjects. With [`Start::Over`], the shard
/// has no time from then on. `logged`: whether this process keeps the log of changes.
pub(super) fn acquire_fence(
    session: &Session,
    owner: &Owner,
    shard: Shard,
    how: Start,
    logged: bool,
) -> Result<Claimed, ExternalError> {
    let (index, of) = (number(shard.index), number(shard.of));
    if index >= of {
        return Err(refused(session.place(), format!("there is no shard {index} among {of}")));
    }
    let taken = session.run(&"could not claim the shard in telemetra_progress", async |client| {
        client.batch_execute("BEGIN").await?;
        let acquired = take_over(client, owner, (index, of), how, logged).await;
        client.batch_execute(if matches!(acquired, Ok(Ok(_))) { "COMMIT" } else { "ROLLBACK" }).await?;
        acquired
    })?;
    let (generation, time, starts_over) =
        taken.map_err(|why| refused(session.place(), format!("{why}, or use another database or schema")))?;
    let fence = Fence { pipeline: owner.pipeline.clone(), shard: index, of, generation };
    Ok(Claimed { fence, time, starts_over })
}

/// Reads how far a shard has been written, by whoever holds it. If the tables were written with another number of shards, that
/// is the least of them.
pub(super) fn reached(
    session: &Session,
    pipeline: &str,
    shard: Shard,
) -> Result<Option<EventTime>, ExternalError> {
    let (index, of) = (number(shard.index), number(shard.of));
    session.run(&"could not read telemetra_progress", async |client| {
        let is_there = "SELECT to_regclass('telemetra_progress') IS NOT NULL";
        if !client.query_one(is_there, &[]).await?.get::<_, bool>(0) {
            return Ok(None);
        }
        let sql = "SELECT shard, shards, time FROM telemetra_progress WHERE pipeline = $1";
        let rows = client.query(sql, &[&pipeline]).await?;
        let fits = rows.iter().all(|row| row.get::<_, i64>(1) == of);
        let own = rows.iter().filter(|row| !fits || row.get::<_, i64>(0) == index);
        let times = own.map(|row| row.get::<_, Option<Timestamp>>(2).map(|time| event_time(time.0)));
        // A shard without progress is behind all others.
        Ok(times.min().flatten())
    })
}

/// The way in which a pipeline starts.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// From the time in the database.
    GoOn,
    /// From a checkpoint.
    Resume,
    /// From the beginning, replacing existing rows.
    Over,
}

type Taken = Result<(i64, Option<EventTime>, bool), String>;

async fn take_over(
    client: &Client,
    owner: &Owner,
    (index, of): (i64, i64),
    how: Start,
    logged: bool,
) -> Result<Taken, Error> {
    let pipeline = &owner.pipeline;
    client
        .query("SELECT pg_advisory_xact_lock(hashtextextended('telemetra ' || $1, 0))", &[&pipeline])
        .await?;
    if let Some(why) = conflict(client, owner, how).await? {
        return Ok(Err(why));
    }
    // The lock waits for a transaction of the previous holder.
    let rows = client
        .query(
            "SELECT shards, time, starts_over FROM telemetra_progress WHERE pipeline = $1 FOR UPDATE",
            &[&pipeline],
        )
        .await?;
    let fits = number(rows.len()) == of && rows.iter().all(|row| row.get::<_, i64>(0) == of);
    if !fits {
        let times = rows.iter().map(|row| row.get::<_, Option<Timestamp>>(1));
        // A shard without progress is behind all others.
        let least = times.min().flatten();
        let starts_over = rows.iter().any(|row| row.get(2));
        client.execute("DELETE FROM telemetra_progress WHERE pipeline = $1", &[&pipeline]).await?;
        client
            .execute(
                "INSERT INTO telemetra_progress (pipeline, shard, shards, time, generation, starts_over)
                 SELECT $1::text, shard, $2::int8, $3::timestamptz, 0, $4
                 FROM generate_series(0::int8, $2::int8 - 1) AS shard",
                &[&pipeline, &of, &least, &starts_over],
            )
            .await?;
    }
    let change = match how {
        Start::GoOn => "",
        // A run that began to start over took no checkpoint, so the run before it continues.
        Start::Resume => {
            ", time = CASE WHEN starts_over THEN coalesce(time, before) ELSE time END, \
             before = NULL, starts_over = starts_over AND time IS NOT NULL"
        }
        Start::Over => {
            ", before = CASE WHEN starts_over THEN before ELSE time END, time = NULL, starts_over = true"
        }
    };
    // A log that begins has no record up to the time that was reached.
    let since = match logged {
        true => "coalesce(changes_since, greatest(time, before), to_timestamp(0))",
        false => "NULL",
    };
    let claim = format!(
        "UPDATE telemetra_progress SET generation = nextval('telemetra_generations'), tables = $3,
             history = coalesce(history, gen_random_uuid()), changes_since = {since}{change}
         WHERE pipeline = $1 AND shard = $2 RETURNING generation, time, starts_over"
    );
    let row = client.query_one(&claim, &[&pipeline, &index, &owner.tables]).await?;
    Ok(Ok((row.get(0), row.get::<_, Option<Timestamp>>(1).map(|time| event_time(time.0)), row.get(2))))
}

/// Returns why this pipeline must not write here: another pipeline has its name, or has rows in the tables
/// that it would empty.
async fn conflict(client: &Client, owner: &Owner, how: Start) -> Result<Option<String>, Error> {
    let others = client.query("SELECT DISTINCT pipeline, tables FROM telemetra_progress", &[]).await?;
    for row in others {
        let other = Owner { pipeline: row.get(0), tables: row.get(1) };
        if other.pipeline == owner.pipeline {
            if let Some(why) = owner.differs(&other) {
                return Ok(Some(why));
            }
        } else if how == Start::Over
            && let Some(table) = owner.shared(&other)
        {
            return Ok(Some(format!(
                "its table {table} has rows of the pipeline `{}` too, which starting over would delete; \
                 do not start over, give the table another name",
                other.pipeline
            )));
        }
    }
    Ok(None)
}

impl Fence {
    /// Begins a transaction and locks the shard's row. Returns its progress; `None` if another process has
    /// taken over the shard.
    pub(super) async fn begin(
        &self,
        client: &Client,
        prepared: &mut Prepared,
    ) -> Result<Option<Option<EventTime>>, Error> {
        let lock = once(&mut prepared.lock, client, LOCK).await?;
        let params: [&(dyn tokio_postgres::types::ToSql + Sync); 3] =
            [&self.pipeline, &self.shard, &self.generation];
        // Both statements are sent at once.
        let (begun, row) =
            tokio::join!(biased; client.batch_execute(BEGIN), client.query_opt(&lock, &params));
        begun?;
        let row = row?;
        Ok(row.map(|row| row.get::<_, Option<Timestamp>>(0).map(|time| event_time(time.0))))
    }

    /// Returns the statement that stores `time` as reached.
    pub(super) async fn advance(
        &self,
        client: &Client,
        statement: &Statement,
        time: EventTime,
    ) -> Result<u64, Error> {
        let time = Timestamp(micros(time));
        client.execute(statement, &[&self.pipeline, &self.shard, &self.generation, &time]).await
    }

    /// Deletes what an earlier run has left: dead letters, and with `rows` also the rows of these tables.
    pub(super) fn delete_old(
        &self,
        session: &Session,
        prepared: &mut Prepared,
        rows: Option<&[Arc<Table>]>,
    ) -> Result<(), ExternalError> {
        let done = session.run(&"could not delete the rows of an earlier run", async |client| {
            if self.begin(client, prepared).await?.is_none() {
                client.batch_execute("ROLLBACK").await?;
                return Ok(false);
            }
            let deleted = async {
                if let Some(tables) = rows {
                    truncate::rows(client, tables, self.shard, self.of).await?;
                    truncate::changes(client, &self.pipeline, self.shard, self.of).await?;
                    client.execute(DELETED, &[&self.pipeline, &self.shard]).await?;
                }
                truncate::letters(client, self.shard, self.of).await
            };
            let deleted = deleted.await;
            client.batch_execute(if deleted.is_ok() { "COMMIT" } else { "ROLLBACK" }).await?;
            deleted.map(|()| true)
        })?;
        if done { Ok(()) } else { Err(self.lost(session.place())) }
    }

    pub(super) fn lost(&self, place: &str) -> ExternalError {
        ExternalError::taken_over(format!(
            "another process has taken over shard {} of the pipeline `{}` in the database {place}; \
             nothing was written: stop one of the two, or give them different names by `pipeline`",
            self.shard, self.pipeline
        ))
    }
}

impl Prepared {
    pub(super) async fn advance(&mut self, client: &Client) -> Result<Statement, Error> {
        once(&mut self.advance, client, ADVANCE).await
    }
}

fn number(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
