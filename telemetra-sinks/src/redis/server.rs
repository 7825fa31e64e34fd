//! The address of a Redis server, cluster, or master behind sentinels, and the connection to it.

use std::fmt;
use std::time::Duration;

use redis::cluster::ClusterClient;
use redis::{
    Client, ClientTlsConfig, Connection, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo,
    RedisError, RedisResult, TlsCertificates, TlsMode,
};
use telemetra_core::ExternalError;

use super::error::refused;
use super::link::Link;

/// The connection settings of Redis, for [`RedisSink`](super::RedisSink): the address of a single server, of a
/// cluster, or of the sentinels that name the master, with login, TLS and time-out. A `&str` or `String` converts
/// to the address of a single server.
///
/// URLs have the form `redis://[user][:password@]host[:port][/database]`, `rediss://…` for TLS, or
/// `redis+unix:///path[?db=…&user=…&pass=…]`. Errors and `Debug` show only host and port, never the password.
/// A URL is parsed when the sink is opened, so a malformed one is an error of
/// [`open`](telemetra_core::Sink::open).
///
/// ```
/// use telemetra_sinks::RedisServer;
/// let server = RedisServer::url("rediss://telemetra:secret@redis.example:6380/1");
/// assert_eq!(format!("{server:?}"), "RedisServer(\"redis.example:6380\")");
///
/// let cluster = RedisServer::cluster(["redis://node-1:6379", "redis://node-2:6379"]);
/// assert_eq!(cluster.to_string(), "node-1:6379,node-2:6379");
/// ```
#[derive(Clone)]
pub struct RedisServer {
    kind: Kind,
    urls: Vec<String>,
    certificates: Option<TlsCertificates>,
    timeout: Duration,
}

/// The kind of deployment.
#[derive(Clone)]
enum Kind {
    Single,
    Cluster,
    Sentinel { master: String, node: Option<String> },
}

impl RedisServer {
    fn new(kind: Kind, urls: Vec<String>) -> Self {
        Self { kind, urls, certificates: None, timeout: Duration::from_secs(10) }
    }

    /// Creates the address of a single server.
    #[must_use]
    pub fn url(url: impl Into<String>) -> Self {
        Self::new(Kind::Single, vec![url.into()])
    }

    /// Creates the address of a Redis cluster. `urls` are some of its nodes, of which one must be reachable; the
    /// client finds the other nodes through it. User, password and TLS are the same for all nodes: if only some URLs
    /// are of `rediss://`, opening the sink fails with a permanent error.
    #[must_use]
    pub fn cluster(urls: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::new(Kind::Cluster, urls.into_iter().map(Into::into).collect())
    }

    /// Creates the address of the master named `master`. The sentinels at `urls` are asked in turn for the
    /// master's address each time the sink connects, so it follows a failover. If only some URLs are of `rediss://` and
    /// there is no [`node`](Self::node), opening the sink fails with a permanent error.
    ///
    /// ```
    /// use telemetra_sinks::RedisServer;
    /// let sentinels = ["redis://sentinel-1:26379", "redis://sentinel-2:26379"];
    /// let server = RedisServer::sentinel(sentinels, "primary").node("rediss://telemetra:secret@primary/0");
    /// assert!(!format!("{server:?}").contains("secret"));
    /// ```
    #[must_use]
    pub fn sentinel(urls: impl IntoIterator<Item = impl Into<String>>, master: impl Into<String>) -> Self {
        let kind = Kind::Sentinel { master: master.into(), node: None };
        Self::new(kind, urls.into_iter().map(Into::into).collect())
    }

    /// Sets how to log in to the master that sentinels name: the scheme, user, password and database of this
    /// URL are used, and its host is ignored. Default: the scheme of the sentinel's URL, without user and
    /// password. Has no effect without sentinels.
    #[must_use]
    pub fn node(mut self, url: impl Into<String>) -> Self {
        if let Kind::Sentinel { node, .. } = &mut self.kind {
            *node = Some(url.into());
        }
        self
    }

    /// Sets the certificate authority, in PEM, that must have signed the server's certificate. Default: the
    /// authorities that the system trusts. At least one URL must be of `rediss://`; behind sentinels this may be
    /// a sentinel's or that of [`node`](Self::node). Otherwise opening the sink fails with a permanent error.
    #[must_use]
    pub fn authority(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.certificates().root_cert = Some(pem.into());
        self
    }

    /// Sets the certificate and private key, in PEM, that this client presents to the server. Default: none. It needs
    /// URLs of `rediss://`, as [`authority`](Self::authority) does.
    #[must_use]
    pub fn certificate(mut self, pem: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.certificates().client_tls =
            Some(ClientTlsConfig { client_cert: pem.into(), client_key: key.into() });
        self
    }

    fn certificates(&mut self) -> &mut TlsCertificates {
        self.certificates.get_or_insert(TlsCertificates { client_tls: None, root_cert: None })
    }

