//! Requests over HTTP and TLS, and which of their answers may pass.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use telemetra_core::{Clock, ConfigError, ExternalError};
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};
use ureq::{Agent, Error};

#[cfg(any(feature = "webhook", feature = "clickhouse"))]
use crate::http_error::lasts;

/// The longest pause that a server can ask for by `Retry-After`.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);
/// The number of bytes of a refusal that are read, for the error's text.
#[cfg(any(feature = "webhook", feature = "clickhouse"))]
const REFUSAL: usize = 4096;

/// A client with a pool of connections.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    agent: Agent,
    clock: Clock,
}

/// A server's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn is_good(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Returns whether the same request may succeed later: the server is busy, starting or broken, or still at work on
    /// the same request.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self.status, 408 | 409 | 425 | 429 | 500..=599)
    }

    /// The status and the beginning of the text, on one line.
    pub(crate) fn shown(&self) -> String {
        let text = String::from_utf8_lossy(&self.body[..self.body.len().min(500)]);
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if text.is_empty() {
            format!("status {}", self.status)
        } else {
            format!("status {}: {text}", self.status)
        }
    }

    /// The error of this answer.
    pub(crate) fn error(&self, what: &str) -> ExternalError {
        let what = format!("{what}: the server answered with {}", self.shown());
        if !self.may_pass() {
            return ExternalError::permanent(what);
        }
        let error = ExternalError::transient(what);
        match self.retry_after {
            Some(pause) => error.with_retry_after(pause),
            None => error,
        }
    }
}

impl Client {
    /// Creates a client for a server at `url`. It trusts the certificates in `authority` (PEM), or those of the
    /// system.
    pub(crate) fn new(url: &str, timeout: Duration, authority: Option<&[u8]>) -> Result<Self, ConfigError> {
        let roots = if url.starts_with("https:") { roots(authority)? } else { Vec::new() };
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .root_certs(RootCerts::new_with_certs(&roots))
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .timeout_global(Some(timeout))
            .http_status_as_error(false)
            // A redirected POST is sent as a GET by some clients and again by others.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("telemetra/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Self { agent: config.new_agent(), clock: Clock::system() })
    }

    /// The time on the wall.
    pub(crate) fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(self.clock.now().0)
    }

    /// Posts a body. Up to `most` bytes of the answer are read.
    #[cfg(any(feature = "webhook", feature = "clickhouse"))]
    pub(crate) fn post(
        &self,
        url: &str,
        headers: &[(&str, &str)],
        body: &[u8],
        most: usize,
        what: &str,
    ) -> Result<Answer, ExternalError> {
        let mut request = self.agent.post(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response = request.send(body).map_err(|error| failed(error, what))?;
        let status = response.status().as_u16();
        let retry_after = self.retry_after(response.headers());
        let good = (200..300).contains(&status);
        let limit = if good { most } else { REFUSAL };
        let read = response.body_mut().with_config().limit(limit as u64).read_to_vec();
        let body = match read {
            Ok(body) => body,
            // What the server decided is known already; its words are only for the log.
            Err(_) if !good || most == 0 => Vec::new(),
            Err(error) => return Err(failed(error, what)),
        };
        Ok(Answer { status, retry_after, body })
    }

    /// The pause that an answer asks for.
    pub(crate) fn retry_after(&self, headers: &ureq::http::HeaderMap) -> Option<Duration> {
        let asked = headers.get("retry-after").and_then(|value| value.to_str().ok());
        asked.and_then(|text| pause_of(text, self.now()))
    }

    /// Makes a request within this time, and reads the whole answer.
    #[cfg(feature = "object-store")]
    pub(crate) fn run(
        &self,
        request: ureq::http::Request<Vec<u8>>,
        patience: Duration,
    ) -> Result<ureq::http::Response<Vec<u8>>, Error> {
        let request = self.agent.configure_request(request).timeout_global(Some(patience)).build();
        let (parts, mut body) = self.agent.run(request)?.into_parts();
        let body = body.with_config().limit(u64::MAX).read_to_vec()?;
        Ok(ureq::http::Response::from_parts(parts, body))
    }
}

/// The root certificates: those of the settings, or the system's.
fn roots(authority: Option<&[u8]>) -> Result<Vec<Certificate<'static>>, ConfigError> {
    let error =
        |detail: &str| ConfigError::new("authority", detail, "give the certificates of the authority as PEM");
    let ders: Vec<CertificateDer<'static>> = match authority {
        None => rustls_native_certs::load_native_certs().certs,
        Some(pem) => CertificateDer::pem_slice_iter(pem)
            .collect::<Result<_, _>>()
            .map_err(|_| error("it is not a file of certificates"))?,
    };
    if ders.is_empty() {
        return Err(error("there are no root certificates to check the server by"));
    }
    Ok(ders.iter().map(|der| Certificate::from_der(der).to_owned()).collect())
}

/// The error of a request without an answer.
#[cfg(any(feature = "webhook", feature = "clickhouse"))]
fn failed(error: Error, what: &str) -> ExternalError {
    let error_of = if lasts(&error) { ExternalError::permanent } else { ExternalError::transient };
    error_of(what.to_owned()).because(error)
}

/// The pause that `Retry-After` asks for: seconds, or a date. Not longer than an hour.
fn pause_of(text: &str, now: SystemTime) -> Option<Duration> {
    let pause = match text.trim().parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => httpdate::parse_http_date(text.trim()).ok()?.duration_since(now).unwrap_or_default(),
    };
    Some(pause.min(LONGEST_PAUSE))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use telemetra_core::Retry;

    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = httpdate::parse_http_date("Sat, 28 Nov 2026 15:00:00 GMT").unwrap();
        for (text, seconds) in [
            ("3", Some(3)),
            (" 0 ", Some(0)),
            ("999999999", Some(3600)),
            ("Sat, 28 Nov 2026 15:00:07 GMT", Some(7)),
            ("Sat, 28 Nov 2026 14:00:00 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
        ] {
            assert_eq!(pause_of(text, now), seconds.map(Duration::from_secs), "{text}");
        }
    }

    #[test]
    fn statuses_are_good_passing_or_lasting() {
        let answer = |status| Answer {
            status,
            retry_after: Some(Duration::from_secs(2)),
            body: b"why\n not".to_vec(),
        };
        for status in [200, 202, 204] {
            assert!(answer(status).is_good());
        }
        for status in [408, 409, 425, 429, 500, 502, 503, 504] {
            let error = answer(status).error("could not post");
            assert_eq!(
                (error.retry(), error.retry_after()),
                (Retry::Transient, Some(Duration::from_secs(2)))
            );
        }
        for status in [301, 307, 400, 401, 403, 404, 410, 413, 422] {
            let error = answer(status).error("could not post");
            assert_eq!((error.retry(), error.retry_after()), (Retry::Permanent, None));
            assert_eq!(
                error.to_string(),
                format!("could not post: the server answered with status {status}: why not")
            );
        }
    }
}
