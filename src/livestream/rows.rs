//! Rows that are made from single events, and the row of a stream: their tables, columns and values.
//!
//! The key of a row identifies it alone, so all versions of a row go to one shard. A viewer count has its
//! event's id as key, and its stream is an ordinary column.

use std::borrow::Cow;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use crate::core::{Column, ColumnKind, Decimal, EventTime, Row, Table, Value};
use crate::livestream::{AMOUNT_SCALE, Currency, Event, StreamId, TransactionType};

/// A viewer count as a row of `viewer_timeseries`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ViewerRow {
    /// The event's id: the row's key.
    pub event_id: CompactString,
    /// The stream.
    pub stream_id: StreamId,
    /// The event's time.
    pub timestamp: EventTime,
    /// The number of viewers now.
    pub viewer_count: u64,
    /// The number of different viewers so far.
    pub unique_viewers: Option<u64>,
    /// The greatest number of viewers so far.
    pub peak_viewers: Option<u64>,
}

impl ViewerRow {
    /// Returns the row of an event; `None` if the event is not a viewer count.
    #[must_use]
    pub fn of(event: &Event<'_>) -> Option<Self> {
        let Event::Viewer(viewer) = event else { return None };
        Some(Self {
            event_id: CompactString::new(viewer.header.event_id),
            stream_id: StreamId::new(viewer.header.stream_id),
            timestamp: viewer.header.time,
            viewer_count: viewer.viewer_count,
            unique_viewers: viewer.unique_viewers,
            peak_viewers: viewer.peak_viewers,
        })
    }
}

impl Row for ViewerRow {
    fn table() -> Table {
        Table::new("viewer_timeseries")
            .key(Column::new("event_id", ColumnKind::Text))
            .column(Column::new("stream_id", ColumnKind::Text))
            .column(Column::new("timestamp", ColumnKind::Time))
            .column(Column::new("viewer_count", ColumnKind::Integer))
            .column(Column::nullable("unique_viewers", ColumnKind::Integer))
            .column(Column::nullable("peak_viewers", ColumnKind::Integer))
            .by_day("timestamp")
            .index_named("viewers_by_stream", ["stream_id", "timestamp"], None)
    }

    fn values(&self, put: &mut dyn FnMut(Value<'_>)) {
        put(Value::Text(&self.event_id));
        put(Value::Text(&self.stream_id));
        put(Value::Time(self.timestamp));
        put(Value::Unsigned(self.viewer_count));
        put(Value::or_null(self.unique_viewers.map(Value::Unsigned)));
        put(Value::or_null(self.peak_viewers.map(Value::Unsigned)));
    }

    fn time(&self) -> Option<EventTime> {
        Some(self.timestamp)
    }

    fn subject(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.event_id)
    }
}

/// A transaction as a row of `transactions`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TransactionRow {
    /// The event's id: the row's key.
    pub transaction_id: CompactString,
    /// The stream.
    pub stream_id: StreamId,
    /// The id of the user who paid.
    pub user_id: CompactString,
    /// The amount, in units of `1 /` [`AMOUNT_SCALE`].
    pub amount: i64,
    /// The currency.
    pub currency: Currency,
    /// The purpose of the payment.
    pub transaction_type: TransactionType,
    /// The message that came with the transaction.
    pub message: Option<Box<str>>,
    /// The event's time.
    pub timestamp: EventTime,
}

impl TransactionRow {
    /// Returns the row of an event; `None` if the event is not a transaction.
    #[must_use]
    pub fn of(event: &Event<'_>) -> Option<Self> {
        let Event::Transaction(transaction) = event else { return None };
        Some(Self {
            transaction_id: CompactString::new(transaction.header.event_id),
            stream_id: StreamId::new(transaction.header.stream_id),
            user_id: CompactString::new(transaction.user_id),
            amount: transaction.amount,
            currency: transaction.currency,
            transaction_type: transaction.transaction_type,
            message: transaction.message.map(Into::into),
            timestamp: transaction.header.time,
        })
    }
}