    /// Sets how long to wait for a connection, and for each answer, before the connection counts as lost, which is a
    /// transient error. Default: 10 s; at least 1 ms.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout.max(Duration::from_millis(1));
        self
    }

    /// Returns whether keys are spread over several servers.
    pub(super) fn is_cluster(&self) -> bool {
        matches!(self.kind, Kind::Cluster)
    }

    /// Refuses settings of TLS that would have no effect, as nobody would notice before it matters.
    ///
    /// # Errors
    ///
    /// Permanent, with the setting.
    pub(super) fn check(&self) -> Result<(), ExternalError> {
        let node = match &self.kind {
            Kind::Sentinel { node, .. } => node.as_ref(),
            _ => None,
        };
        let (mut safe, mut plain) = (false, false);
        // A malformed URL is reported by `connect`.
        for info in self.urls.iter().chain(node).filter_map(|url| url.as_str().into_connection_info().ok()) {
            match info.addr() {
                ConnectionAddr::TcpTls { .. } => safe = true,
                _ => plain = true,
            }
        }
        let place = self.to_string();
        match &self.certificates {
            _ if self.is_cluster() && safe && plain => Err(refused(
                &place,
                "only some of the URLs are of `rediss://`; give all nodes of a cluster with it, or none",
            )),
            // Whether the master is connected to by TLS would depend on which sentinel answers.
            _ if matches!(self.kind, Kind::Sentinel { node: None, .. }) && safe && plain => Err(refused(
                &place,
                "only some of the URLs are of `rediss://`, and `node` does not say how to connect to the master; \
                 set it, or give all sentinels with `rediss://`, or none",
            )),
            Some(certificates) if plain && !safe => {
                let setting = if certificates.root_cert.is_some() { "authority" } else { "certificate" };
                let why = format!(
                    "`{setting}` is set, and the connection is not by TLS; give a URL of `rediss://`"
                );
                Err(refused(&place, why))
            }
            _ => Ok(()),
        }
    }

    /// Connects, within the time-out.
    pub(super) fn connect(&self) -> RedisResult<Link> {
        prepare_tls();
        match &self.kind {
            Kind::Single => {
                let url = self.urls.first().ok_or_else(no_url)?;
                Ok(Link::single(self.connect_to(url.as_str().into_connection_info()?)?))
            }
            Kind::Cluster => {
                let mut builder = ClusterClient::builder(self.urls.iter().map(String::as_str))
                    .connection_timeout(self.timeout)
                    .response_timeout(self.timeout)
                    // The pipeline retries by itself, with longer pauses.
                    .retries(2);
                if let Some(certificates) = &self.certificates {
                    builder = builder.tls(TlsMode::Secure).certs(certificates.clone());
                }
                let connection = builder.build()?.get_connection()?;
                connection.set_read_timeout(Some(self.timeout))?;
                connection.set_write_timeout(Some(self.timeout))?;
                Ok(Link::cluster(connection))
            }
            Kind::Sentinel { master, node } => {
                let info = self.ask_sentinels(master, node.as_deref())?;
                Ok(Link::single(self.connect_to(info)?))
            }
        }
    }

    /// Opens a connection to one server.
    fn connect_to(&self, info: ConnectionInfo) -> RedisResult<Connection> {
        let client = match (&self.certificates, info.addr()) {
            (Some(certificates), ConnectionAddr::TcpTls { .. }) => {
                Client::build_with_tls(info, certificates.clone())?
            }
            _ => Client::open(info)?,
        };
        let connection = client.get_connection_with_timeout(self.timeout)?;
        connection.set_read_timeout(Some(self.timeout))?;
        connection.set_write_timeout(Some(self.timeout))?;
        Ok(connection)
    }

    /// Asks the sentinels one by one, as the client's own query waits for ever for a sentinel that hangs.
    fn ask_sentinels(&self, master: &str, node: Option<&str>) -> RedisResult<ConnectionInfo> {
        let mut last = no_url();
        for url in &self.urls {
            let asked = url.as_str().into_connection_info().and_then(|info| {
                let mut sentinel = self.connect_to(info.clone())?;
                let mut ask = redis::cmd("SENTINEL");
                let found: Option<(String, u16)> =
                    ask.arg("GET-MASTER-ADDR-BY-NAME").arg(master).query(&mut sentinel)?;
                Ok((info, found))
            });
            match asked {
                Ok((info, Some((host, port)))) => {
                    let info = match node {
                        Some(node) => node.into_connection_info()?,
                        None => info.set_redis_settings(redis::RedisConnectionInfo::default()),
                    };
                    let addr = match info.addr() {
                        ConnectionAddr::TcpTls { .. } => {
                            ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
                        }
                        _ => ConnectionAddr::Tcp(host, port),
                    };
                    return Ok(info.set_addr(addr));
                }
                Ok((_, None)) => {
                    last =
                        (ErrorKind::MasterNameNotFoundBySentinel, "the sentinel has no such master").into();
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

/// Chooses the cryptography provider of rustls, if the process has two and has not chosen one.
fn prepare_tls() {
    use rustls::crypto::{CryptoProvider, ring};
    if CryptoProvider::get_default().is_none() {
        // If another thread was faster, its choice stands.
        let _ = ring::default_provider().install_default();
    }
}

/// The error of a server without an address.
fn no_url() -> RedisError {
    (ErrorKind::InvalidClientConfig, "no URL was given").into()
}

impl From<&str> for RedisServer {
    fn from(url: &str) -> Self {
        Self::url(url)
    }
}
impl From<String> for RedisServer {
    fn from(url: String) -> Self {
        Self::url(url)
    }
}

/// Shows hosts and ports only.
impl fmt::Display for RedisServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, url) in self.urls.iter().enumerate() {
            f.write_str(if i == 0 { "" } else { "," })?;
            match url.as_str().into_connection_info() {
                Ok(info) => write!(f, "{}", info.addr())?,
                Err(_) => f.write_str("(not a URL of Redis)")?,
            }
        }
        Ok(())
    }
}
impl fmt::Debug for RedisServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RedisServer").field(&self.to_string()).finish()
    }
}
