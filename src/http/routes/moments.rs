use axum::Json;
use axum::extract::State;
use serde::Serialize;
use telemetra_core::RowKey;
use utoipa::ToSchema;

use super::tables::{cursor, limit};
use crate::http::openapi::{BadParameter, NoToken, Unavailable};
use crate::http::params::Params;
use crate::http::problem::Problem;
use crate::http::router::{App, failed};
use crate::http::row::{Place, RowBody};
use crate::http::time::Time;
use crate::http::view::Found;

/// Moments, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct MomentPage {
    as_of: Option<Time>,
    /// The `cursor` with which to ask for those before; null if there are none.
    next_cursor: Option<String>,
    moments: Vec<RowBody>,
}

/// Moments
///
/// Moments that start from `from` on and before `to`: the newest `limit` of them, newest first. One that was
/// withdrawn is not among them.
#[utoipa::path(
    get, path = "/moments", operation_id = "moments", tag = "answers",
    params(
        ("key" = Option<String>, Query, description = "Only of this key."),
        ("type" = Option<String>, Query, description = "Only of this rule."),
        ("min_score" = Option<f64>, Query, minimum = 0, description = "Only those at least so far from the baseline, on either side."),
        ("max_chance" = Option<f64>, Query, minimum = 0, maximum = 1, description = "Only those with a `chance` of at most this; 0.1 leaves a list of which about a tenth is chance. With 1, all."),
        ("open" = Option<bool>, Query, description = "Only those that are open."),
        ("from" = Option<Time>, Query, description = "Not before this time."),
        ("to" = Option<Time>, Query, description = "Before this time."),
        ("cursor" = Option<String>, Query, pattern = "^[0-9]{1,19}-([0-9a-f]{2})+$", description = "Those behind the page that told this as its `next_cursor`."),
        ("limit" = Option<u64>, Query, description = "How many at most."),
    ),
    responses(
        (status = 200, description = "The moments.", body = MomentPage),
        BadParameter, NoToken, Unavailable,
    )
)]
pub(in crate::http) async fn list(
    State(app): State<App>,
    mut params: Params,
) -> Result<Json<MomentPage>, Problem> {
    let (key, moment_type) = (params.text("key")?, params.text("type")?);
    let min_score = params.positive("min_score")?;
    let max_chance = params.share("max_chance")?.filter(|most| *most < 1.0);
    let is_open = params.flag("open")?;
    let (from, to) = (params.time("from")?, params.time("to")?);
    let cursor = cursor(&mut params)?;
    let limit = limit(&app, &mut params)?;
    params.done()?;
    let as_of = app.view().as_of().map(Time);
    let mut found = app.view().moments(key.as_deref());
    found.retain(|moment| {
        moment_type.as_ref().is_none_or(|wanted| **wanted == *moment.moment_type)
            && min_score.is_none_or(|least| moment.score >= least)
            && max_chance.is_none_or(|most| moment.chance.is_some_and(|chance| chance <= most))
            && (!is_open || moment.is_open)
            && from.is_none_or(|from| moment.started_at >= from)
            && to.is_none_or(|to| moment.started_at < to)
    });
    let place =
        |found: &Found| Place { time: found.started_at, key: RowKey::of(&*found.held.row).to_string() };
    let mut placed: Vec<_> = found.into_iter().map(|found| (place(&found), found.held)).collect();
    placed.retain(|(place, _)| cursor.as_ref().is_none_or(|cursor| place < cursor));
    placed.sort_by(|a, b| b.0.cmp(&a.0));
    let more = placed.len() > limit;
    placed.truncate(limit);
    let next_cursor = placed.last().filter(|_| more).map(|(place, _)| place.to_string());
    let moments = placed.iter().map(|(_, held)| RowBody::new(held)).collect::<Result<_, _>>();
    Ok(Json(MomentPage { as_of, next_cursor, moments: moments.map_err(|error| failed(&error))? }))
}
