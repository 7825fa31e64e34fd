//! How far a shard is, and whose it is.
//!
//! Whoever opens a shard gets a generation that nobody had before. Each transaction locks the shard's row
//! and looks for its own generation there, so a process that was thought dead and wakes up finds that it has
//! lost the shard before it writes.

use std::sync::Arc;

use telemetra_core::{EventTime, ExternalError, Shard, Table};
use tokio_postgres::{Client, Error, Statement};

use super::array::{event_time, micros};
use super::error::refused;
use super::session::{Session, Timestamp};
use super::statements::once;
use super::truncate;

/// A shard of a pipeline as one process holds it.
#[derive(Clone, Debug)]
pub(super) struct Fence {
    pub(super) pipeline: String,
    pub(super) shard: i64,
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
const LOCK: &str = "
    SELECT time FROM telemetra_progress WHERE pipeline = $1 AND shard = $2 AND generation = $3
    FOR NO KEY UPDATE";

/// Takes a shard over from whoever had it, and says how far it is. If the rows are of another number of
/// shards, they are replaced by rows of this one with the least time among them: so much is known of every
/// stream, whichever shard it falls to now.
pub(super) fn acquire_fence(
    session: &Session,
    pipeline: &str,
    shard: Shard,
    empty: Option<&[Arc<Table>]>,
) -> Result<(Fence, Option<EventTime>), ExternalError> {
    let (index, of) = (number(shard.index), number(shard.of));
    if index >= of {
        return Err(refused(session.place(), format!("there is no shard {index} among {of}")));
    }
    let (generation, time) =
        session.run(&"could not claim the shard in telemetra_progress", async |client| {
            client.batch_execute("BEGIN").await?;
            let acquired = take_over(client, pipeline, (index, of), empty).await;
            client.batch_execute(if acquired.is_ok() { "COMMIT" } else { "ROLLBACK" }).await?;
            acquired
        })?;
    Ok((Fence { pipeline: pipeline.to_owned(), shard: index, generation }, time))
}

async fn take_over(
    client: &Client,
    pipeline: &str,
    (index, of): (i64, i64),
    empty: Option<&[Arc<Table>]>,
) -> Result<(i64, Option<EventTime>), Error> {
    client
        .query("SELECT pg_advisory_xact_lock(hashtextextended('telemetra ' || $1, 0))", &[&pipeline])
        .await?;
    // Waits for who is writing.
    let rows = client
        .query("SELECT shards, time FROM telemetra_progress WHERE pipeline = $1 FOR UPDATE", &[&pipeline])
        .await?;
    let fits = number(rows.len()) == of && rows.iter().all(|row| row.get::<_, i64>(0) == of);
    if !fits {
        let times = rows.iter().map(|row| row.get::<_, Option<Timestamp>>(1));
        // One that has nothing is less than any other.
        let least = times.min().flatten();
        client.execute("DELETE FROM telemetra_progress WHERE pipeline = $1", &[&pipeline]).await?;
        client
            .execute(
                "INSERT INTO telemetra_progress (pipeline, shard, shards, time, generation)
                 SELECT $1::text, shard, $2::int8, $3::timestamptz, 0
                 FROM generate_series(0::int8, $2::int8 - 1) AS shard",
                &[&pipeline, &of, &least],
            )
            .await?;
    }
    if let Some(tables) = empty {
        truncate::truncate_shard(client, tables, index, of).await?;
        client
            .execute(
                "UPDATE telemetra_progress SET time = NULL WHERE pipeline = $1 AND shard = $2",
                &[&pipeline, &index],
            )
            .await?;
    }
    let row = client
        .query_one(
            "UPDATE telemetra_progress SET generation = nextval('telemetra_generations')
             WHERE pipeline = $1 AND shard = $2 RETURNING generation, time",
            &[&pipeline, &index],
        )
        .await?;
    Ok((row.get(0), row.get::<_, Option<Timestamp>>(1).map(|time| event_time(time.0))))
}

impl Fence {
    /// Begins a transaction and locks the shard's row. `None`: somebody else has it. `Some`: how far it is.
    pub(super) async fn begin(
        &self,
        client: &Client,
        prepared: &mut Prepared,
    ) -> Result<Option<Option<EventTime>>, Error> {
        let lock = once(&mut prepared.lock, client, LOCK).await?;
        let params: [&(dyn tokio_postgres::types::ToSql + Sync); 3] =
            [&self.pipeline, &self.shard, &self.generation];
        // Both on the way at once.
        let (begun, row) =
            tokio::join!(biased; client.batch_execute("BEGIN"), client.query_opt(&lock, &params));
        begun?;
        let row = row?;
        Ok(row.map(|row| row.get::<_, Option<Timestamp>>(0).map(|time| event_time(time.0))))
    }

    /// What says that everything up to `time` is there.
    pub(super) async fn advance(
        &self,
        client: &Client,
        statement: &Statement,
        time: EventTime,
    ) -> Result<u64, Error> {
        let time = Timestamp(micros(time));
        client.execute(statement, &[&self.pipeline, &self.shard, &self.generation, &time]).await
    }

    pub(super) fn lost(&self, place: &str) -> ExternalError {
        ExternalError::permanent(format!(
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
