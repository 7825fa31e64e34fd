//! The handlers of the paths.

pub(crate) mod broadcasts;
pub(crate) mod export;
pub(crate) mod health;
pub(crate) mod live;
pub(crate) mod moments;
pub(crate) mod ops;
pub(crate) mod overview;
pub(crate) mod streams;

use std::collections::BTreeMap;

use axum::http::StatusCode;
use telemetra::http::Problem;
use telemetra::http::openapi::problem_response;
use utoipa::IntoResponses;
use utoipa::openapi::{RefOr, Response};

/// The error of a store, for the log and for the client.
fn failed(error: anyhow::Error) -> Problem {
    tracing::warn!("could not answer a request: {error:#}");
    Problem::unavailable()
}

fn no_stream(id: &str) -> Problem {
    let id: String = id.chars().take(64).collect();
    Problem::new(StatusCode::NOT_FOUND, "unknown-stream", format!("there is no stream `{id}`"))
}

/// The response of [`no_stream`].
struct UnknownStream;

impl IntoResponses for UnknownStream {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        BTreeMap::from([("404".to_owned(), problem_response("There is no such stream."))])
    }
}
