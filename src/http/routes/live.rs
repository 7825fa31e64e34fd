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

/// What is asked of both.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
struct LiveQuery {
    /// Go on behind the message that had this as its `cursor`.
    #[param(
        value_type = Option<String>,
        pattern = "^[0-9a-f]{1,16}-[0-9]{1,19}(-([0-9a-f]{2})+)?$"
    )]
    cursor: Option<Position>,
    /// How many seconds of the past a snapshot holds.
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
/// As for one key; the snapshot has the newest window of each key, its open moments and its rows without a
/// time, and with `history` what ended within it.
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
/// A WebSocket, or server-sent events for a client that accepts `text/event-stream`. The first message is a
/// snapshot, or what changed since the client was last there; each change follows as it takes effect, and a
/// heartbeat.
///
/// A client that was cut off connects again with the last `cursor` that it was told, and is told each change
/// after it once. Browsers do so for server-sent events by themselves, with `Last-Event-ID`. If that is not
/// possible, as the service is another one or the changes are not held any more, there is a snapshot, which
/// replaces what is known.
///
/// The service ends a WebSocket with a reason: `1001` it stops, `1002` pings were not answered, `1012` it
/// cannot go on without a gap, `4008` the client reads too slowly.
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
