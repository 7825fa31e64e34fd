//! How every connection begins: the sink's, the store's, and those of services that read the tables.

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

/// Longer than the server's own limit, so that its error arrives where it still can.
const GRACE: Duration = Duration::from_secs(5);

impl PostgresConfig {
    /// Connects, for a service that reads the tables by the configuration that they are written by.
    ///
    /// Gives the client, on which the statement timeout is set, and the connection: a future that carries
    /// what the client sends and is sent. It has to run for the client to be answered, so spawn it. It ends
    /// when the client is dropped and has all its answers, or with the error by which the connection was
    /// lost.
    ///
    /// The types are those of `tokio-postgres` 0.7. Dropped before it is done, it leaves nothing behind.
    ///
    /// # Errors
    ///
    /// Those that may pass (nobody listens, the server starts, has no connection free, or says nothing for
    /// the statement timeout and 5 s) are [transient](telemetra_core::Retry::Transient), those that will not
    /// (a wrong password, no such database, a certificate that is not trusted or cannot be read) permanent.
    /// Each says what to do, and none quotes the password.
    ///
    /// # Panics
    ///
    /// Outside a runtime of tokio with input, output and time.
    ///
    /// # Complexity
    ///
    /// Three to eight round trips, by TLS and the kind of password. With TLS that looks at certificates,
    /// files are read before, which blocks for milliseconds: keep connections, as a pool does.
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

    /// As [`connect`](Self::connect), with more settings, in SQL.
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
                // Nobody carries it yet.
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

    /// How long an answer may take until the connection is given up.
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
