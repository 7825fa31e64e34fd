//! The sending half of a channel source.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_channel::{Sender, TrySendError};

use crate::read::channel::Shared;

/// The sending half of a [`Channel`](super::channel::Channel), like `tokio::sync::mpsc::Sender`. Clones push
/// into the same channel.
#[derive(Debug)]
pub struct ChannelHandle<T = Vec<u8>> {
    pub(super) sender: Sender<T>,
    pub(super) shared: Arc<Shared>,
}

impl<T> Clone for ChannelHandle<T> {
    fn clone(&self) -> Self {
        Self { sender: self.sender.clone(), shared: Arc::clone(&self.shared) }
    }
}

impl<T> ChannelHandle<T> {
    /// Pushes a value, blocking the thread while the channel is full.
    ///
    /// # Errors
    ///
    /// [`PushError::Closed`] if the channel is closed, by a handle or because the pipeline is gone.
    pub fn push(&self, record: impl Into<T>) -> Result<(), PushError<T>> {
        self.sender.send_blocking(record.into()).map_err(|error| PushError::Closed(error.0))
    }

    /// Pushes a value if there is room, without waiting.
    ///
    /// # Errors
    ///
    /// [`PushError::Full`] or [`PushError::Closed`], with the value.
    pub fn try_push(&self, record: impl Into<T>) -> Result<(), PushError<T>> {
        self.sender.try_send(record.into()).map_err(|error| match error {
            TrySendError::Full(record) => PushError::Full(record),
            TrySendError::Closed(record) => PushError::Closed(record),
        })
    }

    /// Pushes a value, and waits for room without blocking the thread. Works with any executor. If the future
    /// is dropped before it is ready, nothing was pushed.
    ///
    /// # Errors
    ///
    /// [`PushError::Closed`], as for [`push`](Self::push).
    pub async fn push_async(&self, record: impl Into<T>) -> Result<(), PushError<T>> {
        self.sender.send(record.into()).await.map_err(|error| PushError::Closed(error.0))
    }

    /// Closes the channel for all handles. Values that are in it are still read.
    pub fn close(&self) {
        self.sender.close();
    }

    /// Whether the channel is closed, by a handle or because the pipeline is gone.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// The number of values that are waiting to be read.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.sender.len()
    }

    /// The offset of the first value: 0, or the offset at which the pipeline resumed from a checkpoint.
    #[must_use]
    pub fn first_offset(&self) -> u64 {
        self.shared.first.load(Ordering::Acquire)
    }

    /// The offset before which all values are in a checkpoint. They survive a crash, so the host may
    /// acknowledge them to where it received them. Values are numbered in the order of pushing, from
    /// [`first_offset`](Self::first_offset). Threads that push at the same time cannot tell which value came
    /// first.
    #[must_use]
    pub fn committed(&self) -> u64 {
        self.shared.committed.load(Ordering::Acquire)
    }
}

/// The error of a push that failed. It contains the value.
#[derive(Clone, PartialEq, Eq)]
pub enum PushError<T = Vec<u8>> {
    /// The channel is full.
    Full(T),
    /// The channel is closed.
    Closed(T),
}

impl<T> PushError<T> {
    /// The value that was not pushed.
    #[must_use]
    pub fn into_inner(self) -> T {
        match self {
            Self::Full(value) | Self::Closed(value) => value,
        }
    }
}

impl<T> fmt::Display for PushError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "cannot push: the channel is full; push again later, or use `push`",
            Self::Closed(_) => "cannot push: the channel is closed, or the pipeline that read it is gone",
        })
    }
}
impl<T> fmt::Debug for PushError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
impl<T> std::error::Error for PushError<T> {}
