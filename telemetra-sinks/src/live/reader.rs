//! The reader handle of a live view: snapshots of subjects, and subscriptions to changes.

use std::fmt;
use std::ops::RangeBounds;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use telemetra_core::{AnyRow, Data, EventTime, Key, Moment, Shape, SummaryRow, Table, Window};

use super::{Shared, SubjectView, Subscription, Update};

/// A handle for queries of a [`LiveView`](crate::LiveView) and subscriptions to its changes: cheap to clone, and
/// usable from any thread. A query holds a lock only while it copies pointers, so it can be called from async tasks.
///
/// The snapshot of a subject is as of one event time: it contains all changes of that time or none. While the
/// sink applies a batch, the snapshots of two subjects may be as of different batches; every subject has reached
/// at least [`as_of`](Self::as_of).
///
/// ```
/// use std::time::Duration;
/// use telemetra_sinks::LiveView;
///
/// # use telemetra_core::{Batch, EventTime, Layout, Sink, Summary, SummaryRow, Window};
/// # let layout = Layout::<SummaryRow<String, u64>>::summaries("device_minute", &["device"], vec![], |_, _, _| {});
/// let mut view = LiveView::<u64>::new(Duration::from_secs(3600));
/// let reader = view.reader();
/// # for (key, count) in [("d1", 7), ("d2", 9)] {
/// #     let window = Window { start: EventTime(0).into(), end: EventTime(60_000) };
/// #     let row = SummaryRow { key: key.to_owned(), summary: Summary { window, value: count.into() } };
/// #     view.apply(&[Batch { time: EventTime(59_999), changes: vec![layout.upsert(row, 0)] }])?;
/// # }
/// // In the host service, after the pipeline has published a minute of two devices:
/// assert_eq!(reader.as_of(), Some(EventTime(59_999)));
/// let (window, readings) = reader.latest("d1").ok_or("no window")?;
/// assert_eq!((window.end, *readings), (EventTime(60_000), 7));
/// assert_eq!(reader.history("d1", EventTime(60_001)..).len(), 0);
///
/// let busiest = reader.subjects_by(|view| view.latest().map(|(_, count)| *count.as_ref()));
/// assert_eq!(&*busiest[0].0, "d2");
/// assert!(reader.open_moments().is_empty() && reader.subject("d3").is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct LiveReader<S, K = String>(pub(super) Arc<Shared<S, K>>);

impl<S, K> LiveReader<S, K> {
    /// Returns the last event time that all subjects have reached; `None` before the first batch.
    #[must_use]
    pub fn as_of(&self) -> Option<EventTime> {
        self.0.reached().as_of
    }

    /// Returns the time since which all changes are known: the time of the first batch, or the start of the
    /// horizon if that is later. `None` before the first batch.
    #[must_use]
    pub fn known_since(&self) -> Option<EventTime> {
        self.0.reached().since
    }

