//! The sending half of a channel source.

use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use async_channel::{Sender, TrySendError};

use crate::read::channel::Shared;

/// The sending half of a [`Channel`](super::channel::Channel), like `tokio::sync::mpsc::Sender`. Clones push
/// into the same channel.
///
/// ```
/// use telemetra_core::source::{Channel, PushError};
/// let (handle, source) = Channel::bounded("host", 2)?;
/// handle.push("one")?;
/// handle.clone().try_push("two")?;
/// assert!(matches!(handle.try_push("three"), Err(PushError::Full(_))), "`push` would wait here");
/// drop(source);
/// assert!(handle.is_closed());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
        match self.push_or_wait(record.into())? {
            None => Ok(()),
            Some((waiter, record)) => {
                let sent = waiter.0.sender.send_blocking(record);
                sent.map_err(|error| PushError::Closed(error.0))
            }
        }
    }

    /// Pushes a value if there is room, without waiting.
    ///
    /// # Errors
    ///
    /// [`PushError::Full`] or [`PushError::Closed`], with the value.
    pub fn try_push(&self, record: impl Into<T>) -> Result<(), PushError<T>> {
        let _together = self.shared.together.read().unwrap_or_else(PoisonError::into_inner);
        self.sender.try_send(record.into()).map_err(|error| match error {
            TrySendError::Full(record) => PushError::Full(record),
            TrySendError::Closed(record) => PushError::Closed(record),
        })
    }

    /// Pushes several values one after another, if there is room for all of them, without waiting. No value of
    /// another handle comes between them, and where it fails none was pushed.
    ///
    /// # Errors
    ///
    /// [`PushError::Full`] or [`PushError::Closed`], with the values. It is full also while others
    /// [wait](Self::push) for room, as they come first. More values than the [capacity](Self::capacity) never
    /// fit.
    ///
    /// ```
    /// use telemetra_core::source::{Channel, PushError};
    /// let (handle, _source) = Channel::bounded("host", 3)?;
    /// handle.try_push_all(vec![b"a".to_vec(), b"b".to_vec()])?;
    /// let Err(PushError::Full(both)) = handle.try_push_all(vec![b"c".to_vec(), b"d".to_vec()]) else { panic!() };
    /// assert_eq!((both.len(), handle.waiting()), (2, 2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_push_all(&self, records: Vec<T>) -> Result<(), PushError<Vec<T>>> {
        let _together = self.shared.together.write().unwrap_or_else(PoisonError::into_inner);
        if self.is_closed() {
            return Err(PushError::Closed(records));
        }
        // Nobody else pushes now, and nobody waits to: room can only become more.
        let room = self.capacity() - self.waiting();
        if room < records.len() || self.shared.waiters.load(Ordering::Acquire) > 0 {
            return Err(PushError::Full(records));
        }
        let mut left = records.into_iter();
        while let Some(record) = left.next() {
            if let Err(error) = self.sender.try_send(record) {
                // The pipeline is gone: what was pushed before is not read either.
                return Err(PushError::Closed(std::iter::once(error.into_inner()).chain(left).collect()));
            }
        }
        Ok(())
    }

    /// Pushes the value if there is room; otherwise says who waits for it, and gives the value back.
    fn push_or_wait(&self, record: T) -> Result<Option<(Waiter<'_, T>, T)>, PushError<T>> {
        let _together = self.shared.together.read().unwrap_or_else(PoisonError::into_inner);
        match self.sender.try_send(record) {
            Ok(()) => Ok(None),
            Err(TrySendError::Full(record)) => {
                self.shared.waiters.fetch_add(1, Ordering::AcqRel);
                Ok(Some((Waiter(self), record)))
            }
            Err(TrySendError::Closed(record)) => Err(PushError::Closed(record)),
        }
    }

    /// Pushes a value, and waits for room without blocking the thread. Works with any executor. If the future
    /// is dropped before it is ready, nothing was pushed.
    ///
    /// # Errors
    ///
    /// [`PushError::Closed`], as for [`push`](Self::push).
    ///
    /// ```
    /// # use std::{future::Future, pin::pin, task::{Context, Waker}};
    /// use telemetra_core::source::Channel;
    /// let (handle, _source) = Channel::bounded("host", 1)?;
    /// let mut pushed = pin!(handle.push_async("one")); // In a task: `handle.push_async("one").await?`.
    /// assert!(pushed.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
    /// let mut waits = pin!(handle.push_async("two"));
    /// assert!(waits.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending(), "the channel is full");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn push_async(&self, record: impl Into<T>) -> Result<(), PushError<T>> {
        match self.push_or_wait(record.into())? {
            None => Ok(()),
            Some((waiter, record)) => {
                let sent = waiter.0.sender.send(record).await;
                sent.map_err(|error| PushError::Closed(error.0))
            }
        }
    }

    /// Closes the channel for all handles. Values that are in it are still read.
    pub fn close(&self) {
        let _together = self.shared.together.write().unwrap_or_else(PoisonError::into_inner);
        self.sender.close();
    }

    /// Returns whether the channel is closed, by a handle or because the pipeline is gone.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// The number of values that the channel holds at most.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.sender.capacity().unwrap_or(usize::MAX)
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
    /// [`first_offset`](Self::first_offset). Threads that push at the same time cannot know which value came
    /// first.
    #[must_use]
    pub fn committed(&self) -> u64 {
        self.shared.committed.load(Ordering::Acquire)
    }
}

/// Counts who waits for room, as long as it lives.
struct Waiter<'a, T>(&'a ChannelHandle<T>);

impl<T> Drop for Waiter<'_, T> {
    fn drop(&mut self) {
        self.0.shared.waiters.fetch_sub(1, Ordering::AcqRel);
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
