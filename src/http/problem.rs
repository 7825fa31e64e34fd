//! Errors of requests as RFC 9457 defines them: one shape for every failure, with what to do about it.

use std::borrow::Cow;
use std::fmt::Display;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::layers::REQUEST_ID;
use super::settings::Settings;

/// The error of a request, which a handler returns and which is answered as `application/problem+json` (RFC 9457). Its
/// body is written by the layers of [`Settings::layered`]: without them the answer has only a status.
///
/// ```
/// use axum::http::StatusCode;
/// use telemetra::http::Problem;
/// let problem = Problem::new(StatusCode::NOT_FOUND, "unknown-device", "there is no device `d9`");
/// assert_eq!(problem.status(), 404);
/// ```
#[derive(Clone, Debug)]
pub struct Problem {
    status: StatusCode,
    kind: &'static str,
    detail: Cow<'static, str>,
}

/// The body of a problem, as a client receives it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// The kind of the problem, as a URI that leads to its explanation.
    #[serde(rename = "type")]
    pub kind: String,
    /// The status in words.
    pub title: String,
    /// The status.
    #[schema(minimum = 400, maximum = 599)]
    pub status: u16,
    /// The error of this request, and what to do about it.
    pub detail: String,
    /// The id under which the log has it, also in the header `x-request-id`.
    pub request_id: Option<String>,
}

impl Problem {
    /// Creates a problem with a status. `kind` is the end of its `type`, in kebab case; `detail` says what is
    /// wrong and what to do.
    pub fn new(status: StatusCode, kind: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { status, kind, detail: detail.into() }
    }

    /// Creates the problem of an invalid parameter, with status 400. `why` says which values are valid.
    pub fn parameter(name: &str, why: impl Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid-parameter", format!("`{name}`: {why}"))
    }

    /// Creates the problem of an answer that cannot be given now, with status 503. Log the cause; the client
    /// does not see it.
    #[must_use]
    pub fn unavailable() -> Self {
        let detail = "the answers cannot be had now; try again, and see /health";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
    }

    pub(super) fn foreign_origin() -> Self {
        let detail = "pages of this origin may not connect; whoever runs the service can allow it";
        Self::new(StatusCode::FORBIDDEN, "foreign-origin", detail)
    }

    pub(super) fn unauthorized() -> Self {
        let detail = "send the token of this service as `Authorization: Bearer TOKEN`";
        Self::new(StatusCode::UNAUTHORIZED, "no-token", detail)
    }

    pub(super) fn no_table(name: &str, known: &[&str]) -> Self {
        let name: String = name.chars().take(64).collect();
        let detail = format!("there is no table `{name}`; there are: {}", known.join(", "));
        Self::new(StatusCode::NOT_FOUND, "unknown-table", detail)
    }

    pub(super) fn no_key(key: &str) -> Self {
        let key: String = key.chars().take(64).collect();
        Self::new(StatusCode::NOT_FOUND, "unknown-key", format!("nothing is held of the key `{key}`"))
    }

    /// Creates the problem of a status alone, as the layers around the routes answer it: too large, too slow,
    /// not found.
    #[must_use]
    pub fn of(status: StatusCode) -> Self {
        let (kind, detail) = match status {
            StatusCode::NOT_FOUND => ("unknown-path", "there is nothing at this path"),
            StatusCode::METHOD_NOT_ALLOWED => ("method-not-allowed", "this path is only to be read: use GET"),
            StatusCode::PAYLOAD_TOO_LARGE => ("body-too-large", "no path needs a body: leave it out"),
            StatusCode::SERVICE_UNAVAILABLE => {
                ("unavailable", "the answer took too long; try again, and see /health")
            }
            StatusCode::UPGRADE_REQUIRED => (
                "no-websocket",
                "changes are followed here: connect as a WebSocket, or accept `text/event-stream`",
            ),
            _ if status.is_server_error() => {
                ("unavailable", "the request could not be answered; see the log")
            }
            _ => ("bad-request", "the request could not be understood"),
        };
        Self::new(status, kind, detail)
    }

    /// Returns the status as a number.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status.as_u16()
    }
}

/// The layers of [`Settings::layered`] write out the body, as they know the request.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// Gives every error its body, also those that come from the layers around the handlers.
pub(super) async fn render(State(settings): State<Settings>, request: Request, next: Next) -> Response {
    let id = request.headers().get(REQUEST_ID).cloned();
    let is_head = request.method() == Method::HEAD;
    let mut response = next.run(request).await;
    let status = response.status();
    let problem = response.extensions_mut().remove::<Problem>();
    let kind = response.headers().get(header::CONTENT_TYPE);
    let has_own_body = kind.is_some_and(|kind| kind == "application/json" || kind == PROBLEM);
    if (!status.is_client_error() && !status.is_server_error()) || (problem.is_none() && has_own_body) {
        return response;
    }
    let problem = problem.unwrap_or_else(|| Problem::of(status));
    let prefix = settings.problems.as_deref().unwrap_or("urn:telemetra:problem:");
    let body = ProblemBody {
        kind: format!("{prefix}{}", problem.kind),
        title: status.canonical_reason().unwrap_or("Error").to_owned(),
        status: status.as_u16(),
        detail: problem.detail.into_owned(),
        request_id: id.as_ref().and_then(|id| id.to_str().ok()).map(ToOwned::to_owned),
    };
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_TYPE, PROBLEM);
    if is_head {
        return (parts, ()).into_response();
    }
    let body = Json(body).into_response().into_body();
    Response::from_parts(parts, body)
}

const PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");
