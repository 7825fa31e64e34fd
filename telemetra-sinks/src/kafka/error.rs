//! Classifies Kafka errors as transient or permanent, and adds what was tried and what to do about it.

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use telemetra_core::{ExternalError, Retry};

/// Builds the error of a failed call: what was tried, whether it may pass, and what to do. `what` names the
/// topic, the partition or the servers.
pub(super) fn failed(what: impl Into<String>, error: KafkaError) -> ExternalError {
    let code = match error {
        KafkaError::AdminOp(code) => Some(code),
        _ => error.rdkafka_error_code(),
    };
    let (retry, hint) = match code {
        Some(code) => judge(code),
        None => (Retry::Permanent, ""),
    };
    make(retry, what.into() + hint).because(error)
}

pub(super) fn make(retry: Retry, what: String) -> ExternalError {
    match retry {
        Retry::Transient => ExternalError::transient(what),
        Retry::Permanent => ExternalError::permanent(what),
    }
}

/// Returns the class of an error, with advice for a permanent one. librdkafka retries what it can by itself;
/// codes that are not listed here concern the network or a broker.
pub(super) fn judge(code: Code) -> (Retry, &'static str) {
    let hint = match code {
        Code::TopicAuthorizationFailed => "; grant the user the right to this topic",
        Code::GroupAuthorizationFailed => "; grant the user the right to this group",
        Code::ClusterAuthorizationFailed => {
            "; grant the user the right `IdempotentWrite`, and `Create` if topics are to be made"
        }
        Code::Authentication | Code::SaslAuthenticationFailed | Code::IllegalSASLState => {
            "; check the user and the password or the token"
        }
        Code::UnsupportedSASLMechanism => "; the servers do not offer this SASL mechanism",
        Code::SSL => "; check the certificates, and that the servers' port speaks TLS",
        Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition => {
            "; it does not exist: create it, or check its name"
        }
        Code::InvalidTopic => "; this is no name for a topic",
        Code::MessageSizeTooLarge | Code::MessageBatchTooLarge | Code::InvalidMessageSize => {
            "; raise the topic's `max.message.bytes` (which also bounds a batch: or lower `batch.size` here), and `message.max.bytes` here"
        }
        Code::PolicyViolation | Code::InvalidConfig | Code::InvalidRecord => "; the broker does not allow it",
        Code::InvalidPartitions => "; give another number of partitions",
        Code::InvalidReplicationFactor => "; there are fewer brokers than replicas asked for",
        Code::UnsupportedVersion | Code::UnsupportedFeature => "; the broker is too old: 0.11 is the oldest",
        Code::NotImplemented | Code::UnsupportedCompressionType => {
            "; its compression is not part of this build: for zstd build with the feature `kafka-zstd`"
        }
        Code::BadMessage | Code::BadCompression | Code::InvalidMessage => {
            "; the data are damaged: compare the replicas, or start beyond them"
        }
        _ => return (Retry::Transient, ""),
    };
    (Retry::Permanent, hint)
}

/// Returns whether the error concerns the servers rather than one topic, so that it may explain a later time-out.
pub(super) fn is_of_servers(code: Code) -> bool {
    matches!(
        code,
        Code::Authentication
            | Code::SaslAuthenticationFailed
            | Code::UnsupportedSASLMechanism
            | Code::SSL
            | Code::Resolve
            | Code::BrokerTransportFailure
            | Code::AllBrokersDown
    )
}
