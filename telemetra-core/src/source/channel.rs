//! Records pushed by the host service itself, through a bounded channel.

mod handle;

pub use handle::{ChannelHandle, PushError};

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_channel::{Receiver, TryRecvError};

use super::{Partition, PartitionId, Polled, RecordBatch, Source};
use crate::{ConfigError, ExternalError};

/// How soon to look again when the channel is empty.
const PAUSE: Duration = Duration::from_millis(1);

/// A source of one partition, into which a host service pushes records through [`ChannelHandle`]s.
///
/// The channel holds a fixed number of records; when it is full, pushing waits: that is the back-pressure. It ends
/// when it is [closed](ChannelHandle::close) or the last handle is dropped, once what is in it has been read.
///
/// **Not replayable.** Opened at an offset it goes on numbering from there with what is pushed next. What the process had
/// in memory when it died, in the channel or read but in no checkpoint, is lost. A host that can send
/// again keeps its records until [`ChannelHandle::committed`] has passed them.
///
/// A channel lives in one process: in a cluster, give it to a process that reads it itself.
///
/// ```
/// use telemetra_core::source::{Channel, Polled, RecordBatch, Source};
/// let (handle, mut source) = Channel::bounded("host", 1000)?;
/// let mut partition = source.open(&source.id().clone(), None)?;
/// handle.push("a record")?;
/// drop(handle);
/// let mut batch = RecordBatch::default();
/// assert_eq!(partition.poll(&mut batch)?, Polled::Ready);
/// assert_eq!(partition.poll(&mut batch)?, Polled::Done);
/// assert_eq!(batch.records().len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Channel {
    id: PartitionId,
    receiver: Receiver<Vec<u8>>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Whether a partition is reading: two would take records from each other.
    reading: AtomicBool,
    first: AtomicU64,
    committed: AtomicU64,
}

impl Channel {
    /// A channel that holds up to `capacity` records, as a source whose partition has that name.
    ///
    /// # Errors
    ///
    /// If the capacity is 0.
    pub fn bounded(name: &str, capacity: usize) -> Result<(ChannelHandle, Self), ConfigError> {
        if capacity == 0 {
            let hint = "let it hold at least one record";
            return Err(ConfigError::new("channel capacity", "a channel cannot hold 0 records", hint));
        }
        let (sender, receiver) = async_channel::bounded(capacity);
        let shared = Arc::<Shared>::default();
        let handle = ChannelHandle { sender, shared: Arc::clone(&shared) };
        Ok((handle, Self { id: PartitionId::new(name), receiver, shared }))
    }

    /// The name of its partition.
    #[must_use]
    pub fn id(&self) -> &PartitionId {
        &self.id
    }
}

impl Source for Channel {
    fn partitions(&mut self) -> Result<Vec<PartitionId>, ExternalError> {
        Ok(vec![self.id.clone()])
    }

    fn open(&mut self, id: &PartitionId, from: Option<u64>) -> Result<Box<dyn Partition>, ExternalError> {
        if *id != self.id {
            return Err(ExternalError::permanent(format!(
                "cannot open the partition `{id}`: the channel's partition is `{}`; open that",
                self.id
            )));
        }
        if self.shared.reading.swap(true, Ordering::AcqRel) {
            return Err(ExternalError::permanent(format!(
                "cannot open the partition `{id}`: the channel is being read; drop the partition opened before"
            )));
        }
        let next = from.unwrap_or(0);
        self.shared.first.store(next, Ordering::Release);
        self.shared.committed.store(next, Ordering::Release);
        Ok(Box::new(Reader { receiver: self.receiver.clone(), shared: Arc::clone(&self.shared), next }))
    }
}

struct Reader {
    receiver: Receiver<Vec<u8>>,
    shared: Arc<Shared>,
    next: u64,
}

impl Partition for Reader {
    fn poll(&mut self, batch: &mut RecordBatch) -> Result<Polled, ExternalError> {
        let before = self.next;
        while !batch.is_full() {
            match self.receiver.try_recv() {
                Ok(record) => {
                    batch.push(&record, self.next);
                    self.next += 1;
                }
                // What was taken goes on its way first; the next poll says how things stand.
                Err(_) if self.next > before => break,
                Err(TryRecvError::Empty) => return Ok(Polled::Idle(PAUSE)),
                Err(TryRecvError::Closed) => return Ok(Polled::Done),
            }
        }
        Ok(Polled::Ready)
    }

    fn offset(&self) -> u64 {
        self.next
    }

    fn committed(&mut self, offset: u64) {
        self.shared.committed.fetch_max(offset, Ordering::AcqRel);
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.shared.reading.store(false, Ordering::Release);
    }
}
