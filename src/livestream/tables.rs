//! The tables of computed results: summaries and moments.

use crate::core::{Layout, Moment, SummaryRow};
use crate::livestream::{StreamId, StreamSummary};

/// Returns the layout of the table `chat_summary_minute`, with a row for each stream and window: its columns, and how a
/// summary is written to them.
///
/// ```
/// let layout = telemetra::livestream::summary_layout();
/// let keys: Vec<&str> = layout.table().keys().iter().map(|column| &*column.name).collect();
/// assert_eq!(keys, ["stream_id", "window_start"]);
/// ```
#[must_use]
pub fn summary_layout() -> Layout<SummaryRow<StreamId, StreamSummary>> {
    let (columns, values) = (StreamSummary::columns(), StreamSummary::values);
    Layout::summaries("chat_summary_minute", &["stream_id"], columns, values)
        .map_table(|table| table.index_named("summaries_by_stream", ["stream_id", "window_start"], None))
}

/// Returns the layout of the table `moments`, with a row for each moment of each stream.
///
/// ```
/// let layout = telemetra::livestream::moment_layout();
/// assert_eq!(layout.table().name(), "moments");
/// assert!(layout.table().indexes().iter().any(|index| index.name == "moments_open"));
/// ```
#[must_use]
pub fn moment_layout() -> Layout<Moment<StreamId>> {
    Layout::moments("moments", &["stream_id"]).map_table(|table| {
        table
            .index_named("moments_by_stream", ["stream_id", "started_at"], None)
            .index_named("moments_by_time", ["started_at"], None)
            .index_named("moments_by_type", ["moment_type", "started_at"], None)
            .index_named("moments_open", ["started_at"], Some("ended_at IS NULL"))
    })
}