/// The amount as the value of a column. Both have six decimals.
pub(super) const fn decimal(amount: i128) -> Decimal {
    const { assert!(AMOUNT_SCALE.unsigned_abs() as u128 == Decimal::SCALE) };
    Decimal(amount)
}

impl Row for TransactionRow {
    fn table() -> Table {
        Table::new("transactions")
            .key(Column::new("transaction_id", ColumnKind::Text))
            .column(Column::new("stream_id", ColumnKind::Text))
            .column(Column::new("user_id", ColumnKind::Text))
            .column(Column::new("amount", ColumnKind::Decimal))
            .column(Column::new("currency", ColumnKind::Text))
            .column(Column::new("transaction_type", ColumnKind::Text))
            .column(Column::nullable("message", ColumnKind::Text))
            .column(Column::new("timestamp", ColumnKind::Time))
            .by_day("timestamp")
            .index_named("transactions_by_stream", ["stream_id", "timestamp"], None)
    }

    fn values(&self, put: &mut dyn FnMut(Value<'_>)) {
        put(Value::Text(&self.transaction_id));
        put(Value::Text(&self.stream_id));
        put(Value::Text(&self.user_id));
        put(Value::Decimal(decimal(self.amount.into())));
        put(Value::Text(self.currency.as_str()));
        put(Value::Text(self.transaction_type.as_str()));
        put(Value::or_null(self.message.as_deref().map(Value::Text)));
        put(Value::Time(self.timestamp));
    }

    fn time(&self) -> Option<EventTime> {
        Some(self.timestamp)
    }

    fn subject(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.transaction_id)
    }
}

/// The row of a stream, made from its metadata by a [`StreamProfile`](super::StreamProfile): each field has
/// the value of the newest event that set it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StreamRow {
    /// The stream: the row's key.
    pub stream_id: StreamId,
    /// The displayed name; the id if no name is known.
    pub name: Box<str>,
    /// The title.
    pub title: Option<Box<str>>,
    /// The category.
    pub category: Option<Box<str>>,
    /// Whether the stream is live; `None` until it has started or ended.
    pub is_live: Option<bool>,
    /// When the stream last started.
    pub started_at: Option<EventTime>,
    /// When the stream last ended; `None` while it is live.
    pub ended_at: Option<EventTime>,
    /// The time of the first event about the stream.
    pub created_at: EventTime,
    /// The time of the newest event about the stream.
    pub updated_at: EventTime,
}

impl Row for StreamRow {
    fn table() -> Table {
        Table::new("streams")
            .key(Column::new("stream_id", ColumnKind::Text))
            .column(Column::new("name", ColumnKind::Text))
            .column(Column::nullable("title", ColumnKind::Text))
            .column(Column::nullable("category", ColumnKind::Text))
            .column(Column::nullable("is_live", ColumnKind::Bool))
            .column(Column::nullable("started_at", ColumnKind::Time))
            .column(Column::nullable("ended_at", ColumnKind::Time))
            .column(Column::new("created_at", ColumnKind::Time))
            .column(Column::new("updated_at", ColumnKind::Time))
            .index_named("streams_live", ["stream_id"], Some("is_live"))
    }

    fn values(&self, put: &mut dyn FnMut(Value<'_>)) {
        put(Value::Text(&self.stream_id));
        put(Value::Text(&self.name));
        put(Value::or_null(self.title.as_deref().map(Value::Text)));
        put(Value::or_null(self.category.as_deref().map(Value::Text)));
        put(Value::or_null(self.is_live.map(Value::Bool)));
        put(Value::or_null(self.started_at.map(Value::Time)));
        put(Value::or_null(self.ended_at.map(Value::Time)));
        put(Value::Time(self.created_at));
        put(Value::Time(self.updated_at));
    }

    fn subject(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.stream_id)
    }
}
