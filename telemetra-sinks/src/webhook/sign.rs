//! Signatures of requests, after the specification Standard Webhooks.

use std::fmt;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac::{self, HMAC_SHA256};
use telemetra_core::ConfigError;

/// The header with the idempotency key of a row's change.
pub(super) const ID: &str = "webhook-id";
/// The header with the time of the attempt, in seconds since the Unix epoch.
pub(super) const TIMESTAMP: &str = "webhook-timestamp";
/// The header with the signatures.
pub(super) const SIGNATURE: &str = "webhook-signature";

/// A secret that a [`Webhook`](super::Webhook) and its receiver share, by which the sink signs requests and the
/// receiver [verifies](Self::verify) them.
///
/// Signatures are made as [Standard Webhooks](https://www.standardwebhooks.com) specifies: HMAC-SHA256 over the header
/// `webhook-id`, a full stop, the header `webhook-timestamp`, a full stop, and the body. The header
/// `webhook-signature` holds it as `v1,` and base64; several are separated by spaces.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use telemetra_sinks::WebhookSecret;
///
/// let secret = WebhookSecret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")?;
/// let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_614_265_330);
/// let (id, timestamp, body) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", br#"{"test": 2432232314}"#);
/// let signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
/// assert!(secret.verify(id, timestamp, signature, body, now));
/// assert!(!secret.verify(id, timestamp, signature, b"{}", now), "another body");
/// assert!(!secret.verify(id, timestamp, signature, body, now + Duration::from_secs(600)), "too old");
///
/// assert!(WebhookSecret::new("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").is_err(), "it lacks `whsec_`");
/// assert!(WebhookSecret::from_bytes(b"short").is_err());
/// # Ok::<(), telemetra_core::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct WebhookSecret(hmac::Key);

/// Shows no secret.
impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret")
    }
}

impl WebhookSecret {
    /// The greatest difference between the time of a request and the receiver's clock with which
    /// [`verify`](Self::verify) accepts the request: five minutes.
    pub const TOLERANCE: Duration = Duration::from_secs(300);

    /// Parses a secret from text: `whsec_` and base64. [`from_bytes`](Self::from_bytes) takes other secrets.
    ///
    /// # Errors
    ///
    /// If the text does not have that form, or the decoded secret has fewer than 16 bytes.
    pub fn new(text: &str) -> Result<Self, ConfigError> {
        let bytes = text.trim().strip_prefix("whsec_").and_then(|text| STANDARD.decode(text).ok());
        let Some(bytes) = bytes else {
            let detail = "it is not `whsec_` and base64";
            return Err(ConfigError::new(
                "secret",
                detail,
                "make one: echo whsec_$(openssl rand -base64 32)",
            ));
        };
        Self::from_bytes(&bytes)
    }

    /// Creates a secret from bytes, for example random ones.
    ///
    /// # Errors
    ///
    /// If there are fewer than 16 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ConfigError> {
        if bytes.len() < 16 {
            let detail = format!("it has {} bytes", bytes.len());
            return Err(ConfigError::new("secret", detail, "take at least 16 random bytes"));
        }
        Ok(Self(hmac::Key::new(HMAC_SHA256, bytes)))
    }

    /// The value of the header `webhook-signature` for a request.
    pub(super) fn sign(&self, id: &str, timestamp: &str, body: &[u8]) -> String {
        format!("v1,{}", STANDARD.encode(hmac::sign(&self.0, &signed(id, timestamp, body))))
    }

    /// Returns whether a request is signed with this secret and was sent within
    /// [`TOLERANCE`](Self::TOLERANCE) of `now`, for a receiver that is written in Rust. `id`, `timestamp` and
    /// `signature` are the values of the headers `webhook-id`, `webhook-timestamp` and `webhook-signature`; `body`
    /// is the body as it was received. Signatures are compared in constant time. A receiver must still ignore
    /// ids that it has stored before.
    #[must_use]
    pub fn verify(&self, id: &str, timestamp: &str, signature: &str, body: &[u8], now: SystemTime) -> bool {
        let Ok(seconds) = timestamp.parse::<u64>() else { return false };
        let Some(sent) = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)) else {
            return false;
        };
        let apart = now.duration_since(sent).or_else(|_| sent.duration_since(now)).unwrap_or_default();
        let signed = signed(id, timestamp, body);
        let is_ours = |one: &str| {
            let bytes = one.strip_prefix("v1,").and_then(|text| STANDARD.decode(text).ok());
            bytes.is_some_and(|bytes| hmac::verify(&self.0, &signed, &bytes).is_ok())
        };
        apart <= Self::TOLERANCE && signature.split(' ').any(is_ours)
    }
}

/// The bytes that are signed.
fn signed(id: &str, timestamp: &str, body: &[u8]) -> Vec<u8> {
    [id.as_bytes(), b".", timestamp.as_bytes(), b".", body].concat()
}
