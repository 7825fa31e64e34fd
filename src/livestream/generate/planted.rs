use std::collections::HashSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::config::GeneratorConfig;
use super::random::{Random, mix};
use crate::core::{ConfigError, EventTime};
use crate::livestream::StreamId;

/// A moment that the generator planted, for a comparison with the moments found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlantedMoment {
    /// The stream.
    pub stream_id: StreamId,
    /// The type: `chat_spike`, `viewer_surge`, `viewer_drop`, `donation_surge` or `sentiment_shift`.
    pub moment_type: Arc<str>,
    /// The first instant of the moment.
    pub started_at: EventTime,
    /// The first instant after the moment.
    pub ended_at: EventTime,
    /// The factor by which its metric is multiplied in between; 1 for a sentiment shift.
    pub factor: f64,
}

/// The least number of chat messages per minute for a planted spike: below it, chance makes spikes too.
const SPIKE_CHATS_PER_MINUTE: f64 = 30.0;
/// The least number of chat messages per minute for a planted shift: below it, the mean sentiment is mostly
/// chance.
const SHIFT_CHATS_PER_MINUTE: f64 = 60.0;
/// The least number of transactions per minute for a planted surge: below it, a surge is a few transactions.
const SURGE_TRANSACTIONS_PER_MINUTE: f64 = 3.0;

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    ChatSpike,
    ViewerSurge,
    ViewerDrop,
    DonationSurge,
    SentimentShift,
}

impl Effect {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::ChatSpike => "chat_spike",
            Self::ViewerSurge => "viewer_surge",
            Self::ViewerDrop => "viewer_drop",
            Self::DonationSurge => "donation_surge",
            Self::SentimentShift => "sentiment_shift",
        }
    }

    /// Whether two moments on one stream would change the same metric, and so could not be told apart.
    fn shares_metric(self, other: Self) -> bool {
        let viewers = |effect| matches!(effect, Self::ViewerSurge | Self::ViewerDrop);
        self == other || (viewers(self) && viewers(other))
    }
}

/// A planted moment inside the generator: seconds since the start, and the factor in thousandths.
#[derive(Copy, Clone, Debug)]
pub(super) struct Plant {
    pub(super) stream: u32,
    pub(super) effect: Effect,
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) milli: u64,
}

impl Plant {
    pub(super) fn is_active(&self, tick: u64) -> bool {
        (self.from..self.to).contains(&tick)
    }
}

/// Chooses streams and times, anew for each act. `weights` are the streams' shares of the traffic, greatest
/// first.
pub(super) fn plant(config: &GeneratorConfig, weights: &[u64], act: u64) -> Result<Vec<Plant>, ConfigError> {
    let planting = &config.planted;
    let total: u64 = weights.iter().sum();
    let per_minute = |weight: u64| config.events_per_second * 60.0 * weight as f64 / total as f64;
    // Streams are ordered by rank, so those with enough traffic are the first ones.
    let busy =
        |least: f64, ratio: f64| weights.iter().take_while(|&&w| per_minute(w) * ratio >= least).count();
    let watched = if config.viewer_interval_ms > 0 { weights.len() } else { 0 };
    let donated = busy(SURGE_TRANSACTIONS_PER_MINUTE, config.transaction_ratio);
    let wanted = [
        (Effect::ChatSpike, planting.chat_spikes, planting.spike_factor, busy(SPIKE_CHATS_PER_MINUTE, 1.0)),
        (Effect::ViewerSurge, planting.viewer_surges, planting.surge_factor, watched),
        (Effect::ViewerDrop, planting.viewer_drops, planting.drop_factor, watched),
        (Effect::DonationSurge, planting.donation_surges, planting.donation_factor, donated),
        (Effect::SentimentShift, planting.sentiment_shifts, 1.0, busy(SHIFT_CHATS_PER_MINUTE, 1.0)),
    ];

    // The first act equals the run of a generator that has no others.
    let salt = if act == 0 { 0 } else { mix(act) };
    let mut random = Random::new(mix(config.seed) ^ 0x706C_616E_7465_6400 ^ salt);
    let length = planting.duration_ms / 1000;
    let (first, last) = (planting.warm_up_ms / 1000, (config.duration_ms / 1000).saturating_sub(length));
    let mut plants: Vec<Plant> = Vec::new();
    for (effect, count, factor, candidates) in wanted {
        let taken: HashSet<u32> =
            plants.iter().filter(|p| p.effect.shares_metric(effect)).map(|p| p.stream).collect();
        let mut free: Vec<u32> = (0..candidates as u32).filter(|stream| !taken.contains(stream)).collect();
        if free.len() < count as usize {
            return Err(ConfigError::new(
                "generator.planted",
                format!(
                    "{count} moments of type {} need as many streams with enough traffic, and {} are free",
                    effect.as_str(),
                    free.len()
                ),
                "plant fewer, or raise `events_per_second`, `transaction_ratio` or `streams`",
            ));
        }
        for _ in 0..count {
            let stream = free.swap_remove(random.below(free.len() as u64) as usize);
            let from = random.between(first, last);
            let milli = (factor * 1000.0) as u64;
            plants.push(Plant { stream, effect, from, to: from + length, milli });
        }
    }
    Ok(plants)
}
