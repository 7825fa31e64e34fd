//! The connection settings of a Kafka cluster: bootstrap servers, librdkafka properties, and SASL
//! credentials.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use telemetra_core::{ConfigError, EventTime};

use super::properties::{check_build, is_shown};

/// The connection settings of a Kafka cluster, for [`KafkaSource`](crate::KafkaSource) and
/// [`KafkaSink`](crate::KafkaSink): bootstrap servers, encryption, login, and properties of librdkafka, the C
/// client that both are built on. By default connections are neither encrypted nor authenticated.
///
/// Any [property of librdkafka](https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md) can
/// be [set](Self::set), except those that the guarantees of source and sink depend on, such as
/// `enable.auto.commit`: setting one of these is an error, which states the reason. Properties are checked when a
/// source or sink is created, not when they are set. A property that is not set has librdkafka's default, with these exceptions:
///
/// | property | source | sink |
/// |---|---|---|
/// | `client.id` | `telemetra` | `telemetra` |
/// | `reconnect.backoff.max.ms` | 1000 | 1000 |
/// | `fetch.wait.max.ms` | 100 | |
/// | `fetch.queue.backoff.ms` | 20 | |
/// | `allow.auto.create.topics` | | `false`, so that a misspelt topic is an error |
/// | `linger.ms` | | 5 |
/// | `compression.codec` | | `lz4` |
/// | `message.max.bytes` | | 1048588, the brokers' default |
/// | `queue.buffering.max.kbytes` | | 65536 |
///
/// A server that cannot be reached is a transient error when the source or sink connects; a login that it refuses and a
/// certificate that is not trusted are permanent errors. `Debug`, errors and logs never contain secrets: only the
/// values of properties that are known to be harmless are shown.
///
/// ```
/// use telemetra_sinks::{KafkaConfig, KafkaSource};
///
/// let config = KafkaConfig::new("kafka-1:9092,kafka-2:9092").set("fetch.wait.max.ms", "20").sasl_plain("me", "hunter2");
/// assert!(!format!("{config:?}").contains("hunter2"));
/// let source = KafkaSource::new(config.clone(), ["readings"])?;
///
/// let refused = KafkaSource::new(config.set("enable.auto.commit", "true"), ["readings"]).unwrap_err();
/// assert!(refused.to_string().contains("checkpoint"));
/// # Ok::<(), telemetra_core::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct KafkaConfig {
    servers: String,
    properties: BTreeMap<String, String>,
    tls: bool,
    sasl: Option<&'static str>,
    token: Option<TokenSource>,
}

/// The callback that makes tokens for OAUTHBEARER.
pub(super) type TokenSource =
    Arc<dyn Fn() -> Result<OAuthToken, Box<dyn std::error::Error + Send + Sync>> + Send + Sync>;

/// A token for the SASL mechanism OAUTHBEARER, as the callback of [`KafkaConfig::oauthbearer`] returns it.
/// `Debug` hides the token.
///
/// ```
/// use telemetra_core::EventTime;
/// use telemetra_sinks::OAuthToken;
///
/// let expires = EventTime(1_767_225_600_000);
/// let token = OAuthToken { token: "eyJhbGciOi…".to_owned(), principal: "telemetra".to_owned(), expires };
/// assert!(!format!("{token:?}").contains("eyJ"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct OAuthToken {
    /// The token in its serialised form (for example a JWT), as it is sent to the brokers.
    pub token: String,
    /// The name of the principal that the token is for.
    pub principal: String,
    /// The time at which the token expires, by the clock on the wall. The callback is called for a new one when four
    /// fifths of the time until then have passed.
    pub expires: EventTime,
}

impl fmt::Debug for OAuthToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { principal, expires, .. } = self;
        f.debug_struct("OAuthToken")
            .field("principal", principal)
            .field("expires", expires)
            .finish_non_exhaustive()
    }
}

/// A property that users must not set, and the reason.
pub(super) type Owned = (&'static str, &'static str);

impl KafkaConfig {
    /// Creates the settings for the cluster of these bootstrap servers: `host:port`, several separated by
    /// commas. The client finds the other brokers through any one of them. An empty text is an error of
    /// [`KafkaSource::new`](crate::KafkaSource::new) and [`KafkaSink::new`](crate::KafkaSink::new).
    #[must_use]
    pub fn new(servers: &str) -> Self {
        Self {
            servers: servers.trim().to_owned(),
            properties: BTreeMap::new(),
            tls: false,
            sasl: None,
            token: None,
        }
    }

