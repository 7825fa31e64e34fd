//! What each path answers.

pub(crate) mod health;
pub(crate) mod live;
pub(crate) mod streams;

use axum::http::StatusCode;
use telemetra::http::Problem;

/// The error of a store, for the log and for the client.
fn failed(error: anyhow::Error) -> Problem {
    tracing::warn!("could not answer a request: {error:#}");
    Problem::unavailable()
}

fn no_stream(id: &str) -> Problem {
    let id: String = id.chars().take(64).collect();
    Problem::new(StatusCode::NOT_FOUND, "unknown-stream", format!("there is no stream `{id}`"))
}
