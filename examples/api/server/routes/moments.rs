use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use telemetra::http::openapi::{BadParameter, NoToken, Unavailable};
use telemetra::http::{Params, Problem};
use telemetra::livestream::MAX_ID_BYTES;
use utoipa::ToSchema;

use super::failed;
use super::streams::moment_filter;
use crate::server::app::App;
use crate::server::model::{MomentInfo, Time};
use crate::server::store::MomentFilter;
use crate::server::store::across::{AcrossQuery, Place, Ranking};

/// Moments of all streams.
#[derive(Serialize, ToSchema)]
pub(crate) struct AllMoments {
    /// The event time that all answers have reached.
    as_of: Option<Time>,
    /// The `cursor` of the next page; null after the last.
    #[schema(value_type = Option<String>)]
    next_cursor: Option<Place>,
    /// The moments, in the order asked for.
    moments: Vec<MomentInfo>,
}

/// The moments of all streams
///
/// Moments that start from `from` on and before `to`, of all streams in one list.
#[utoipa::path(
    get, path = "/moments", operation_id = "allMoments", tag = "answers",
    params(MomentFilter, AcrossQuery),
    responses(
        (status = 200, description = "The moments.", body = AllMoments),
        BadParameter, NoToken, Unavailable,
    )
)]
pub(crate) async fn list(State(app): State<App>, mut params: Params) -> Result<Response, Problem> {
    let asked = params.choice("order", &[("newest", Ranking::Newest), ("strongest", Ranking::Strongest)])?;
    let cursor = params.text("cursor")?.map(|text| place(&text)).transpose()?;
    // A page goes on as it began.
    let ranking = cursor.as_ref().map_or(asked, Place::ranking);
    let query = AcrossQuery {
        ranking,
        stream_id: params.text("stream_id")?,
        filter: moment_filter(&mut params)?,
        cursor,
        limit: params.number("limit", 1..=1_000, 50)? as usize,
    };
    params.done()?;
    if query.stream_id.as_ref().is_some_and(|id| id.len() > MAX_ID_BYTES || id.contains('\0')) {
        return Err(Problem::parameter("stream_id", "no stream has such an id"));
    }
    let as_of = app.store.as_of().await.map_err(failed)?;
    let (moments, more) = app.store.all_moments(&query).await.map_err(failed)?;
    let next_cursor = moments.last().filter(|_| more).map(|last| Place::after(last, ranking));
    Ok(Json(AllMoments { as_of: as_of.map(Time), next_cursor, moments }).into_response())
}

fn place(text: &str) -> Result<Place, Problem> {
    text.parse().map_err(|()| Problem::parameter("cursor", "it has to be the `next_cursor` of a page"))
}
