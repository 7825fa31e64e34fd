//! The channel source: a bounded channel into which the host service pushes events or records.

use std::fmt::{self, Debug};
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use async_channel::{Receiver, TryRecvError};

use crate::error::{ConfigError, ExternalError};
use crate::read::arena::Arena;
use crate::read::batch::{Record, RecordBatch};
use crate::read::channel_handle::ChannelHandle;
use crate::read::decode::{DecodeError, Decoder};
use crate::read::event::Event;
use crate::read::source::{Partition, PartitionId, Polled, Source};

const NOT_HERE: &str = "the record is not of a channel of this type of event, or was decoded before";

/// The pause until the next poll when the channel is empty.
const PAUSE: Duration = Duration::from_millis(1);

/// A source that is a bounded channel, like `tokio::sync::mpsc`: the host service pushes values through
/// [`ChannelHandle`]s. The values are events of its own type, which are never encoded, or records of bytes
/// (`Channel<Vec<u8>>`), which are decoded like those of any source. It has one partition.
///
/// When the channel is full, pushing waits: this is the back-pressure. The source ends after it was
/// [closed](ChannelHandle::close) or its last handle was dropped, when all values have been read.
///
/// **Not replayable.** Opened at an offset, it numbers the next values from there. Values that are in the
/// channel when the process dies, or were read but are not yet in a checkpoint, are lost. A host that can
/// push again should keep its values until [`ChannelHandle::committed`] has passed them.
///
/// A channel exists within one process. In a cluster, give it to the process that pushes into it. The dead
/// letter of a typed event contains its `Debug` text.
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
pub struct Channel<T = Vec<u8>> {
    id: PartitionId,
    receiver: Receiver<T>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
pub(super) struct Shared {
    /// True if a partition is open. Two partitions would take values from each other.
    reading: AtomicBool,
    /// The offset of the first value.
    pub(super) first: AtomicU64,
    /// The offset up to which a checkpoint holds all values.
    pub(super) committed: AtomicU64,
    /// Written by who pushes several values together, read by who pushes one.
    pub(super) together: RwLock<()>,
    /// The number of senders that wait for room. It grows only while `together` is read.
    pub(super) waiters: AtomicUsize,
}

impl Channel<Vec<u8>> {
    /// A channel of up to `capacity` records of bytes. Its partition has the given name.
    ///
    /// # Errors
    ///
    /// If the capacity is 0.
    pub fn bounded(name: &str, capacity: usize) -> Result<(ChannelHandle, Self), ConfigError> {
        Self::new(name, capacity)
    }
}

impl<E: Event + Debug + Send + 'static> Channel<E> {
    /// A channel of up to `capacity` events, and the decoder for it. The source's partition has the given
    /// name.
    ///
    /// # Errors
    ///
    /// If the capacity is 0.
    ///
    /// ```
    /// # #[derive(Debug)] struct Reading(u64);
    /// # impl telemetra_core::Event for Reading {
    /// #     type Key = u64;
    /// #     fn time(&self) -> telemetra_core::EventTime { Default::default() }
    /// #     fn key(&self) -> u64 { self.0 }
    /// # }
    /// use telemetra_core::source::Channel;
    /// let (handle, source, decoder) = Channel::<Reading>::typed("host", 1000)?;
    /// handle.push(Reading(7)).map_err(|_| "closed")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn typed(name: &str, capacity: usize) -> Result<(ChannelHandle<E>, Self, Typed<E>), ConfigError> {
        let (handle, channel) = Self::new(name, capacity)?;
        Ok((handle, channel, Typed(PhantomData)))
    }
}

