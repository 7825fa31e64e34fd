use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use telemetra::http::{Follow, Params, Position, Problem, Upgrade};

use super::streams::id;
use crate::server::app::App;

/// `WS /live`: all streams.
pub(crate) async fn all(
    State(app): State<App>,
    headers: HeaderMap,
    params: Params,
    upgrade: Upgrade,
) -> Result<Response, Problem> {
    begin(&app, &headers, None, params, upgrade)
}

/// `WS /live/{id}`: one stream, also one that is not there yet.
pub(crate) async fn one(
    State(app): State<App>,
    path: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    params: Params,
    upgrade: Upgrade,
) -> Result<Response, Problem> {
    begin(&app, &headers, Some(id(path)?), params, upgrade)
}

fn begin(
    app: &App,
    headers: &HeaderMap,
    stream: Option<String>,
    mut params: Params,
    upgrade: Upgrade,
) -> Result<Response, Problem> {
    let (since, life) = (params.time("since")?, params.text("life")?);
    let history = params.number("history", 0..=86_400, 600)? * 1000;
    params.done()?;
    let life = life.map_or_else(|| app.changes.life(), Into::into);
    let from = since.map(|time| Position { life, time, key: None });
    app.live.open(headers, upgrade, stream, from, history)
}
