use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use telemetra::core::EventTime;
use telemetra::http::openapi::{BadParameter, NoToken, Unavailable};
use telemetra::http::{Params, Problem};
use utoipa::{IntoParams, ToSchema};

use super::streams::id;
use super::{UnknownStream, failed, no_stream};
use crate::server::app::App;
use crate::server::broadcast::{Broadcast, OFF_AIR, Said, broadcasts};
use crate::server::model::{Metrics, Time};
use crate::server::store::{MetricsQuery, MomentFilter, MomentQuery};

const DAY: u64 = 24 * 3600 * 1000;
/// The period that it looks back by default, and the longest one.
const USUAL: u64 = 7 * DAY;
const LONGEST: u64 = 31 * DAY;
/// The most windows that are read: those of a second, for half a day.
const WINDOWS: usize = 45_000;
const MOMENTS: usize = 10_000;

/// The broadcasts of a stream.
#[derive(Serialize, ToSchema)]
pub(crate) struct Broadcasts {
    /// The stream.
    stream_id: String,
    /// The start of the period: by default seven days before `to`, and at most 31.
    from: Time,
    /// Up to where.
    to: Time,
    /// The newest first.
    broadcasts: Vec<Broadcast>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
struct BroadcastQuery {
    /// Not before this time.
    #[param(value_type = Option<Time>)]
    from: Option<EventTime>,
    /// Before this time.
    #[param(value_type = Option<Time>)]
    to: Option<EventTime>,
    /// Count moments with a `chance` of at most this. With 1, all.
    #[param(required = false, minimum = 0, maximum = 1, default = 0.1)]
    max_chance: f64,
}

/// The broadcasts of a stream
///
/// Runs of windows without a silence of five minutes, the newest first, each summed up; where metadata says that it is the same broadcast, a silence does not end it. Sums are over windows that share no event.
#[utoipa::path(
    get, path = "/streams/{id}/broadcasts", operation_id = "broadcasts", tag = "answers",
    params(("id" = String, Path, min_length = 1, max_length = 256, example = "midnight_arcade", description = "The stream's id."), BroadcastQuery),
    responses(
        (status = 200, description = "The broadcasts.", body = Broadcasts),
        UnknownStream, BadParameter, NoToken, Unavailable,
    )
)]
pub(crate) async fn list(
    State(app): State<App>,
    path: Result<Path<String>, PathRejection>,
    mut params: Params,
) -> Result<Response, Problem> {
    let id = id(path)?;
    let query = BroadcastQuery {
        from: params.time("from")?,
        to: params.time("to")?,
        max_chance: params.share("max_chance")?.unwrap_or(0.1),
    };
    params.done()?;
    let as_of = app.store.as_of().await.map_err(failed)?.unwrap_or_default();
    let stream = app.store.stream(&id).await.map_err(failed)?.ok_or_else(|| no_stream(&id))?;
    let to = query.to.unwrap_or_else(|| as_of.plus(1));
    let from = query.from.unwrap_or_else(|| to.minus(USUAL)).max(to.minus(LONGEST));
    let windows = disjoint(&app, &id, from, to).await.map_err(failed)?;
    let max_chance = Some(query.max_chance).filter(|most| *most < 1.0);
    let moments = MomentQuery {
        filter: MomentFilter { from: Some(from), to: Some(to), max_chance, ..MomentFilter::default() },
        cursor: None,
        limit: MOMENTS,
    };
    let (moments, _) = app.store.moments(&id, &moments).await.map_err(failed)?.unwrap_or_default();
    let said = Said { started_at: stream.started_at, ended_at: stream.ended_at };
    let mut found = broadcasts(&windows, &moments, said);
    if let Some(first) = found.first_mut() {
        first.is_cut = first.started_at.0 - from < OFF_AIR || windows.len() >= WINDOWS;
    }
    if let Some(last) = found.last_mut() {
        last.is_open = stream.is_live != Some(false) && as_of - last.ended_at.0 < OFF_AIR;
    }
    found.reverse();
    let answer = Broadcasts { stream_id: id, from: from.into(), to: to.into(), broadcasts: found };
    Ok(Json(answer).into_response())
}

/// The windows that end in a time and share no event: those that end at a multiple of their length.
async fn disjoint(app: &App, id: &str, from: EventTime, to: EventTime) -> anyhow::Result<Vec<Metrics>> {
    let query = |resolution, limit| MetricsQuery {
        from: Some(from),
        // The window that ends with it is in it.
        to: Some(to.plus(1)),
        resolution,
        limit,
    };
    let newest = app.store.metrics(id, &query(1_000, 1)).await?.unwrap_or_default().0;
    let Some(length) = newest.first().map(|window| window.window_end.0 - window.window_start.0) else {
        return Ok(Vec::new());
    };
    Ok(app.store.metrics(id, &query(length.max(1), WINDOWS)).await?.unwrap_or_default().0)
}
