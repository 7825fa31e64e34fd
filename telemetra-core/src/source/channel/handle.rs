use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_channel::{Sender, TrySendError};

use super::Shared;
use crate::Event;

/// Pushes records into a [`Channel`](super::Channel). Clones push into the same one.
#[derive(Clone, Debug)]
pub struct ChannelHandle {
    pub(super) sender: Sender<Vec<u8>>,
    pub(super) shared: Arc<Shared>,
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