    /// Sets a property of librdkafka. If a property is set twice, the last value counts. An unknown name, a
    /// bad value, or a property that is reserved is an error of [`KafkaSource::new`](crate::KafkaSource::new)
    /// or [`KafkaSink::new`](crate::KafkaSink::new).
    ///
    /// ```
    /// use telemetra_sinks::{KafkaConfig, KafkaSource};
    ///
    /// let config = KafkaConfig::new("kafka-1:9092").set("client.rack", "eu-1a");
    /// assert!(KafkaSource::new(config.clone(), ["readings"]).is_ok());
    /// assert!(KafkaSource::new(config.set("client.reck", "eu-1a"), ["readings"]).is_err());
    /// ```
    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.properties.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Encrypts connections by TLS. Default: no encryption. The servers' certificates are verified against the
    /// certificate authorities of the system, or those in [`ca_file`](Self::ca_file).
    ///
    /// Needs the feature `kafka-tls`; without it, creating the source or sink fails. The same holds for all
    /// methods below that name the feature.
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// Encrypts connections by TLS, and trusts the certificate authorities in this PEM file in place of the
    /// system's. The file is read when the source or sink connects. Needs the feature `kafka-tls`.
    #[must_use]
    pub fn ca_file(self, path: impl AsRef<Path>) -> Self {
        self.tls().set("ssl.ca.location", &path.as_ref().to_string_lossy())
    }

    /// Encrypts connections by TLS, and presents this certificate and private key, both PEM files, to the
    /// servers (mutual TLS). The files are read when the source or sink connects. Needs the feature `kafka-tls`.
    ///
    /// ```
    /// use telemetra_sinks::KafkaConfig;
    ///
    /// let config = KafkaConfig::new("kafka-1:9093")
    ///     .ca_file("/etc/telemetra/ca.pem")
    ///     .client_certificate("/etc/telemetra/client.pem", "/etc/telemetra/client.key")
    ///     .key_password("secret");
    /// assert!(!format!("{config:?}").contains("secret"));
    /// ```
    #[must_use]
    pub fn client_certificate(self, certificate: impl AsRef<Path>, key: impl AsRef<Path>) -> Self {
        self.tls()
            .set("ssl.certificate.location", &certificate.as_ref().to_string_lossy())
            .set("ssl.key.location", &key.as_ref().to_string_lossy())
    }

    /// Sets the password of the private key of [`client_certificate`](Self::client_certificate). Default:
    /// none.
    #[must_use]
    pub fn key_password(self, password: &str) -> Self {
        self.set("ssl.key.password", password)
    }

    /// Logs in by SASL PLAIN. Without [`tls`](Self::tls), the password crosses the network in clear.
    ///
    /// ```
    /// use telemetra_sinks::KafkaConfig;
    /// let config = KafkaConfig::new("kafka-1:9092").sasl_plain("telemetra", "secret");
    /// assert!(!format!("{config:?}").contains("secret"));
    /// ```
    #[must_use]
    pub fn sasl_plain(self, user: &str, password: &str) -> Self {
        self.sasl("PLAIN", user, password)
    }

    /// Logs in by SASL SCRAM-SHA-256, which does not send the password itself. Needs the feature `kafka-tls`, even
    /// without TLS.
    #[must_use]
    pub fn sasl_scram_sha_256(self, user: &str, password: &str) -> Self {
        self.sasl("SCRAM-SHA-256", user, password)
    }

    /// Logs in by SASL SCRAM-SHA-512, otherwise like [`sasl_scram_sha_256`](Self::sasl_scram_sha_256).
    #[must_use]
    pub fn sasl_scram_sha_512(self, user: &str, password: &str) -> Self {
        self.sasl("SCRAM-SHA-512", user, password)
    }

    /// Logs in by SASL OAUTHBEARER, with tokens from the callback `token`. The callback may block. It is called
    /// first at the start, and then whenever a token is about to expire; if it fails, the error is logged and
    /// the callback is called again after ten seconds. Needs the feature `kafka-tls`.
    ///
    /// ```
    /// use telemetra_core::EventTime;
    /// use telemetra_sinks::{KafkaConfig, OAuthToken};
    ///
    /// let config = KafkaConfig::new("kafka-1:9092").tls().oauthbearer(|| {
    ///     let token = std::fs::read_to_string("/var/run/secrets/kafka-token")?;
    ///     let expires = EventTime(1_767_225_600_000); // read from the token
    ///     Ok::<_, std::io::Error>(OAuthToken { token, principal: "telemetra".to_owned(), expires })
    /// });
    /// ```
    #[must_use]
    pub fn oauthbearer<E: Into<Box<dyn std::error::Error + Send + Sync>>>(
        mut self,
        token: impl Fn() -> Result<OAuthToken, E> + Send + Sync + 'static,
    ) -> Self {
        self.token = Some(Arc::new(move || token().map_err(Into::into)));
        self.sasl = Some("OAUTHBEARER");
        self
    }