    /// Returns the tables whose rows the view accepts, in the pipeline's order. Empty before the pipeline has
    /// started.
    #[must_use]
    pub fn tables(&self) -> Vec<Arc<Table>> {
        self.0.tables.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the snapshot of a subject; `None` if there is none. The subject of a key is its
    /// [text](telemetra_core::Key::text). It costs one hash look-up; the snapshot is shared, and does not
    /// change while it is held.
    #[must_use]
    pub fn subject(&self, subject: &str) -> Option<Arc<SubjectView<S, K>>> {
        let shard = self.0.shard(subject).read().unwrap_or_else(PoisonError::into_inner);
        shard.get(subject).cloned()
    }

    /// Returns the names of all subjects and the event times of their last changes, sorted by name. It visits
    /// every subject.
    #[must_use]
    pub fn subjects(&self) -> Vec<(Arc<str>, EventTime)> {
        let mut subjects = Vec::new();
        self.visit(|subject, view| subjects.push((Arc::clone(subject), view.updated())));
        subjects.sort();
        subjects
    }

    /// Returns the subjects for which `rank` returns a value, greatest value first, then by name: for example by the
    /// newest rate, as in [the example](Self). It calls `rank` once for every subject, and sorts the results.
    #[must_use]
    pub fn subjects_by<R: Ord>(
        &self,
        rank: impl Fn(&SubjectView<S, K>) -> Option<R>,
    ) -> Vec<(Arc<str>, Arc<SubjectView<S, K>>)> {
        let mut ranked = Vec::new();
        self.visit(|subject, view| {
            if let Some(rank) = rank(view) {
                ranked.push((std::cmp::Reverse(rank), Arc::clone(subject), Arc::clone(view)));
            }
        });
        ranked.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
        ranked.into_iter().map(|(_, subject, view)| (subject, view)).collect()
    }

    /// Subscribes to the changes of all subjects from now on. At most `capacity` updates (at least 1) are
    /// queued; beyond that the oldest are dropped, and the subscriber receives their number as
    /// [`Notice::Missed`](crate::Notice::Missed). If the view is closed, the subscription ends at once.
    #[must_use]
    pub fn subscribe(&self, capacity: usize) -> Subscription {
        self.0.subscribers.add(None, capacity)
    }

    /// Subscribes to the changes of one subject from now on. Otherwise like [`subscribe`](Self::subscribe).
    #[must_use]
    pub fn subscribe_to(&self, subject: &str, capacity: usize) -> Subscription {
        self.0.subscribers.add(Some(subject), capacity)
    }

    /// Returns the snapshot of a subject, and a subscription to the changes after it. No change is missed in
    /// between, and no update is already in the snapshot.
    ///
    /// ```
    /// use std::time::Duration;
    /// use telemetra_sinks::LiveView;
    ///
    /// let view = LiveView::<u64>::new(Duration::from_secs(3600));
    /// let (snapshot, changes) = view.reader().follow("d1", 64);
    /// assert!(snapshot.is_none(), "there is no such subject yet; its subscribers are notified if it comes");
    /// # drop(changes);
    /// ```
    #[must_use]
    pub fn follow(&self, subject: &str, capacity: usize) -> (Option<Arc<SubjectView<S, K>>>, Subscription) {
        // The subscription comes first. A change in between is then in both, and its time tells that it is in
        // the snapshot.
        let mut changes = self.subscribe_to(subject, capacity);
        let view = self.subject(subject);
        changes.after = view.as_ref().map(|view| view.updated());
        (view, changes)
    }

    /// Returns the changes of a subject after an event time, sorted by time: each row once, as it is now, or
    /// as it was when it was withdrawn. It is for readers that know the subject as of that time and want to catch
    /// up; the answer is smaller than a snapshot, and includes withdrawals.
    ///
    /// `None` if not all changes since then are [known](Self::known_since), or if the view has not reached
    /// that time. Then read the [snapshot](Self::subject).
    ///
    /// ```
    /// use std::time::Duration;
    /// use telemetra_core::{Batch, EventTime, Layout, Sink, Summary, SummaryRow, Window};
    /// use telemetra_sinks::LiveView;
    ///
    /// type Row = SummaryRow<String, u64>;
    /// let layout = Layout::<Row>::summaries("device_minute", &["device"], vec![], |_, _, _| {});
    /// let mut view = LiveView::<u64>::new(Duration::from_secs(3600));
    /// for count in 1..=3 {
    ///     let end = EventTime(count * 60_000);
    ///     let window = Window { start: end.minus(60_000).into(), end };
    ///     let row = SummaryRow { key: "d1".to_owned(), summary: Summary { window, value: count.into() } };
    ///     view.apply(&[Batch { time: end.minus(1), changes: vec![layout.upsert(row, 0)] }])?;
    /// }
    /// let reader = view.reader();
    /// assert_eq!(reader.changes_since("d1", EventTime(119_999)).map(|changes| changes.len()), Some(1));
    /// assert_eq!(reader.changes_since("d1", EventTime(0)), None, "the view was not there yet");
    /// # Ok::<(), telemetra_core::ExternalError>(())
    /// ```
    #[must_use]
    pub fn changes_since(&self, subject: &str, since: EventTime) -> Option<Vec<Update>> {
        // The order matters. `as_of` is read first, so the snapshot is at least as of that time.
        // `known_since` is read last, so it covers everything that the snapshot has forgotten.
        let as_of = self.as_of();
        let view = self.subject(subject);
        if self.known_since().is_none_or(|known| since < known) || Some(since) > as_of {
            return None;
        }
        let changes = view.map(|view| view.changes_since(&Arc::from(subject), since));
        Some(changes.unwrap_or_default())
    }

    /// Calls `each` on all snapshots, without holding a lock.
    fn visit(&self, mut each: impl FnMut(&Arc<str>, &Arc<SubjectView<S, K>>)) {
        for shard in &self.0.shards {
            let views: Vec<_> = {
                let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
                shard.iter().map(|(id, view)| (Arc::clone(id), Arc::clone(view))).collect()
            };
            for (id, view) in &views {
                each(id, view);
            }
        }
    }
}

impl<S: Data, K: Key> Shared<S, K> {
    /// Returns whether the view keeps a row: a window or moment of its grouping, or a row of another type that has no
    /// event time, or one that has if timed rows are kept.
    pub(super) fn keeps(&self, row: &dyn AnyRow) -> bool {
        row.typed().is::<SummaryRow<K, S>>()
            || row.typed().is::<Moment<K>>()
            || (row.table().row_shape() == Shape::Rows
                && (row.time().is_none() || self.timed.load(Ordering::Relaxed)))
    }
}

impl<S: Data, K: Key> LiveReader<S, K> {
    /// Returns whether the view keeps rows of the type and table of `row`. Rows that it does not keep are only
    /// passed to subscribers, so a reader that was disconnected cannot find out what changed in them.
    #[must_use]
    pub fn keeps(&self, row: &dyn AnyRow) -> bool {
        self.0.keeps(row)
    }

