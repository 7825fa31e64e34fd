//! Databases of their own for tests, in the server that they share or in one that they break.

use postgres::{Client, NoTls};
use telemetra_sinks::PostgresConfig;

use super::services::{Kind, Place, Server, shared};

/// A database of a test's own, empty at first.
pub(crate) struct Database {
    pub(crate) name: String,
    server: postgres::Config,
}

/// A database in the server that tests share, and must not break.
pub(crate) fn database() -> Database {
    let Place { url, name } = shared(Kind::Postgres);
    Database::made(name, &url)
}

/// A database in a server of the test's own.
pub(crate) fn database_in(server: &Server, name: &str) -> Database {
    Database::made(name.to_owned(), &server.url())
}

/// A server of the test's own, that keeps what it confirmed.
pub(crate) fn durable(settings: &[(&str, &str)]) -> Server {
    let setup = Server::of(Kind::Postgres).durable();
    settings.iter().fold(setup, |setup, (key, value)| setup.set(key, value)).start()
}

/// A client that may do anything, by the server's socket, where the server asks for no password.
pub(crate) fn administrator(server: &Server) -> Client {
    let words = format!("host={} port={} user=telemetra", server.folder().display(), server.port());
    Client::connect(&words, NoTls).unwrap()
}

/// A port that nobody listens on, and that is given to nobody who asks for any.
pub(crate) const NOBODY: u16 = 1;

impl Database {
    fn made(name: String, url: &str) -> Self {
        let server: postgres::Config = url.parse().unwrap();
        server.connect(NoTls).unwrap().batch_execute(&format!("CREATE DATABASE {name}")).unwrap();
        Self { name, server }
    }

    /// The host and port at which its server listens.
    pub(crate) fn address(&self) -> (String, u16) {
        let host = match self.server.get_hosts() {
            [postgres::config::Host::Tcp(host), ..] => host.clone(),
            other => panic!("{other:?} is no host to test with"),
        };
        (host, self.server.get_ports().first().copied().unwrap_or(5432))
    }

    /// The connection string, in words, by way of this host and port.
    pub(crate) fn words_at(&self, (host, port): (&str, u16)) -> String {
        let user = self.server.get_user().unwrap_or("postgres");
        let password =
            self.server.get_password().map(|password| String::from_utf8_lossy(password).into_owned());
        format!(
            "host={host} port={port} user='{user}' password='{}' dbname={}",
            password.unwrap_or_default(),
            self.name
        )
    }

    pub(crate) fn words(&self) -> String {
        let (host, port) = self.address();
        self.words_at((&host, port))
    }

    pub(crate) fn config(&self) -> PostgresConfig {
        PostgresConfig::from_url(&self.words()).unwrap()
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(&self.words(), NoTls).unwrap()
    }

    /// The only value of the only row, as text; nothing if it is null.
    pub(crate) fn one(&self, sql: &str) -> Option<String> {
        let text = format!("SELECT ({sql})::text");
        self.client().query_one(&text, &[]).unwrap_or_else(|error| panic!("{sql}: {error:?}")).get(0)
    }

    /// The value of a query that is not null: see [`one`](Self::one).
    pub(crate) fn text(&self, sql: &str) -> String {
        self.one(sql).unwrap_or_else(|| panic!("{sql} is null"))
    }

    /// Ends every other connection to it.
    pub(crate) fn cut_all(&self) {
        self.client()
            .batch_execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
            .unwrap();
    }
}
