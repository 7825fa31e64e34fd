//! The model of the answers: the rows of the tables as JSON, under the names of their columns.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use telemetra::core::{Decimal, EventTime, Micro, Moment, Summary};
pub(crate) use telemetra::http::Time;
use telemetra::livestream::{self, Currency, StreamId, StreamSummary};
use telemetra::sinks::Published;
use utoipa::ToSchema;

pub(crate) use super::message::{Message, MomentKind, NotResumed, WindowKind};
use super::presence::Presence;

/// A stream: its row in `streams`, and its newest window.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Stream)]
pub(crate) struct StreamInfo {
    /// Its id.
    pub(crate) stream_id: String,
    /// The name shown; the id where nothing else is known.
    pub(crate) name: String,
    /// The newest title.
    pub(crate) title: Option<String>,
    /// The newest category.
    pub(crate) category: Option<String>,
    /// The status in its metadata: whether it started and has not ended; null until it says so. A stream whose end is never said
    /// keeps `true`: see `presence`.
    pub(crate) is_live: Option<bool>,
    pub(crate) presence: Presence,
    /// Since when it has no events, to within a window; null while it has some.
    pub(crate) silent_since: Option<Time>,
    /// When it last started.
    pub(crate) started_at: Option<Time>,
    /// When it last ended; null while live.
    pub(crate) ended_at: Option<Time>,
    /// The event time of the newest change that is known.
    pub(crate) updated_at: Time,
    /// The number of open moments.
    pub(crate) open_moments: u64,
    /// The newest window; null if it ended a window's length ago or more: then the stream is silent.
    pub(crate) current: Option<Metrics>,
}

/// One window of one stream: a row of `chat_summary_minute`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Metrics {
    /// The first instant of the window.
    pub(crate) window_start: Time,
    /// The first instant after it.
    pub(crate) window_end: Time,
    /// The number of chat messages.
    pub(crate) chat_count: u64,
    /// The number of chat messages a second.
    #[schema(minimum = 0)]
    pub(crate) chat_rate: f64,
    /// The number of different users who wrote a message.
    pub(crate) unique_chatters: u64,
    /// The number of messages with a sentiment above the neutral band.
    pub(crate) positive_count: u64,
    /// The number of messages with a sentiment below it.
    pub(crate) negative_count: u64,
    /// The mean sentiment; null without messages.
    #[schema(minimum = -1, maximum = 1)]
    pub(crate) sentiment_score: Option<f64>,
    /// The emotes used most, by count, then by name.
    #[schema(max_items = 10)]
    pub(crate) top_emotes: Vec<Emote>,
    /// The mean of the viewer counts; null if none was reported.
    #[schema(minimum = 0)]
    pub(crate) avg_viewers: Option<f64>,
    /// The greatest of them.
    pub(crate) peak_viewers: Option<u64>,
    /// The number of viewer counts that were reported.
    pub(crate) viewer_events: u64,
    /// The number of transactions.
    pub(crate) transaction_count: u64,
    /// Their amounts by currency (`USD`, `EUR`, `GBP`, `bits`), exact decimals; without those that are zero.
    pub(crate) transaction_amount: BTreeMap<String, String>,
    /// The number of times that the window was published before; above 0 late events have corrected it.
    pub(crate) revision: u32,
    /// The event time at which it was published.
    #[serde(default)]
    pub(crate) updated_at: Time,
}

/// An emote, and the number of its uses.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Emote {
    pub(crate) name: String,
    pub(crate) count: u64,
}

/// An episode in which a metric departs from its baseline: a row of `moments`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Moment)]
pub(crate) struct MomentInfo {
    /// The id of the moment: it depends on stream, type and start alone, so it is the same whenever the moment is found.
    #[schema(pattern = "^[0-9a-f]{32}$")]
    pub(crate) moment_id: String,
    pub(crate) stream_id: String,
    /// The rule: `chat_spike`, `viewer_surge`, `viewer_drop`, `donation_surge`, `sentiment_shift`, or one of your own.
    pub(crate) moment_type: String,
    /// The detector.
    pub(crate) detection_method: String,
    /// The start of the pane that tipped the first unusual window.
    pub(crate) started_at: Time,
    /// The end of the window with the greatest score.
    pub(crate) peak_at: Time,
    /// The end of the last unusual window; null while open.
    pub(crate) ended_at: Option<Time>,
    /// The metric at the peak.
    pub(crate) value: f64,
    /// The detector's threshold.
    pub(crate) threshold: f64,
    /// The score at the peak; its sign is the side.
    pub(crate) score: f64,
    /// The mean of the baseline at the peak.
    pub(crate) baseline_mean: f64,
    /// Its deviation.
    pub(crate) baseline_stddev: f64,
    /// The number of windows in it.
    pub(crate) baseline_samples: u64,
    /// The share expected to be chance among all moments of all streams and rules in the half hour before its end that
    /// are at least as extreme. Null before anything is known of that.
    #[schema(minimum = 0, maximum = 1)]
    pub(crate) chance: Option<f64>,
    /// The size of the moment, and its explanation.
    pub(crate) context: Context,
    /// The number of times that it was published before.
    pub(crate) revision: u32,
    /// The event time at which it was published.
    #[serde(default)]
    pub(crate) updated_at: Time,
}

/// The size of a moment, and its explanation.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Context {
    /// The number of anomalous windows.
    pub(crate) windows: u64,
    /// Its duration, in milliseconds.
    pub(crate) duration_ms: u64,
    /// The side of the baseline on which it is: `above` or `below`.
    #[schema(pattern = "^(above|below)$")]
    pub(crate) side: String,
    /// The things that carried it, heaviest first; empty if the rule says nothing of that. At most 2 KiB.
    #[serde(default)]
    pub(crate) carried: Vec<Carried>,
}

/// One thing that carried a moment: how much of it there was at the peak, and how much is usual.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Carried {
    /// The kind of thing, which says the unit too: `chatters` (users), `emote` (uses per message), `messages` (share),
    /// `viewers`, `transactions`, `amount` (in the currency that is the name).
    pub(crate) what: String,
    /// The thing; empty if there is one of its kind only.
    pub(crate) name: String,
    /// The amount in the window of the peak.
    pub(crate) now: f64,
    /// The amount in the usual windows before it; null if there are none.
    pub(crate) usual: Option<f64>,
}

/// The metadata of a stream.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct StreamRow {
    /// The name shown; the id where nothing else is known.
    pub(crate) name: String,
    /// The newest title.
    pub(crate) title: Option<String>,
    /// The newest category.
    pub(crate) category: Option<String>,
    /// Whether it is live; null until it started or ended.
    pub(crate) is_live: Option<bool>,
    /// When it last started.
    pub(crate) started_at: Option<Time>,
    /// When it last ended; null while live.
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
            window_start: window.start.or_epoch().into(),
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
                carried: moment.carried.iter().map(Carried::new).collect(),
            },
            revision,
            updated_at: time.into(),
        }
    }
}

impl Carried {
    fn new(carried: &telemetra::core::detect::Carried) -> Self {
        Self {
            what: carried.what.to_string(),
            name: carried.name.to_string(),
            now: carried.now.to_f64(),
            usual: carried.usual.map(Micro::to_f64),
        }
    }
}

impl From<Published<&Moment<StreamId>>> for MomentInfo {
    fn from(published: Published<&Moment<StreamId>>) -> Self {
        Self::new(published.row, published.revision, published.time)
    }
}
