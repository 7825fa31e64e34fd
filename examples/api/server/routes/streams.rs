use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use serde::Serialize;
use telemetra::http::openapi::{BadParameter, NoToken, Unavailable};
use telemetra::http::{Params, Problem};
use telemetra::livestream::MAX_ID_BYTES;
use utoipa::ToSchema;

use super::{UnknownStream, failed, no_stream};
use crate::server::app::App;
use crate::server::model::{Metrics, MomentInfo, StreamInfo, Time};
use crate::server::store::{Cursor, MetricsQuery, MomentFilter, MomentQuery, Order, StreamQuery};

/// Some of the streams.
#[derive(Serialize, ToSchema)]
pub(crate) struct StreamPage {
    /// The event time that all answers have reached.
    as_of: Option<Time>,
    /// The number of streams that match.
    total: u64,
    /// The position of the next page; null after the last.
    next_offset: Option<u64>,
    streams: Vec<StreamInfo>,
}

/// Windows of one stream, oldest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct MetricsPage {
    stream_id: String,
    /// The `to` with which to ask for those before; null if there are none in the range.
    next_to: Option<Time>,
    metrics: Vec<Metrics>,
}

/// Moments of one stream, newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct MomentPage {
    stream_id: String,
    /// The `cursor` with which to ask for those before; null if there are none.
    #[schema(value_type = Option<String>)]
    next_cursor: Option<Cursor>,
    moments: Vec<MomentInfo>,
}

type Answer = Result<axum::response::Response, Problem>;

/// The id of a stream in a path.
pub(crate) fn id(path: Result<Path<String>, PathRejection>) -> Result<String, Problem> {
    let Ok(Path(id)) = path else { return Err(Problem::parameter("id", "it is not percent-encoded UTF-8")) };
    // No event has such an id, and not every store can be asked for one.
    if id.len() > MAX_ID_BYTES || id.contains('\0') {
        return Err(no_stream(&id));
    }
    Ok(id)
}

/// The streams
///
/// A page of the streams, ranked. Ranks change with every slide, so a stream may be on two pages or on none.
#[utoipa::path(
    get, path = "/streams", operation_id = "streams", tag = "answers",
    params(StreamQuery),
    responses((status = 200, description = "The streams.", body = StreamPage), BadParameter, NoToken, Unavailable)
)]
pub(crate) async fn list(State(app): State<App>, mut params: Params) -> Answer {
    let orders = [("rate", Order::Rate), ("viewers", Order::Viewers), ("name", Order::Name)];
    let query = StreamQuery {
        order: params.choice("order", &orders)?,
        live: params.flag("live")?,
        search: params.text("search")?.map(|text| text.to_lowercase()).filter(|text| !text.is_empty()),
        offset: params.number("offset", 0..=1_000_000, 0)?,
        limit: params.number("limit", 1..=500, 50)?,
    };
    params.done()?;
    let as_of = app.store.as_of().await.map_err(failed)?;
    let (streams, total) = app.store.streams(&query).await.map_err(failed)?;
    let next = query.offset + streams.len() as u64;
    let next_offset = (next < total && !streams.is_empty()).then_some(next);
    Ok(Json(StreamPage { as_of: as_of.map(Time), total, next_offset, streams }).into_response())
}

/// One stream
///
/// A stream and its newest window.
#[utoipa::path(
    get, path = "/streams/{id}", operation_id = "stream", tag = "answers",
    params(
        ("id" = String, Path, min_length = 1, max_length = 256, example = "midnight_arcade", description = "The stream's id."),
    ),
    responses((status = 200, description = "The stream.", body = StreamInfo), UnknownStream, BadParameter, NoToken, Unavailable)
)]
pub(crate) async fn one(
    State(app): State<App>,
    path: Result<Path<String>, PathRejection>,
    params: Params,
) -> Answer {
    params.done()?;
    let id = id(path)?;
    let stream = app.store.stream(&id).await.map_err(failed)?;
    Ok(Json(stream.ok_or_else(|| no_stream(&id))?).into_response())
}

