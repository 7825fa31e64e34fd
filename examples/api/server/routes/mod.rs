//! What each path answers.

pub(crate) mod broadcasts;
pub(crate) mod health;
pub(crate) mod live;
pub(crate) mod moments;
pub(crate) mod ops;
pub(crate) mod overview;
pub(crate) mod streams;

use super::problem::Problem;

/// The error of a store, for the log and for the client.
fn failed(error: anyhow::Error) -> Problem {
    tracing::warn!("could not answer a request: {error:#}");
    Problem::unavailable()
}
