//! A connection whose waiting is always bounded.
//!
//! The client is asynchronous and runs on a runtime in the caller's thread. So several statements are sent
//! before the first answer arrives, and a server that does not answer cannot block the thread for ever.

use std::fmt::Display;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use bytes::BytesMut;
use telemetra_core::ExternalError;
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type};
use tokio_postgres::{Client, Error};

use super::config::PostgresConfig;
use super::error::{failed, silent};

/// Fails in a database whose encoding is not UTF-8, as some texts would not fit.
const ENCODING: &str = "DO $$ BEGIN IF current_setting('server_encoding') <> 'UTF8' THEN \
                        RAISE 'the encoding is %', current_setting('server_encoding') USING ERRCODE = '22P05'; \
                        END IF; END $$";
/// Begins a transaction whose commit is durable, whatever the server's default, and even if a pooler gives
/// each transaction another session.
pub(super) const BEGIN: &str = "BEGIN; SELECT CASE current_setting('synchronous_commit') WHEN 'off' \
                                      THEN set_config('synchronous_commit', 'on', true) END";

/// A connection, the runtime that drives it, and its time limits.
pub(super) struct Session {
    runtime: Runtime,
    client: Client,
    place: String,
    patience: Duration,
}

impl Session {
    /// Opens a connection and sets it up.
    pub(super) fn connect(config: &PostgresConfig) -> Result<Self, ExternalError> {
        let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| {
            ExternalError::permanent("could not start a runtime for the connection").because(error)
        })?;
        // A plan that treats parameters of megabytes as constants costs more than it gains.
        let settings = format!(
            "SET idle_in_transaction_session_timeout = {}; \
             SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3; \
             SET client_min_messages = warning; SET plan_cache_mode = force_generic_plan; \
             SET standard_conforming_strings = on; {ENCODING}; \
             SELECT CASE current_setting('synchronous_commit') WHEN 'off' \
             THEN set_config('synchronous_commit', 'on', false) END",
            config.statement_timeout.as_millis().min(30_000)
        );
        let (client, connection) = runtime.block_on(config.connect_with(&settings))?;
        runtime.spawn(async move {
            if let Err(error) = connection.await {
                let error: &(dyn std::error::Error + 'static) = &error;
                tracing::debug!(error, "the connection to Postgres ended");
            }
        });
        Ok(Self { runtime, client, place: config.place(), patience: config.patience() })
    }

    pub(super) fn place(&self) -> &str {
        &self.place
    }

    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Runs `work` to its end, or for as long as the server may take for one statement.
    pub(super) fn run<T>(
        &self,
        what: &dyn Display,
        work: impl AsyncFnOnce(&Client) -> Result<T, Error>,
    ) -> Result<T, ExternalError> {
        self.run_several(1, what, work)
    }

    /// Runs this number of statements, otherwise like [`run`](Self::run).
    pub(super) fn run_several<T>(
        &self,
        statements: usize,
        what: &dyn Display,
        work: impl AsyncFnOnce(&Client) -> Result<T, Error>,
    ) -> Result<T, ExternalError> {
        let patience = self.patience.saturating_mul(u32::try_from(statements).unwrap_or(u32::MAX));
        self.within(patience, what, work)?.map_err(|error| failed(&self.place, what, error))
    }

    /// Runs work like [`run`](Self::run), but returns the server's rejection unchanged.
    pub(super) fn attempt<T>(
        &self,
        what: &dyn Display,
        work: impl AsyncFnOnce(&Client) -> Result<T, Error>,
    ) -> Result<Result<T, Error>, ExternalError> {
        self.within(self.patience, what, work)
    }

    fn within<T>(
        &self,
        patience: Duration,
        what: &dyn Display,
        work: impl AsyncFnOnce(&Client) -> Result<T, Error>,
    ) -> Result<Result<T, Error>, ExternalError> {
        let attempt = async { tokio::time::timeout(patience, work(&self.client)).await };
        self.runtime.block_on(attempt).map_err(|_| silent(&self.place, what, patience.as_secs_f32()))
    }
}

/// A `timestamptz` in the binary format: microseconds since the year 2000.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Timestamp(pub(super) i64);

impl<'a> FromSql<'a> for Timestamp {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        i64::from_sql(kind, raw).map(Self)
    }
    fn accepts(kind: &Type) -> bool {
        *kind == Type::TIMESTAMPTZ
    }
}

impl ToSql for Timestamp {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        self.0.to_sql(kind, out)
    }
    fn accepts(kind: &Type) -> bool {
        *kind == Type::TIMESTAMPTZ
    }
    tokio_postgres::types::to_sql_checked!();
}

/// Waits for all futures, whose statements were sent in this order, and returns their results in the same
/// order.
pub(super) async fn all<'a, T>(mut futures: Vec<Pin<Box<dyn Future<Output = T> + 'a>>>) -> Vec<T> {
    let mut results: Vec<Option<T>> = futures.iter().map(|_| None).collect();
    poll_fn(|context| {
        let mut waits = false;
        for (future, result) in futures.iter_mut().zip(&mut results).filter(|(_, result)| result.is_none()) {
            match future.as_mut().poll(context) {
                Poll::Ready(value) => *result = Some(value),
                Poll::Pending => waits = true,
            }
        }
        if waits { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    results.into_iter().flatten().collect()
}
