use axum::extract::State;
use telemetra::http::openapi::BadParameter;
use telemetra::http::{Health, Params, Problem, ProblemBody, Readiness};

use super::failed;
use crate::server::app::App;

/// Health of the parts
///
/// The parts of the service, and whether each works.
#[utoipa::path(
    get, path = "/health", operation_id = "health", tag = "operation",
    responses(
        (status = 200, description = "All parts work.", body = Health),
        (
            status = 503, description = "One part does not, or cannot be asked.",
            content((Health = "application/json"), (ProblemBody = "application/problem+json"))
        ),
        BadParameter,
    )
)]
pub(crate) async fn health(State(app): State<App>, params: Params) -> Result<Health, Problem> {
    params.done()?;
    let components = app.store.components().await.map_err(failed)?;
    Ok(Health::of(components.into_iter().map(|component| (component.name.to_owned(), component.error))))
}

/// Whether answers come
///
/// Whether there are answers, and whether the event time they have reached moves on.
#[utoipa::path(
    get, path = "/ready", operation_id = "ready", tag = "operation",
    responses(
        (status = 200, description = "Answers come.", body = Readiness),
        (status = 503, description = "There are none yet, or they stand still.", body = Readiness),
        BadParameter,
    )
)]
pub(crate) async fn ready(State(app): State<App>, params: Params) -> Result<Readiness, Problem> {
    params.done()?;
    let progress = *app.progress.borrow();
    Ok(Readiness::of(progress.as_of, progress.since.elapsed(), &app.limits))
}
