//! The plan of a generator: everything that follows from the settings, computed once for all partitions.

use std::collections::HashSet;

use super::config::GeneratorConfig;
use super::planted::{Plant, PlantedMoment, plant};
use super::random::{Chance, Exponential, Weighted, zipf};
use crate::core::{ConfigError, PartitionId};
use crate::livestream::StreamId;

/// A tick: one second of event time, which is generated at once.
pub(super) const TICK: u64 = 1000;

#[derive(Debug)]
pub(super) struct Plan {
    pub(super) config: GeneratorConfig,
    pub(super) ticks: u64,
    /// The streams' ids, by rank.
    pub(super) streams: Vec<String>,
    /// The streams' shares of the traffic, by rank.
    pub(super) weights: Vec<u64>,
    total_weight: u64,
    pub(super) plants: Vec<Plant>,
    pub(super) shares: Vec<Share>,
    pub(super) delays: Exponential,
    pub(super) flaws: Flaws,
    /// The probability that a stream ends with the last second.
    pub(super) ending: Chance,
}

/// The share of one partition in all events.
#[derive(Debug, Default)]
pub(super) struct Share {
    pub(super) streams: Vec<u32>,
    pub(super) weighted: Option<Weighted>,
    pub(super) chats: u64,
    pub(super) transactions: u64,
    pub(super) changes: u64,
    pub(super) plants: Vec<Plant>,
}

/// The thresholds of a draw below 2³² for each flaw of an event; each includes those before it.
#[derive(Copy, Clone, Debug)]
pub(super) struct Flaws {
    pub(super) malformed: u64,
    pub(super) future: u64,
    pub(super) late: u64,
    pub(super) too_late: u64,
    pub(super) duplicate: u64,
}

impl Plan {
    pub(super) fn new(config: GeneratorConfig) -> Result<Self, ConfigError> {
        config.validate()?;
        let weights = zipf(config.streams, config.zipf_exponent);
        let plants = plant(&config, &weights, 0)?;
        let streams = names(&config)?;
        let mut plan = Self {
            ticks: config.duration_ms / TICK,
            delays: Exponential::new(config.disorder_mean_ms),
            flaws: Flaws::new(&config),
            ending: Chance::new(config.stream_end_ratio),
            shares: Vec::new(),
            streams,
            total_weight: weights.iter().sum(),
            weights,
            plants,
            config,
        };
        plan.share();
        Ok(plan)
    }

    /// Divides the streams, and all counts with them, over the partitions.
    fn share(&mut self) {
        let partitions = u64::from(self.config.partitions);
        self.shares.resize_with(self.config.partitions as usize, Share::default);
        for (rank, id) in self.streams.iter().enumerate() {
            let hash = xxhash_rust::xxh3::xxh3_64(id.as_bytes());
            self.shares[(hash % partitions) as usize].streams.push(rank as u32);
        }
        let seconds = self.ticks as f64;
        let chats = (self.config.events_per_second * seconds).round() as u64;
        let transactions = (chats as f64 * self.config.transaction_ratio).round() as u64;
        let (total, streams) = (self.total_weight, self.streams.len() as u64);
        let changes =
            if self.config.metadata { self.config.changes_per_hour * seconds / 3600.0 } else { 0.0 };
        let changes = (changes * streams as f64).round() as u64;
        // Shares are differences of rounded running sums, so that they add up to exactly the whole.
        let (mut weight, mut count) = (0, 0);
        for share in &mut self.shares {
            let of_share: Vec<u64> = share.streams.iter().map(|&rank| self.weights[rank as usize]).collect();
            let (from, to) = (weight, weight + of_share.iter().sum::<u64>());
            let (first, last) = (count, count + share.streams.len() as u64);
            share.chats = part(chats, to, total) - part(chats, from, total);
            share.transactions = part(transactions, to, total) - part(transactions, from, total);
            share.changes = part(changes, last, streams) - part(changes, first, streams);
            share.weighted = (!of_share.is_empty()).then(|| Weighted::new(&of_share));
            share.plants = share.of(&self.plants);
            (weight, count) = (to, last);
        }
    }

