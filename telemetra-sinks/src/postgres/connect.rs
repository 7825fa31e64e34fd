//! Opens connections: those of the sink, of the checkpoint store, and of services that read the tables.

use std::fmt::Display;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use telemetra_core::ExternalError;
use tokio::time::timeout;
use tokio_postgres::{Client, Error};

use super::config::PostgresConfig;
use super::error::{failed, silent};
use super::tls;

/// The time after the server's own statement timeout that the client waits, so that the server's error can
/// still arrive.
const GRACE: Duration = Duration::from_secs(5);

impl PostgresConfig {
    /// Opens a connection, for a service that reads the tables with the same settings as the pipeline that
    /// writes them.
    ///
    /// Returns the client and its connection. The statement timeout is set on the client. The connection is a
    /// future that sends the client's requests and receives the answers, so spawn it on the runtime. It ends
    /// when the client is dropped and all answers are in, or with the error by which the connection was lost.
    ///
    /// The types are those of `tokio-postgres` 0.7. Dropping the future of this method before it completes
    /// leaves nothing behind.
    ///
    /// # Errors
    ///
    /// The error is [transient](telemetra_core::Retry::Transient) if another attempt may succeed: the
    /// connection is refused, the server is starting or has no connection free, or it does not answer within the
    /// statement timeout and 5 s. It is permanent for a wrong password, a missing database, or a certificate that is
    /// not trusted or cannot be read. Each error says what to do, and none quotes the password.
    ///
    /// # Panics
    ///
    /// If it is polled outside a tokio runtime with I/O and time enabled.
    ///
    /// # Cost
    ///
    /// Connecting takes three to eight round trips, depending on TLS and on the kind of password. If certificates are
    /// verified, their files are read first, which blocks the thread for milliseconds. Keep connections open,
    /// as a pool does.
    ///
    /// ```no_run
    /// use telemetra_sinks::{PostgresConfig, TlsMode};
    ///
    /// #[tokio::main(flavor = "current_thread")]
    /// async fn main() -> Result<(), Box<dyn std::error::Error>> {
    ///     let config = PostgresConfig::new("db.example.org")
    ///         .user("reader")
    ///         .database("telemetra")
    ///         .application_name("reports")
    ///         .tls(TlsMode::VerifyFull)
    ///         .root_certificates("/etc/telemetra/ca.pem");
    ///     let (client, connection) = config.connect().await?;
    ///     tokio::spawn(async move {
    ///         if let Err(error) = connection.await {
    ///             eprintln!("{error}");
    ///         }
    ///     });
    ///     let row = client.query_one("SELECT count(*) FROM moments WHERE ended_at IS NULL", &[]).await?;
    ///     println!("{} moments are open", row.get::<_, i64>(0));
    ///     Ok(())
    /// }
    /// ```
    pub async fn connect(
        &self,
    ) -> Result<
        (Client, impl Future<Output = Result<(), ExternalError>> + Send + 'static + use<>),
        ExternalError,
    > {
        self.connect_with("").await
    }

    /// Connects like [`connect`](Self::connect), with further session settings in SQL.
    pub(super) async fn connect_with(
        &self,
        settings: &str,
    ) -> Result<
        (Client, impl Future<Output = Result<(), ExternalError>> + Send + 'static + use<>),
        ExternalError,
    > {
        let place = self.place();
        let connector = tls::connector(&self.tls)?;
        let (client, connection) = self.within("could not connect", self.client.connect(connector)).await?;
        let mut connection = Box::pin(connection);
        let settings = format!("SET statement_timeout = {}; {settings}", self.statement_timeout.as_millis());
        let set = async {
            let mut set = pin!(client.batch_execute(&settings));
            tokio::select! {
                biased;
                done = &mut set => done,
                // The connection must be polled here, as it is not spawned yet.
                ended = &mut connection => match ended {
                    Ok(()) => set.await,
                    Err(error) => Err(error),
                },
            }
        };
        self.within("could not set up the connection", set).await?;
        let carried =
            async move { connection.await.map_err(|error| failed(&place, &"lost the connection", error)) };
        Ok((client, carried))
    }

    /// The time limit for an answer; then the connection is closed.
    pub(super) fn patience(&self) -> Duration {
        self.statement_timeout + GRACE
    }

    async fn within<T>(
        &self,
        what: impl Display,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, ExternalError> {
        let patience = self.patience();
        match timeout(patience, work).await {
            Ok(done) => done.map_err(|error| failed(&self.place(), &what, error)),
            Err(_) => Err(silent(&self.place(), &what, patience.as_secs_f32())),
        }
    }
}
