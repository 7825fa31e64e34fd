//! Rate-limited logging of librdkafka's messages, its last error, and OAuth tokens.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::OAuthToken as Token;
use rdkafka::config::RDKafkaLogLevel as Level;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use telemetra_core::{ExternalError, Retry};

use super::config::{KafkaConfig, TokenSource};
use super::error::{is_of_servers, judge, make};

/// The least time between two log lines of one kind: if a broker is down, librdkafka logs it several times a
/// second.
const EVERY: Duration = Duration::from_secs(60);

/// Logs librdkafka's messages, remembers its last error, and provides OAuth tokens.
pub(super) struct Reporter {
    servers: String,
    token: Option<TokenSource>,
    reported: Mutex<HashMap<String, Reported>>,
    last: Mutex<Option<(Code, String)>>,
}

/// The log lines of one kind: when one was last logged, and how many were suppressed since.
struct Reported {
    at: Instant,
    withheld: u64,
}

impl Reporter {
    pub(super) fn new(config: &KafkaConfig) -> Self {
        Self {
            servers: config.servers().to_owned(),
            token: config.token(),
            reported: Mutex::default(),
            last: Mutex::default(),
        }
    }

    pub(super) fn servers(&self) -> &str {
        &self.servers
    }

    /// Returns the number of lines of this kind that were suppressed since the last one; `None` if none may be logged now.
    pub(super) fn admit(&self, kind: &str) -> Option<u64> {
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        match reported.get_mut(kind) {
            Some(reported) if now - reported.at < EVERY => {
                reported.withheld += 1;
                None
            }
            Some(reported) => {
                reported.at = now;
                Some(std::mem::take(&mut reported.withheld))
            }
            None => {
                reported.insert(kind.to_owned(), Reported { at: now, withheld: 0 });
                Some(0)
            }
        }
    }

    /// Logs a line of librdkafka; `kind` is one of its tags, such as `FAIL`.
    pub(super) fn log(&self, level: Level, kind: &str, line: &str) {
        if matches!(level, Level::Notice | Level::Info | Level::Debug) {
            tracing::debug!(kind, "librdkafka: {line}");
        } else if let Some(withheld) = self.admit(kind) {
            tracing::warn!(kind, withheld, servers = self.servers, "librdkafka: {line}");
        }
    }

    /// Records an error that concerns the whole client.
    pub(super) fn error(&self, error: &KafkaError, reason: &str) {
        let Some(code) = error.rdkafka_error_code() else { return };
        if code == Code::PartitionEOF {
            return;
        }
        let code = if is_of_tls(code, reason) { Code::SSL } else { code };
        if is_of_servers(code) {
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            // The error that all brokers are down explains less than the error of one of them.
            if code != Code::AllBrokersDown || last.is_none() {
                *last = Some((code, reason.to_owned()));
            }
        }
        if let Some(withheld) = self.admit(&format!("{code:?}")) {
            tracing::warn!(withheld, servers = self.servers, "Kafka: {reason}");
        }
    }

    /// Forgets the last error, after a success.
    pub(super) fn clear(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Builds the error of a time-out, with the servers' last error as its cause.
    pub(super) fn timed_out(&self, what: &str, error: KafkaError) -> ExternalError {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let servers = &self.servers;
        match last {
            Some((code, reason)) => {
                let (retry, hint) = judge(code);
                // These errors concern servers, so advice about a topic would mislead.
                make(retry, format!("{what} at {servers}{hint}")).because(reason)
            }
            None => {
                let what = format!(
                    "{what} at {servers}; check that it is a Kafka cluster, that it runs and can be reached"
                );
                make(Retry::Transient, what).because(error)
            }
        }
    }

    /// Requests a new token.
    pub(super) fn token(&self) -> Result<Token, Box<dyn std::error::Error>> {
        let Some(source) = &self.token else {
            return Err("no tokens: give `KafkaConfig::oauthbearer` something that makes them".into());
        };
        let made = source().map_err(|error| {
            if let Some(withheld) = self.admit("token") {
                tracing::warn!(withheld, %error, servers = self.servers, "could not get a token for Kafka");
            }
            // The text is passed to C, where a NUL would end it.
            error.to_string().replace('\0', "")
        })?;
        let lifetime_ms = i64::try_from(made.expires.0).unwrap_or(i64::MAX);
        Ok(Token { token: made.token, principal_name: made.principal, lifetime_ms })
    }
}

/// Whether a broken connection is broken because TLS cannot be agreed upon, which no retry mends. librdkafka says so by
/// its code only if the server's answer comes after its first call of OpenSSL; if it comes during it, by the text alone.
fn is_of_tls(code: Code, reason: &str) -> bool {
    let permanent = ["certificate verify failed", "wrong version number"];
    code == Code::BrokerTransportFailure && permanent.iter().any(|text| reason.contains(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_that_is_refused_at_once_is_permanent_too() {
        let reporter = Reporter::new(&KafkaConfig::new("host:9092"));
        let broken = KafkaError::Global(Code::BrokerTransportFailure);
        let because = |reason: &str| {
            reporter.error(&broken, reason);
            reporter.timed_out("cannot read", KafkaError::Global(Code::OperationTimedOut)).retry()
        };
        let refused = "ssl://host:9092/bootstrap: error:0A000086:SSL routines::certificate verify failed \
                       (after 2ms in state SSL_HANDSHAKE)";
        assert_eq!(because(refused), Retry::Permanent);
        let closed = "ssl://host:9092/bootstrap: error:0A000126:SSL routines::unexpected eof while reading";
        assert_eq!(because(closed), Retry::Transient);
    }

    #[test]
    fn a_kind_is_logged_at_first_and_then_withheld() {
        let reporter = Reporter::new(&KafkaConfig::new("host:9092"));
        assert_eq!(reporter.admit("FAIL"), Some(0));
        assert!((0..1_000).all(|_| reporter.admit("FAIL").is_none()));
        assert_eq!(reporter.admit("TOKEN"), Some(0));
    }

    #[test]
    fn the_reason_of_one_server_outweighs_that_all_are_down() {
        let reporter = Reporter::new(&KafkaConfig::new("host:9092"));
        let because = || {
            let error = reporter.timed_out("cannot read", KafkaError::MetadataFetch(Code::OperationTimedOut));
            let source = std::error::Error::source(&error).map(ToString::to_string);
            (error.retry(), source.unwrap_or_default())
        };
        assert!(because().1.contains("OperationTimedOut"));
        reporter.error(&KafkaError::Global(Code::Authentication), "wrong password");
        reporter.error(&KafkaError::Global(Code::AllBrokersDown), "1/1 brokers are down");
        assert_eq!(because(), (Retry::Permanent, "wrong password".to_owned()));
        reporter.error(&KafkaError::Global(Code::PartitionEOF), "the end");
        reporter.clear();
        assert!(because().1.contains("OperationTimedOut"));
    }
}
