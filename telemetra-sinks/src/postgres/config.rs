//! The connection settings of a Postgres server: host, database, user, TLS, and timeouts.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use telemetra_core::ConfigError;
use tokio_postgres::config::{Host, SslMode};

use super::tls::{Tls, TlsMode};
use super::url;

/// The connection settings of a Postgres database: server, database, role, encryption and timeouts. The
/// [sink](crate::Postgres) and the [checkpoint store](crate::PostgresStore) take it, and [services that read
/// the tables](Self::connect) can use it too.
///
/// `Debug` does not show the password. Files of certificates are read when a connection is opened.
///
/// ```
/// use telemetra_sinks::{PostgresConfig, TlsMode};
///
/// let config = PostgresConfig::new("db.example.org")
///     .database("telemetra")
///     .user("telemetra")
///     .password("secret")
///     .tls(TlsMode::VerifyFull);
/// assert!(!format!("{config:?}").contains("secret"));
///
/// let url = "postgres://telemetra:secret@db.example.org/telemetra?sslmode=verify-full";
/// let same = PostgresConfig::from_url(url)?;
/// assert_eq!(format!("{config:?}"), format!("{same:?}"));
/// # Ok::<(), telemetra_core::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct PostgresConfig {
    pub(super) client: tokio_postgres::Config,
    pub(super) tls: Tls,
    pub(super) statement_timeout: Duration,
}

impl PostgresConfig {
    /// Creates the settings for the server at `host`: a host name, an IP address, or the folder of a Unix
    /// socket. The port is 5432, the user `postgres`, the database the one with the user's name, and there is
    /// no password.
    ///
    /// A server that dies without closing its connections is noticed by TCP: unless a
    /// [connection string](Self::from_url) sets them, keepalives are sent after 10 s without traffic and then
    /// every 5 s, the third that is not answered closes the connection, and data may stay unacknowledged for
    /// 30 s.
    ///
    /// ```
    /// use telemetra_sinks::PostgresConfig;
    /// let config = PostgresConfig::new("db.example.org").port(6432).user("telemetra").database("plant");
    /// assert!(format!("{config:?}").contains("`plant` at db.example.org:6432"));
    /// ```
    #[must_use]
    pub fn new(host: &str) -> Self {
        let mut client = tokio_postgres::Config::new();
        client.host(host);
        Self::around(client, Tls::default())
    }

    /// Parses a connection string as libpq does: a URL
    /// `postgres://user:password@host:port/database?sslmode=…`, or words `host=… user=…`.
    ///
    /// These parameters are known: `user`, `password`, `dbname`, `host`, `hostaddr`, `port`, `options`,
    /// `application_name`, `connect_timeout`, `tcp_user_timeout`, `keepalives`, `keepalives_idle`,
    /// `keepalives_interval`, `keepalives_retries`, `target_session_attrs`, `channel_binding`,
    /// `load_balance_hosts`, `sslmode` (every mode but `allow`), `sslrootcert`, `sslcert` and `sslkey`.
    /// `host`, `hostaddr` and `port` may be lists separated by commas, whose servers are tried in turn.
    ///
    /// # Errors
    ///
    /// If the string cannot be parsed or has an unknown parameter. The error does not quote the string, as it
    /// contains a password.
    ///
    /// ```
    /// use telemetra_sinks::PostgresConfig;
    ///
    /// let words = "host=db.example.org user=telemetra password=secret sslmode=verify-full";
    /// let words = PostgresConfig::from_url(words)?;
    /// assert!(!format!("{words:?}").contains("secret"));
    /// assert!(PostgresConfig::from_url("postgres://db.example.org/?sslmode=perhaps").is_err());
    /// # Ok::<(), telemetra_core::ConfigError>(())
    /// ```
    pub fn from_url(url: &str) -> Result<Self, ConfigError> {
        let (client, tls) = url::parse(url)?;
        Ok(Self::around(client, tls))
    }

    /// Completes settings of the client with timeouts, so that a dead server does not block a thread for
    /// ever.
    fn around(mut client: tokio_postgres::Config, tls: Tls) -> Self {
        if client.get_user().is_none() {
            client.user("postgres");
        }
        if client.get_connect_timeout().is_none() {
            client.connect_timeout(Duration::from_secs(10));
        }
        if client.get_tcp_user_timeout().is_none() {
            client.tcp_user_timeout(Duration::from_secs(30));
        }
        if client.get_keepalives_idle() == Duration::from_secs(2 * 60 * 60) {
            client.keepalives_idle(Duration::from_secs(10));
        }
        if client.get_keepalives_interval().is_none() {
            client.keepalives_interval(Duration::from_secs(5));
        }
        if client.get_keepalives_retries().is_none() {
            client.keepalives_retries(3);
        }
        if client.get_application_name().is_none() {
            client.application_name("telemetra");
        }
        let mut config = Self { client, tls: Tls::default(), statement_timeout: Duration::from_secs(60) };
        config.set_tls(tls);
        config
    }

