use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use telemetra::core::EventTime;
use telemetra::http::openapi::{BadParameter, ForeignOrigin, NoToken, NotAFollower};
use telemetra::http::{Params, Position, Problem, Upgrade};
use utoipa::IntoParams;

use super::streams::id;
use super::{UnknownStream, failed};
use crate::server::app::App;
use crate::server::model::{Message, Time};

/// The query of both.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct LiveQuery {
    /// Go on behind the message that had this as its `cursor`, rather than from a snapshot.
    #[param(
        value_type = Option<String>,
        pattern = "^[0-9a-f]{1,16}-[0-9]{1,19}([.][0-9]{0,19}){0,99}(-([0-9a-f]{2})+)?$"
    )]
    after: Option<Position>,
    /// Go on from this time, up to which everything is known, where there is no `after`.
    #[param(value_type = Option<Time>)]
    since: Option<EventTime>,
    /// The run of the service in which that was; in another there is a snapshot.
    life: Option<String>,
    /// The number of seconds of windows and moments in a snapshot.
    #[param(required = false, maximum = 86_400, default = 600)]
    history: u64,
}

impl LiveQuery {
    fn read(mut params: Params) -> Result<Self, Problem> {
        let problem = |()| Problem::parameter("after", "it has to be the `cursor` of a message");
        let after = params.text("after")?.map(|text| text.parse().map_err(problem)).transpose()?;
        let (since, life) = (params.time("since")?, params.text("life")?);
        let history = params.number("history", 0..=86_400, 600)?;
        params.done()?;
        Ok(Self { after, since, life, history })
    }
}

/// Follow all streams
///
/// As for one stream; the snapshot is an overview.
///
/// A window of thousands of streams is as many messages at once: a page that shows one stream should follow one.
#[utoipa::path(
    get, path = "/live", operation_id = "follow_all", tag = "live", params(LiveQuery),
    responses(
        (status = 101, description = "A WebSocket, on which messages follow: `Message`."),
        (
            status = 200, description = "Server-sent events, whose data are messages.",
            body = Message, content_type = "text/event-stream"
        ),
        BadParameter, NoToken, ForeignOrigin, NotAFollower
    )
)]
pub(crate) async fn all(
    State(app): State<App>,
    headers: HeaderMap,
    params: Params,
    upgrade: Upgrade,
) -> Result<Response, Problem> {
    begin(&app, &headers, None, params, upgrade).await
}

/// Follow a stream
///
/// A WebSocket, or server-sent events for a client that accepts `text/event-stream`; also of a stream that is not there yet.
/// The first message is a snapshot, or, with `since`, what changed; each change follows as it takes effect, and a heartbeat
/// every 15 seconds with a ping.
///
/// The service ends a WebSocket with a reason:
///
/// * `1001` it stops.
/// * `1002` pings were not answered for 45 seconds.
/// * `1012` it cannot go on without a gap.
/// * `4008` the client reads too slowly: messages were missed. It is not waited for, so that nobody else is held up.
///
/// In each case connect again, with the last `cursor` that was told as `after`: each change after it is told once. For
/// server-sent events a browser does so by itself, with `Last-Event-ID`. Over a pipeline elsewhere that keeps a log of changes,
/// every service over its tables can go on. Where that is not possible there is a snapshot, which says why in `not_resumed`.
///
/// A client that has no cursor can give the greatest `time` before that of the last message, of which there may have been more,
/// as `since`, and `life` as it was in the message; rows that come again are the same.
///
/// Where the service asks for a token and no header can be set, as in a page, offer the subprotocols `telemetra` and
/// `bearer.TOKEN`.
#[utoipa::path(
    get, path = "/live/{id}", operation_id = "follow", tag = "live",
    params(
        ("id" = String, Path, min_length = 1, max_length = 256, example = "midnight_arcade", description = "The stream's id."),
        LiveQuery,
    ),
    responses(
        (status = 101, description = "A WebSocket, on which messages follow: `Message`."),
        (
            status = 200, description = "Server-sent events, whose data are messages.",
            body = Message, content_type = "text/event-stream"
        ),
        UnknownStream, BadParameter, NoToken, ForeignOrigin, NotAFollower
    )
)]
pub(crate) async fn one(
    State(app): State<App>,
    path: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    params: Params,
    upgrade: Upgrade,
) -> Result<Response, Problem> {
    begin(&app, &headers, Some(id(path)?), params, upgrade).await
}

async fn begin(
    app: &App,
    headers: &HeaderMap,
    stream: Option<String>,
    params: Params,
    upgrade: Upgrade,
) -> Result<Response, Problem> {
    let LiveQuery { after, since, life, history } = LiveQuery::read(params)?;
    let from = match (after, since, life) {
        (Some(after), ..) => Some(after),
        (None, Some(time), Some(run)) => Some(Position::new(run, time)),
        // Where there is no run yet, there is nothing to go on from.
        (None, Some(time), None) => {
            app.store.run().await.map_err(failed)?.map(|run| Position::new(run, time))
        }
        (None, None, _) => None,
    };
    app.live.open(headers, upgrade, stream, from, history * 1000)
}
