//! The layers around the routes of a service.

use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderName, Method, StatusCode, header};
use axum::middleware::from_fn_with_state;
use tower_http::compression::CompressionLayer;
use tower_http::cors::{AllowOrigin, CorsLayer};
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::TraceLayer;

use super::origin::Origins;
use super::settings::Settings;
use super::{observe, problem};

pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

pub(super) fn around<S: Clone + Send + Sync + 'static>(settings: &Settings, router: Router<S>) -> Router<S> {
    let limits = &settings.limits;
    router
        .layer(RequestBodyLimitLayer::new(limits.body))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, limits.answer_timeout))
        .layer(CompressionLayer::new())
        .layer(cors(&settings.origins))
        .layer(from_fn_with_state(settings.clone(), problem::render))
        .layer(from_fn_with_state(settings.clone(), observe::count))
        .layer(TraceLayer::new_for_http().make_span_with(span))
        .layer(PropagateRequestIdLayer::new(REQUEST_ID))
        .layer(SetRequestIdLayer::new(REQUEST_ID, MakeRequestUuid))
}

/// The span around each line of the log about a request: at every level, as a line without it says nothing.
fn span(request: &Request) -> tracing::Span {
    let (method, path) = (request.method(), request.uri().path());
    let id = request.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok());
    tracing::error_span!("request", %method, path, id)
}

fn cors(origins: &Origins) -> CorsLayer {
    let known = origins.clone();
    let allowed = if origins.all {
        AllowOrigin::any()
    } else {
        AllowOrigin::predicate(move |origin, _| origin.to_str().is_ok_and(|origin| known.has(origin)))
    };
    CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods([Method::GET, Method::HEAD])
        .allow_headers([header::AUTHORIZATION, HeaderName::from_static("last-event-id")])
        .expose_headers([REQUEST_ID])
        .max_age(Duration::from_secs(3600))
}
