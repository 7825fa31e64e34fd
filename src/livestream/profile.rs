//! The profile of a stream: the newest value of each field that its metadata events set.

use serde::{Deserialize, Serialize};

use crate::core::{EventId, EventTime};
use crate::livestream::{Event, MetaType, StreamId, StreamRow};

/// The version by which the newer of two values is chosen: the event time, and at equal times the event's id, so that
/// the newest value does not depend on the order of arrival.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Version {
    /// The event's time.
    pub time: EventTime,
    /// The event's id as a number: an [`EventId`](crate::core::EventId).
    pub event: u128,
}

/// The values that a metadata event sets for a stream.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StreamPatch {
    /// The stream.
    pub stream_id: StreamId,
    /// The version of these values.
    pub version: Version,
    /// The kind of change.
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

impl StreamPatch {
    /// Returns the values that an event sets for its stream; `None` if the event is not metadata.
    #[must_use]
    pub fn of(event: &Event<'_>) -> Option<Self> {
        let Event::Meta(meta) = event else { return None };
        Some(Self {
            stream_id: StreamId::new(meta.header.stream_id),
            version: Version { time: meta.header.time, event: EventId::of(meta.header.event_id).0 },
            event_type: meta.event_type,
            new_title: meta.new_title.map(Into::into),
            new_category: meta.new_category.map(Into::into),
            started_at: meta.started_at,
            ended_at: meta.ended_at,
        })
    }
}

/// A field with the version of its value. Values may be set in any order; the newest one stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Register<T>(Option<(Version, T)>);

impl<T> Default for Register<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Clone> Register<T> {
    fn set(&mut self, version: Version, value: T) {
        if self.0.as_ref().is_none_or(|(known, _)| *known <= version) {
            self.0 = Some((version, value));
        }
    }

    fn get(&self) -> Option<T> {
        self.0.as_ref().map(|(_, value)| value.clone())
    }
}

/// The profile of a stream: the newest value of each field. Patches may come in any order and more than once.
///
/// ```
/// use telemetra::core::EventTime;
/// use telemetra::livestream::{MetaType, StreamPatch, StreamProfile, Version};
/// let patch = |time, title: &str| StreamPatch {
///     stream_id: "a".into(),
///     version: Version { time: EventTime(time), event: 0 },
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
    /// Applies the values that an event sets.
    pub fn apply(&mut self, patch: &StreamPatch) {
        let (version, time) = (patch.version, patch.version.time);
        if let Some(title) = &patch.new_title {
            self.title.set(version, title.clone());
        }
        if let Some(category) = &patch.new_category {
            self.category.set(version, category.clone());
        }
        if let Some(started_at) = patch.started_at {
            self.started_at.set(version, started_at);
        }
        match patch.event_type {
            MetaType::StreamStart => {
                self.is_live.set(version, true);
                self.started_at.set(version, patch.started_at.unwrap_or(time));
                self.ended_at.set(version, None);
            }
            MetaType::StreamEnd => {
                self.is_live.set(version, false);
                self.ended_at.set(version, Some(patch.ended_at.unwrap_or(time)));
            }
            MetaType::TitleChange | MetaType::CategoryChange => {}
        }
        self.created = Some(self.created.map_or(time, |known| known.min(time)));
        self.updated = self.updated.max(time);
    }

    /// Returns the row of the stream with this id.
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
