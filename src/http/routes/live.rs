use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use utoipa::IntoParams;

use super::path;
use crate::http::changes::Message;
use crate::http::follow::{Position, Upgrade};
use crate::http::openapi::{BadParameter, ForeignOrigin, NoToken, NotAFollower};
use crate::http::params::Params;
use crate::http::problem::Problem;
use crate::http::router::App;

/// The query parameters of both routes.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
struct LiveQuery {
    /// The `cursor` of the last message that the client received: the answer continues after that message.
    #[param(
        value_type = Option<String>,
        pattern = "^[0-9a-f]{1,16}-[0-9]{1,19}(-([0-9a-f]{2})+)?$"
    )]
    cursor: Option<Position>,
    /// The span of event time before now that a snapshot covers, in seconds.
    #[param(required = false)]
    history: u64,
}

impl LiveQuery {
    fn read(mut params: Params, most: u64, default: u64) -> Result<Self, Problem> {
        let problem = |()| Problem::parameter("cursor", "it has to be the `cursor` of a message");
        let cursor = params.text("cursor")?.map(|text| text.parse().map_err(problem)).transpose()?;
        let history = params.number("history", 0..=most, default)?;
        params.done()?;
        Ok(Self { cursor, history })
    }
}

/// Follow all keys
///
/// Like following one key. The snapshot contains the newest window of each key, its open moments and its rows without
/// a time, and the rows that ended within `history`.
#[utoipa::path(
    get, path = "/live", operation_id = "follow_all", tag = "live",
    params(LiveQuery),
    responses(
        (status = 101, description = "A WebSocket, on which messages follow: `Message`."),
        (
            status = 200, description = "Server-sent events, whose data are messages.",
            body = Message, content_type = "text/event-stream"
        ),
        BadParameter, NoToken, ForeignOrigin, NotAFollower,
    )
)]
pub(in crate::http) async fn all(
    State(app): State<App>,
    headers: HeaderMap,
    params: Params,
    upgrade: Upgrade,
) -> Result<Response, Problem> {
    begin(&app, &headers, None, params, upgrade)
}

/// Follow a key
///
/// Changes come over a WebSocket, or as server-sent events if the client accepts `text/event-stream`. The first
/// message is a snapshot, or the changes since the client's `cursor`. Then a message follows for each change, and a
/// heartbeat at regular intervals.
///
/// A client whose connection broke connects again with the last `cursor` that it received, and receives each later
/// change once. Browsers do so for server-sent events by themselves, with `Last-Event-ID`. If the service was restarted
/// or the changes are no longer in memory, the client receives a snapshot, which replaces all earlier messages.
///
/// The service closes a WebSocket with one of these codes: `1001` the service stops, `1002` the client did not answer
/// pings, `1012` changes were lost, `4008` the client reads too slowly. Connect again after each of them.
#[utoipa::path(
    get, path = "/live/{key}", operation_id = "follow", tag = "live",
    params(
        ("key" = String, Path, description = "The key, as text; also one that is not there yet."),
        LiveQuery,
    ),
    responses(
        (status = 101, description = "A WebSocket, on which messages follow: `Message`."),
        (
            status = 200, description = "Server-sent events, whose data are messages.",
            body = Message, content_type = "text/event-stream"
        ),
        BadParameter, NoToken, ForeignOrigin, NotAFollower,
    )
)]
pub(in crate::http) async fn one(
    State(app): State<App>,
    key: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    params: Params,
    upgrade: Upgrade,
) -> Result<Response, Problem> {
    begin(&app, &headers, Some(path("key", key)?), params, upgrade)
}

fn begin(
    app: &App,
    headers: &HeaderMap,
    key: Option<String>,
    params: Params,
    upgrade: Upgrade,
) -> Result<Response, Problem> {
    // Of one key the last ten minutes, of all what is newest.
    let most = app.settings().limits.history.as_secs();
    let default = if key.is_some() { 600.min(most) } else { 0 };
    let LiveQuery { cursor, history } = LiveQuery::read(params, most, default)?;
    app.live().open(headers, upgrade, key, cursor, history.saturating_mul(1000))
}
