//! The metrics of the service for Prometheus.

use std::sync::OnceLock;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderName, header};
use axum::response::IntoResponse;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use telemetra::http::openapi::{NoToken, Unavailable};
use telemetra::http::{Observed, Protocol};

use super::app::App;

/// The recorder of this process. There can be one only, so all services in the process share it.
#[derive(Clone)]
pub(crate) struct Recorder(PrometheusHandle);

/// From a hit in memory to a read of a day's windows.
const SECONDS: [f64; 12] = [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// The metrics that the pipeline writes at once, where it is in this process.
const ROWS: [f64; 7] = [1.0, 10.0, 100.0, 1e3, 1e4, 1e5, 1e6];
const BYTES: [f64; 7] = [1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];

impl Recorder {
    /// Installed when it is first asked for.
    pub(crate) fn shared() -> Self {
        static SHARED: OnceLock<Recorder> = OnceLock::new();
        let shared = SHARED.get_or_init(|| {
            let ends: [(&str, &[f64]); 3] = [("_seconds", &SECONDS), ("_rows", &ROWS), ("_bytes", &BYTES)];
            let builder = ends.into_iter().try_fold(PrometheusBuilder::new(), |builder, (end, buckets)| {
                builder.set_buckets_for_metric(Matcher::Suffix(end.to_owned()), buckets)
            });
            // Without buckets histograms are summaries, which serve as well.
            let recorder = builder.unwrap_or_else(|_| PrometheusBuilder::new()).build_recorder();
            let handle = recorder.handle();
            let upkeep = handle.clone();
            // Whether anybody asks or not: until then what histograms are told is kept as it is.
            std::thread::spawn(move || {
                loop {
                    std::thread::sleep(Duration::from_secs(5));
                    upkeep.run_upkeep();
                }
            });
            if metrics::set_global_recorder(recorder).is_err() {
                tracing::warn!("this process has a recorder of metrics already: /metrics stays empty");
            }
            describe();
            Self(handle)
        });
        shared.clone()
    }
}

fn describe() {
    metrics::describe_counter!(
        "telemetra_api_requests_total",
        "Requests answered, by path, method and status."
    );
    metrics::describe_histogram!(
        "telemetra_api_request_duration_seconds",
        metrics::Unit::Seconds,
        "How long requests took to answer, by path."
    );
    metrics::describe_gauge!("telemetra_api_websocket_clients", "WebSockets that are open.");
    metrics::describe_counter!("telemetra_api_websocket_messages_total", "Messages sent to WebSockets.");
    metrics::describe_counter!("telemetra_api_websocket_ends_total", "WebSockets that ended, by reason.");
    metrics::describe_gauge!("telemetra_api_events_clients", "Clients of server-sent events.");
    metrics::describe_counter!("telemetra_api_events_messages_total", "Messages sent to them.");
    metrics::describe_counter!("telemetra_api_events_ends_total", "Those that ended, by reason.");
    metrics::describe_gauge!(
        "telemetra_api_as_of_seconds",
        metrics::Unit::Seconds,
        "The event time that all answers have reached, in seconds since the epoch."
    );
}

/// Counts requests and followers.
pub(crate) fn observed(observed: &Observed<'_>) {
    match *observed {
        Observed::Answered { path, method, status, took } => {
            let (path, method, status) = (path.to_owned(), method.to_owned(), status.to_string());
            metrics::histogram!("telemetra_api_request_duration_seconds", "path" => path.clone())
                .record(took.as_secs_f64());
            metrics::counter!("telemetra_api_requests_total", "path" => path, "method" => method, "status" => status)
                .increment(1);
        }
        Observed::Followed { by: Protocol::WebSocket } => {
            metrics::gauge!("telemetra_api_websocket_clients").increment(1.0);
        }
        Observed::Sent { by: Protocol::WebSocket } => {
            metrics::counter!("telemetra_api_websocket_messages_total").increment(1);
        }
        Observed::Left { by: Protocol::WebSocket, why } => {
            metrics::counter!("telemetra_api_websocket_ends_total", "reason" => why).increment(1);
            metrics::gauge!("telemetra_api_websocket_clients").decrement(1.0);
        }
        Observed::Followed { by: Protocol::Events } => {
            metrics::gauge!("telemetra_api_events_clients").increment(1.0);
        }
        Observed::Sent { by: Protocol::Events } => {
            metrics::counter!("telemetra_api_events_messages_total").increment(1);
        }
        Observed::Left { by: Protocol::Events, why } => {
            metrics::counter!("telemetra_api_events_ends_total", "reason" => why).increment(1);
            metrics::gauge!("telemetra_api_events_clients").decrement(1.0);
        }
        _ => {}
    }
}

/// Measurements
///
/// The text that Prometheus reads.
#[utoipa::path(
    get, path = "/metrics", operation_id = "measurements", tag = "operation",
    responses(
        (status = 200, description = "In its text format.", body = String, content_type = "text/plain"),
        NoToken, Unavailable
    )
)]
pub(crate) async fn render(State(app): State<App>) -> impl IntoResponse {
    if let Some(as_of) = app.progress.borrow().as_of {
        metrics::gauge!("telemetra_api_as_of_seconds").set(Duration::from_millis(as_of.0).as_secs_f64());
    }
    app.recorder.0.run_upkeep();
    let kind: (HeaderName, _) = (header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8");
    ([kind], app.recorder.0.render())
}
