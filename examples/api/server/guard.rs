//! Who may ask: the bearer token, and which pages may open a WebSocket.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::app::App;
use super::origin::is_own;
use super::problem::Problem;

/// Before the token in the list of subprotocols: a page cannot give a WebSocket any other header.
const PROTOCOL: &str = "bearer.";

pub(crate) async fn token(State(app): State<App>, request: Request, next: Next) -> Response {
    match &app.options.token {
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

/// What every client has to know. `Debug` does not show it.
#[derive(Clone)]
pub(crate) struct Token(String);

impl Token {
    /// `None` if it cannot be sent in all the ways there are: subprotocols have few signs.
    pub(crate) fn new(text: &str) -> Option<Self> {
        let is_sent = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+".contains(&byte);
        (!text.is_empty() && text.bytes().all(is_sent)).then(|| Self(text.to_owned()))
    }

    /// What must not be shown.
    pub(crate) fn secret(&self) -> &str {
        &self.0
    }

    /// Takes as long for a wrong one as for the right one.
    fn is(&self, given: &str) -> bool {
        let pairs = given.bytes().zip(self.0.bytes());
        given.len() == self.0.len() && pairs.fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token")
    }
}

/// Pages of other origins may not open a WebSocket unless they are among those allowed: browsers ask nobody before they do.
pub(crate) fn origin(app: &App, headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or(""));
    let Some(origin) = text(header::ORIGIN) else { return Ok(()) };
    let own = text(header::HOST).is_some_and(|host| is_own(origin, host));
    if own || app.options.origins.has(origin) {
        return Ok(());
    }
    Err(Problem::forbidden("pages of this origin may not connect; allow it by CORS_ORIGINS"))
}
