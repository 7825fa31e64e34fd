//! What the service says: the rows of the tables as JSON, under the names of their columns.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use telemetra::core::{Action, Change, Decimal, EventTime, Micro, Moment, Summary, SummaryRow};
use telemetra::livestream::{self, Currency, StreamId, StreamSummary};
use telemetra::sinks::Published;

use super::presence::Presence;

/// An event time, said as RFC 3339.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Time(pub(crate) EventTime);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(serde::de::Error::custom)
    }
}

impl Default for Time {
    fn default() -> Self {
        Self(EventTime::MIN)
    }
}

impl From<EventTime> for Time {
    fn from(time: EventTime) -> Self {
        Self(time)
    }
}

/// A stream: its row, and its newest window if that ended less than a window ago.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct StreamInfo {
    pub(crate) stream_id: String,
    pub(crate) name: String,
    pub(crate) title: Option<String>,
    pub(crate) category: Option<String>,
    pub(crate) is_live: Option<bool>,
    pub(crate) presence: Presence,
    /// When the newest window began that has an event; `None` while there are events.
    pub(crate) silent_since: Option<Time>,
    pub(crate) started_at: Option<Time>,
    pub(crate) ended_at: Option<Time>,
    pub(crate) updated_at: Time,
    pub(crate) open_moments: u64,
    pub(crate) current: Option<Metrics>,
}

/// A row of `chat_summary_minute`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Metrics {
    pub(crate) window_start: Time,
    pub(crate) window_end: Time,
    pub(crate) chat_count: u64,
    pub(crate) chat_rate: f64,
    pub(crate) unique_chatters: u64,
    pub(crate) positive_count: u64,
    pub(crate) negative_count: u64,
    pub(crate) sentiment_score: Option<f64>,
    pub(crate) top_emotes: Vec<Emote>,
    pub(crate) avg_viewers: Option<f64>,
    pub(crate) peak_viewers: Option<u64>,
    pub(crate) viewer_events: u64,
    pub(crate) transaction_count: u64,
    pub(crate) transaction_amount: BTreeMap<String, String>,
    pub(crate) revision: u32,
    /// Where it is told beside the row, it is not in it.
    #[serde(default)]
    pub(crate) updated_at: Time,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Emote {
    pub(crate) name: String,
    pub(crate) count: u64,
}

/// A row of `moments`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct MomentInfo {
    pub(crate) moment_id: String,
    pub(crate) stream_id: String,
    pub(crate) moment_type: String,
    pub(crate) detection_method: String,
    pub(crate) started_at: Time,
    pub(crate) peak_at: Time,
    pub(crate) ended_at: Option<Time>,
    pub(crate) value: f64,
    pub(crate) threshold: f64,
    pub(crate) score: f64,
    pub(crate) baseline_mean: f64,
    pub(crate) baseline_stddev: f64,
    pub(crate) baseline_samples: u64,
    pub(crate) chance: Option<f64>,
    pub(crate) context: Context,
    pub(crate) revision: u32,
    /// Where it is told beside the row, it is not in it.
    #[serde(default)]
    pub(crate) updated_at: Time,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Context {
    pub(crate) windows: u64,
    pub(crate) duration_ms: u64,
    pub(crate) side: String,
}

/// What a WebSocket is told.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Message {
    /// A window was published, or published again as late events changed it.
    Metrics { stream_id: String, time: Time, revision: u32, kind: WindowKind, metrics: Metrics },
    /// A moment was opened, updated, closed or withdrawn.
    Moment { stream_id: String, time: Time, revision: u32, kind: MomentKind, moment: MomentInfo },
    /// A stream's title, category or state changed.
    Stream { stream_id: String, time: Time, stream: StreamRow },
    /// One stream as of a time. Replaces what is known of it.
    Snapshot {
        life: String,
        as_of: Option<Time>,
        stream: Option<StreamInfo>,
        metrics: Vec<Metrics>,
        moments: Vec<MomentInfo>,
    },
    /// All streams as of a time. Replaces what is known.
    Overview { life: String, as_of: Option<Time>, streams: Vec<StreamInfo>, moments: Vec<MomentInfo> },
    /// What changed since the time asked for follows.
    Resumed { life: String, since: Time, as_of: Option<Time> },
    /// All is well, also if nothing changes.
    Heartbeat { as_of: Option<Time> },
}

#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WindowKind {
    Published,
    Corrected,
    Withdrawn,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MomentKind {
    Opened,
    Updated,
    Closed,
    Withdrawn,
}

