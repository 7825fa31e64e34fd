//! Encryption, with a server of its own and certificates made for it.

use std::path::{Path, PathBuf};
use std::process::Command;

use telemetra_core::checkpoint::CheckpointStore;
use telemetra_core::{ExternalError, Retry};
use telemetra_sinks::{PostgresConfig, PostgresStore, TlsMode};

use super::server::{administrator, durable};
use super::services::Server;

fn openssl(folder: &Path, args: &str) {
    let made =
        Command::new("openssl").args(args.split_whitespace()).current_dir(folder).output().unwrap_or_else(
            |error| panic!("there is no `openssl` to make certificates with: {error}; install it"),
        );
    assert!(made.status.success(), "openssl {args}: {}", String::from_utf8_lossy(&made.stderr));
}

/// A root, and what it signed: a server called `localhost`, and a client called `telemetra`.
fn certificates(folder: &Path) {
    let new = "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2";
    openssl(folder, &format!("{new} -x509 -subj /CN=root -keyout root.key -out root.pem"));
    openssl(folder, &format!("{new} -x509 -subj /CN=stranger -keyout stranger.key -out stranger.pem"));
    for (name, subject) in [("server", "localhost"), ("client", "telemetra")] {
        openssl(folder, &format!("{new} -subj /CN={subject} -keyout {name}.key -out {name}.csr"));
        std::fs::write(folder.join("ext"), format!("subjectAltName=DNS:{subject}\n")).unwrap();
        openssl(
            folder,
            &format!(
                "x509 -req -in {name}.csr -CA root.pem -CAkey root.key -CAcreateserial -days 2 -extfile ext -out {name}.pem"
            ),
        );
    }
}

/// A server that speaks TLS, and lets in at its port whom `rule` says.
fn server(rule: &str) -> (Server, PathBuf) {
    let mut server = durable(&[]);
    let folder = server.folder().join("data");
    certificates(&folder);
    std::fs::write(folder.join("pg_hba.conf"), format!("local all all trust\n{rule}\n")).unwrap();
    let mut owned = Command::new("chown");
    owned.arg("--reference").arg(folder.join("PG_VERSION")).arg(folder.join("server.key"));
    assert!(owned.status().unwrap().success());
    let mut client = administrator(&server);
    for (setting, value) in [
        ("ssl_cert_file", "server.pem"),
        ("ssl_key_file", "server.key"),
        ("ssl_ca_file", "root.pem"),
        ("ssl", "on"),
    ] {
        client.batch_execute(&format!("ALTER SYSTEM SET {setting} = '{value}'")).unwrap();
    }
    drop(client);
    server.stop();
    server.start_again();
    (server, folder)
}

fn connect(config: &PostgresConfig) -> Result<(), ExternalError> {
    PostgresStore::new(config.clone()).list().map(drop)
}

fn refused(config: &PostgresConfig, word: &str) {
    let error = connect(config).expect_err(word);
    let text = format!("{error}: {:?}", std::error::Error::source(&error));
    assert_eq!(error.retry(), Retry::Permanent, "{text}");
    assert!(text.contains(word), "{text}");
}

#[test]
fn servers_are_trusted_as_the_mode_says() {
    let (server, folder) = server("hostssl all all 127.0.0.1/32 trust");
    let root = folder.join("root.pem");
    let at = |host: &str, mode| {
        PostgresConfig::new(host).port(server.port()).user("telemetra").database("postgres").tls(mode)
    };
    connect(&at("127.0.0.1", TlsMode::Prefer)).unwrap();
    connect(&at("127.0.0.1", TlsMode::Require)).unwrap();
    refused(&at("127.0.0.1", TlsMode::Disable), "no pg_hba.conf entry");
    // The system does not know this root.
    refused(&at("localhost", TlsMode::VerifyCa), "certificate");
    refused(&at("localhost", TlsMode::VerifyFull), "certificate");
    let stranger = folder.join("stranger.pem");
    for mode in [TlsMode::Require, TlsMode::VerifyCa, TlsMode::VerifyFull] {
        refused(&at("localhost", mode).root_certificates(&stranger), "its certificate is not trusted");
        connect(&at("localhost", mode).root_certificates(&root)).unwrap();
    }
    connect(&at("127.0.0.1", TlsMode::VerifyCa).root_certificates(&root)).unwrap();
    refused(&at("127.0.0.1", TlsMode::VerifyFull).root_certificates(&root), "its certificate is not trusted");
    let url = format!(
        "postgres://telemetra@localhost:{}/postgres?sslmode=verify-full&sslrootcert={}",
        server.port(),
        root.display()
    );
    connect(&PostgresConfig::from_url(&url).unwrap()).unwrap();
    refused(&at("localhost", TlsMode::VerifyCa).root_certificates("/no/such.pem"), "/no/such.pem");
    refused(
        &at("localhost", TlsMode::VerifyCa).root_certificates(folder.join("server.key")),
        "no root certificates",
    );
}

#[test]
fn a_client_may_have_to_show_a_certificate() {
    let (server, folder) = server("hostssl all all 127.0.0.1/32 cert");
    let config = PostgresConfig::new("127.0.0.1").port(server.port()).user("telemetra").database("postgres");
    let config = config.tls(TlsMode::VerifyCa).root_certificates(folder.join("root.pem"));
    refused(&config, "valid client certificate");
    connect(&config.client_certificate(folder.join("client.pem"), folder.join("client.key"))).unwrap();
}

#[test]
fn a_server_without_tls_is_refused_unless_clear_text_will_do() {
    let server = durable(&[]);
    let config = PostgresConfig::from_url(&server.url()).unwrap();
    connect(&config.clone().tls(TlsMode::Prefer)).unwrap();
    refused(&config.tls(TlsMode::Require), "TLS");
}
