use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use telemetra_core::EventTime;
use utoipa::ToSchema;

use crate::http::limits::Limits;
use crate::http::openapi::{BadParameter, NoToken};
use crate::http::params::Params;
use crate::http::problem::Problem;
use crate::http::router::App;
use crate::http::time::Time;

/// What a service is made of.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// `ok` if all parts work.
    pub status: HealthStatus,
    /// The version of Telemetra.
    pub version: &'static str,
    /// The parts, by name.
    pub components: BTreeMap<String, Component>,
}

/// Whether all parts of a service work.
#[derive(Copy, Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HealthStatus {
    /// All do.
    Ok,
    /// One does not.
    Degraded,
}

/// One part of a service.
#[derive(Debug, Serialize, ToSchema)]
pub struct Component {
    /// Whether it works.
    pub status: ComponentStatus,
    /// What is wrong with it.
    pub error: Option<String>,
}

/// Whether a part works.
#[derive(Copy, Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ComponentStatus {
    /// It does.
    Ok,
    /// It does not.
    Down,
}

/// How far the answers are.
#[derive(Debug, Serialize, ToSchema)]
pub struct Readiness {
    /// Whether answers come.
    pub status: ReadinessStatus,
    /// The event time that all answers have reached.
    pub as_of: Option<Time>,
    /// How long ago that time was first seen.
    pub seconds_since_progress: u64,
}

/// Whether answers come.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReadinessStatus {
    /// They do, and move on.
    Ready,
    /// There are none yet.
    Starting,
    /// They stand still.
    Stalled,
}

impl Readiness {
    /// Whether answers come, if they have reached `as_of` and were seen to do so `still` ago.
    #[must_use]
    pub fn of(as_of: Option<EventTime>, still: Duration, limits: &Limits) -> Self {
        let status = match as_of {
            None => ReadinessStatus::Starting,
            Some(_) if still > limits.stalled => ReadinessStatus::Stalled,
            Some(_) => ReadinessStatus::Ready,
        };
        Self { status, as_of: as_of.map(Time), seconds_since_progress: still.as_secs() }
    }
}

impl Health {
    /// The health of parts, of which each has a name and what is wrong with it.
    pub fn of(parts: impl IntoIterator<Item = (String, Option<String>)>) -> Self {
        let component = |(name, error): (String, Option<String>)| {
            let status = if error.is_none() { ComponentStatus::Ok } else { ComponentStatus::Down };
            (name, Component { status, error })
        };
        let components: BTreeMap<_, _> = parts.into_iter().map(component).collect();
        let works = components.values().all(|component| component.error.is_none());
        let status = if works { HealthStatus::Ok } else { HealthStatus::Degraded };
        Self { status, version: env!("CARGO_PKG_VERSION"), components }
    }
}

/// Answered with 503 if a part does not work.
impl IntoResponse for Health {
    fn into_response(self) -> Response {
        let status = match self.status {
            HealthStatus::Ok => StatusCode::OK,
            HealthStatus::Degraded => StatusCode::SERVICE_UNAVAILABLE,
        };
        (status, Json(self)).into_response()
    }
}

/// Answered with 503 if answers do not come.
impl IntoResponse for Readiness {
    fn into_response(self) -> Response {
        let ready = self.status == ReadinessStatus::Ready;
        let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        (status, Json(self)).into_response()
    }
}

/// What works
///
/// What the service is made of, and whether each part works.
#[utoipa::path(
    get, path = "/health", operation_id = "health", tag = "operation",
    responses(
        (status = 200, description = "All parts work.", body = Health),
        (status = 503, description = "One part does not.", body = Health),
        BadParameter,
    )
)]
pub(in crate::http) async fn health(State(app): State<App>, params: Params) -> Result<Health, Problem> {
    params.done()?;
    Ok(Health::of(app.checks().map(|(name, error)| (name.clone(), error))))
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
pub(in crate::http) async fn ready(State(app): State<App>, params: Params) -> Result<Readiness, Problem> {
    params.done()?;
    let (as_of, since) = app.reached();
    Ok(Readiness::of(as_of, since.elapsed(), &app.settings().limits))
}

/// Measurements
///
/// What Prometheus reads.
#[utoipa::path(
    get, path = "/metrics", operation_id = "measurements", tag = "operation",
    responses(
        (status = 200, description = "In its text format.", body = String, content_type = "text/plain"),
        NoToken,
    )
)]
pub(in crate::http) async fn metrics(State(app): State<App>) -> Result<Response, Problem> {
    let text = app.metrics().ok_or_else(|| Problem::of(StatusCode::NOT_FOUND))?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}
