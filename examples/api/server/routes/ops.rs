//! The operator's view, as JSON; a browser that asks for a page gets one.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use telemetra::core::Fate;
use telemetra::http::openapi::{BadParameter, NoToken, Unavailable};
use telemetra::http::{Params, Problem};
use utoipa::ToSchema;

use super::failed;
use crate::server::app::App;
use crate::server::log_tail::{Line, LogTail};
use crate::server::model::Time;
use crate::server::operations::{Letter, LetterPlace, LettersQuery, Operations};
use crate::server::page::{HTML, file};

/// The greatest length of a text that is searched for, in characters.
const LONGEST_SEARCH: usize = 64;

/// State of the parts.
#[derive(Serialize, ToSchema)]
#[schema(as = Operations)]
pub(crate) struct Answer {
    /// The event time that all answers have reached.
    as_of: Option<Time>,
    /// The version of the service.
    version: &'static str,
    #[serde(flatten)]
    operations: Operations,
    /// The newest lines of the log, the newest first; at most 200, without secrets.
    log: Vec<Line>,
}

/// Records and events that were not counted.
#[derive(Serialize, ToSchema)]
#[schema(as = DeadLetters)]
pub(crate) struct Letters {
    /// The `cursor` of the next page; null after the last.
    #[schema(value_type = Option<String>)]
    next_cursor: Option<LetterPlace>,
    /// The letters.
    letters: Vec<Letter>,
}

/// State of the parts
///
/// Partitions, sinks, checkpoints, the time by operator, and the newest lines of the log without secrets. What is not known where the pipeline runs elsewhere is null. A browser that prefers HTML gets the same as a page.
#[utoipa::path(
    get, path = "/ops", operation_id = "operations", tag = "operation",
    responses(
        (status = 200, description = "The state of the parts.", body = Answer),
        BadParameter, NoToken, Unavailable,
    )
)]
pub(crate) async fn operations(State(app): State<App>, params: Params) -> Result<Response, Problem> {
    params.done()?;
    let as_of = app.progress.borrow().as_of.map(Time);
    let operations = app.store.operations().await.map_err(failed)?;
    let log = LogTail::shared().newest();
    let answer = Answer { as_of, version: env!("CARGO_PKG_VERSION"), operations, log };
    Ok(([(header::CACHE_CONTROL, "no-store"), (header::VARY, "accept")], Json(answer)).into_response())
}

/// Records and events that were not counted
///
/// By offset, the greatest first.
#[utoipa::path(
    get, path = "/ops/dead-letters", operation_id = "deadLetters", tag = "operation",
    params(LettersQuery),
    responses(
        (status = 200, description = "The letters.", body = Letters),
        BadParameter, NoToken, Unavailable,
    )
)]
pub(crate) async fn letters(State(app): State<App>, mut params: Params) -> Result<Response, Problem> {
    let fates = [Fate::TooLate, Fate::Malformed, Fate::FromFuture, Fate::Duplicate].map(|fate| fate.as_str());
    let choices: Vec<_> =
        std::iter::once(("any", None)).chain(fates.map(|fate| (fate, Some(fate)))).collect();
    let query = LettersQuery {
        fate: params.choice("fate", &choices)?,
        search: params.text("search")?.filter(|text| !text.is_empty()),
        cursor: params
            .text("cursor")?
            .map(|text| text.parse())
            .transpose()
            .map_err(|()| Problem::parameter("cursor", "it has to be the `next_cursor` of a page"))?,
        limit: params.number("limit", 1..=200, 50)? as usize,
    };
    params.done()?;
    if query.search.as_ref().is_some_and(|text| text.chars().count() > LONGEST_SEARCH || text.contains('\0'))
    {
        return Err(Problem::parameter("search", "it has to be a text of at most 64 characters"));
    }
    let (letters, more) = app.store.letters(&query).await.map_err(failed)?;
    let next_cursor = letters.last().filter(|_| more).map(LetterPlace::after);
    Ok(Json(Letters { next_cursor, letters }).into_response())
}

/// Answers `/ops` by the page to those who would rather have one: without a token, for which the page asks.
pub(crate) async fn page(State(app): State<App>, request: Request, next: Next) -> Response {
    let accept = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    if request.uri().path() != "/ops" || !accept.is_some_and(prefers_html) {
        return next.run(request).await;
    }
    let mut page = file(HTML, app.page.ops.clone());
    page.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
    page
}

/// Whether HTML comes before JSON in what is accepted. Browsers name it first.
fn prefers_html(accept: &str) -> bool {
    let place = |kind: &str| accept.split(',').position(|part| part.trim().split(';').next() == Some(kind));
    place("text/html").is_some_and(|html| place("application/json").is_none_or(|json| html < json))
}
