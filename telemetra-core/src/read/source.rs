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
    /// The partition of that name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// Its name.
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

/// Something that has partitions to read.
///
/// # Contract
///
/// * **Same list everywhere.** [`partitions`](Self::partitions) gives the same names in the same order on
///   every process of a cluster; each process opens those that fall to it.
/// * **Replayable where it can be.** [`open`](Self::open) with an offset gives the records from that offset on,
///   the same bytes in the same order as before. A source that cannot (a socket, a channel) says so by an
///   error, or starts with what it has and documents that a restart loses what was in memory.
pub trait Source: Send {
    /// The names of the partitions. One that a checkpoint counts must be among them, or the pipeline does not start from it; one
    /// that had [ended](Polled::Done) by then need not.
    ///
    /// # Errors
    ///
    /// If the source cannot be reached, or does not exist.
    fn partitions(&mut self) -> Result<Vec<PartitionId>, ExternalError>;

    /// Opens one partition, at `from` if given, else at its configured beginning.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or no longer holds the offset asked for.
    fn open(
        &mut self,
        partition: &PartitionId,
        from: Option<u64>,
    ) -> Result<Box<dyn Partition>, ExternalError>;

    /// Opens a partition that came into being after the pipeline began, from its first record: a source that may be
    /// told to begin elsewhere would lose what was written before it was found. By default the same as to open it.
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open).
    fn open_new(&mut self, partition: &PartitionId) -> Result<Box<dyn Partition>, ExternalError> {
        self.open(partition, None)
    }

    /// How often to ask for [`partitions`](Self::partitions) while the pipeline runs, so that new ones are read too; the
    /// source is then kept, and asked on a thread that may block. By default never.
    ///
    /// In a cluster each process asks, and a new partition is opened by one of those that read something at the start.
    /// What fails while the pipeline runs is logged and tried again the next time.
    /// When the pipeline ends the thread is not waited for: a call that it is in may outlast the pipeline.
    fn refresh_every(&self) -> Option<Duration> {
        None
    }
}

/// An ordered, replayable sequence of records with offsets.
///
/// # Contract
///
/// * **Never blocks.** [`poll`](Self::poll) appends what there is, at most about the batch's
///   [target](RecordBatch::is_full), and returns. It is called by whichever worker has time.
/// * **Offsets grow.** Each record has an offset above the one before.
/// * **Resume is exact.** [`offset`](Self::offset) is where to open the partition so that the next record
///   is the one after the last given: not that one, and not the one after the next.
/// * **Honest verdicts.** [`Polled::Done`] is final: the partition is not polled again.
///
/// Checked by [`source_compliance`](crate::testkit::source_compliance).
pub trait Partition: Send {
    /// Appends the next records to `batch`.
    ///
    /// # Errors
    ///
    /// If reading failed. A transient error is polled again with backoff; a permanent one stops the pipeline.
    fn poll(&mut self, batch: &mut RecordBatch) -> Result<Polled, ExternalError>;

    /// The offset of the next record.
    fn offset(&self) -> u64;

    /// The topic its records come from, which decoders see; by default empty: the source knows none.
    fn topic(&self) -> &str {
        ""
    }

    /// How many records there are from [`offset`](Self::offset) to the end of what can be read now, for monitors. It is asked
    /// often and must not block, so an answer of a moment ago will do. By default `None`: not known.
    fn lag(&self) -> Option<u64> {
        None
    }

    /// How many records were gone before they could be read, and were passed over since it was opened, for monitors. By default 0:
    /// a partition that loses none, or fails instead.
    fn lost(&self) -> u64 {
        0
    }

    /// Told that a checkpoint holds everything before `offset`: a hook for commits, by default nothing.
    fn committed(&mut self, offset: u64) {
        let _ = offset;
    }
}

/// What a partition says when it is polled.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Polled {
    /// There may be more at once.
    Ready,
    /// Nothing more for now; look again after this pause.
    Idle(Duration),
    /// Nothing more, ever.
    Done,
}
