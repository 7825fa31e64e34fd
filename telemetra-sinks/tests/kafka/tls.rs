//! TLS and the ways to log in that need it, against a real broker.
#![cfg(feature = "kafka-tls")]

use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use telemetra_core::{EventTime, Retry, Sink, Source};
use telemetra_sinks::{CreateTopics, KafkaConfig, KafkaSink, KafkaSource, OAuthToken};

use crate::real::guarded;
use crate::services::{Kind, Server};
use crate::sink::letter;
use crate::support::read_until;

const TOPIC: &str = "telemetra.events.dead_letter";

/// Makes the topic.
fn prepare(config: &KafkaConfig) {
    let sink = KafkaSink::new(config.clone()).unwrap();
    sink.create_topics(CreateTopics::default()).open(&[], None).unwrap();
}

/// Writes a letter and reads it back.
fn there_and_back(config: &KafkaConfig) {
    let mut sink = KafkaSink::new(config.clone()).unwrap();
    sink.open(&[], None).unwrap();
    sink.dead_letters(&[letter(1, b"{")]).unwrap();
    sink.apply(&[]).unwrap();
    let mut source = KafkaSource::new(config.clone(), [TOPIC]).unwrap().until_end();
    let ids = source.partitions().unwrap();
    let read = read_until(&mut *source.open(&ids[0], None).unwrap(), |_| false).unwrap();
    assert!(read.records.iter().all(|record| record == b"{") && !read.records.is_empty());
}

/// The error of a source that the broker does not let in.
fn refused(config: &KafkaConfig) -> String {
    let mut source = KafkaSource::new(config.clone(), [TOPIC]).unwrap().timeout(Duration::from_secs(3));
    let error = source.partitions().unwrap_err();
    assert_eq!(error.retry(), Retry::Permanent, "{error}: {:?}", std::error::Error::source(&error));
    format!("{error}: {}", std::error::Error::source(&error).unwrap())
}

#[test]
fn what_crosses_the_network_is_encrypted() {
    let server = Server::of(Kind::Kafka).tls().start();
    let config = KafkaConfig::new(&server.url()).ca_file(server.authority());
    prepare(&config);
    there_and_back(&config);
    // The system's authorities do not know the test's.
    let text = refused(&KafkaConfig::new(&server.url()).tls());
    assert!(text.contains("check the certificates") && text.contains(&server.url()), "{text}");
}

#[test]
fn a_password_by_tls() {
    let server = guarded("SASL_SSL", "PLAIN");
    let config = || KafkaConfig::new(&server.url()).ca_file(server.authority());
    prepare(&config().sasl_plain("me", "pass:word"));
    there_and_back(&config().sasl_plain("me", "pass:word"));
    let text = refused(&config().sasl_plain("me", "wr0ng"));
    assert!(text.contains("check the user and the password") && !text.contains("wr0ng"), "{text}");
}

