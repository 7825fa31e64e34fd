//! Subscriptions to a live view: bounded queues of updates that drop the oldest when a subscriber is slow.

use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use async_channel::{Receiver, Sender, TryRecvError};
use futures_core::Stream;
use telemetra_core::{Change, EventTime};

/// All changes of rows about one subject at one event time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// When they took effect.
    pub time: EventTime,
    /// The subject.
    pub subject: Arc<str>,
    /// The changes, table by table.
    pub changes: Vec<Change>,
}

/// What a subscriber is notified of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Rows about a subject changed.
    Changed(Arc<Update>),
    /// So many updates were dropped since the last notice, as they were not received in time. Those that
    /// follow are newer: read the view to be in step again.
    Missed(u64),
}

/// Receives the changes that a live view is given.
///
/// A slow one loses the oldest updates, and is notified of how many; it slows down nobody. Dropping it ends
/// it.
///
/// It is a [`Stream`] of [`Notice`]s too, for the combinators of an asynchronous runtime; that ends once the
/// view is closed.
pub struct Subscription {
    /// Pinned, as polling it wants that and a subscription may be moved.
    updates: Pin<Box<Receiver<Arc<Update>>>>,
    missed: Arc<AtomicU64>,
    /// What is as old or older is known already.
    pub(super) after: Option<EventTime>,
}

impl Subscription {
    /// The next notice, waiting for it. `None` once the view is closed and all was received.
    #[must_use]
    pub fn recv(&self) -> Option<Notice> {
        loop {
            if let Some(missed) = self.take_missed() {
                return Some(missed);
            }
            if let Some(notice) = self.news(self.updates.recv_blocking().ok()?) {
                return Some(notice);
            }
        }
    }

    /// The next notice, for tasks of an asynchronous runtime, whichever. `None` once the view is closed and
    /// all was received.
    pub async fn recv_async(&self) -> Option<Notice> {
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
    pub fn try_recv(&self) -> Result<Option<Notice>, Closed> {
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
    fn news(&self, update: Arc<Update>) -> Option<Notice> {
        (Some(update.time) > self.after).then_some(Notice::Changed(update))
    }

    /// What is dropped is always older than what waits, so this comes first.
    fn take_missed(&self) -> Option<Notice> {
        match self.missed.swap(0, Ordering::AcqRel) {
            0 => None,
            missed => Some(Notice::Missed(missed)),
        }
    }
}

impl Stream for Subscription {
    type Item = Notice;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Notice>> {
        loop {
            if let Some(missed) = self.take_missed() {
                return Poll::Ready(Some(missed));
            }
            let Some(update) = ready!(self.updates.as_mut().poll_next(context)) else {
                return Poll::Ready(None);
            };
            if let Some(notice) = self.news(update) {
                return Poll::Ready(Some(notice));
            }
        }
    }
}

impl fmt::Debug for Subscription {
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
pub(super) struct Subscribers(Mutex<Option<Lists>>);

#[derive(Default)]
struct Lists {
    /// Those who follow all subjects.
    all: Vec<Subscriber>,
    /// Those who follow one.
    by_subject: HashMap<Arc<str>, Vec<Subscriber>>,
}

struct Subscriber {
    updates: Sender<Arc<Update>>,
    missed: Arc<AtomicU64>,
}

impl Default for Subscribers {
    fn default() -> Self {
        Self(Mutex::new(Some(Lists::default())))
    }
}

impl Subscribers {
    fn lists(&self) -> MutexGuard<'_, Option<Lists>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, subject: Option<&str>, capacity: usize) -> Subscription {
        let (updates, receiver) = async_channel::bounded(capacity.max(1));
        let missed = Arc::new(AtomicU64::new(0));
        let subscription =
            Subscription { updates: Box::pin(receiver), missed: Arc::clone(&missed), after: None };
        let mut lists = self.lists();
        // It ends at once, as nobody would end it later.
        let Some(lists) = lists.as_mut() else { return subscription };
        // Where many come and go and nothing changes, the ended ones go here.
        lists.all.retain(|subscriber| !subscriber.updates.is_closed());
        lists.by_subject.retain(|_, list| {
            list.retain(|subscriber| !subscriber.updates.is_closed());
            !list.is_empty()
        });
        let list = match subject {
            Some(subject) => lists.by_subject.entry(subject.into()).or_default(),
            None => &mut lists.all,
        };
        list.push(Subscriber { updates, missed });
        subscription
    }

    /// Gives the update to those who follow the subject, or all; makes it only if there is one.
    pub(super) fn notify(&self, subject: &str, make: impl FnOnce() -> Update) {
        let mut lists = self.lists();
        let Some(lists) = lists.as_mut() else { return };
        let by_subject = lists.by_subject.get_mut(subject);
        if lists.all.is_empty() && by_subject.is_none() {
            return;
        }
        let update = Arc::new(make());
        let send = |subscriber: &Subscriber| match subscriber.updates.force_send(Arc::clone(&update)) {
            Ok(None) => true,
            Ok(Some(_oldest)) => {
                subscriber.missed.fetch_add(1, Ordering::AcqRel);
                true
            }
            Err(_ended) => false,
        };
        lists.all.retain(send);
        if let Some(list) = by_subject {
            list.retain(send);
            if list.is_empty() {
                lists.by_subject.remove(subject);
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
