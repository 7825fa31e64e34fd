//! Settings that cannot work are refused, and secrets stay secret.

use std::time::Duration;

use telemetra_core::{ConfigError, EventTime, Retry, Sink, Source};
use telemetra_sinks::{KafkaConfig, KafkaSink, KafkaSource, OAuthToken};

fn source_of(config: KafkaConfig) -> Result<KafkaSource, ConfigError> {
    KafkaSource::new(config, ["t"])
}

fn sink_of(config: KafkaConfig) -> Result<KafkaSink, ConfigError> {
    KafkaSink::new(config)
}

const SECRET: &str = "s3cr3t-w0rd";

#[test]
fn nothing_that_may_be_secret_is_shown() {
    let names = [
        "sasl.password",
        "sasl.username",
        "ssl.key.password",
        "ssl.key.pem",
        "ssl.certificate.pem",
        "ssl.keystore.password",
        "ssl.ca.pem",
        "sasl.oauthbearer.config",
        "sasl.oauthbearer.client.secret",
        "sasl.kerberos.keytab",
        "a.property.of.next.year",
    ];
    let config = names.iter().fold(KafkaConfig::new("host:9092"), |config, name| config.set(name, SECRET));
    let config = config.set("fetch.wait.max.ms", "77").key_password(SECRET);
    let shown = format!("{config:?}");
    assert!(!shown.contains(SECRET), "{shown}");
    assert!(
        shown.contains("host:9092") && shown.contains("77") && shown.contains("sasl.password"),
        "{shown}"
    );

    let token = OAuthToken { token: SECRET.into(), principal: "me".into(), expires: EventTime(1) };
    assert!(!format!("{token:?}").contains(SECRET));
    let plain = KafkaConfig::new("host:9092").sasl_plain("me", SECRET);
    assert!(!format!("{:?}", source_of(plain.clone()).unwrap()).contains(SECRET));
    assert!(!format!("{:?}", sink_of(plain).unwrap()).contains(SECRET));
}

#[test]
fn an_error_about_a_value_does_not_show_it() {
    for name in ["no.such.property", "sasl.oauthbearer.method", "fetch.wait.max.ms"] {
        let error = source_of(KafkaConfig::new("host:9092").set(name, SECRET)).unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(text.contains(name), "{text}");
        assert!(!text.contains(SECRET) || name == "fetch.wait.max.ms", "{text}");
    }
}

#[test]
fn what_guarantees_rest_on_cannot_be_set() {
    let common = ["bootstrap.servers", "metadata.broker.list", "log.queue", "plugin.library.paths"];
    let of_source = [
        "auto.offset.reset",
        "enable.auto.commit",
        "enable.auto.offset.store",
        "group.id",
        "isolation.level",
        "queued.max.messages.kbytes",
        "statistics.interval.ms",
    ];
    let of_sink = ["enable.idempotence", "acks", "retries", "transactional.id", "message.timeout.ms"];
    for name in common.iter().chain(&of_source) {
        let error = source_of(KafkaConfig::new("host:9092").set(name, "1")).unwrap_err();
        assert!(error.setting() == *name && error.to_string().contains("cannot be set: "), "{error}");
    }
    for name in common.iter().chain(&of_sink) {
        let error = sink_of(KafkaConfig::new("host:9092").set(name, "1")).unwrap_err();
        assert!(error.setting() == *name && error.to_string().contains("cannot be set: "), "{error}");
    }
    // One configuration serves both: what only the other minds is passed over.
    source_of(KafkaConfig::new("host:9092").set("linger.ms", "1")).unwrap();
    sink_of(KafkaConfig::new("host:9092").set("fetch.wait.max.ms", "1")).unwrap();
}

#[test]
fn topics_have_names() {
    let config = || KafkaConfig::new("host:9092");
    for (topics, what) in
        [(vec![], "there are none"), (vec!["a", "b", "a"], "given twice"), (vec!["a/b"], "`a/b`")]
    {
        let error = KafkaSource::new(config(), topics).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    }
    assert!(source_of(KafkaConfig::new(" ")).unwrap_err().to_string().contains("host:port"));
}

#[cfg(not(feature = "kafka-tls"))]
#[test]
fn a_build_without_tls_says_which_feature_has_it() {
    let config = || KafkaConfig::new("host:9092");
    let token = || {
        Ok::<_, String>(OAuthToken { token: String::new(), principal: String::new(), expires: EventTime(0) })
    };
    let refused = [
        config().tls(),
        config().ca_file("/ca.pem"),
        config().client_certificate("/cert.pem", "/key.pem"),
        config().tls().sasl_plain("me", SECRET),
        config().sasl_scram_sha_256("me", SECRET),
        config().sasl_scram_sha_512("me", SECRET),
        config().oauthbearer(token),
        config().set("security.protocol", "SASL_SSL"),
        config().set("sasl.mechanism", "SCRAM-SHA-512"),
    ];
    for config in refused {
        for error in [source_of(config.clone()).unwrap_err(), sink_of(config).unwrap_err()] {
            assert!(error.to_string().contains("`kafka-tls`"), "{error}");
        }
    }
    source_of(config().sasl_plain("me", SECRET)).unwrap();
}

#[cfg(not(feature = "kafka-zstd"))]
#[test]
fn a_build_without_zstd_says_which_feature_has_it() {
    let error = sink_of(KafkaConfig::new("host:9092").set("compression.codec", "zstd")).unwrap_err();
    assert!(error.to_string().contains("`kafka-zstd`"), "{error}");
}

#[test]
fn how_often_partitions_are_looked_for_is_as_told() {
    let source = || source_of(KafkaConfig::new("host:9092")).unwrap();
    assert!(source().refresh_every().is_some(), "by default they are");
    for interval in [None, Some(Duration::from_secs(7))] {
        assert_eq!(source().find_partitions_every(interval).refresh_every(), interval);
    }
}

#[test]
fn servers_that_are_not_there_are_named() {
    // A port that is given to nobody who asks for any.
    let servers = "127.0.0.1:1".to_owned();
    let (config, timeout) = (KafkaConfig::new(&servers), Duration::from_secs(2));
    let source = source_of(config.clone()).unwrap().timeout(timeout).partitions().unwrap_err();
    let sink = sink_of(config).unwrap().timeout(timeout).open(&[], None).unwrap_err();
    for error in [source, sink] {
        assert_eq!(error.retry(), Retry::Transient);
        let because = std::error::Error::source(&error).unwrap().to_string();
        assert!(error.to_string().contains(&servers), "{error}");
        assert!(because.to_lowercase().contains("connect"), "{because}");
    }
}
