//! What flows to sinks: rows, and their upserts and withdrawals as of each event time.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use crate::{Currency, EventTime, Fate, Moment, PartitionId, TransactionType, Window};

/// The id of a stream: the key of all aggregates. Up to 24 bytes are kept in place.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StreamId(CompactString);

impl StreamId {
    /// The stream of that id.
    #[must_use]
    pub fn new(id: &str) -> Self {
        Self(CompactString::new(id))
    }

    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
impl Deref for StreamId {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}
/// A map by stream is asked by text.
impl std::borrow::Borrow<str> for StreamId {
    fn borrow(&self) -> &str {
        &self.0
    }
}
impl From<&str> for StreamId {
    fn from(id: &str) -> Self {
        Self::new(id)
    }
}
impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The finished aggregate of one key in one window.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Summary<S> {
    /// The window.
    pub window: Window,
    /// What the accumulator finished to. Shared by all who hold it: the state, the collection, the sinks.
    pub value: Arc<S>,
}

/// A viewer count, kept as a row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ViewerRow {
    /// The event's id: the row's key.
    pub event_id: CompactString,
    /// The stream.
    pub stream_id: StreamId,
    /// The event's time.
    pub timestamp: EventTime,
    /// Viewers now.
    pub viewer_count: u64,
    /// Different viewers so far.
    pub unique_viewers: Option<u64>,
    /// Most viewers so far.
    pub peak_viewers: Option<u64>,
}

/// A transaction, kept as a row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TransactionRow {
    /// The event's id: the row's key.
    pub transaction_id: CompactString,
    /// The stream.
    pub stream_id: StreamId,
    /// Who paid.
    pub user_id: CompactString,
    /// In units of `1 /` [`AMOUNT_SCALE`](crate::AMOUNT_SCALE).
    pub amount: i64,
    /// The currency.
    pub currency: Currency,
    /// What for.
    pub transaction_type: TransactionType,
    /// The message that came with it.
    pub message: Option<Box<str>>,
    /// The event's time.
    pub timestamp: EventTime,
}

/// A stream, as its metadata says: one row a stream, each field as of the newest event that set it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StreamRow {
    /// The stream: the row's key.
    pub stream_id: StreamId,
    /// The name shown; the id where nothing else is known.
    pub name: Box<str>,
    /// The title.
    pub title: Option<Box<str>>,
    /// The category.
    pub category: Option<Box<str>>,
    /// Whether it is live; unknown until it started or ended.
    pub is_live: Option<bool>,
    /// When it last started.
    pub started_at: Option<EventTime>,
    /// When it last ended; `None` while live.
    pub ended_at: Option<EventTime>,
    /// The time of the first event about it.
    pub created_at: EventTime,
    /// The time of the newest event about it.
    pub updated_at: EventTime,
}

/// A row of any table. Within a batch rows are sorted by table, key and value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Row<S> {
    /// Of `streams`.
    Stream(StreamRow),
    /// Of `chat_summary_minute`.
    Summary(StreamId, Summary<S>),
    /// Of `moments`.
    Moment(Moment),
    /// Of `viewer_timeseries`.
    Viewer(ViewerRow),
    /// Of `transactions`.
    Transaction(TransactionRow),
}

/// A change of one row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Change<S> {
    /// The row: as it is now, or as it was if withdrawn.
    pub row: Row<S>,
    /// How often the row was published before: 0 is the first time. Withdrawing counts.
    pub revision: u32,
    /// Upsert or withdrawal.
    pub action: Action,
}

/// What to do with a row.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Action {
    /// Insert it, or overwrite the one of its key.
    Upsert,
    /// Delete it: a correction made it untrue.
    Withdraw,
}

/// All changes that took effect at one event time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch<S> {
    /// When they took effect. Everything up to and including this time is now known.
    pub time: EventTime,
    /// At most one per row, sorted by row.
    pub changes: Vec<Change<S>>,
}

/// A record that was not counted, with its bytes, place and reason. The place is its identity.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The partition it was read from.
    pub partition: PartitionId,
    /// Its offset there.
    pub offset: u64,
    /// Which of several events in the record, from 0.
    pub index: u32,
    /// Why it was not counted: malformed, from the future, too late, or a duplicate.
    pub fate: Fate,
    /// The reason in words.
    pub reason: Box<str>,
    /// The record as it came; only its beginning where it was longer than a record may be.
    pub bytes: Box<[u8]>,
}