    /// Sets the TCP port. Default: 5432.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.client.port(port);
        self
    }

    /// Sets the role to log in as. Default: `postgres`.
    #[must_use]
    pub fn user(mut self, user: &str) -> Self {
        self.client.user(user);
        self
    }

    /// Sets the password of the role. Default: none. A wrong one is a permanent error when a connection is opened.
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        self.client.password(password);
        self
    }

    /// Sets the name of the database, which must exist. Default: the name of the user.
    #[must_use]
    pub fn database(mut self, database: &str) -> Self {
        self.client.dbname(database);
        self
    }

    /// Sets whether and how the connection is encrypted. Default: [`TlsMode::Prefer`]. Use
    /// [`TlsMode::VerifyFull`] on a network that you do not control.
    #[must_use]
    pub fn tls(mut self, mode: TlsMode) -> Self {
        let tls = Tls { mode, ..self.tls.clone() };
        self.set_tls(tls);
        self
    }

    /// Sets a PEM file of root certificates, which replace those of the system. Default: the system's. They are used by
    /// [`TlsMode::VerifyCa`] and [`TlsMode::VerifyFull`], and by [`TlsMode::Require`], which then acts as `VerifyCa`. A
    /// file that cannot be read is a permanent error when a connection is opened.
    #[must_use]
    pub fn root_certificates(mut self, path: impl Into<PathBuf>) -> Self {
        self.tls.roots = Some(path.into());
        self
    }

    /// Sets the PEM files of the certificate chain and the private key that this client presents to the
    /// server. Default: none.
    #[must_use]
    pub fn client_certificate(mut self, certificates: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.tls.client = Some((certificates.into(), key.into()));
        self
    }

    /// Sets the name that the server shows for the connection, as in `pg_stat_activity`. Default:
    /// `telemetra`.
    #[must_use]
    pub fn application_name(mut self, name: &str) -> Self {
        self.client.application_name(name);
        self
    }

    /// Sets how long to wait for a connection, for each address that is tried; then opening fails with a transient error.
    /// Default: 10 s.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.client.connect_timeout(timeout);
        self
    }

    /// Sets how long the server may take for one statement, and for any answer at all. When this time is over,
    /// the connection is closed and the error is transient. A statement writes at most 16,384 rows, so its
    /// duration does not grow with the size of batches. Default: 60 s; limited to between 1 ms and one day.
    /// Raise it for a slow disk.
    #[must_use]
    pub fn statement_timeout(mut self, timeout: Duration) -> Self {
        self.statement_timeout = timeout.clamp(Duration::from_millis(1), Duration::from_secs(86_400));
        self
    }

    fn set_tls(&mut self, tls: Tls) {
        self.client.ssl_mode(match tls.mode {
            TlsMode::Disable => SslMode::Disable,
            TlsMode::Prefer => SslMode::Prefer,
            TlsMode::Require | TlsMode::VerifyCa | TlsMode::VerifyFull => SslMode::Require,
        });
        self.tls = tls;
    }

    /// The database and its servers, as errors name them.
    pub(super) fn place(&self) -> String {
        let database = self.client.get_dbname().or(self.client.get_user()).unwrap_or_default();
        let ports = self.client.get_ports();
        let port = |nth: usize| ports.get(nth).or(ports.first()).copied().unwrap_or(5432);
        let mut hosts: Vec<String> = Vec::new();
        for (nth, host) in self.client.get_hosts().iter().enumerate() {
            hosts.push(match host {
                Host::Tcp(name) => format!("{name}:{}", port(nth)),
                #[cfg(unix)]
                Host::Unix(path) => format!("{}:{}", path.display(), port(nth)),
            });
        }
        if hosts.is_empty() {
            let addresses = self.client.get_hostaddrs().iter().enumerate();
            hosts = addresses.map(|(nth, address)| format!("{address}:{}", port(nth))).collect();
        }
        format!("`{database}` at {}", hosts.join(", "))
    }
}

/// Converts settings of the `tokio-postgres` client. The encryption follows their `ssl_mode`; certificates are
/// added by the methods of [`PostgresConfig`]. Timeouts that are not set get the defaults of
/// [`new`](PostgresConfig::new).
///
/// ```
/// use telemetra_sinks::PostgresConfig;
/// let mut client = tokio_postgres::Config::new();
/// client.host("db.example.org").user("telemetra");
/// let same = PostgresConfig::new("db.example.org").user("telemetra");
/// assert_eq!(format!("{:?}", PostgresConfig::from(client)), format!("{same:?}"));
/// ```
impl From<tokio_postgres::Config> for PostgresConfig {
    fn from(client: tokio_postgres::Config) -> Self {
        let mode = match client.get_ssl_mode() {
            SslMode::Disable => TlsMode::Disable,
            SslMode::Require => TlsMode::Require,
            _ => TlsMode::Prefer,
        };
        Self::around(client, Tls { mode, ..Tls::default() })
    }
}

impl fmt::Debug for PostgresConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresConfig")
            .field("database", &self.place())
            .field("user", &self.client.get_user())
            .field("tls", &self.tls)
            .field("statement_timeout", &self.statement_timeout)
            .finish_non_exhaustive()
    }
}
