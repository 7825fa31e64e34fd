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

/// The health of a service and of its components.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// `ok` if all components work.
    pub status: HealthStatus,
    /// The version of Telemetra.
    pub version: &'static str,
    /// The components, by name.
    pub components: BTreeMap<String, Component>,
}

/// Whether all components of a service work.
#[derive(Copy, Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HealthStatus {
    /// All components work.
    Ok,
    /// At least one component does not work.
    Degraded,
}

/// The health of one component of a service.
#[derive(Debug, Serialize, ToSchema)]
pub struct Component {
    /// Whether it works.
    pub status: ComponentStatus,
    /// The error, if it does not work.
    pub error: Option<String>,
}

/// Whether a component works.
#[derive(Copy, Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ComponentStatus {
    /// It works.
    Ok,
    /// It does not work.
    Down,
}

/// The readiness of a service: the event time that its answers have reached, and whether that advances.
#[derive(Debug, Serialize, ToSchema)]
pub struct Readiness {
    /// Whether answers are available and up to date.
    pub status: ReadinessStatus,
    /// The event time that all answers have reached.
    pub as_of: Option<Time>,
    /// The seconds of processing time since `as_of` last advanced.
    pub seconds_since_progress: u64,
}

/// Whether answers are available and up to date.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReadinessStatus {
    /// Answers are available, and their event time advances.
    Ready,
    /// No answers are available yet.
    Starting,
    /// The event time of answers has not advanced for longer than the limit.
    Stalled,
}

impl Readiness {
    /// Creates the readiness of a service whose answers have reached `as_of`, first seen `still` ago.
    #[must_use]
    pub fn of(as_of: Option<EventTime>, still: Duration, limits: &Limits) -> Self {
        let status = match as_of {
            None => ReadinessStatus::Starting,
            Some(_) if still > limits.stalled_after => ReadinessStatus::Stalled,
            Some(_) => ReadinessStatus::Ready,
        };
        Self { status, as_of: as_of.map(Time), seconds_since_progress: still.as_secs() }
    }
}

impl Health {
    /// Creates the health of components, each with its name and its error, if it has one.
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

/// The answer has the status 503 if a component does not work, and 200 otherwise.
impl IntoResponse for Health {
    fn into_response(self) -> Response {
        let status = match self.status {
            HealthStatus::Ok => StatusCode::OK,
            HealthStatus::Degraded => StatusCode::SERVICE_UNAVAILABLE,
        };
        (status, Json(self)).into_response()
    }
}

/// The answer has the status 200 if the service is [ready](ReadinessStatus::Ready), and 503 otherwise.
impl IntoResponse for Readiness {
    fn into_response(self) -> Response {
        let ready = self.status == ReadinessStatus::Ready;
        let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        (status, Json(self)).into_response()
    }
}

/// The health of the service
///
/// The components of the service, and whether each of them works.
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

/// The readiness of the service
///
/// Whether answers are available, and whether the event time that they have reached advances.
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

/// Metrics
///
/// The metrics of the service, in the exposition format of Prometheus.
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
