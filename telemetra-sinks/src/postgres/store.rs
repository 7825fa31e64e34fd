//! A checkpoint store in a Postgres database, for pipelines whose processes share no file system.

use std::fmt;

use telemetra_core::ExternalError;
use telemetra_core::checkpoint::CheckpointStore;
use tokio_postgres::{Client, Error};

use super::config::PostgresConfig;
use super::schema::{self, Component};
use super::session::{BEGIN, Session};

/// The size of the parts in which a blob is stored, in bytes, as Postgres limits the size of a value.
const PART: usize = 32 << 20;

/// The tables of the store: the parts of blobs, and the places of processes.
const TABLES: &str = "
    CREATE TABLE telemetra_checkpoints (
        pipeline text NOT NULL, name text COLLATE \"C\" NOT NULL, part bigint NOT NULL, blob bytea NOT NULL,
        PRIMARY KEY (pipeline, name, part)
    );
    ALTER TABLE telemetra_checkpoints ALTER COLUMN blob SET STORAGE EXTERNAL;
    CREATE TABLE telemetra_checkpoint_claims (
        pipeline text NOT NULL, process bigint NOT NULL, generation bigint NOT NULL,
        PRIMARY KEY (pipeline, process)
    );
";

/// A checkpoint store in a Postgres database, for pipelines whose processes share no folder. `ObjectCheckpoints`
/// does the same in an object store, and [`Directory`](telemetra_core::checkpoint::Directory) in a folder of one
/// machine or of a shared file system.
///
/// * Blobs are stored in the table `telemetra_checkpoints`, in parts of 32 MiB. The table is created when the
///   store is first used.
/// * [`put`](CheckpointStore::put) replaces a blob in one transaction, which is durable when it returns.
/// * [`claim`](CheckpointStore::claim) takes over the place of one process of the pipeline from the process that
///   held it before. If that other process stores or removes a blob afterwards, its call fails with a permanent
///   error and changes nothing.
/// * Errors are classified like those of the [`Postgres`](crate::Postgres) sink. After an error, the next
///   call opens a new connection.
///
/// A store uses one connection, which it does not share with the sink. A blob is held in memory while it is
/// stored or read.
///
/// ```no_run
/// use telemetra_core::checkpoint::CheckpointStore;
/// use telemetra_sinks::{PostgresConfig, PostgresStore};
///
/// let config = PostgresConfig::from_url("postgres://telemetra:secret@localhost/telemetra")?;
/// let mut store = PostgresStore::new(config);
/// store.claim(0, 1)?;
/// store.put("0001/part", b"state")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct PostgresStore {
    config: PostgresConfig,
    pipeline: String,
    claim: Option<Claim>,
    session: Option<Session>,
}

/// The place that this process holds among those of the pipeline, and the generation that tells it from other
/// holders.
#[derive(Copy, Clone)]
struct Claim {
    process: i64,
    generation: i64,
}

impl PostgresStore {
    /// Creates a store in the database that `config` names. It connects at the first call.
    #[must_use]
    pub fn new(config: PostgresConfig) -> Self {
        Self { config, pipeline: "telemetra".to_owned(), claim: None, session: None }
    }

    /// Sets the name under which checkpoints are stored. Pipelines with different names do not see each
    /// other's checkpoints, so give each pipeline of a database its own. Default: `telemetra`.
    #[must_use]
    pub fn pipeline(mut self, name: &str) -> Self {
        name.clone_into(&mut self.pipeline);
        self
    }

    /// Runs `work` with the open connection, or with a new one after an error.
    fn with_session<T>(
        &mut self,
        work: impl FnOnce(&Session, &str) -> Result<T, ExternalError>,
    ) -> Result<T, ExternalError> {
        let session = match self.session.take() {
            Some(session) if !session.is_closed() => session,
            _ => {
                let session = Session::connect(&self.config)?;
                let component = Component {
                    name: "checkpoints",
                    migrations: &[TABLES.to_owned()],
                    tables: &["telemetra_checkpoints", "telemetra_checkpoint_claims"],
                };
                schema::prepare(&session, &component)?;
                session
            }
        };
        let done = work(&session, &self.pipeline);
        self.session = done.is_ok().then_some(session);
        done
    }

