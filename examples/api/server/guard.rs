//! Who may ask: the bearer token, and which pages may open a WebSocket.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::app::App;
use super::problem::Problem;

/// Before the token in the list of subprotocols: a page cannot give a WebSocket any other header.
const PROTOCOL: &str = "bearer.";

pub(crate) async fn token(State(app): State<App>, request: Request, next: Next) -> Response {
    match &app.options.token {
        Some(token) if !given(request.headers()).any(|given| equal(given, token)) => {
            Problem::unauthorized().into_response()
        }
        _ => next.run(request).await,
    }
}

/// The tokens that a request carries.
fn given(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer = authorization.and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    bearer.into_iter().chain(protocols(headers).filter_map(|protocol| protocol.strip_prefix(PROTOCOL)))
}

fn protocols(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let lists =
        headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).into_iter().filter_map(|value| value.to_str().ok());
    lists.flat_map(|list| list.split(',')).map(str::trim)
}

/// Takes as long for a wrong token as for the right one.
fn equal(given: &str, token: &str) -> bool {
    let pairs = given.bytes().zip(token.bytes());
    given.len() == token.len() && pairs.fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}

/// Pages of other origins may not open a WebSocket unless they are among those allowed: browsers ask nobody before they do.
pub(crate) fn origin(app: &App, headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or(""));
    let Some(origin) = text(header::ORIGIN) else { return Ok(()) };
    let own =
        origin.split_once("://").is_some_and(|(_, host)| text(header::HOST).is_some_and(|own| own == host));
    if own || app.options.origins.iter().any(|known| known == "*" || known == origin) {
        return Ok(());
    }
    Err(Problem::forbidden("pages of this origin may not connect; allow it by CORS_ORIGINS"))
}

/// Whether a token can be sent in all the ways there are.
pub(crate) fn is_sendable(token: &str) -> bool {
    !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+".contains(&byte))
}
