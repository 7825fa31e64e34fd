//! A few connections to Postgres, which are kept.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use telemetra::sinks::PostgresConfig;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

/// The most connections at a time.
const CONNECTIONS: usize = 8;
/// The time limit for a statement. It counts from when the server has it.
const STATEMENT: Duration = Duration::from_secs(8);
/// The time limit for an answer, less than the service has for one: so it can say what is wrong.
const PATIENCE: Duration = Duration::from_secs(9);

const SETTINGS: &str = "SET default_transaction_read_only = on; SET TimeZone = 'UTC'";
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// The text for a table that is missing: the pipeline makes all of them before it writes.
const NO_TABLES: &str = "no pipeline has written to this database yet";

fn is_no_table(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<tokio_postgres::Error>();
    error.and_then(tokio_postgres::Error::code) == Some(&SqlState::UNDEFINED_TABLE)
}

/// Cheap to clone.
#[derive(Clone)]
pub(super) struct Pool(Arc<Inner>);

struct Inner {
    config: PostgresConfig,
    idle: Mutex<Vec<Arc<Client>>>,
    places: Arc<Semaphore>,
}

impl Pool {
    /// Connections as `config` says; how long to wait is added.
    pub(super) fn new(config: PostgresConfig) -> Self {
        let config = config
            .application_name("telemetra_api")
            .connect_timeout(Duration::from_secs(3))
            .statement_timeout(STATEMENT);
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        Self(Arc::new(Inner { config, idle: Mutex::default(), places }))
    }

    /// Asks in one transaction, so that all is as of one time.
    pub(super) async fn ask<T>(&self, question: impl AsyncFnOnce(&Client) -> Result<T>) -> Result<T> {
        let asked = async { question(&self.begin().await?.client).await };
        let answer = timeout(PATIENCE, asked).await;
        let answer =
            answer.unwrap_or_else(|_| Err(anyhow::anyhow!("no answer within {} s", PATIENCE.as_secs())));
        let answer =
            answer.map_err(|error| if is_no_table(&error) { error.context(NO_TABLES) } else { error });
        answer.context("could not read the tables in postgres")
    }

    async fn begin(&self) -> Result<Reading> {
        let place = Arc::clone(&self.0.places).acquire_owned().await?;
        // A kept connection may have ended meanwhile, or be about to: what is wrong for good, a new one will tell.
        while let Some(kept) = self.0.take() {
            if kept.batch_execute(BEGIN).await.is_ok() {
                return Ok(Reading::new(self, kept, place));
            }
        }
        let (client, connection) = self.0.config.connect().await?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!("a connection to postgres ended: {:#}", anyhow::Error::from(error));
            }
        });
        client.batch_execute(SETTINGS).await?;
        client.batch_execute(BEGIN).await?;
        Ok(Reading::new(self, Arc::new(client), place))
    }
}

impl Inner {
    fn take(&self) -> Option<Arc<Client>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn keep(&self, client: Arc<Client>) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(client);
    }
}

/// A transaction.
struct Reading {
    pool: Pool,
    client: Arc<Client>,
    /// Until the end.
    place: Option<OwnedSemaphorePermit>,
}

impl Reading {
    fn new(pool: &Pool, client: Arc<Client>, place: OwnedSemaphorePermit) -> Self {
        Self { pool: pool.clone(), client, place: Some(place) }
    }
}

/// Nobody waits for the end of a transaction, whether it has its answer, failed, or is not wanted any more: but only then is its
/// connection kept, and its place free.
impl Drop for Reading {
    fn drop(&mut self) {
        let Ok(runtime) = Handle::try_current() else { return };
        let (pool, client, place) = (self.pool.clone(), Arc::clone(&self.client), self.place.take());
        runtime.spawn(async move {
            if let Ok(Ok(())) = timeout(PATIENCE, client.batch_execute("ROLLBACK")).await {
                pool.0.keep(client);
            }
            drop(place);
        });
    }
}