    fn sasl(mut self, mechanism: &'static str, user: &str, password: &str) -> Self {
        self.sasl = Some(mechanism);
        self.set("sasl.username", user).set("sasl.password", password)
    }

    pub(super) fn servers(&self) -> &str {
        &self.servers
    }

    pub(super) fn token(&self) -> Option<TokenSource> {
        self.token.clone()
    }

    /// Returns the value that was set for a property.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.properties.get(name).map(String::as_str)
    }

    /// Builds the configuration of a client: `defaults` for properties that are not set, and `fixed`
    /// regardless.
    pub(super) fn client(
        &self,
        owned: &[Owned],
        defaults: &[(&str, &str)],
        fixed: &[(&str, &str)],
    ) -> Result<ClientConfig, ConfigError> {
        if self.servers.is_empty() {
            let hint = "give at least one `host:port`";
            return Err(ConfigError::new("bootstrap.servers", "there are none", hint));
        }
        let mut client = ClientConfig::new();
        client.set_log_level(RDKafkaLogLevel::Info);
        client.set("bootstrap.servers", &self.servers);
        for (name, value) in defaults {
            client.set(*name, *value);
        }
        match (self.tls, self.sasl) {
            (false, None) => {}
            (true, None) => drop(client.set("security.protocol", "ssl")),
            (false, Some(_)) => drop(client.set("security.protocol", "sasl_plaintext")),
            (true, Some(_)) => drop(client.set("security.protocol", "sasl_ssl")),
        }
        if let Some(mechanism) = self.sasl {
            client.set("sasl.mechanisms", mechanism);
        }
        for (name, value) in &self.properties {
            if let Some((_, reason)) = OWNED.iter().chain(owned).find(|(owned, _)| owned == name) {
                return Err(ConfigError::new(name, format!("it cannot be set: {reason}"), "leave it out"));
            }
            client.set(name, value);
        }
        for (name, value) in fixed {
            client.set(*name, *value);
        }
        for name in ["security.protocol", "sasl.mechanism", "sasl.mechanisms"] {
            check_build(name, client.get(name).unwrap_or("plain"))?;
        }
        for (name, value) in &self.properties {
            check_build(name, value)?;
        }
        match client.create_native_config() {
            Ok(_) => Ok(client),
            Err(KafkaError::ClientConfig(_, detail, name, value)) => {
                // librdkafka's explanation contains the value, which may be a secret.
                let known = is_shown(&name) || value.is_empty();
                let detail =
                    if known || !detail.contains(&value) { detail } else { "its value is not valid".into() };
                let hint = "see librdkafka's CONFIGURATION.md for names and values";
                Err(ConfigError::new(name, detail, hint))
            }
            Err(error) => Err(ConfigError::new("kafka", error.to_string(), "check the properties")),
        }
    }
}

/// Properties that neither source nor sink lets users set.
const OWNED: &[Owned] = &[
    ("bootstrap.servers", "the servers are given to `KafkaConfig::new`"),
    ("metadata.broker.list", "the servers are given to `KafkaConfig::new`"),
    ("log.queue", "librdkafka's log goes to `tracing`"),
    ("log_level", "librdkafka's log goes to `tracing`, which is where to choose"),
    ("test.mock.num.brokers", "`EmbeddedKafka` is the broker for tests"),
    ("enable.sasl.oauthbearer.unsecure.jwt", "tokens come from `KafkaConfig::oauthbearer`"),
    ("plugin.library.paths", "code from elsewhere is not loaded"),
];

impl fmt::Debug for KafkaConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self
            .properties
            .iter()
            .map(|(name, value)| (name.as_str(), if is_shown(name) { value.as_str() } else { "[hidden]" }));
        f.debug_struct("KafkaConfig")
            .field("servers", &self.servers)
            .field("tls", &self.tls)
            .field("sasl", &self.sasl)
            .field("properties", &shown.collect::<BTreeMap<_, _>>())
            .finish_non_exhaustive()
    }
}
