//! Authentication by a bearer token, and the check of the origin of pages that open a WebSocket.

use std::fmt;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::origin::is_own;
use super::problem::Problem;
use super::settings::Settings;

/// Before the token in the list of subprotocols: a page cannot give a WebSocket any other header.
const PROTOCOL: &str = "bearer.";

pub(super) async fn token(State(settings): State<Settings>, request: Request, next: Next) -> Response {
    match &settings.token {
        Some(token) if !given(request.headers()).any(|given| token.is(given)) => {
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

/// A bearer token that every client has to send, for [`Settings::token`]: in the header `Authorization: Bearer TOKEN`,
/// or, as pages in a browser cannot set headers of a WebSocket, by offering the WebSocket subprotocols `telemetra` and
/// `bearer.TOKEN`. Tokens are compared in constant time. `Debug` does not show the token.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// Creates a token from ASCII letters, digits and `-._~+`; `None` if the text is empty or has other
    /// characters, which cannot be sent in a subprotocol.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let is_sent = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+".contains(&byte);
        (!text.is_empty() && text.bytes().all(is_sent)).then(|| Self(text.to_owned()))
    }

    /// Returns the token itself, for example to remove it from a log.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.0
    }

    /// Takes as long for a wrong one as for the right one.
    fn is(&self, given: &str) -> bool {
        let pairs = given.bytes().zip(self.0.bytes());
        given.len() == self.0.len() && pairs.fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

/// Refuses pages of other origins, unless they are among those allowed: before a WebSocket, browsers ask
/// nobody.
pub(super) fn origin(settings: &Settings, headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or(""));
    let Some(origin) = text(header::ORIGIN) else { return Ok(()) };
    let own = text(header::HOST).is_some_and(|host| is_own(origin, host));
    if own || settings.origins.has(origin) {
        return Ok(());
    }
    Err(Problem::foreign_origin())
}
