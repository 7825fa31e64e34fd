use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use serde::Serialize;
use telemetra::livestream::MAX_ID_BYTES;

use super::failed;
use crate::server::app::App;
use crate::server::model::{Metrics, MomentInfo, StreamInfo, Time};
use crate::server::params::Params;
use crate::server::problem::Problem;
use crate::server::store::{Cursor, MetricsQuery, MomentQuery, Order, StreamQuery};

#[derive(Serialize)]
struct StreamPage {
    as_of: Option<Time>,
    total: u64,
    next_offset: Option<u64>,
    streams: Vec<StreamInfo>,
}

#[derive(Serialize)]
struct MetricsPage {
    stream_id: String,
    next_to: Option<Time>,
    metrics: Vec<Metrics>,
}

#[derive(Serialize)]
struct MomentPage {
    stream_id: String,
    next_cursor: Option<Cursor>,
    moments: Vec<MomentInfo>,
}

type Answer = Result<axum::response::Response, Problem>;

/// The id of a stream in a path.
pub(crate) fn id(path: Result<Path<String>, PathRejection>) -> Result<String, Problem> {
    let Ok(Path(id)) = path else { return Err(Problem::parameter("id", "it is not percent-encoded UTF-8")) };
    // No event has such an id, and not every store can be asked for one.
    if id.len() > MAX_ID_BYTES || id.contains('\0') {
        return Err(Problem::no_stream(&id));
    }
    Ok(id)
}

/// `GET /streams`.
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

/// `GET /streams/{id}`.
pub(crate) async fn one(
    State(app): State<App>,
    path: Result<Path<String>, PathRejection>,
    params: Params,
) -> Answer {
    params.done()?;
    let id = id(path)?;
    let stream = app.store.stream(&id).await.map_err(failed)?;
    Ok(Json(stream.ok_or_else(|| Problem::no_stream(&id))?).into_response())
}

/// `GET /streams/{id}/metrics`.
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
    let (metrics, more) = found.ok_or_else(|| Problem::no_stream(&id))?;
    // The next page is what ended before this one.
    let next_to = metrics.first().filter(|_| more).map(|first| first.window_end);
    Ok(Json(MetricsPage { stream_id: id, next_to, metrics }).into_response())
}

/// `GET /streams/{id}/moments`.
pub(crate) async fn moments(
    State(app): State<App>,
    path: Result<Path<String>, PathRejection>,
    mut params: Params,
) -> Answer {
    let id = id(path)?;
    let (from, to) = (params.time("from")?, params.time("to")?);
    let query = MomentQuery {
        moment_type: moment_type(&mut params)?,
        open: params.flag("open")?,
        max_chance: params.share("max_chance")?.filter(|most| *most < 1.0),
        limit: params.number("limit", 1..=1_000, 100)? as usize,
        cursor: params.text("cursor")?.map(|text| cursor(&text)).transpose()?,
        from,
        to,
    };
    params.done()?;
    let found = app.store.moments(&id, &query).await.map_err(failed)?;
    let (moments, more) = found.ok_or_else(|| Problem::no_stream(&id))?;
    let next_cursor = moments.last().filter(|_| more).map(Cursor::after);
    Ok(Json(MomentPage { stream_id: id, next_cursor, moments }).into_response())
}

/// The name of a rule, of which there may be others than the built-in ones.
pub(crate) fn moment_type(params: &mut Params) -> Result<Option<String>, Problem> {
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