/// Adds a mechanism by which the broker knows `me`.
fn add_user(server: &Server, mechanism: &str) {
    let mut properties = "sasl.mechanism=PLAIN\n\
         sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required username=\"me\" password=\"pass:word\";\n"
        .to_owned();
    let authority = server.authority();
    properties += &if authority.exists() {
        format!(
            "security.protocol=SASL_SSL\nssl.truststore.type=PEM\nssl.truststore.location={}\n",
            authority.display()
        )
    } else {
        "security.protocol=SASL_PLAINTEXT\n".to_owned()
    };
    let login = server.folder().join("login.properties");
    std::fs::write(&login, properties).unwrap();
    let cache =
        std::env::var("XDG_CACHE_HOME").unwrap_or_else(|_| std::env::var("HOME").unwrap() + "/.cache");
    let found = std::fs::read_dir(format!("{cache}/telemetra")).unwrap();
    let home = found
        .map(|entry| entry.unwrap().path())
        .find(|path| {
            path.file_name().unwrap().to_str().unwrap().starts_with("kafka-") && path.join("lib").is_dir()
        })
        .unwrap();
    let output = Command::new("java")
        .args([
            "-Xmx128m",
            "-XX:TieredStopAtLevel=1",
            "-cp",
            &format!("{}/lib/*", home.display()),
            "kafka.admin.ConfigCommand",
        ])
        .args([
            "--bootstrap-server",
            &server.url(),
            "--command-config",
            login.to_str().unwrap(),
            "--alter",
            "--entity-type",
            "users",
            "--entity-name",
            "me",
        ])
        .args(["--add-config", &format!("{mechanism}=[password=pass:word]")])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_password_that_does_not_cross_the_network() {
    let server = guarded("SASL_SSL", "SCRAM-SHA-512");
    add_user(&server, "SCRAM-SHA-512");
    let config = || KafkaConfig::new(&server.url()).ca_file(server.authority());
    prepare(&config().sasl_scram_sha_512("me", "pass:word"));
    there_and_back(&config().sasl_scram_sha_512("me", "pass:word"));
    let text = refused(&config().sasl_scram_sha_512("me", "wr0ng"));
    assert!(text.contains("check the user and the password") && !text.contains("wr0ng"), "{text}");

    let server = guarded("SASL_PLAINTEXT", "SCRAM-SHA-256");
    add_user(&server, "SCRAM-SHA-256");
    let config = KafkaConfig::new(&server.url()).sasl_scram_sha_256("me", "pass:word");
    prepare(&config);
    there_and_back(&config);
}

/// A token that nobody has signed, as a broker takes it unless configured otherwise.
fn unsigned(lifetime: Duration) -> OAuthToken {
    let base64 = |text: &str| {
        const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let mut out = String::new();
        for chunk in text.as_bytes().chunks(3) {
            let bits =
                chunk.iter().fold(0, |bits, byte| bits << 8 | usize::from(*byte)) << (8 * (3 - chunk.len()));
            (0..=chunk.len()).for_each(|n| out.push(char::from(DIGITS[bits >> (18 - 6 * n) & 63])));
        }
        out
    };
    #[allow(clippy::disallowed_methods, reason = "the broker compares with its own clock")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let expires = now + lifetime;
    let claims = format!(r#"{{"sub":"me","iat":{},"exp":{}}}"#, now.as_secs(), expires.as_secs());
    OAuthToken {
        token: format!("{}.{}.", base64(r#"{"alg":"none"}"#), base64(&claims)),
        principal: "me".into(),
        expires: EventTime(expires.as_secs() * 1_000),
    }
}

#[test]
fn a_token() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    let server = guarded("SASL_SSL", "OAUTHBEARER");
    let config = || KafkaConfig::new(&server.url()).ca_file(server.authority());
    let bearer = || config().oauthbearer(|| Ok::<_, String>(unsigned(Duration::from_secs(600))));
    let sink = KafkaSink::new(bearer()).unwrap().create_topics(CreateTopics::default());
    let error = { sink }.open(&[], None).unwrap_err().to_string();
    assert!(error.contains(TOPIC) && error.contains("other means"), "{error}");
    prepare(&config().sasl_plain("me", "pass:word"));
    let made = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&made);
    there_and_back(&config().oauthbearer(move || {
        count.fetch_add(1, Ordering::Relaxed);
        Ok::<_, String>(unsigned(Duration::from_secs(600)))
    }));
    assert!(made.load(Ordering::Relaxed) >= 2, "source and sink have a token each");

    let none = config().oauthbearer(|| Err("the identity provider is on holiday"));
    let text =
        KafkaSource::new(none, [TOPIC]).unwrap().timeout(Duration::from_secs(3)).partitions().unwrap_err();
    let because = std::error::Error::source(&text).unwrap().to_string();
    assert!(because.contains("on holiday"), "{text}: {because}");
}
