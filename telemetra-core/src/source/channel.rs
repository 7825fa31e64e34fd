//! Records pushed by the host service itself, through a bounded channel.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_channel::{Receiver, Sender, TryRecvError, TrySendError};

use super::{Partition, PartitionId, Polled, RecordBatch, Source};
use crate::{ConfigError, Event, ExternalError};

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

/// Pushes records into a [`Channel`]. Clones push into the same one.
#[derive(Clone, Debug)]
pub struct ChannelHandle {
    sender: Sender<Vec<u8>>,
    shared: Arc<Shared>,
}

impl ChannelHandle {
    /// Pushes a record, blocking the thread while the channel is full.
    ///
    /// # Errors
    ///
    /// [`PushError::Closed`] if the channel is closed, by a handle or because the pipeline is gone.
    pub fn push(&self, record: impl Into<Vec<u8>>) -> Result<(), PushError> {
        self.sender.send_blocking(record.into()).map_err(|error| PushError::Closed(error.0))
    }

    /// Pushes a record if there is room, without waiting.
    ///
    /// # Errors
    ///
    /// [`PushError::Full`] or [`PushError::Closed`], with the record.
    pub fn try_push(&self, record: impl Into<Vec<u8>>) -> Result<(), PushError> {
        self.sender.try_send(record.into()).map_err(|error| match error {
            TrySendError::Full(record) => PushError::Full(record),
            TrySendError::Closed(record) => PushError::Closed(record),
        })
    }

    /// Pushes a record, waiting for room without blocking the thread. Runs on any executor. Dropped before
    /// it is ready, it has pushed nothing.
    ///
    /// # Errors
    ///
    /// [`PushError::Closed`], as for [`push`](Self::push).
    pub async fn push_async(&self, record: impl Into<Vec<u8>>) -> Result<(), PushError> {
        self.sender.send(record.into()).await.map_err(|error| PushError::Closed(error.0))
    }

    /// [Pushes](Self::push) an event as `encode` writes it, which must be what the pipeline's decoder reads.
    ///
    /// # Errors
    ///
    /// As for [`push`](Self::push).
    pub fn push_event(
        &self,
        event: &Event<'_>,
        encode: impl FnOnce(&Event<'_>, &mut Vec<u8>),
    ) -> Result<(), PushError> {
        self.push(encoded(event, encode))
    }

    /// [Pushes](Self::try_push) an event if there is room.
    ///
    /// # Errors
    ///
    /// As for [`try_push`](Self::try_push), with the event encoded.
    pub fn try_push_event(
        &self,
        event: &Event<'_>,
        encode: impl FnOnce(&Event<'_>, &mut Vec<u8>),
    ) -> Result<(), PushError> {
        self.try_push(encoded(event, encode))
    }

    /// [Pushes](Self::push_async) an event. It is encoded at once, so the future does not borrow it.
    ///
    /// # Errors
    ///
    /// As for [`push_async`](Self::push_async).
    pub fn push_event_async<'h, E: FnOnce(&Event<'_>, &mut Vec<u8>)>(
        &'h self,
        event: &Event<'_>,
        encode: E,
    ) -> impl Future<Output = Result<(), PushError>> + Send + use<'h, E> {
        self.push_async(encoded(event, encode))
    }

    /// Ends the channel for all handles. What is in it is still read.
    pub fn close(&self) {
        self.sender.close();
    }

    /// Whether it is closed, by a handle or because the pipeline is gone.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// How many records are waiting to be read.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.sender.len()
    }

    /// The offset of the first record pushed: 0, or where the checkpoint ended that the pipeline was started from.
    #[must_use]
    pub fn first_offset(&self) -> u64 {
        self.shared.first.load(Ordering::Acquire)
    }

    /// The offset up to which a checkpoint holds everything: records before it survive a crash, and the host may
    /// acknowledge them to where it has them from. Offsets count pushes in their order, from
    /// [`first_offset`](Self::first_offset); several threads that push at once cannot tell whose was first.
    #[must_use]
    pub fn committed(&self) -> u64 {
        self.shared.committed.load(Ordering::Acquire)
    }
}

fn encoded(event: &Event<'_>, encode: impl FnOnce(&Event<'_>, &mut Vec<u8>)) -> Vec<u8> {
    let mut record = Vec::with_capacity(512);
    encode(event, &mut record);
    record
}

/// Why a record was not pushed. Holds the record.
#[derive(Clone, PartialEq, Eq)]
pub enum PushError {
    /// The channel is full.
    Full(Vec<u8>),
    /// The channel is closed.
    Closed(Vec<u8>),
}

impl PushError {
    /// The record that was not pushed.
    #[must_use]
    pub fn into_record(self) -> Vec<u8> {
        match self {
            Self::Full(record) | Self::Closed(record) => record,
        }
    }
}

impl fmt::Display for PushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "cannot push the record: the channel is full; push again later, or use `push`",
            Self::Closed(_) => {
                "cannot push the record: the channel is closed, or the pipeline that read it is gone"
            }
        })
    }
}
impl fmt::Debug for PushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Full(record) | Self::Closed(record)) = self;
        write!(f, "{self} ({} bytes)", record.len())
    }
}
impl std::error::Error for PushError {}

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
