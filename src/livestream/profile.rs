//! Facts kept as rows, and what is known of a stream: the newest word on each of its fields.

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use crate::ident::id_of;
use crate::{Event, EventTime, MetaType, StreamId, StreamRow, TransactionRow, ViewerRow};

/// A counted event that is kept as a row, or that changes one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Fact {
    /// A row of `viewer_timeseries`.
    Viewer(ViewerRow),
    /// A row of `transactions`.
    Transaction(TransactionRow),
    /// A change of a row of `streams`.
    Meta(MetaPatch),
}

impl Fact {
    /// The fact in an event, if it is not chat.
    #[must_use]
    pub fn of(event: &Event<'_>) -> Option<Self> {
        Some(match event {
            Event::Chat(_) => return None,
            Event::Viewer(viewer) => Self::Viewer(ViewerRow {
                event_id: CompactString::new(viewer.header.event_id),
                stream_id: StreamId::new(viewer.header.stream_id),
                timestamp: viewer.header.time,
                viewer_count: viewer.viewer_count,
                unique_viewers: viewer.unique_viewers,
                peak_viewers: viewer.peak_viewers,
            }),
            Event::Transaction(transaction) => Self::Transaction(TransactionRow {
                transaction_id: CompactString::new(transaction.header.event_id),
                stream_id: StreamId::new(transaction.header.stream_id),
                user_id: CompactString::new(transaction.user_id),
                amount: transaction.amount,
                currency: transaction.currency,
                transaction_type: transaction.transaction_type,
                message: transaction.message.map(Into::into),
                timestamp: transaction.header.time,
            }),
            Event::Meta(meta) => Self::Meta(MetaPatch {
                stream_id: StreamId::new(meta.header.stream_id),
                stamp: Stamp { time: meta.header.time, event: id_of(meta.header.event_id) },
                event_type: meta.event_type,
                new_title: meta.new_title.map(Into::into),
                new_category: meta.new_category.map(Into::into),
                started_at: meta.started_at,
                ended_at: meta.ended_at,
            }),
        })
    }

    /// The stream it is about.
    #[must_use]
    pub fn stream_id(&self) -> &StreamId {
        match self {
            Self::Viewer(row) => &row.stream_id,
            Self::Transaction(row) => &row.stream_id,
            Self::Meta(patch) => &patch.stream_id,
        }
    }
}

/// When something was said: by event time, and between equal times by the event's id, so that the newest word does not
/// depend on the order of arrival.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Stamp {
    /// The event's time.
    pub time: EventTime,
    /// The event's id.
    pub event: u128,
}

/// What a metadata event says of a stream.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MetaPatch {
    /// The stream.
    pub stream_id: StreamId,
    /// When it was said.
    pub stamp: Stamp,
    /// What changed.
    pub event_type: MetaType,
    /// The title from then on.
    pub new_title: Option<Box<str>>,
    /// The category from then on.
    pub new_category: Option<Box<str>>,
    /// When the stream started.
    pub started_at: Option<EventTime>,
    /// When the stream ended.
    pub ended_at: Option<EventTime>,
}

/// A field, and when it was set. Setting it in any order leaves the newest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Register<T>(Option<(Stamp, T)>);

impl<T> Default for Register<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Clone> Register<T> {
    fn set(&mut self, stamp: Stamp, value: T) {
        if self.0.as_ref().is_none_or(|(known, _)| *known <= stamp) {
            self.0 = Some((stamp, value));
        }
    }

    fn get(&self) -> Option<T> {
        self.0.as_ref().map(|(_, value)| value.clone())
    }
}

/// The newest word on each field of a stream. Patches may come in any order and more than once.
///
/// ```
/// use telemetra_core::{EventTime, MetaPatch, MetaType, Stamp, StreamProfile};
/// let patch = |time, title: &str| MetaPatch {
///     stream_id: "a".into(),
///     stamp: Stamp { time: EventTime(time), event: 0 },
///     event_type: MetaType::TitleChange,
///     new_title: Some(title.into()),
///     new_category: None,
///     started_at: None,
///     ended_at: None,
/// };
/// let mut profile = StreamProfile::default();
/// profile.apply(&patch(20, "newer"));
/// profile.apply(&patch(10, "older, but late"));
/// assert_eq!(profile.row(&"a".into()).title.as_deref(), Some("newer"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamProfile {
    title: Register<Box<str>>,
    category: Register<Box<str>>,
    is_live: Register<bool>,
    started_at: Register<EventTime>,
    ended_at: Register<Option<EventTime>>,
    created: Option<EventTime>,
    updated: EventTime,
}

impl StreamProfile {
    /// Takes in what an event says.
    pub fn apply(&mut self, patch: &MetaPatch) {
        let (stamp, time) = (patch.stamp, patch.stamp.time);
        if let Some(title) = &patch.new_title {
            self.title.set(stamp, title.clone());
        }
        if let Some(category) = &patch.new_category {
            self.category.set(stamp, category.clone());
        }
        if let Some(started_at) = patch.started_at {
            self.started_at.set(stamp, started_at);
        }
        match patch.event_type {
            MetaType::StreamStart => {
                self.is_live.set(stamp, true);
                self.started_at.set(stamp, patch.started_at.unwrap_or(time));
                self.ended_at.set(stamp, None);
            }
            MetaType::StreamEnd => {
                self.is_live.set(stamp, false);
                self.ended_at.set(stamp, Some(patch.ended_at.unwrap_or(time)));
            }
            MetaType::TitleChange | MetaType::CategoryChange => {}
        }
        self.created = Some(self.created.map_or(time, |known| known.min(time)));
        self.updated = self.updated.max(time);
    }

    /// The stream's row.
    #[must_use]
    pub fn row(&self, stream_id: &StreamId) -> StreamRow {
        StreamRow {
            stream_id: stream_id.clone(),
            name: stream_id.as_str().into(),
            title: self.title.get(),
            category: self.category.get(),
            is_live: self.is_live.get(),
            started_at: self.started_at.get(),
            ended_at: self.ended_at.get().flatten(),
            created_at: self.created.unwrap_or_default(),
            updated_at: self.updated,
        }
    }
}