    /// Changes blobs in one transaction, unless another process has taken over the place.
    fn change(
        &mut self,
        what: &str,
        work: impl AsyncFnOnce(&Client, &str) -> Result<(), Error>,
    ) -> Result<(), ExternalError> {
        let claim = self.claim;
        let ours = self.with_session(|session, pipeline| {
            session.run(&what, async |client| {
                client.batch_execute(BEGIN).await?;
                if let Some(Claim { process, generation }) = claim {
                    let held = "SELECT 1 FROM telemetra_checkpoint_claims
                                WHERE pipeline = $1 AND process = $2 AND generation = $3 FOR SHARE";
                    if client.query_opt(held, &[&pipeline, &process, &generation]).await?.is_none() {
                        client.batch_execute("ROLLBACK").await?;
                        return Ok(false);
                    }
                }
                work(client, pipeline).await?;
                client.batch_execute("COMMIT").await?;
                Ok(true)
            })
        })?;
        match claim {
            Some(Claim { process, .. }) if !ours => Err(ExternalError::taken_over(format!(
                "{what} in the database {}: another process has taken over place {process} of \
                 the pipeline `{}`; stop one of the two",
                self.config.place(),
                self.pipeline
            ))),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("config", &self.config)
            .field("pipeline", &self.pipeline)
            .finish_non_exhaustive()
    }
}

impl CheckpointStore for PostgresStore {
    fn claim(&mut self, process: usize, processes: usize) -> Result<(), ExternalError> {
        let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let (process, processes) = (number(process), number(processes));
        // One statement, which waits for a process that is storing under the same place.
        let sql = "WITH gone AS (
                DELETE FROM telemetra_checkpoint_claims
                WHERE pipeline = $1 AND $2::int8 = 0 AND process >= $3
            )
            INSERT INTO telemetra_checkpoint_claims (pipeline, process, generation)
            VALUES ($1, $2::int8, nextval('telemetra_generations'))
            ON CONFLICT (pipeline, process) DO UPDATE SET generation = excluded.generation
            RETURNING generation";
        let generation = self.with_session(|session, pipeline| {
            session.run(&format!("could not claim place {process} among the checkpoints"), async |client| {
                client.query_one(sql, &[&pipeline, &process, &processes]).await.map(|row| row.get(0))
            })
        })?;
        self.claim = Some(Claim { process, generation });
        Ok(())
    }

    fn put(&mut self, name: &str, blob: &[u8]) -> Result<(), ExternalError> {
        self.change(&format!("could not store the checkpoint `{name}`"), async |client, pipeline| {
            let remove = client.prepare(REMOVE).await?;
            let insert = client
                .prepare(
                    "INSERT INTO telemetra_checkpoints (pipeline, name, part, blob) VALUES ($1, $2, $3, $4)",
                )
                .await?;
            client.execute(&remove, &[&pipeline, &name]).await?;
            let first = [&[][..]];
            let parts = blob.chunks(PART).chain(first.into_iter().filter(|_| blob.is_empty()));
            for (part, blob) in (0_i64..).zip(parts) {
                client.execute(&insert, &[&pipeline, &name, &part, &blob]).await?;
            }
            Ok(())
        })
    }

    fn get(&mut self, name: &str) -> Result<Option<Vec<u8>>, ExternalError> {
        self.with_session(|session, pipeline| {
            session.run(&format!("could not read the checkpoint `{name}`"), async |client| {
                let sql =
                    "SELECT blob FROM telemetra_checkpoints WHERE pipeline = $1 AND name = $2 ORDER BY part";
                let parts = client.query(sql, &[&pipeline, &name]).await?;
                let blobs = parts.iter().map(|row| row.get::<_, &[u8]>(0));
                Ok((!parts.is_empty()).then(|| blobs.collect::<Vec<_>>().concat()))
            })
        })
    }

    fn list(&mut self) -> Result<Vec<String>, ExternalError> {
        self.with_session(|session, pipeline| {
            session.run(&"could not list the checkpoints", async |client| {
                let sql = "SELECT DISTINCT name FROM telemetra_checkpoints
                           WHERE pipeline = $1 ORDER BY name";
                Ok(client.query(sql, &[&pipeline]).await?.iter().map(|row| row.get(0)).collect())
            })
        })
    }

    fn remove(&mut self, name: &str) -> Result<(), ExternalError> {
        self.change(&format!("could not remove the checkpoint `{name}`"), async |client, pipeline| {
            client.execute(REMOVE, &[&pipeline, &name]).await.map(drop)
        })
    }
}

const REMOVE: &str = "DELETE FROM telemetra_checkpoints WHERE pipeline = $1 AND name = $2";