    /// The number of events, of `total` over the whole duration, that fall into this tick.
    pub(super) fn due(&self, total: u64, tick: u64) -> u64 {
        part(total, tick + 1, self.ticks) - part(total, tick, self.ticks)
    }

    /// The number of additional events of `stream` in this tick while `plant` lasts, for an average `total`
    /// of all streams over the whole duration.
    pub(super) fn extra(&self, total: f64, plant: &Plant, tick: u64) -> u64 {
        let share = self.weights[plant.stream as usize] as f64 / self.total_weight as f64;
        let length = plant.to - plant.from;
        let usual = total * share * length as f64 / self.ticks as f64;
        let extra = (usual * (plant.milli as f64 / 1000.0 - 1.0)) as u64;
        part(extra, tick - plant.from + 1, length) - part(extra, tick - plant.from, length)
    }

    pub(super) fn partition_ids(&self) -> Vec<PartitionId> {
        (0..self.shares.len()).map(|index| PartitionId::new(&format!("generator/{index}"))).collect()
    }

    pub(super) fn planted(&self) -> Vec<PlantedMoment> {
        self.plants.iter().map(|plant| self.moment(plant, 0)).collect()
    }

    /// The planted moment of a plant in the act that begins with this tick.
    pub(super) fn moment(&self, plant: &Plant, act_start: u64) -> PlantedMoment {
        PlantedMoment {
            stream_id: StreamId::new(&self.streams[plant.stream as usize]),
            moment_type: plant.effect.as_str().into(),
            started_at: self.config.start.plus((act_start + plant.from) * TICK),
            ended_at: self.config.start.plus((act_start + plant.to) * TICK),
            factor: plant.milli as f64 / 1000.0,
        }
    }

    /// The moments on streams of a partition that begin before this tick, in all acts.
    pub(super) fn planted_before(&self, tick: u64, partition: usize) -> Vec<PlantedMoment> {
        let share = &self.shares[partition];
        let of_act = |act: u64| {
            let start = act * self.ticks;
            let plants = if act == 0 { share.plants.clone() } else { share.of(&self.replant(act)) };
            let begun = plants.into_iter().filter(move |plant| start + plant.from < tick);
            begun.map(move |plant| self.moment(&plant, start))
        };
        (0..tick.div_ceil(self.ticks)).flat_map(of_act).collect()
    }

    /// The plants of a later act.
    pub(super) fn replant(&self, act: u64) -> Vec<Plant> {
        // The settings were valid for the first act, and later acts need no more streams.
        plant(&self.config, &self.weights, act).unwrap_or_default()
    }
}

impl Share {
    /// The plants that are on the partition's streams.
    pub(super) fn of(&self, plants: &[Plant]) -> Vec<Plant> {
        plants.iter().filter(|plant| self.streams.binary_search(&plant.stream).is_ok()).copied().collect()
    }
}

/// The streams' ids, by rank.
fn names(config: &GeneratorConfig) -> Result<Vec<String>, ConfigError> {
    let width = config.streams.to_string().len().max(4);
    let given = config.stream_ids.len() as u32;
    let made = (given + 1..=config.streams).map(|rank| format!("stream_{rank:0width$}"));
    let names: Vec<String> = config.stream_ids.iter().cloned().chain(made).collect();
    let mut known = HashSet::new();
    match names.iter().find(|name| given > 0 && !known.insert(name.as_str())) {
        None => Ok(names),
        Some(twice) => Err(ConfigError::new(
            "generator.stream_ids",
            format!("two streams are called `{twice}`"),
            "give each an id of its own",
        )),
    }
}

impl Flaws {
    fn new(config: &GeneratorConfig) -> Self {
        let malformed = Chance::new(config.malformed_ratio).0;
        let future = malformed + Chance::new(config.future_ratio).0;
        let late = future + Chance::new(config.late_ratio).0;
        let too_late = late + Chance::new(config.too_late_ratio).0;
        let duplicate = too_late + Chance::new(config.duplicate_ratio).0;
        Self { malformed, future, late, too_late, duplicate }
    }
}

/// `total · part / whole`, rounded down.
fn part(total: u64, part: u64, whole: u64) -> u64 {
    (u128::from(total) * u128::from(part) / u128::from(whole)) as u64
}
