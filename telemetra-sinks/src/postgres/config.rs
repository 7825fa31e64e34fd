//! The connection settings of a Postgres server: host, database, user, TLS, and timeouts.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use telemetra_core::ConfigError;
use tokio_postgres::config::{Host, SslMode};

use super::tls::{Tls, TlsMode};
use super::url;

/// The server, the database, who asks, and how long to wait. For the sink and the store of checkpoints
/// alike, and for [services that read the tables](Self::connect).
///
/// `Debug` shows no password.
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
    /// The server at `host`: a name, an address, or the folder of a Unix socket. Port 5432, user `postgres`,
    /// the database of the user's name, no password.
    #[must_use]
    pub fn new(host: &str) -> Self {
        let mut client = tokio_postgres::Config::new();
        client.host(host);
        Self::around(client, Tls::default())
    }

    /// Reads `postgres://user:password@host:port/database?sslmode=…`, or words `host=… user=…`, as libpq
    /// does. Of its parameters these are known: `user`, `password`, `dbname`, `host`, `hostaddr`, `port`
    /// (several of the last three, with commas between, are tried in turn), `options`, `application_name`,
    /// `connect_timeout`, `tcp_user_timeout`, `keepalives`, `keepalives_idle`, `keepalives_interval`,
    /// `keepalives_retries`, `target_session_attrs`, `channel_binding`, `load_balance_hosts`, `sslmode` (but
    /// `allow`), `sslrootcert`, `sslcert` and `sslkey`.
    ///
    /// # Errors
    ///
    /// If it cannot be read. The error does not quote it, as it holds a password.
    pub fn from_url(url: &str) -> Result<Self, ConfigError> {
        let (client, tls) = url::parse(url)?;
        Ok(Self::around(client, tls))
    }

    /// Fills in what keeps a dead server from holding a thread for ever.
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

    /// The port.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.client.port(port);
        self
    }

    /// The role to log in as.
    #[must_use]
    pub fn user(mut self, user: &str) -> Self {
        self.client.user(user);
        self
    }

    /// Its password.
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        self.client.password(password);
        self
    }

    /// The database. It has to be there.
    #[must_use]
    pub fn database(mut self, database: &str) -> Self {
        self.client.dbname(database);
        self
    }

    /// Whether and how the connection is encrypted. Default: [`TlsMode::Prefer`].
    #[must_use]
    pub fn tls(mut self, mode: TlsMode) -> Self {
        let tls = Tls { mode, ..self.tls.clone() };
        self.set_tls(tls);
        self
    }

    /// A file of root certificates, in PEM, to trust in place of the system's.
    #[must_use]
    pub fn root_certificates(mut self, path: impl Into<PathBuf>) -> Self {
        self.tls.roots = Some(path.into());
        self
    }

    /// Files, in PEM, of the certificates and the private key to show to the server.
    #[must_use]
    pub fn client_certificate(mut self, certificates: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.tls.client = Some((certificates.into(), key.into()));
        self
    }

    /// What the server calls the connection where it lists them. Default: `telemetra`.
    #[must_use]
    pub fn application_name(mut self, name: &str) -> Self {
        self.client.application_name(name);
        self
    }

    /// How long to wait for a connection, per address. Default: 10 s.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.client.connect_timeout(timeout);
        self
    }

    /// How long the server may take for a statement, and to answer at all; after that the connection is
    /// given up and the error is transient. A statement writes 16,384 rows at most. Default: 60 s; at least
    /// 1 ms, at most a day.
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

    /// What it is called in errors: the database and where it is.
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

/// Of the client's own settings. Encryption as they say; certificates are added by the methods here.
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
