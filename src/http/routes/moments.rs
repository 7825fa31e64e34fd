use axum::Json;
use axum::extract::State;
use serde::Serialize;
use telemetra_core::{EventTime, RowKey};
use utoipa::{IntoParams, ToSchema};

use super::tables::{cursor, limit};
use crate::http::openapi::{BadParameter, NoToken, Unavailable};
use crate::http::params::Params;
use crate::http::problem::Problem;
use crate::http::router::{App, failed};
use crate::http::row::{Place, RowBody};
use crate::http::time::Time;
use crate::http::view::Found;

/// A page of moments, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct MomentPage {
    as_of: Option<Time>,
    /// The parameter `cursor` of the next page, with older moments; null on the last page.
    next_cursor: Option<String>,
    moments: Vec<RowBody>,
}

/// The query parameters of a page of moments.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
struct MomentQuery {
    /// Only moments of this key.
    key: Option<String>,
    /// Only moments of this type, which is the name of a rule.
    #[param(rename = "type")]
    moment_type: Option<String>,
    /// Only moments with at least this score, which is the distance from the baseline on either side.
    #[param(minimum = 0)]
    min_score: Option<f64>,
    /// Only moments with at most this `chance`: with 0.1, about a tenth of the listed moments are due to chance; with
    /// 1, all moments are listed.
    #[param(minimum = 0, maximum = 1)]
    max_chance: Option<f64>,
    /// Only moments that are open.
    #[param(required = false, default = false)]
    open: bool,
    /// Only moments that start at or after this time.
    #[param(value_type = Option<Time>)]
    from: Option<EventTime>,
    /// Only moments that start before this time.
    #[param(value_type = Option<Time>)]
    to: Option<EventTime>,
    /// The `next_cursor` of the page before.
    #[param(value_type = Option<String>, pattern = "^[0-9]{1,19}-([0-9a-f]{2})+$")]
    cursor: Option<Place>,
    /// The greatest number of moments in the answer.
    #[param(required = false)]
    limit: usize,
}

impl MomentQuery {
    fn read(mut params: Params, limit: usize) -> Result<Self, Problem> {
        let query = Self {
            key: params.text("key")?,
            moment_type: params.text("type")?,
            min_score: params.positive("min_score")?,
            max_chance: params.share("max_chance")?.filter(|most| *most < 1.0),
            open: params.flag("open")?,
            from: params.time("from")?,
            to: params.time("to")?,
            cursor: cursor(&mut params)?,
            limit,
        };
        params.done()?;
        Ok(query)
    }

    fn wants(&self, moment: &Found) -> bool {
        let Self { moment_type, min_score, max_chance, open, from, to, .. } = self;
        moment_type.as_ref().is_none_or(|wanted| **wanted == *moment.moment_type)
            && min_score.is_none_or(|least| moment.score >= least)
            && max_chance.is_none_or(|most| moment.chance.is_some_and(|chance| chance <= most))
            && (!open || moment.is_open)
            && from.is_none_or(|from| moment.started_at >= from)
            && to.is_none_or(|to| moment.started_at < to)
    }
}

/// Moments
///
/// The newest `limit` moments that start at or after `from` and before `to`, newest first. Withdrawn moments are left
/// out.
#[utoipa::path(
    get, path = "/moments", operation_id = "moments", tag = "answers",
    params(MomentQuery),
    responses(
        (status = 200, description = "The moments.", body = MomentPage),
        BadParameter, NoToken, Unavailable,
    )
)]
pub(in crate::http) async fn list(
    State(app): State<App>,
    mut params: Params,
) -> Result<Json<MomentPage>, Problem> {
    let limit = limit(&app, &mut params)?;
    let query = MomentQuery::read(params, limit)?;
    let as_of = app.view().as_of().map(Time);
    let mut found = app.view().moments(query.key.as_deref());
    found.retain(|found| query.wants(found));
    let place =
        |found: &Found| Place { time: found.started_at, key: RowKey::of(&*found.held.row).to_string() };
    let mut placed: Vec<_> = found.into_iter().map(|found| (place(&found), found.held)).collect();
    placed.retain(|(place, _)| query.cursor.as_ref().is_none_or(|cursor| place < cursor));
    placed.sort_by(|a, b| b.0.cmp(&a.0));
    let more = placed.len() > query.limit;
    placed.truncate(query.limit);
    let next_cursor = placed.last().filter(|_| more).map(|(place, _)| place.to_string());
    let moments = placed.iter().map(|(_, held)| RowBody::new(held)).collect::<Result<_, _>>();
    Ok(Json(MomentPage { as_of, next_cursor, moments: moments.map_err(|error| failed(&error))? }))
}
