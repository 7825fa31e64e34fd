//! The pipeline of the live-stream job.

use crate::core::aggregate::AccumulatorOf;
use crate::livestream::{
    LiveEvents, StreamAccumulator, StreamId, StreamPatch, StreamRows, TransactionRow, ViewerRow,
    chat_aggregate, moment_layout, summary_layout,
};
use crate::ops::{Group, OwnKey, Pipeline, WindowKind};

/// A pipeline over live-stream events whose last grouping is `chat_summary_minute`.
pub type LiveStreams =
    Pipeline<LiveEvents, Group<LiveEvents, StreamId, AccumulatorOf<StreamAccumulator>, OwnKey>>;

/// The live-stream job, to which sources, rules and sinks are added: its tables are `streams`, `viewer_timeseries`,
/// `transactions`, `chat_summary_minute` and `moments`.
///
/// The windows are those of the [settings of time](Pipeline::time), by default a minute every ten seconds.
///
/// ```
/// use telemetra::livestream::{self, JsonDecoder, default_rules};
/// use telemetra::prelude::*;
///
/// let record = r#"{"event_id": "1", "timestamp": "2026-01-01T12:00:00Z", "stream_id": "ada", "viewer_count": 42}"#;
/// let tables = MemorySink::new();
/// let report = livestream::pipeline()
///     .source(MemorySource::default().partition("viewer", [record]), JsonDecoder::mixed())
///     .rules(default_rules(3.0)?)
///     .sink(tables.clone())
///     .start()?
///     .wait()?;
/// assert_eq!(report.fates.on_time, 1);
/// assert_eq!(tables.table("viewer_timeseries").len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn pipeline() -> LiveStreams {
    Pipeline::<LiveEvents>::new()
        .table::<crate::livestream::StreamRow>()
        .collect(
            "streams",
            |event| StreamPatch::of(event),
            |graph, patches| {
                graph.publish(patches.stream_rows(graph.context()));
            },
        )
        .rows(|event| ViewerRow::of(event))
        .rows(|event| TransactionRow::of(event))
        .group("chat_summary_minute", WindowKind::default(), |_| chat_aggregate())
        .layouts(summary_layout(), moment_layout())
}
