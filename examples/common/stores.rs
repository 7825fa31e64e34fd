//! The settings of Postgres and Redis, defined once for the programs that use them, and the library's
//! configurations.

use std::marker::PhantomData;
use std::path::PathBuf;

#[cfg(feature = "postgres")]
use telemetra::sinks::{PostgresConfig, TlsMode};

use super::parse::{choice, number, text};
use super::settings::{Secret, Setting, put};

/// The TLS mode: whether the connection is encrypted, and how the server's certificate is verified. Modes and
/// names are libpq's.
#[derive(Copy, Clone, Debug, Default)]
pub(crate) enum Tls {
    Disable,
    #[default]
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

#[derive(Clone, Debug)]
pub(crate) struct Postgres {
    /// The host, if Postgres is used.
    pub(crate) host: Option<String>,
    pub(crate) port: u16,
    pub(crate) user: String,
    pub(crate) password: Secret<Option<String>>,
    pub(crate) database: String,
    pub(crate) tls: Tls,
    pub(crate) roots: Option<PathBuf>,
}

impl Default for Postgres {
    fn default() -> Self {
        Self {
            host: None,
            port: 5432,
            user: "telemetra".to_owned(),
            password: Secret::default(),
            database: "telemetra".to_owned(),
            tls: Tls::default(),
            roots: None,
        }
    }
}

impl Postgres {
    /// The configuration, if Postgres is used.
    #[cfg(feature = "postgres")]
    pub(crate) fn config(&self) -> Option<PostgresConfig> {
        let tls = match self.tls {
            Tls::Disable => TlsMode::Disable,
            Tls::Prefer => TlsMode::Prefer,
            Tls::Require => TlsMode::Require,
            Tls::VerifyCa => TlsMode::VerifyCa,
            Tls::VerifyFull => TlsMode::VerifyFull,
        };
        let config = PostgresConfig::new(self.host.as_deref()?)
            .port(self.port)
            .user(&self.user)
            .database(&self.database)
            .tls(tls);
        let config = self.password.0.iter().fold(config, |config, password| config.password(password));
        Some(self.roots.iter().fold(config, |config, roots| config.root_certificates(roots)))
    }

    /// The address, for output.
    pub(crate) fn place(&self) -> String {
        format!("{}:{}/{}", self.host.as_deref().unwrap_or_default(), self.port, self.database)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Redis {
    /// The URL, if Redis is used; it may contain a password.
    pub(crate) url: Secret<Option<String>>,
    pub(crate) prefix: String,
}

impl Default for Redis {
    fn default() -> Self {
        Self { url: Secret::default(), prefix: "telemetra".to_owned() }
    }
}

impl Redis {
    /// The address without user and password, for output.
    pub(crate) fn place(&self) -> String {
        let url = self.url.0.as_deref().unwrap_or_default();
        let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
        let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
        let rest = rest.split_once('?').map_or(rest, |(rest, _)| rest);
        if scheme.is_empty() { rest.to_owned() } else { format!("{scheme}://{rest}") }
    }
}

/// Settings of a program that uses both servers.
pub(crate) trait Stores: 'static {
    fn postgres(&mut self) -> &mut Postgres;
    fn redis(&mut self) -> &mut Redis;
}

/// The flags of a program with the settings `S`.
pub(crate) struct Flags<S>(PhantomData<S>);

impl<S: Stores> Flags<S> {
    pub(crate) const POSTGRES_HOST: Setting<S> =
        Setting::<S>::new("postgres-host", "HOST", "where Postgres is [off]", |s, v| {
            put(&mut s.postgres().host, text(v).map(Some))
        })
        .known_as("POSTGRES_HOST");
    pub(crate) const POSTGRES_PORT: Setting<S> =
        Setting::<S>::new("postgres-port", "PORT", "its port [5432]", |s, v| {
            put(&mut s.postgres().port, number(v, 1..=u16::MAX))
        })
        .known_as("POSTGRES_PORT")
        .needs("postgres-host");
    pub(crate) const POSTGRES_USER: Setting<S> =
        Setting::<S>::new("postgres-user", "NAME", "the user [telemetra]", |s, v| {
            put(&mut s.postgres().user, text(v))
        })
        .known_as("POSTGRES_USER")
        .needs("postgres-host");
    pub(crate) const POSTGRES_PASSWORD: Setting<S> = Setting::<S>::new(
        "postgres-password",
        "TEXT",
        "the password; better given by the variable [none]",
        |s, v| put(&mut s.postgres().password, text(v).map(|text| Secret(Some(text)))),
    )
    .known_as("POSTGRES_PASSWORD")
    .hides()
    .needs("postgres-host");
    pub(crate) const POSTGRES_DB: Setting<S> =
        Setting::<S>::new("postgres-db", "NAME", "the database [telemetra]", |s, v| {
            put(&mut s.postgres().database, text(v))
        })
        .known_as("POSTGRES_DB")
        .needs("postgres-host");
    pub(crate) const POSTGRES_TLS: Setting<S> = Setting::<S>::new(
        "postgres-tls",
        "MODE",
        "disable, prefer, require, verify-ca or verify-full [prefer]",
        |s, v| {
            let modes = [
                ("disable", Tls::Disable),
                ("prefer", Tls::Prefer),
                ("require", Tls::Require),
                ("verify-ca", Tls::VerifyCa),
                ("verify-full", Tls::VerifyFull),
            ];
            put(&mut s.postgres().tls, choice(v, &modes))
        },
    )
    .needs("postgres-host");
    pub(crate) const POSTGRES_CA: Setting<S> =
        Setting::<S>::new("postgres-ca", "FILE", "root certificates in PEM [the system's]", |s, v| {
            put(&mut s.postgres().roots, text(v).map(Some))
        })
        .needs("postgres-host");
    pub(crate) const REDIS: Setting<S> = Setting::<S>::new("redis", "URL", "where Redis is [off]", |s, v| {
        // The error does not contain the value, which may hold a password.
        let url = v.contains("://").then(|| Secret(Some(v.to_owned())));
        put(&mut s.redis().url, url.ok_or_else(|| "it is no URL such as redis://host:6379".to_owned()))
    })
    .known_as("REDIS_URL");
    pub(crate) const REDIS_PREFIX: Setting<S> =
        Setting::<S>::new("redis-prefix", "NAME", "what the keys begin with [telemetra]", |s, v| {
            put(&mut s.redis().prefix, text(v))
        })
        .needs("redis");
}
