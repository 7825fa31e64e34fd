//! The contracts of sources and their partitions.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::error::ExternalError;
use crate::read::batch::RecordBatch;

/// The name of a partition, unique in a pipeline and the same after a restart.
///
/// ```
/// let id = telemetra_core::PartitionId::new("readings/3");
/// assert_eq!(id.as_str(), "readings/3");
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct PartitionId(Arc<str>);

impl PartitionId {
    /// Creates the id of the partition with that name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// Returns the name of the partition.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl fmt::Debug for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A source of records: it lists its partitions and opens them, like a Kafka topic or a folder of files.
///
/// # Contract
///
/// * **Same list everywhere.** [`partitions`](Self::partitions) gives the same names in the same order on
///   every process of a cluster. Each process opens the partitions that are assigned to it.
/// * **Replayable if possible.** [`open`](Self::open) with an offset gives the records from that offset on,
///   with the same bytes in the same order as before. A source that cannot do this (a socket, a channel)
///   returns an error, or continues with new records and documents that a restart loses those in memory.
///
/// Checked by [`source_compliance`](crate::testkit::source_compliance):
///
/// ```
/// use telemetra_core::{ExternalError, Partition, PartitionId, Polled, RecordBatch, Source};
///
/// /// One partition, with the numbers below ten.
/// struct Numbers;
///
/// impl Source for Numbers {
///     fn partitions(&mut self) -> Result<Vec<PartitionId>, ExternalError> {
///         Ok(vec![PartitionId::new("numbers")])
///     }
///     fn open(&mut self, _: &PartitionId, from: Option<u64>) -> Result<Box<dyn Partition>, ExternalError> {
///         Ok(Box::new(From(from.unwrap_or(0))))
///     }
/// }
///
/// struct From(u64);
///
/// impl Partition for From {
///     fn poll(&mut self, batch: &mut RecordBatch) -> Result<Polled, ExternalError> {
///         while self.0 < 10 && !batch.is_full() {
///             batch.push(self.0.to_string().as_bytes(), self.0);
///             self.0 += 1;
///         }
///         Ok(if self.0 < 10 { Polled::Ready } else { Polled::Done })
///     }
///     fn offset(&self) -> u64 {
///         self.0
///     }
/// }
///
/// telemetra_core::testkit::source_compliance(|| Box::new(Numbers));
/// ```
pub trait Source: Send {
    /// Returns the ids of all partitions. A pipeline starts from a checkpoint only if all partitions in it
    /// are listed, except those that had [ended](Polled::Done).
    ///
    /// # Errors
    ///
    /// If the source cannot be reached, or does not exist.
    fn partitions(&mut self) -> Result<Vec<PartitionId>, ExternalError>;

    /// Opens a partition at the offset `from`; without one, at the start that is configured.
    ///
    /// # Errors
    ///
    /// If the partition cannot be read, or no longer has a record at the offset.
    fn open(
        &mut self,
        partition: &PartitionId,
        from: Option<u64>,
    ) -> Result<Box<dyn Partition>, ExternalError>;

    /// Opens a partition at the position of a checkpoint. `identity` is the partition's
    /// [identity](Partition::identity) at the time of the checkpoint. A source whose partitions have an
    /// identity must implement this, and refuse a different partition under the same name. By default it
    /// calls [`open`](Self::open).
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open), and if the partition is not the one that was read before.
    fn resume(
        &mut self,
        partition: &PartitionId,
        from: u64,
        identity: Option<u64>,
    ) -> Result<Box<dyn Partition>, ExternalError> {
        let _ = identity;
        self.open(partition, Some(from))
    }

    /// Opens a partition that was discovered while the pipeline runs, at its first record. A source whose
    /// configured start may be later must implement this, or it would miss the records written before the
    /// discovery. By default it calls [`open`](Self::open).
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open).
    fn open_new(&mut self, partition: &PartitionId) -> Result<Box<dyn Partition>, ExternalError> {
        self.open(partition, None)
    }

    /// The interval of partition discovery: how often [`partitions`](Self::partitions) is called while the
    /// pipeline runs, on a thread that may block. `None`, the default, turns it off.
    ///
    /// In a cluster each process calls it, and a new partition is opened by one of the processes that read
    /// from the start. A call that fails is logged and repeated after the interval. The pipeline does not
    /// wait for the thread when it ends, so a call may return after that.
    fn refresh_every(&self) -> Option<Duration> {
        None
    }

    /// Returns whether a partition of a checkpoint that is not listed any more was one of this source, and
    /// may go, like a file of a folder that is cleared of old files. What it counted stays counted; what lay
    /// from `offset` on is lost, and the source should log that. `false`, the default, makes it an error.
    fn may_be_gone(&mut self, partition: &PartitionId, offset: u64) -> bool {
        let _ = (partition, offset);
        false
    }
}

/// An open partition: an ordered, replayable sequence of records with offsets, like a Kafka partition or a
/// file.
///
/// # Contract
///
/// * **Never blocks.** [`poll`](Self::poll) appends the records that are available until the batch is
///   [full](RecordBatch::is_full), and returns. Any worker may call it.
/// * **Offsets grow.** The offset of a record is greater than that of the record before.
/// * **Resume is exact.** A partition that is opened at [`offset`](Self::offset) continues with the record
///   after the last one: none is repeated and none is skipped.
/// * **The end is final.** After [`Polled::Done`] the partition is not polled again.
///
/// Checked by [`source_compliance`](crate::testkit::source_compliance).
pub trait Partition: Send {
    /// Appends the next records to `batch`.
    ///
    /// # Errors
    ///
    /// If reading failed. After a transient error the partition is polled again with backoff; a permanent
    /// error stops the pipeline.
    fn poll(&mut self, batch: &mut RecordBatch) -> Result<Polled, ExternalError>;

    /// Returns the offset of the next record, which checkpoints contain.
    fn offset(&self) -> u64;

    /// A hash that identifies the input before `offset`, for checkpoints. It is the same whenever the same
    /// partition is asked for the same offset, also after the partition has grown, and differs if other
    /// records lie before the offset. `None`, the default, means that the partition cannot compute it. A
    /// restart passes it to [`Source::resume`].
    fn identity(&mut self, offset: u64) -> Option<u64> {
        let _ = offset;
        None
    }

    /// The topic of its records, which decoders get. Empty by default.
    fn topic(&self) -> &str {
        ""
    }

    /// The number of records from [`offset`](Self::offset) to the present end of the partition, for metrics.
    /// It is called often and must not block, so it may be slightly out of date. `None`, the default, means
    /// unknown.
    fn lag(&self) -> Option<u64> {
        None
    }

    /// The number of records that were skipped since the partition was opened because they no longer existed,
    /// for metrics. 0, the default, is right for a partition that never skips, or fails instead.
    fn lost(&self) -> u64 {
        0
    }

    /// Called when a checkpoint contains all records before `offset`, so that the source may commit it. Does
    /// nothing by default.
    fn committed(&mut self, offset: u64) {
        let _ = offset;
    }
}

/// The result of a poll: whether the partition may have more records, and when to ask again.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Polled {
    /// There may be more records now.
    Ready,
    /// There is no more record now. The partition is polled again after this pause. If polls keep returning
    /// this, the partition becomes [idle](crate::TimeConfig::idle_after).
    Idle(Duration),
    /// It is not known yet whether there is a record: it is being fetched, or fetching was paused. The
    /// partition is polled again after this pause, which does not count as silence.
    Pending(Duration),
    /// There will be no more records.
    Done,
}
