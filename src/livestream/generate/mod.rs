//! A seeded generator of live streams, for demos, tests and benchmarks: a source that makes the same records on every
//! machine and knows their ground truth.
//!
//! The generator decides which events occur, second by second, by a counter-based random number generator. It writes
//! their bytes separately. So records can be generated lazily and fast, skipped cheaply when a partition is opened at an
//! offset, and counted in advance. The numbers of malformed and duplicate events and the planted moments are known
//! exactly, and the numbers of late events approximately: see [`GroundTruth`].

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

use crate::core::{
    ConfigError, ExternalError, Partition, PartitionId, Polled, RecordBatch, Source, key_hash,
};

/// A source of generated live-stream events, as JSON records of all four kinds; decode them by
/// [`JsonDecoder::mixed`](super::JsonDecoder::mixed).
///
/// The hash of a stream's id chooses the partition of its events. A partition's records are in the order of
/// arrival: event time plus a delay. The same seed and settings make the same bytes, partition by partition.
/// Memory grows with the rate and the longest delay, not with the duration.
///
/// A partition can be replayed from any offset, which is the number of a record in it. To open a partition,
/// the generator makes the decisions about all records before the offset, and writes none of them.
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
    /// Creates a generator with these settings.
    ///
    /// # Errors
    ///
    /// If a setting cannot work, of which the error names the first, or if too few streams have enough traffic for the
    /// moments to be planted.
    pub fn new(config: GeneratorConfig) -> Result<Self, ConfigError> {
        Ok(Self { plan: Arc::new(Plan::new(config)?) })
    }

    /// Returns the settings of the generator.
    #[must_use]
    pub fn config(&self) -> &GeneratorConfig {
        &self.plan.config
    }

    /// Returns the planted moments; for an endless generator, the moments of the first
    /// [`duration_ms`](GeneratorConfig::duration_ms).
    #[must_use]
    pub fn planted(&self) -> Vec<PlantedMoment> {
        self.plan.planted()
    }

    /// Returns an iterator-like [`Feed`] of the records of one partition, counted from 0; `None` if there is no such
    /// partition.
    #[must_use]
    pub fn feed(&self, partition: u32) -> Option<Feed> {
        let index = partition as usize;
        (index < self.plan.shares.len()).then(|| Feed::new(&self.plan, index))
    }

    /// The counts of what the generator makes; for an endless one, of what it would make if it ended with the
    /// first [`duration_ms`](GeneratorConfig::duration_ms). It makes all decisions, so it takes a fraction of
    /// the time of reading the records.
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
        Ok(Box::new(self.open_at(id, from.unwrap_or(0))?))
    }

    fn resume(
        &mut self,
        id: &PartitionId,
        from: u64,
        identity: Option<u64>,
    ) -> Result<Box<dyn Partition>, ExternalError> {
        let mut partition = self.open_at(id, from)?;
        if identity.is_some() && partition.identity(from) != identity {
            return Err(ExternalError::permanent(format!(
                "cannot open the partition `{id}` at offset {from}: the record before is another one than it was; give the generator \
                 the settings of the first run, or start afresh with another checkpoint"
            )));
        }
        Ok(Box::new(partition))
    }
}

impl Generator {
    fn open_at(&self, id: &PartitionId, from: u64) -> Result<Generated, ExternalError> {
        let Some(index) = self.plan.partition_ids().iter().position(|known| known == id) else {
            let count = self.plan.shares.len();
            return Err(ExternalError::permanent(format!(
                "cannot open the partition `{id}`: the generator has {count}, from `generator/0` on; give it the settings of the first run"
            )));
        };
        let mut partition = Generated {
            cursor: Cursor::new(&self.plan, index),
            next: 0,
            last: 0,
            writer: Writer::new(Arc::clone(&self.plan)),
        };
        // The record before the offset shows whether the offset belongs to these records.
        let before = from.saturating_sub(1);
        partition.next = partition.cursor.skip(before);
        let mut last = Vec::new();
        if partition.next < before || (from > 0 && !partition.write(&mut last)) {
            return Err(ExternalError::permanent(format!(
                "cannot open the partition `{id}` at offset {from}: it has {} records; give the generator the settings of the first run",
                partition.next
            )));
        }
        partition.last = key_hash(&last[..]);
        Ok(partition)
    }
}

struct Generated {
    cursor: Cursor,
    next: u64,
    /// The hash of the record before.
    last: u64,
    writer: Writer,
}

impl Generated {
    /// Appends the next record, if there is one.
    fn write(&mut self, out: &mut Vec<u8>) -> bool {
        let Some(arrival) = self.cursor.next() else { return false };
        self.writer.write(arrival, out);
        self.next += 1;
        true
    }
}

impl Partition for Generated {
    fn poll(&mut self, batch: &mut RecordBatch) -> Result<Polled, ExternalError> {
        let before = self.next;
        let mut ended = false;
        while !batch.is_full() && !ended {
            let out = batch.buffer_mut();
            let start = out.len();
            ended = !self.write(out);
            if !ended {
                let range = start..out.len();
                batch.mark(range, self.next - 1);
            }
        }
        if self.next == before {
            return Ok(if ended { Polled::Done } else { Polled::Ready });
        }
        self.last = batch.records().last().map_or(self.last, |last| key_hash(batch.bytes_of(last)));
        // The last records are returned before the end.
        Ok(Polled::Ready)
    }

    fn offset(&self) -> u64 {
        self.next
    }

    fn identity(&mut self, offset: u64) -> Option<u64> {
        (offset == self.next && offset > 0).then_some(self.last)
    }
}
