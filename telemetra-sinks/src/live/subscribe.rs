//! Subscriptions to a live view: bounded queues of updates that drop the oldest when a subscriber is slow.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_channel::{Receiver, Sender, TryRecvError};
use telemetra_core::{Change, EventTime, StreamId};

/// All changes of one stream at one event time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update<S> {
    /// When they took effect.
    pub time: EventTime,
    /// The stream.
    pub stream_id: StreamId,
    /// The changes, sorted by row.
    pub changes: Vec<Change<S>>,
}

/// What a subscriber is notified of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice<S> {
    /// A stream changed.
    Changed(Arc<Update<S>>),
    /// So many updates were dropped since the last notice, as they were not received in time. Those that follow are newer:
    /// read the view to be in step again.
    Missed(u64),
}

/// Receives the changes that a live view is given.
///
/// A slow one loses the oldest updates, and is notified of how many; it slows down nobody. Dropping it ends it.
pub struct Subscription<S> {
    updates: Receiver<Arc<Update<S>>>,
    missed: Arc<AtomicU64>,
    /// What is as old or older is known already.
    pub(super) after: Option<EventTime>,
}

impl<S> Subscription<S> {
    /// The next notice, waiting for it. `None` once the view is closed and all was received.
    #[must_use]
    pub fn recv(&self) -> Option<Notice<S>> {
        loop {
            if let Some(missed) = self.take_missed() {
                return Some(missed);
            }
            if let Some(notice) = self.news(self.updates.recv_blocking().ok()?) {
                return Some(notice);
            }
        }
    }

    /// The next notice, for tasks of an asynchronous runtime, whichever. `None` once the view is closed and all was received.
    pub async fn recv_async(&self) -> Option<Notice<S>> {
        loop {
            if let Some(missed) = self.take_missed() {
                return Some(missed);
            }
            if let Some(notice) = self.news(self.updates.recv().await.ok()?) {
                return Some(notice);
            }
        }
    }

    /// The next notice, if there is one now.
    ///
    /// # Errors
    ///
    /// [`Closed`] once the view is closed and all was received.
    pub fn try_recv(&self) -> Result<Option<Notice<S>>, Closed> {
        loop {
            if let Some(missed) = self.take_missed() {
                return Ok(Some(missed));
            }
            match self.updates.try_recv() {
                Ok(update) => {
                    if let Some(notice) = self.news(update) {
                        return Ok(Some(notice));
                    }
                }
                Err(TryRecvError::Empty) => return Ok(None),
                Err(TryRecvError::Closed) => return Err(Closed),
            }
        }
    }

    /// The update, unless it is known already.
    fn news(&self, update: Arc<Update<S>>) -> Option<Notice<S>> {
        (Some(update.time) > self.after).then_some(Notice::Changed(update))
    }

    /// What is dropped is always older than what waits, so this comes first.
    fn take_missed(&self) -> Option<Notice<S>> {
        match self.missed.swap(0, Ordering::AcqRel) {
            0 => None,
            missed => Some(Notice::Missed(missed)),
        }
    }
}

impl<S> fmt::Debug for Subscription<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("waiting", &self.updates.len()).finish_non_exhaustive()
    }
}

/// The view is closed, and nothing waits to be received.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the live view is closed")
    }
}
impl std::error::Error for Closed {}

/// The subscribers to notify; `None` once the view is closed.
pub(super) struct Subscribers<S>(Mutex<Option<Lists<S>>>);

/// By stream; `None` is all streams.
type Lists<S> = HashMap<Option<StreamId>, Vec<Subscriber<S>>>;

struct Subscriber<S> {
    updates: Sender<Arc<Update<S>>>,
    missed: Arc<AtomicU64>,
}

impl<S> Default for Subscribers<S> {
    fn default() -> Self {
        Self(Mutex::new(Some(Lists::new())))
    }
}

impl<S> Subscribers<S> {
    fn lists(&self) -> MutexGuard<'_, Option<Lists<S>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, stream: Option<StreamId>, capacity: usize) -> Subscription<S> {
        let (updates, receiver) = async_channel::bounded(capacity.max(1));
        let missed = Arc::new(AtomicU64::new(0));
        let subscription = Subscription { updates: receiver, missed: Arc::clone(&missed), after: None };
        let mut lists = self.lists();
        // It ends at once, as nobody would end it later.
        let Some(lists) = lists.as_mut() else { return subscription };
        // Where many come and go and nothing changes, the ended ones go here.
        lists.retain(|_, list| {
            list.retain(|subscriber| !subscriber.updates.is_closed());
            !list.is_empty()
        });
        lists.entry(stream).or_default().push(Subscriber { updates, missed });
        subscription
    }

    /// Gives the update to those who follow the stream, or all; makes it only if there is one.
    pub(super) fn notify(&self, stream: &StreamId, make: impl FnOnce() -> Update<S>) {
        let mut lists = self.lists();
        let Some(lists) = lists.as_mut().filter(|lists| !lists.is_empty()) else { return };
        let (mut make, mut update) = (Some(make), None);
        for key in [None, Some(stream.clone())] {
            let Some(list) = lists.get_mut(&key) else { continue };
            if update.is_none() {
                update = make.take().map(|make| Arc::new(make()));
            }
            let Some(update) = &update else { return };
            list.retain(|subscriber| match subscriber.updates.force_send(Arc::clone(update)) {
                Ok(None) => true,
                Ok(Some(_oldest)) => {
                    subscriber.missed.fetch_add(1, Ordering::AcqRel);
                    true
                }
                Err(_ended) => false,
            });
            if list.is_empty() {
                lists.remove(&key);
            }
        }
    }

    /// Begins again after the end.
    pub(super) fn open(&self) {
        self.lists().get_or_insert_default();
    }

    /// Ends all, and those to come. What waits can still be received.
    pub(super) fn close(&self) {
        *self.lists() = None;
    }
}