impl<T> Channel<T> {
    fn new(name: &str, capacity: usize) -> Result<(ChannelHandle<T>, Self), ConfigError> {
        if capacity == 0 {
            let hint = "let it hold at least one";
            return Err(ConfigError::new("channel capacity", "a channel cannot hold 0 values", hint));
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

    fn take(&self, id: &PartitionId, from: Option<u64>) -> Result<Reader<T>, ExternalError> {
        if *id != self.id {
            return Err(ExternalError::permanent(format!(
                "cannot open the partition `{id}`: the channel's partition is `{}`; open that",
                self.id
            )));
        }
        if self.shared.reading.swap(true, Ordering::AcqRel) {
            return Err(ExternalError::permanent(format!(
                "cannot open the partition `{id}`: the channel is being read; \
                 drop the partition opened before"
            )));
        }
        let next = from.unwrap_or(0);
        self.shared.first.store(next, Ordering::Release);
        self.shared.committed.store(next, Ordering::Release);
        Ok(Reader { receiver: self.receiver.clone(), shared: Arc::clone(&self.shared), next })
    }
}

/// A value that a channel can carry, and that can be put into a batch.
trait Carried: Sized + Send + 'static {
    /// Appends values to the batch until it is full or no value is there. The error says whether more can
    /// come.
    fn fill(
        batch: &mut RecordBatch,
        next: &mut u64,
        take: impl FnMut() -> Result<Self, TryRecvError>,
    ) -> TryRecvError;
}

impl Carried for Vec<u8> {
    fn fill(
        batch: &mut RecordBatch,
        next: &mut u64,
        mut take: impl FnMut() -> Result<Self, TryRecvError>,
    ) -> TryRecvError {
        while !batch.is_full() {
            match take() {
                Ok(record) => batch.push(&record, *next),
                Err(error) => return error,
            }
            *next += 1;
        }
        TryRecvError::Empty
    }
}

/// The value that a typed channel attaches to a batch: its events, by the number of their record. The decoder
/// takes each event out once.
struct Carrier<E>(Mutex<Vec<Option<E>>>);

impl<E: Event + Debug + Send + 'static> Carried for E {
    fn fill(
        batch: &mut RecordBatch,
        next: &mut u64,
        mut take: impl FnMut() -> Result<Self, TryRecvError>,
    ) -> TryRecvError {
        let mut events = Vec::new();
        let first = batch.records().len();
        let ended = loop {
            if batch.is_full() {
                break TryRecvError::Empty;
            }
            match take() {
                Ok(event) => events.push(Some(event)),
                Err(error) => break error,
            }
            batch.push(b"", *next);
            *next += 1;
        };
        if !events.is_empty() {
            let carrier = batch.attached::<Carrier<E>>().unwrap_or_else(|| {
                let carrier = Arc::new(Carrier(Mutex::new(Vec::new())));
                batch.attach(Arc::clone(&carrier) as _);
                carrier
            });
            let mut carried = carrier.0.lock().unwrap_or_else(PoisonError::into_inner);
            // Records in between were appended by others.
            carried.resize_with(first, || None);
            carried.append(&mut events);
        }
        ended
    }
}

impl<T: Carried> Source for Channel<T> {
    fn partitions(&mut self) -> Result<Vec<PartitionId>, ExternalError> {
        Ok(vec![self.id.clone()])
    }

    fn open(&mut self, id: &PartitionId, from: Option<u64>) -> Result<Box<dyn Partition>, ExternalError> {
        Ok(Box::new(self.take(id, from)?))
    }
}

struct Reader<T> {
    receiver: Receiver<T>,
    shared: Arc<Shared>,
    next: u64,
}

impl<T: Carried> Partition for Reader<T> {
    fn poll(&mut self, batch: &mut RecordBatch) -> Result<Polled, ExternalError> {
        let before = self.next;
        let receiver = &self.receiver;
        let ended = T::fill(batch, &mut self.next, || receiver.try_recv());
        Ok(match ended {
            // Values were read, so the next poll finds whether the channel is empty or closed.
            _ if self.next > before => Polled::Ready,
            TryRecvError::Empty => Polled::Idle(PAUSE),
            TryRecvError::Closed => Polled::Done,
        })
    }

    fn offset(&self) -> u64 {
        self.next
    }

    fn committed(&mut self, offset: u64) {
        self.shared.committed.fetch_max(offset, Ordering::AcqRel);
    }
}

impl<T> Drop for Reader<T> {
    fn drop(&mut self) {
        self.shared.reading.store(false, Ordering::Release);
    }
}

/// The decoder of a typed [`Channel`]: it takes the events out of their batch.
pub struct Typed<E>(PhantomData<fn() -> E>);

impl<E> Debug for Typed<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Typed<{}>", std::any::type_name::<E>())
    }
}

impl<E: Event + Debug + Send + 'static> Decoder<E> for Typed<E> {
    fn decode<'a>(&self, record: Record<'a>, _: &'a Arena, events: &mut Vec<E>) -> Result<(), DecodeError> {
        let taken = record.attached::<Carrier<E>>().and_then(|(Carrier(carried), number)| {
            let mut carried = carried.lock().unwrap_or_else(PoisonError::into_inner);
            carried.get_mut(number).and_then(Option::take)
        });
        events.push(taken.ok_or(DecodeError::new(NOT_HERE))?);
        Ok(())
    }

    fn letter_bytes(&self, _: Record<'_>, event: &E) -> Box<[u8]> {
        format!("{event:?}").into_bytes().into()
    }
}
