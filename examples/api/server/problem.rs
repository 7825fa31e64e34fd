//! Errors as RFC 9457 has them: one shape for whatever goes wrong, with what to do about it.

use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// What went wrong with a request.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    /// The anchor of its paragraph in the documentation.
    kind: &'static str,
    detail: String,
}

impl Problem {
    pub(crate) fn parameter(name: &str, why: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid-parameter", format!("`{name}`: {why}"))
    }

    pub(crate) fn no_stream(id: &str) -> Self {
        let id: String = id.chars().take(64).collect();
        Self::new(StatusCode::NOT_FOUND, "unknown-stream", format!("there is no stream `{id}`"))
    }

    pub(crate) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "foreign-origin", detail)
    }

    pub(crate) fn unauthorized() -> Self {
        let detail = "send the token of this service as `Authorization: Bearer TOKEN`";
        Self::new(StatusCode::UNAUTHORIZED, "no-token", detail)
    }

    /// The store cannot answer. Why is for the log; the client can only wait.
    pub(crate) fn unavailable() -> Self {
        let detail = "the store of answers cannot be reached; try again, and see /health";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
    }

    fn new(status: StatusCode, kind: &'static str, detail: impl Into<String>) -> Self {
        Self { status, kind, detail: detail.into() }
    }

    /// What a status alone says: those that come from the layers around the handlers.
    pub(crate) fn of(status: StatusCode) -> Self {
        let (kind, detail) = match status {
            StatusCode::NOT_FOUND => ("unknown-path", "there is nothing at this path; see /docs"),
            StatusCode::METHOD_NOT_ALLOWED => ("method-not-allowed", "this path is only to be read: use GET"),
            StatusCode::PAYLOAD_TOO_LARGE => ("body-too-large", "no path needs a body: leave it out"),
            StatusCode::SERVICE_UNAVAILABLE => {
                ("unavailable", "the answer took too long; try again, and see /health")
            }
            StatusCode::UPGRADE_REQUIRED => {
                ("no-websocket", "this path is a WebSocket: connect to it as one")
            }
            _ if status.is_server_error() => {
                ("unavailable", "the request could not be answered; see the log")
            }
            _ => ("bad-request", "the request could not be understood; see /docs"),
        };
        Self::new(status, kind, detail)
    }
}

/// Marks the response; [`render`] writes it out, as it knows the request.
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
pub(crate) async fn render(request: Request, next: Next) -> Response {
    let id = request.headers().get("x-request-id").cloned();
    let is_head = request.method() == Method::HEAD;
    let mut response = next.run(request).await;
    let status = response.status();
    let problem = response.extensions_mut().remove::<Problem>();
    let has_own_body =
        response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/json");
    if (!status.is_client_error() && !status.is_server_error()) || (problem.is_none() && has_own_body) {
        return response;
    }
    let problem = problem.unwrap_or_else(|| Problem::of(status));
    let body = json!({
        "type": format!("/docs#{}", problem.kind),
        "title": status.canonical_reason().unwrap_or("Error"),
        "status": status.as_u16(),
        "detail": problem.detail,
        "request_id": id.as_ref().and_then(|id| id.to_str().ok()),
    });
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    let body = if is_head { String::new() } else { body.to_string() };
    (parts, body).into_response()
}
