//! Requests of the client of object stores, made by the HTTP client that the other connectors have.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http_body::Body;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody, HttpResponse,
    HttpResponseBody, HttpService,
};
use object_store::{ClientConfigKey, ClientOptions};
use telemetra_core::{ConfigError, ExternalError};
use ureq::http;

use crate::http::{Answer, Client};
use crate::http_error::lasts;

/// The number of bytes a second below which a body is given up.
const SLOWEST: u64 = 1 << 20;

/// The outcome of the last request.
#[derive(Debug, Default)]
pub(crate) struct Last(Mutex<Outcome>);

#[derive(Debug, Default)]
enum Outcome {
    /// No request was made, or it was answered well.
    #[default]
    Good,
    /// A refusal, with the beginning of its text.
    Refused(Answer),
    /// There was no answer; `lasts` if the same request would fail again.
    Silent { lasts: bool },
    /// The request was not made, as it would not be encrypted.
    Open,
}

impl Last {
    fn note(&self, outcome: Outcome) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = outcome;
    }

    /// The status, if it was a refusal.
    pub(crate) fn status(&self) -> Option<u16> {
        match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Outcome::Refused(answer) => Some(answer.status),
            _ => None,
        }
    }

    /// Returns whether it was a refusal with this code in its text.
    pub(crate) fn says(&self, code: &str) -> bool {
        match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Outcome::Refused(answer) => String::from_utf8_lossy(&answer.body).contains(code),
            _ => false,
        }
    }

    /// The error of an operation whose last request this was.
    pub(crate) fn error(&self, what: String, error: object_store::Error) -> ExternalError {
        match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Outcome::Refused(answer) => answer.error(&what),
            Outcome::Silent { lasts: false } => {
                ExternalError::transient(format!("{what}: the service does not answer; check the address and the network"))
                    .because(error)
            }
            Outcome::Silent { lasts: true } => ExternalError::permanent(format!(
                "{what}: there is no safe connection to the service; check the address and the authority's certificate"
            ))
            .because(error),
            Outcome::Open => ExternalError::permanent(format!(
                "{what}: the address is not encrypted; give one with https, or the option `allow_http`"
            )),
            Outcome::Good => ExternalError::permanent(what).because(error),
        }
    }
}

/// Makes the client for a store.
#[derive(Clone)]
pub(super) struct Connector {
    client: Client,
    timeout: Duration,
    last: Arc<Last>,
    allow_http: bool,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

impl Connector {
    /// A client that trusts the certificates in `authority` (PEM), or those of the system.
    pub(super) fn new(
        timeout: Duration,
        secure: bool,
        authority: Option<&[u8]>,
        last: Arc<Last>,
    ) -> Result<Self, ConfigError> {
        let client = Client::new(if secure { "https:" } else { "http:" }, timeout, authority)?;
        Ok(Self { client, timeout, last, allow_http: false })
    }

    fn call_now(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        if !self.allow_http && parts.uri.scheme() != Some(&http::uri::Scheme::HTTPS) {
            self.last.note(Outcome::Open);
            return Err(HttpError::new(
                HttpErrorKind::Unknown,
                io::Error::other("the address is not encrypted"),
            ));
        }
        let body = bytes_of(body)?;
        let patience = self.timeout + Duration::from_secs(body.len() as u64 / SLOWEST);
        match self.client.run(http::Request::from_parts(parts, body), patience) {
            Ok(response) => {
                let (parts, body) = response.into_parts();
                let status = parts.status.as_u16();
                let answer = Answer { status, retry_after: self.client.retry_after(&parts.headers), body };
                // Some answers, as that an object is not there, are no failures, and are found here nevertheless.
                let body = HttpResponseBody::from(answer.body.clone());
                self.last.note(if answer.is_good() { Outcome::Good } else { Outcome::Refused(answer) });
                Ok(HttpResponse::from_parts(parts, body))
            }
            Err(error) => {
                self.last.note(Outcome::Silent { lasts: lasts(&error) });
                Err(HttpError::new(HttpErrorKind::Unknown, error))
            }
        }
    }
}

/// The bytes of a body, all of which are in memory.
fn bytes_of(mut body: HttpRequestBody) -> Result<Vec<u8>, HttpError> {
    let mut bytes = Vec::with_capacity(body.content_length());
    let mut context = Context::from_waker(Waker::noop());
    while let Poll::Ready(Some(frame)) = Pin::new(&mut body).poll_frame(&mut context) {
        if let Ok(data) = frame?.into_data() {
            bytes.extend_from_slice(&data);
        }
    }
    Ok(bytes)
}

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let allow_http = options.get_config_value(&ClientConfigKey::AllowHttp).as_deref() == Some("true");
        Ok(HttpClient::new(Self { allow_http, ..self.clone() }))
    }
}

#[async_trait::async_trait]
impl HttpService for Connector {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        self.call_now(request)
    }
}
