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

/// The changes of all rows about one subject at one event time, as a [`Notice`] contains them. All subscribers share
/// one value, so cloning the [`Arc`] costs no copy of the rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// The event time at which the changes took effect.
    pub time: EventTime,
    /// The subject of the rows.
    pub subject: Arc<str>,
    /// The changes, sorted by table.
    pub changes: Vec<Change>,
}

/// A notification of a [`Subscription`]: an update, or the number of updates that were dropped.
///
/// ```
/// use std::time::Duration;
/// # use telemetra_core::{Batch, EventTime, Layout, Sink, Summary, SummaryRow, Window};
/// use telemetra_sinks::{LiveView, Notice};
/// # let layout = Layout::<SummaryRow<String, u64>>::summaries("device_minute", &["device"], vec![], |_, _, _| {});
/// let mut view = LiveView::<u64>::new(Duration::from_secs(3600));
/// let changes = view.reader().subscribe(1);
/// # for count in 1..=3 {
/// #     let end = EventTime(count * 60_000);
/// #     let window = Window { start: end.minus(60_000).into(), end };
/// #     let row = SummaryRow { key: "d1".to_owned(), summary: Summary { window, value: count.into() } };
/// #     view.apply(&[Batch { time: end.minus(1), changes: vec![layout.upsert(row, 0)] }])?;
/// # }
/// // Three updates have come, and the queue holds one.
/// assert_eq!(changes.recv(), Some(Notice::Missed(2)));
/// let Some(Notice::Changed(update)) = changes.recv() else { panic!("the newest is left") };
/// assert_eq!((&*update.subject, update.time, update.changes.len()), ("d1", EventTime(179_999), 1));
/// # Ok::<(), telemetra_core::ExternalError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Rows about a subject changed.
    Changed(Arc<Update>),
    /// This number of updates was dropped since the last notice, as the subscriber was too slow and its queue was
    /// full. The dropped updates are older than the next one. Read the view again to be complete.
    Missed(u64),
}

/// A subscription to the changes of a live view, made by
/// [`LiveReader::subscribe`](crate::LiveReader::subscribe).
///
/// Its queue is bounded. If it is full, the oldest updates are dropped and their number is reported, so a
/// slow subscriber delays nobody. Dropping the subscription ends it.
///
/// Receive notices in a thread by [`recv`](Self::recv), in a task of any async runtime by
/// [`recv_async`](Self::recv_async), or as a [`Stream`] of [`Notice`]s. The subscription ends when the view is closed,
/// at the end of the pipeline.
///
/// ```
/// use std::time::Duration;
/// use telemetra_core::Sink;
/// use telemetra_sinks::{Closed, LiveView};
///
/// let mut view = LiveView::<u64>::new(Duration::from_secs(60));
/// let changes = view.reader().subscribe(64);
/// assert!(changes.try_recv()?.is_none(), "nothing has changed yet");
/// view.close()?;
/// assert!(changes.recv().is_none(), "the view is closed");
/// assert_eq!(changes.try_recv(), Err(Closed));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Subscription {
    /// The queue, pinned because polling it requires that while the subscription may be moved.
    updates: Pin<Box<Receiver<Arc<Update>>>>,
    missed: Arc<AtomicU64>,
    /// Updates up to this time are known already and skipped.
    pub(super) after: Option<EventTime>,
}

impl Subscription {
    /// Waits for the next notice, blocking the thread. `None` when the view is closed and all notices were
    /// received. In an async task use [`recv_async`](Self::recv_async).
    #[must_use]
    pub fn recv(&self) -> Option<Notice> {
        loop {
            if let Some(missed) = self.take_missed() {
                return Some(missed);
            }
            if let Some(notice) = self.notice_of(self.updates.recv_blocking().ok()?) {
                return Some(notice);
            }
        }
    }

    /// Waits for the next notice, in a task of any asynchronous runtime. `None` when the view is closed and
    /// all notices were received. It is cancel safe: if the future is dropped, no notice is lost.
    pub async fn recv_async(&self) -> Option<Notice> {
        loop {
            if let Some(missed) = self.take_missed() {
                return Some(missed);
            }
            if let Some(notice) = self.notice_of(self.updates.recv().await.ok()?) {
                return Some(notice);
            }
        }
    }

    /// Returns the next notice if there is one, without waiting.
    ///
    /// # Errors
    ///
    /// [`Closed`] when the view is closed and all notices were received.
    pub fn try_recv(&self) -> Result<Option<Notice>, Closed> {
        loop {
            if let Some(missed) = self.take_missed() {
                return Ok(Some(missed));
            }
            match self.updates.try_recv() {
                Ok(update) => {
                    if let Some(notice) = self.notice_of(update) {
                        return Ok(Some(notice));
                    }
                }
                Err(TryRecvError::Empty) => return Ok(None),
                Err(TryRecvError::Closed) => return Err(Closed),
            }
        }
    }

    /// Returns the notice of an update, unless it is known already.
    fn notice_of(&self, update: Arc<Update>) -> Option<Notice> {
        (Some(update.time) > self.after).then_some(Notice::Changed(update))
    }

    /// Returns the notice of dropped updates. They are always older than those in the queue, so it comes
    /// first.
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
            if let Some(notice) = self.notice_of(update) {
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

/// The error of [`Subscription::try_recv`] once the view is closed and all notices were received. It is the
/// normal end of a subscription.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the live view is closed")
    }
}
impl std::error::Error for Closed {}

/// The subscribers to notify; `None` after the view is closed.
pub(super) struct Subscribers(Mutex<Option<Lists>>);

/// The subscribers of an open view.
#[derive(Default)]
struct Lists {
    /// The subscribers to all subjects.
    all: Vec<Subscriber>,
    /// The subscribers to single subjects.
    by_subject: HashMap<Arc<str>, Vec<Subscriber>>,
}

/// The sending end of a subscription.
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

    /// Adds a subscription to one subject, or to all.
    pub(super) fn add(&self, subject: Option<&str>, capacity: usize) -> Subscription {
        let (updates, receiver) = async_channel::bounded(capacity.max(1));
        let missed = Arc::new(AtomicU64::new(0));
        let subscription =
            Subscription { updates: Box::pin(receiver), missed: Arc::clone(&missed), after: None };
        let mut lists = self.lists();
        // The view is closed, so the subscription ends at once.
        let Some(lists) = lists.as_mut() else { return subscription };
        // Ended subscriptions are removed here too, in case many come and go while nothing changes.
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

    /// Sends an update to the subscribers of the subject and of all subjects. It is made only if there is
    /// one.
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

    /// Accepts subscribers again after a close.
    pub(super) fn open(&self) {
        self.lists().get_or_insert_default();
    }

    /// Ends all subscriptions, present and future. Queued notices can still be received.
    pub(super) fn close(&self) {
        *self.lists() = None;
    }
}
