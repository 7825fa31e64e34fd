//! The events and the pipeline of the service.
#![forbid(missing_docs)]

use std::path::Path;

use telemetra::prelude::*;

/// An answered request.
#[derive(Clone, Debug, serde::Deserialize)]
pub struct Request {
    /// The requested path, by which requests are grouped.
    pub path: String,
    /// The time of the answer: RFC 3339, or milliseconds since 1970.
    pub time: EventTime,
    /// The duration of the answer in milliseconds.
    pub millis: u64,
    /// The status of the answer.
    pub status: u16,
}

impl Event for Request {
    type Key = String;

    fn time(&self) -> EventTime {
        self.time
    }

    fn key(&self) -> &str {
        &self.path
    }
}

/// Starts the pipeline: it counts requests by path and minute in the table `path_minute`, and writes minutes
/// with unusually many failures to `path_minute_moments`. The caller gives source and sink, so that a test
/// can use its own.
///
/// # Errors
///
/// If a setting cannot work, or the source, the sink or the newest checkpoint cannot be opened.
pub fn start(
    source: impl Source + 'static,
    sink: impl Sink + 'static,
    checkpoints: &Path,
) -> Result<Running, PipelineError> {
    let failing = ZScore::new(3.0)?.min_value(5.0)?;
    Pipeline::<Request>::new()
        .source(source, SerdeJson::new())
        .sink(sink)
        .checkpoints(Directory::new(checkpoints), minutes(1))
        .group("path_minute", tumbling(minutes(1)), |a| {
            (
                a.count("requests"),
                a.count_if("failures", |request| request.status >= 500),
                a.quantiles("millis", [0.5, 0.99], |request| request.millis),
            )
        })
        .key_columns(["path"])
        .count_moments("failing", failing, |(_, failures, _)| *failures)
        .start()
}
