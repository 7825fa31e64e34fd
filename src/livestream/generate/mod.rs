//! A source of made-up live streams, seeded: the same on every machine, with its own ground truth.
//!
//! The idea: what happens is decided by integers drawn from a counter, second by second, and apart from that the bytes are
//! written. So records can be made lazily and fast, skipped for little when a partition is opened at an offset, and
//! counted in advance: what is malformed, sent twice, late, or a planted moment is known exactly.

mod arrivals;
mod config;
mod content;
mod cursor;
mod damage;
mod feed;
mod plan;
mod planted;
pub(crate) mod random;
mod score;
mod truth;
mod validate;
mod viewers;
mod words;

pub use config::{GeneratorConfig, Planting};
pub use feed::{Feed, GeneratedRecord};
pub use planted::PlantedMoment;
pub use score::{Score, score};
pub use truth::GroundTruth;

use std::sync::Arc;

use content::Writer;
use cursor::Cursor;
use plan::Plan;

use crate::core::{ConfigError, ExternalError, Partition, PartitionId, Polled, RecordBatch, Source};

/// A source of made-up events, as JSON records of all four kinds.
///
/// A stream's events are in the partition that the hash of its id says. A partition's records are in the order of
/// arrival: event time plus a delay. The same seed and settings make the same bytes, partition by partition. Memory
/// grows with the rate and the longest delay, not with the duration.
///
/// Replayable from any offset, which is the number of a record in its partition. To open one the generator decides on all
/// that comes before and writes none of it.
///
/// ```
/// use telemetra::livestream::generate::{Generator, GeneratorConfig, Planting};
/// use telemetra::core::{Polled, RecordBatch, Source};
/// let config = GeneratorConfig {
///     streams: 20,
///     duration_ms: 10_000,
///     partitions: 2,
///     planted: Planting::none(),
///     ..GeneratorConfig::default()
/// };
/// let mut generator = Generator::new(config)?;
/// let mut read = 0;
/// for id in generator.partitions()? {
///     let mut partition = generator.open(&id, None)?;
///     let mut batch = RecordBatch::default();
///     while partition.poll(&mut batch)? != Polled::Done {
///         read += batch.records().len() as u64;
///         batch.clear();
///     }
/// }
/// assert_eq!(read, generator.ground_truth().fates.read);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Generator {
    plan: Arc<Plan>,
}

impl Generator {
    /// A generator with these settings.
    ///
    /// # Errors
    ///
    /// The first setting that cannot work; also if fewer streams than needed have the traffic for the moments to be planted.
    pub fn new(config: GeneratorConfig) -> Result<Self, ConfigError> {
        Ok(Self { plan: Arc::new(Plan::new(config)?) })
    }

    /// Its settings.
    #[must_use]
    pub fn config(&self) -> &GeneratorConfig {
        &self.plan.config
    }

    /// The planted moments; of an endless one those of the first [`duration_ms`](GeneratorConfig::duration_ms).
    #[must_use]
    pub fn planted(&self) -> Vec<PlantedMoment> {
        self.plan.planted()
    }

    /// The records of one partition, counted from 0, one at a time; `None` if there is no such partition.
    #[must_use]
    pub fn feed(&self, partition: u32) -> Option<Feed> {
        let index = partition as usize;
        (index < self.plan.shares.len()).then(|| Feed::new(&self.plan, index))
    }

    /// What it makes, counted; of an endless one, what it would make if it ended with the first
    /// [`duration_ms`](GeneratorConfig::duration_ms). Decides on all events, so it takes a fraction of the time that reading them takes.
    #[must_use]
    pub fn ground_truth(&self) -> GroundTruth {
        GroundTruth::new(&self.plan)
    }
}

impl Source for Generator {
    fn partitions(&mut self) -> Result<Vec<PartitionId>, ExternalError> {
        Ok(self.plan.partition_ids())
    }

    fn open(&mut self, id: &PartitionId, from: Option<u64>) -> Result<Box<dyn Partition>, ExternalError> {
        let Some(index) = self.plan.partition_ids().iter().position(|known| known == id) else {
            let count = self.plan.shares.len();
            return Err(ExternalError::permanent(format!(
                "cannot open the partition `{id}`: the generator has {count}, from `generator/0` on; give it the settings of the first run"
            )));
        };
        let mut partition = Generated {
            cursor: Cursor::new(&self.plan, index),
            next: 0,
            writer: Writer::new(Arc::clone(&self.plan)),
        };
        let from = from.unwrap_or(0);
        partition.next = partition.cursor.skip(from);
        if partition.next < from {
            return Err(ExternalError::permanent(format!(
                "cannot open the partition `{id}` at offset {from}: it has {} records; give the generator the settings of the first run",
                partition.next
            )));
        }
        Ok(Box::new(partition))
    }
}

struct Generated {
    cursor: Cursor,
    next: u64,
    writer: Writer,
}

impl Partition for Generated {
    fn poll(&mut self, batch: &mut RecordBatch) -> Result<Polled, ExternalError> {
        let before = self.next;
        while !batch.is_full() {
            let Some(arrival) = self.cursor.next() else {
                // The last records go on their way first.
                return Ok(if self.next > before { Polled::Ready } else { Polled::Done });
            };
            let out = batch.buffer_mut();
            let start = out.len();
            self.writer.write(arrival, out);
            let range = start..out.len();
            batch.mark(range, self.next);
            self.next += 1;
        }
        Ok(Polled::Ready)
    }

    fn offset(&self) -> u64 {
        self.next
    }
}
