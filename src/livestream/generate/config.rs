use serde::{Deserialize, Serialize};

use crate::core::EventTime;

/// The settings of a [`Generator`](super::Generator). The defaults are a demo of about two million events in
/// half an hour of event time, with some events of every flaw, and with planted moments.
///
/// Ratios are shares of events, from 0 to 1.
///
/// ```
/// use telemetra::livestream::generate::{GeneratorConfig, Planting};
/// let config = GeneratorConfig { streams: 10, planted: Planting::none(), ..GeneratorConfig::default() };
/// config.validate()?;
/// assert!(GeneratorConfig { late_ratio: 2.0, ..config }.validate().is_err());
/// # Ok::<(), telemetra::core::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GeneratorConfig {
    /// The same seed and settings make the same bytes, on every platform.
    pub seed: u64,
    /// The number of streams.
    pub streams: u32,
    /// The ids of the first streams, those with the most traffic first; the others are called `stream_0001` and so on by
    /// their rank. May be empty.
    pub stream_ids: Vec<String>,
    /// The exponent *s* of the Zipf distribution of traffic: the traffic of the stream of rank *r* is proportional to
    /// 1 / *r*ˢ. With 0 all streams have the same traffic.
    pub zipf_exponent: f64,
    /// The first instant of event time.
    pub start: EventTime,
    /// The length of event time, in milliseconds; whole seconds.
    pub duration_ms: u64,
    /// Whether the generator never ends. Each [`duration_ms`](Self::duration_ms) is then like the one before:
    /// moments are planted anew, and the streams that ended start again.
    pub endless: bool,
    /// Chat messages per second of event time, over all streams, without planted spikes and duplicates.
    pub events_per_second: f64,
    /// The number of partitions; the hash of a stream's id chooses its partition.
    pub partitions: u32,
    /// The interval at which a stream reports its viewers, in milliseconds; whole seconds, 0 for never.
    pub viewer_interval_ms: u64,
    /// The number of raids per stream and hour. A raid brings up to three times the usual viewers, who leave
    /// again within minutes. Raids are not planted moments.
    pub raids_per_hour: f64,
    /// The number of drops per stream and hour. In a drop a stream loses up to three quarters of its viewers,
    /// who come back within minutes. Drops are not planted moments.
    pub drops_per_hour: f64,
    /// Transactions per chat message, without planted surges.
    pub transaction_ratio: f64,
    /// Whether streams report starts, titles, categories and ends.
    pub metadata: bool,
    /// Title and category changes per stream and hour.
    pub changes_per_hour: f64,
    /// The share of streams that end with the last second.
    pub stream_end_ratio: f64,
    /// The number of different users who write in one stream.
    pub users_per_stream: u32,
    /// The emotes, those used most first. May be empty.
    pub emotes: Vec<String>,
    /// The mean length of a chat message in bytes. The default makes chat records of 280 bytes of JSON.
    pub message_bytes: u32,
    /// The mean delay between the time of an event and its arrival, in milliseconds. Delays are exponentially
    /// distributed, so events arrive out of order.
    pub disorder_mean_ms: u64,
    /// The share of events that arrive late, by [`late_delay_ms`](Self::late_delay_ms).
    pub late_ratio: f64,
    /// The least and the greatest additional delay of late events, in milliseconds. By default they are late,
    /// but within the allowed lateness, if the out-of-orderness is 10 s, the slide 10 s and the allowed
    /// lateness 5 min.
    pub late_delay_ms: (u64, u64),
    /// The share of events that arrive too late, by [`too_late_delay_ms`](Self::too_late_delay_ms).
    pub too_late_ratio: f64,
    /// The least and the greatest additional delay of too late events, in milliseconds. No event arrives late
    /// after the end of event time, as the watermark no longer moves there; so the last events are neither
    /// late nor too late.
    pub too_late_delay_ms: (u64, u64),
    /// The share of events that are sent again, within seconds.
    pub duplicate_ratio: f64,
    /// The share of records that are damaged, so that no decoder can read them.
    pub malformed_ratio: f64,
    /// The share of events whose time is 50 years ahead.
    pub future_ratio: f64,
    /// The moments to plant.
    pub planted: Planting,
}