/// The windows of a stream
///
/// Windows that end from `from` on and before `to`: the newest `limit` of them, oldest first.
#[utoipa::path(
    get, path = "/streams/{id}/metrics", operation_id = "metrics", tag = "answers",
    params(
        ("id" = String, Path, min_length = 1, max_length = 256, example = "midnight_arcade", description = "The stream's id."),
        MetricsQuery,
    ),
    responses((status = 200, description = "The windows.", body = MetricsPage), UnknownStream, BadParameter, NoToken, Unavailable)
)]
pub(crate) async fn metrics(
    State(app): State<App>,
    path: Result<Path<String>, PathRejection>,
    mut params: Params,
) -> Answer {
    let id = id(path)?;
    let (from, to) = (params.time("from")?, params.time("to")?);
    let limit = params.number("limit", 1..=5_000, 360)?;
    let resolution = params.number("resolution", 1..=86_400, 1)? * 1000;
    params.done()?;
    let query = MetricsQuery { from, to, resolution, limit: limit as usize };
    let found = app.store.metrics(&id, &query).await.map_err(failed)?;
    let (metrics, more) = found.ok_or_else(|| no_stream(&id))?;
    // The next page is what ended before this one.
    let next_to = metrics.first().filter(|_| more).map(|first| first.window_end);
    Ok(Json(MetricsPage { stream_id: id, next_to, metrics }).into_response())
}

/// The moments of a stream
///
/// Moments that start from `from` on and before `to`: the newest `limit` of them, newest first. One that was withdrawn is
/// not among them.
#[utoipa::path(
    get, path = "/streams/{id}/moments", operation_id = "moments", tag = "answers",
    params(
        ("id" = String, Path, min_length = 1, max_length = 256, example = "midnight_arcade", description = "The stream's id."),
        MomentFilter, MomentQuery,
    ),
    responses((status = 200, description = "The moments.", body = MomentPage), UnknownStream, BadParameter, NoToken, Unavailable)
)]
pub(crate) async fn moments(
    State(app): State<App>,
    path: Result<Path<String>, PathRejection>,
    mut params: Params,
) -> Answer {
    let id = id(path)?;
    let query = MomentQuery {
        filter: moment_filter(&mut params)?,
        limit: params.number("limit", 1..=1_000, 100)? as usize,
        cursor: params.text("cursor")?.map(|text| cursor(&text)).transpose()?,
    };
    params.done()?;
    let found = app.store.moments(&id, &query).await.map_err(failed)?;
    let (moments, more) = found.ok_or_else(|| no_stream(&id))?;
    let next_cursor = moments.last().filter(|_| more).map(Cursor::after);
    Ok(Json(MomentPage { stream_id: id, next_cursor, moments }).into_response())
}

pub(crate) fn moment_filter(params: &mut Params) -> Result<MomentFilter, Problem> {
    Ok(MomentFilter {
        from: params.time("from")?,
        to: params.time("to")?,
        moment_type: moment_type(params)?,
        open: params.flag("open")?,
        max_chance: params.share("max_chance")?.filter(|most| *most < 1.0),
    })
}

/// The name of a rule, of which there may be others than the built-in ones.
fn moment_type(params: &mut Params) -> Result<Option<String>, Problem> {
    let name = params.text("type")?;
    let wrong = |name: &String| name.is_empty() || name.chars().count() > 128 || name.contains('\0');
    if name.as_ref().is_some_and(wrong) {
        return Err(Problem::parameter("type", "it has to be the name of a rule, like `chat_spike`"));
    }
    Ok(name)
}

fn cursor(text: &str) -> Result<Cursor, Problem> {
    text.parse().map_err(|()| Problem::parameter("cursor", "it has to be the `next_cursor` of a page"))
}
