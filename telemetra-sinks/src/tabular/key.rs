//! The primary key of a row, with the table it belongs to.

use std::fmt;

use compact_str::CompactString;
use telemetra_core::{MomentId, Row, StreamId, Window};

/// What a row is known by: its table and its key there.
///
/// ```
/// use telemetra_core::{EventTime, Row, StreamId, Summary, Window};
/// use telemetra_sinks::RowKey;
/// let window = Window { start: EventTime(0), end: EventTime(60_000) };
/// let row = Row::Summary(StreamId::new("s1"), Summary { window, value: std::sync::Arc::new(7) });
/// assert_eq!(RowKey::of(&row).to_string(), "chat_summary_minute (s1, 1970-01-01T00:00:00.000Z)");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RowKey {
    /// Of `streams`.
    Stream(StreamId),
    /// Of `chat_summary_minute`.
    Summary(StreamId, Window),
    /// Of `moments`.
    Moment(MomentId),
    /// Of `viewer_timeseries`.
    Viewer(CompactString),
    /// Of `transactions`.
    Transaction(CompactString),
}

impl RowKey {
    /// The key of a row.
    #[must_use]
    pub fn of<S>(row: &Row<S>) -> Self {
        match row {
            Row::Stream(row) => Self::Stream(row.stream_id.clone()),
            Row::Summary(stream, summary) => Self::Summary(stream.clone(), summary.window),
            Row::Moment(moment) => Self::Moment(moment.id()),
            Row::Viewer(row) => Self::Viewer(row.event_id.clone()),
            Row::Transaction(row) => Self::Transaction(row.transaction_id.clone()),
        }
    }

    /// The table's name.
    #[must_use]
    pub const fn table(&self) -> &'static str {
        match self {
            Self::Stream(_) => "streams",
            Self::Summary(..) => "chat_summary_minute",
            Self::Moment(_) => "moments",
            Self::Viewer(_) => "viewer_timeseries",
            Self::Transaction(_) => "transactions",
        }
    }
}

/// For errors: the table, and the key in parentheses.
impl fmt::Display for RowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.table())?;
        match self {
            Self::Stream(id) => write!(f, " ({id})"),
            Self::Summary(id, window) => write!(f, " ({id}, {})", window.start),
            Self::Moment(id) => write!(f, " ({id})"),
            Self::Viewer(id) | Self::Transaction(id) => write!(f, " ({id})"),
        }
    }
}