    /// Returns the newest window of a subject and its summary; `None` if it has no window within the horizon.
    #[must_use]
    pub fn latest(&self, subject: &str) -> Option<(Window, Arc<S>)> {
        self.subject(subject)?.latest().map(|(window, value)| (window, Arc::clone(value)))
    }

    /// Returns the summaries of a subject whose windows end in `range`, oldest first; empty if the subject is
    /// unknown. Its cost is proportional to the windows within the horizon.
    #[must_use]
    pub fn history(&self, subject: &str, range: impl RangeBounds<EventTime>) -> Vec<(Window, Arc<S>)> {
        let Some(view) = self.subject(subject) else { return Vec::new() };
        let all = view.history().filter(|(window, _)| range.contains(&window.end));
        all.map(|(window, value)| (window, Arc::clone(value))).collect()
    }

    /// Returns the moments of a subject within the horizon, sorted by type and start; empty if the subject is
    /// unknown.
    #[must_use]
    pub fn moments(&self, subject: &str) -> Vec<Moment<K>> {
        self.subject(subject).map_or_else(Vec::new, |view| view.moments().cloned().collect())
    }

    /// Returns the open moments of all subjects, sorted by start. It visits every subject.
    #[must_use]
    pub fn open_moments(&self) -> Vec<Moment<K>> {
        let mut open = Vec::new();
        self.visit(|_, view| open.extend(view.moments().filter(|moment| moment.open).cloned()));
        open.sort_by(|a, b| (a.started_at, a).cmp(&(b.started_at, b)));
        open
    }
}

impl<S, K> Clone for LiveReader<S, K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S, K> fmt::Debug for LiveReader<S, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveReader").field("as_of", &self.as_of()).finish_non_exhaustive()
    }
}
