use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, json};
use telemetra::http::{Params, Problem};

use super::failed;
use crate::server::app::App;
use crate::server::model::Time;

/// `GET /health`: what the service is made of, and whether each part works.
pub(crate) async fn health(State(app): State<App>, params: Params) -> Result<Response, Problem> {
    params.done()?;
    let components = app.store.components().await.map_err(failed)?;
    let well = components.iter().all(|component| component.error.is_none());
    let components: Map<_, _> = components
        .into_iter()
        .map(|component| {
            let status = if component.error.is_none() { "ok" } else { "down" };
            (component.name.to_owned(), json!({ "status": status, "error": component.error }))
        })
        .collect();
    let (status, word) =
        if well { (StatusCode::OK, "ok") } else { (StatusCode::SERVICE_UNAVAILABLE, "degraded") };
    let version = env!("CARGO_PKG_VERSION");
    Ok((status, Json(json!({ "status": word, "version": version, "components": components })))
        .into_response())
}

/// `GET /ready`: whether answers are there and move on.
pub(crate) async fn ready(State(app): State<App>, params: Params) -> Result<Response, Problem> {
    params.done()?;
    let progress = *app.progress.borrow();
    let still = progress.since.elapsed();
    let (status, word) = match progress.as_of {
        None => (StatusCode::SERVICE_UNAVAILABLE, "starting"),
        Some(_) if still > app.limits.stalled => (StatusCode::SERVICE_UNAVAILABLE, "stalled"),
        Some(_) => (StatusCode::OK, "ready"),
    };
    let body = json!({
        "status": word,
        "as_of": progress.as_of.map(Time),
        "seconds_since_progress": still.as_secs(),
    });
    Ok((status, Json(body)).into_response())
}