/// A row of `streams`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct StreamRow {
    pub(crate) name: String,
    pub(crate) title: Option<String>,
    pub(crate) category: Option<String>,
    pub(crate) is_live: Option<bool>,
    pub(crate) started_at: Option<Time>,
    pub(crate) ended_at: Option<Time>,
}

impl From<&livestream::StreamRow> for StreamRow {
    fn from(row: &livestream::StreamRow) -> Self {
        Self {
            name: row.name.to_string(),
            title: row.title.as_deref().map(Into::into),
            category: row.category.as_deref().map(Into::into),
            is_live: row.is_live,
            started_at: row.started_at.map(Time),
            ended_at: row.ended_at.map(Time),
        }
    }
}

impl Metrics {
    pub(crate) fn new(summary: &Summary<StreamSummary>, revision: u32, time: EventTime) -> Self {
        let Summary { window, value } = summary;
        let emote = |counted: &telemetra::core::Counted| Emote {
            name: counted.name.to_string(),
            count: counted.count,
        };
        let amount = |currency: &Currency| {
            let amount = value.amount(*currency);
            (amount != 0).then(|| (currency.as_str().to_owned(), Decimal(amount).to_string()))
        };
        Self {
            window_start: window.start.into(),
            window_end: window.end.into(),
            chat_count: value.chat_count,
            chat_rate: value.chat_rate(*window),
            unique_chatters: value.unique_chatters,
            positive_count: value.positive_count,
            negative_count: value.negative_count,
            sentiment_score: value.sentiment_score(),
            top_emotes: value.top_emotes.iter().map(emote).collect(),
            avg_viewers: value.avg_viewers(),
            peak_viewers: value.peak_viewers,
            viewer_events: value.viewer_events,
            transaction_count: value.transaction_count,
            transaction_amount: Currency::ALL.iter().filter_map(amount).collect(),
            revision,
            updated_at: time.into(),
        }
    }
}

impl From<Published<&Summary<StreamSummary>>> for Metrics {
    fn from(published: Published<&Summary<StreamSummary>>) -> Self {
        Self::new(published.row, published.revision, published.time)
    }
}

impl MomentInfo {
    pub(crate) fn new(moment: &Moment<StreamId>, revision: u32, time: EventTime) -> Self {
        Self {
            moment_id: moment.id().to_string(),
            stream_id: moment.key.to_string(),
            moment_type: moment.moment_type.to_string(),
            detection_method: moment.detection_method.to_string(),
            started_at: moment.started_at.into(),
            peak_at: moment.peak_at.into(),
            ended_at: moment.ended_at().map(Time),
            value: moment.value.to_f64(),
            threshold: moment.threshold.to_f64(),
            score: moment.score.to_f64(),
            baseline_mean: moment.baseline_mean.to_f64(),
            baseline_stddev: moment.baseline_stddev.to_f64(),
            baseline_samples: moment.baseline_samples.into(),
            chance: moment.chance.map(Micro::to_f64),
            context: Context {
                windows: moment.windows.into(),
                duration_ms: moment.last_at - moment.started_at,
                side: if moment.score.0 < 0 { "below" } else { "above" }.to_owned(),
            },
            revision,
            updated_at: time.into(),
        }
    }
}

impl From<Published<&Moment<StreamId>>> for MomentInfo {
    fn from(published: Published<&Moment<StreamId>>) -> Self {
        Self::new(published.row, published.revision, published.time)
    }
}

impl Message {
    /// What a change says; `None` for rows that only the tables have.
    pub(crate) fn of(stream: &str, change: &Change, time: EventTime) -> Option<Self> {
        let (stream_id, revision) = (stream.to_owned(), change.revision);
        let withdrawn = change.action == Action::Withdraw;
        if let Some(row) = change.row::<SummaryRow<StreamId, StreamSummary>>() {
            let kind = match revision {
                _ if withdrawn => WindowKind::Withdrawn,
                0 => WindowKind::Published,
                _ => WindowKind::Corrected,
            };
            let metrics = Metrics::new(&row.summary, revision, time);
            return Some(Self::Metrics { stream_id, time: time.into(), revision, kind, metrics });
        }
        if let Some(moment) = change.row::<Moment<StreamId>>() {
            let kind = match (withdrawn, moment.open, revision) {
                (true, ..) => MomentKind::Withdrawn,
                (_, true, 0) => MomentKind::Opened,
                (_, true, _) => MomentKind::Updated,
                (_, false, _) => MomentKind::Closed,
            };
            let moment = MomentInfo::new(moment, revision, time);
            return Some(Self::Moment { stream_id, time: time.into(), revision, kind, moment });
        }
        let row = change.row::<livestream::StreamRow>()?;
        Some(Self::Stream { stream_id, time: time.into(), stream: row.into() })
    }
}
