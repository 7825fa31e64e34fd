//! The tables, their columns (the key first) and the values of a row.

use std::fmt;

use telemetra_core::{Change, EventTime, Moment, Row};

use super::{Column, ColumnKind, Decimal, Layout, Value};
use ColumnKind::{Bool, Float, Integer, Json, Text, Time};

/// The tables that rows go to.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Table {
    Streams,
    Summaries,
    Moments,
    Viewers,
    Transactions,
}

impl Table {
    pub(crate) const ALL: [Self; 5] =
        [Self::Streams, Self::Summaries, Self::Moments, Self::Viewers, Self::Transactions];

    pub(crate) fn of<S>(row: &Row<S>) -> Self {
        match row {
            Row::Stream(_) => Self::Streams,
            Row::Summary(..) => Self::Summaries,
            Row::Moment(_) => Self::Moments,
            Row::Viewer(_) => Self::Viewers,
            Row::Transaction(_) => Self::Transactions,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Streams => "streams",
            Self::Summaries => "chat_summary_minute",
            Self::Moments => "moments",
            Self::Viewers => "viewer_timeseries",
            Self::Transactions => "transactions",
        }
    }

    /// How many of the first columns are the key.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(crate) const fn keys(self) -> usize {
        match self {
            Self::Summaries => 2,
            _ => 1,
        }
    }

    /// All columns, in the order in which [`values`] puts them.
    pub(crate) fn columns<S>(self, layout: &Layout<S>) -> Vec<Column> {
        const REVISION: Column = Column::new("revision", Integer);
        const UPDATED_AT: Column = Column::new("updated_at", Time);
        match self {
            Self::Streams => vec![
                Column::new("stream_id", Text),
                Column::new("name", Text),
                Column::nullable("title", Text),
                Column::nullable("category", Text),
                Column::nullable("is_live", Bool),
                Column::nullable("started_at", Time),
                Column::nullable("ended_at", Time),
                Column::new("created_at", Time),
                UPDATED_AT,
            ],
            Self::Summaries => {
                let mut columns = vec![
                    Column::new("stream_id", Text),
                    Column::new("window_start", Time),
                    Column::new("window_end", Time),
                ];
                columns.extend(layout.columns());
                columns.extend([REVISION, UPDATED_AT]);
                columns
            }
            Self::Moments => vec![
                Column::new("moment_id", Text),
                Column::new("stream_id", Text),
                Column::new("moment_type", Text),
                Column::new("detection_method", Text),
                Column::new("started_at", Time),
                Column::new("peak_at", Time),
                Column::nullable("ended_at", Time),
                Column::new("value", Float),
                Column::new("threshold", Float),
                Column::new("score", Float),
                Column::new("baseline_mean", Float),
                Column::new("baseline_stddev", Float),
                Column::new("baseline_samples", Integer),
                REVISION,
                Column::new("context", Json),
                UPDATED_AT,
            ],
            Self::Viewers => vec![
                Column::new("event_id", Text),
                Column::new("stream_id", Text),
                Column::new("timestamp", Time),
                Column::new("viewer_count", Integer),
                Column::nullable("unique_viewers", Integer),
                Column::nullable("peak_viewers", Integer),
            ],
            Self::Transactions => vec![
                Column::new("transaction_id", Text),
                Column::new("stream_id", Text),
                Column::new("user_id", Text),
                Column::new("amount", ColumnKind::Decimal),
                Column::new("currency", Text),
                Column::new("transaction_type", Text),
                Column::nullable("message", Text),
                Column::new("timestamp", Time),
            ],
        }
    }
}

/// Puts the values of a row that changed at `time`, one for each column of its table.
pub(crate) fn values<S>(
    change: &Change<S>,
    time: EventTime,
    layout: &Layout<S>,
    put: &mut dyn FnMut(Value<'_>),
) {
    let text = |text: &Option<Box<str>>, put: &mut dyn FnMut(Value<'_>)| {
        put(text.as_deref().map_or(Value::Null, Value::Text));
    };
    let revision = Value::Unsigned(u64::from(change.revision));
    match &change.row {
        Row::Stream(row) => {
            put(Value::Text(&row.stream_id));
            put(Value::Text(&row.name));
            text(&row.title, put);
            text(&row.category, put);
            put(row.is_live.map_or(Value::Null, Value::Bool));
            put(Value::time(row.started_at));
            put(Value::time(row.ended_at));
            put(Value::Time(row.created_at));
            put(Value::Time(row.updated_at));
        }
        Row::Summary(stream, summary) => {
            put(Value::Text(stream));
            put(Value::Time(summary.window.start));
            put(Value::Time(summary.window.end));
            layout.values(&summary.value, summary.window, put);
            put(revision);
            put(Value::Time(time));
        }
        Row::Moment(moment) => {
            put(Value::Shown(&moment.id()));
            put(Value::Text(&moment.stream_id));
            put(Value::Text(&moment.moment_type));
            put(Value::Text(&moment.detection_method));
            put(Value::Time(moment.started_at));
            put(Value::Time(moment.peak_at));
            put(Value::time(moment.ended_at()));
            for micro in
                [moment.value, moment.threshold, moment.score, moment.baseline_mean, moment.baseline_stddev]
            {
                put(Value::Float(micro.to_f64()));
            }
            put(Value::Unsigned(u64::from(moment.baseline_samples)));
            put(revision);
            put(Value::Json(&Context(moment)));
            put(Value::Time(time));
        }
        Row::Viewer(row) => {
            put(Value::Text(&row.event_id));
            put(Value::Text(&row.stream_id));
            put(Value::Time(row.timestamp));
            put(Value::Unsigned(row.viewer_count));
            put(Value::count(row.unique_viewers));
            put(Value::count(row.peak_viewers));
        }
        Row::Transaction(row) => {
            put(Value::Text(&row.transaction_id));
            put(Value::Text(&row.stream_id));
            put(Value::Text(&row.user_id));
            put(Value::Decimal(Decimal(i128::from(row.amount))));
            put(Value::Text(row.currency.as_str()));
            put(Value::Text(row.transaction_type.as_str()));
            text(&row.message, put);
            put(Value::Time(row.timestamp));
        }
    }
}

/// What else is known of a moment: how many windows it holds, how long it has lasted, and on which side it is.
struct Context<'a>(&'a Moment);

impl fmt::Display for Context<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Moment { windows, last_at, started_at, score, .. } = *self.0;
        let side = if score.0 < 0 { "below" } else { "above" };
        write!(f, "{{\"windows\":{windows},\"duration_ms\":{},\"side\":\"{side}\"}}", last_at - started_at)
    }
}
