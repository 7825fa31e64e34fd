//! The handlers of the paths.

pub(super) mod health;
pub(super) mod live;
pub(super) mod moments;
pub(super) mod tables;

use axum::extract::Path;
use axum::extract::rejection::PathRejection;

use super::problem::Problem;

/// A path with its parameters, of which a name says which.
fn path<T>(name: &str, path: Result<Path<T>, PathRejection>) -> Result<T, Problem> {
    let problem = |_| Problem::parameter(name, "it is not percent-encoded UTF-8");
    path.map(|Path(value)| value).map_err(problem)
}
