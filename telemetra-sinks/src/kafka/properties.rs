//! Properties of librdkafka: which values may be shown, and which need a feature of the build.

use telemetra_core::ConfigError;

/// Properties whose values may be shown. All others count as secrets, as a list of secrets would miss new
/// ones.
const SHOWN: &[&str] = &[
    "acks",
    "allow.auto.create.topics",
    "batch.num.messages",
    "batch.size",
    "bootstrap.servers",
    "broker.address.family",
    "broker.address.ttl",
    "check.crcs",
    "client.dns.lookup",
    "client.id",
    "client.rack",
    "compression.codec",
    "compression.level",
    "compression.type",
    "connections.max.idle.ms",
    "debug",
    "delivery.timeout.ms",
    "enable.ssl.certificate.verification",
    "fetch.error.backoff.ms",
    "fetch.max.bytes",
    "fetch.message.max.bytes",
    "fetch.min.bytes",
    "fetch.queue.backoff.ms",
    "fetch.wait.max.ms",
    "linger.ms",
    "max.in.flight",
    "max.in.flight.requests.per.connection",
    "max.partition.fetch.bytes",
    "message.max.bytes",
    "message.timeout.ms",
    "metadata.max.age.ms",
    "partitioner",
    "queue.buffering.max.kbytes",
    "queue.buffering.max.messages",
    "queue.buffering.max.ms",
    "receive.message.max.bytes",
    "reconnect.backoff.max.ms",
    "reconnect.backoff.ms",
    "request.timeout.ms",
    "retry.backoff.max.ms",
    "retry.backoff.ms",
    "sasl.mechanism",
    "sasl.mechanisms",
    "security.protocol",
    "socket.connection.setup.timeout.ms",
    "socket.keepalive.enable",
    "socket.nagle.disable",
    "socket.receive.buffer.bytes",
    "socket.send.buffer.bytes",
    "socket.timeout.ms",
    "ssl.ca.location",
    "ssl.certificate.location",
    "ssl.cipher.suites",
    "ssl.crl.location",
    "ssl.endpoint.identification.algorithm",
    "topic.metadata.propagation.max.ms",
    "topic.metadata.refresh.interval.ms",
    "topic.metadata.refresh.sparse",
];

/// Returns whether the property's value may be shown.
pub(super) fn is_shown(name: &str) -> bool {
    SHOWN.binary_search(&name).is_ok()
}

/// Refuses a property that this build of librdkafka does not support, and names the feature that adds it.
pub(super) fn check_build(name: &str, value: &str) -> Result<(), ConfigError> {
    let value = value.to_ascii_lowercase();
    let encrypted = name.starts_with("ssl.") || (name == "security.protocol" && value.ends_with("ssl"));
    let hashed = matches!(name, "sasl.mechanism" | "sasl.mechanisms") && value != "plain";
    if !cfg!(feature = "kafka-tls") && (encrypted || hashed) {
        let what = if encrypted { "TLS" } else { "SASL but for PLAIN" };
        let hint = "build with the feature `kafka-tls` (of `telemetra`; in `telemetra-sinks` also `kafka-tls-vendored`)";
        return Err(ConfigError::new(name, format!("this build has no {what}"), hint));
    }
    if !cfg!(feature = "kafka-zstd") && name.starts_with("compression.") && value == "zstd" {
        let hint = "build `telemetra-sinks` with the feature `kafka-zstd`, or take `lz4`";
        return Err(ConfigError::new(name, "this build has no zstd", hint));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_list_is_sorted_and_holds_no_secret() {
        assert!(super::SHOWN.is_sorted());
        for name in super::SHOWN {
            for word in ["password", "username", "secret", "token", "oauthbearer", "pem", "key"] {
                assert!(!name.split('.').any(|part| part == word), "`{name}` may be a secret");
            }
        }
    }
}