/// The number and strength of the moments to plant. Each is on a stream with enough traffic to
/// distinguish it from chance, and no two moments of one metric are on the same stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Planting {
    /// The number of chat spikes.
    pub chat_spikes: u32,
    /// The factor by which the rate of chat is higher in a spike.
    pub spike_factor: f64,
    /// The number of viewer surges (for example by a raid).
    pub viewer_surges: u32,
    /// The factor by which there are more viewers in a surge.
    pub surge_factor: f64,
    /// The number of viewer drops.
    pub viewer_drops: u32,
    /// The remaining share of the viewers in a drop.
    pub drop_factor: f64,
    /// The number of donation surges.
    pub donation_surges: u32,
    /// The factor by which there are more transactions in a donation surge.
    pub donation_factor: f64,
    /// The number of sentiment shifts, to negative sentiment.
    pub sentiment_shifts: u32,
    /// The length of each moment, in milliseconds; whole seconds.
    pub duration_ms: u64,
    /// The time at the beginning in which nothing is planted, so that there is a baseline, in milliseconds.
    pub warm_up_ms: u64,
}

impl Default for GeneratorConfig {
    fn default() -> Self {
        Self {
            seed: 1,
            streams: 1000,
            stream_ids: Vec::new(),
            zipf_exponent: 0.9,
            start: EventTime(1_767_225_600_000),
            duration_ms: 30 * 60_000,
            endless: false,
            events_per_second: 1000.0,
            partitions: 4,
            viewer_interval_ms: 15_000,
            raids_per_hour: 0.0,
            drops_per_hour: 0.0,
            transaction_ratio: 0.01,
            metadata: true,
            changes_per_hour: 1.0,
            stream_end_ratio: 0.3,
            users_per_stream: 2000,
            emotes: super::words::EMOTES.iter().map(|&emote| emote.to_owned()).collect(),
            message_bytes: 52,
            disorder_mean_ms: 800,
            late_ratio: 0.005,
            late_delay_ms: (35_000, 270_000),
            too_late_ratio: 0.0005,
            too_late_delay_ms: (345_000, 600_000),
            duplicate_ratio: 0.001,
            malformed_ratio: 0.0005,
            future_ratio: 0.0001,
            planted: Planting::default(),
        }
    }
}

impl Default for Planting {
    fn default() -> Self {
        Self {
            chat_spikes: 8,
            spike_factor: 5.0,
            viewer_surges: 5,
            surge_factor: 3.0,
            viewer_drops: 5,
            drop_factor: 0.25,
            donation_surges: 5,
            donation_factor: 10.0,
            sentiment_shifts: 4,
            duration_ms: 120_000,
            warm_up_ms: 600_000,
        }
    }
}

impl Planting {
    /// Creates settings that plant no moments.
    #[must_use]
    pub fn none() -> Self {
        Self {
            chat_spikes: 0,
            viewer_surges: 0,
            viewer_drops: 0,
            donation_surges: 0,
            sentiment_shifts: 0,
            ..Self::default()
        }
    }

    /// Returns whether no moment is planted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        [self.chat_spikes, self.viewer_surges, self.viewer_drops, self.donation_surges, self.sentiment_shifts]
            .iter()
            .all(|&count| count == 0)
    }
}

impl GeneratorConfig {
    /// Creates settings for chat messages alone: they are out of order, but none is late, damaged or a duplicate, and no
    /// moments are planted.
    #[must_use]
    pub fn chat_only() -> Self {
        Self {
            viewer_interval_ms: 0,
            transaction_ratio: 0.0,
            metadata: false,
            planted: Planting::none(),
            ..Self::default().flawless()
        }
    }

    /// Returns the same settings without late, too late, duplicate, malformed and future events.
    #[must_use]
    pub fn flawless(self) -> Self {
        Self {
            late_ratio: 0.0,
            too_late_ratio: 0.0,
            duplicate_ratio: 0.0,
            malformed_ratio: 0.0,
            future_ratio: 0.0,
            ..self
        }
    }
}
