//! The reader handle of a live view: other threads query snapshots and subscribe to changes through it.

use std::fmt;
use std::ops::RangeBounds;
use std::sync::{Arc, PoisonError};

use telemetra_core::{EventTime, Moment, StreamId, Window};

use super::{Shared, StreamView, Subscription, Update};

/// The reading half: cheap to clone, and usable from any thread.
///
/// A stream's snapshot is as of one event time: it has all changes of that time or none. Two streams may be one time apart
/// while the writer is between them; [`as_of`](Self::as_of) is the time that all have reached. To have all of them as of one
/// time would mean to lock all, or to copy all.
pub struct LiveReader<S>(pub(super) Arc<Shared<S>>);

impl<S> LiveReader<S> {
    /// The last event time that all streams have reached; `None` before the first batch.
    #[must_use]
    pub fn as_of(&self) -> Option<EventTime> {
        self.0.reached().as_of
    }

    /// The time since which all changes are known: that of the first batch, or where the horizon begins if that is later. `None`
    /// before the first batch.
    #[must_use]
    pub fn known_since(&self) -> Option<EventTime> {
        self.0.reached().since
    }

    /// The snapshot of a stream.
    #[must_use]
    pub fn stream(&self, stream: &str) -> Option<Arc<StreamView<S>>> {
        let shard = self.0.shard(stream).read().unwrap_or_else(PoisonError::into_inner);
        shard.get(&StreamId::new(stream)).cloned()
    }

    /// The newest window of a stream, and its summary.
    #[must_use]
    pub fn latest(&self, stream: &str) -> Option<(Window, Arc<S>)> {
        self.stream(stream)?.latest().map(|(window, value)| (window, Arc::clone(value)))
    }

    /// The summaries of a stream whose windows end in `range`, oldest first.
    #[must_use]
    pub fn history(&self, stream: &str, range: impl RangeBounds<EventTime>) -> Vec<(Window, Arc<S>)> {
        let Some(view) = self.stream(stream) else { return Vec::new() };
        let all = view.history().filter(|(window, _)| range.contains(&window.end));
        all.map(|(window, value)| (window, Arc::clone(value))).collect()
    }

    /// The moments of a stream, by type and start.
    #[must_use]
    pub fn moments(&self, stream: &str) -> Vec<Moment> {
        self.stream(stream).map_or_else(Vec::new, |view| view.moments().cloned().collect())
    }

    /// The open moments of all streams, by start.
    #[must_use]
    pub fn open_moments(&self) -> Vec<Moment> {
        let mut open = Vec::new();
        self.visit(|_, view| open.extend(view.moments().filter(|moment| moment.open).cloned()));
        open.sort_by(|a, b| (a.started_at, a).cmp(&(b.started_at, b)));
        open
    }

    /// All streams and when they last changed, by id.
    #[must_use]
    pub fn streams(&self) -> Vec<(StreamId, EventTime)> {
        let mut streams = Vec::new();
        self.visit(|id, view| streams.push((id.clone(), view.updated())));
        streams.sort();
        streams
    }

    /// The streams for which `rank` gives something, greatest first, then by id: say by the recent chat rate.
    ///
    /// ```
    /// # let reader = telemetra_sinks::LiveView::<telemetra_core::StreamSummary>::new(60_000).reader();
    /// let busiest = reader.streams_by(|view| view.latest().map(|(_, summary)| summary.chat_count));
    /// ```
    #[must_use]
    pub fn streams_by<K: Ord>(
        &self,
        rank: impl Fn(&StreamView<S>) -> Option<K>,
    ) -> Vec<(StreamId, Arc<StreamView<S>>)> {
        let mut ranked = Vec::new();
        self.visit(|id, view| {
            if let Some(rank) = rank(view) {
                ranked.push((std::cmp::Reverse(rank), id.clone(), Arc::clone(view)));
            }
        });
        ranked.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
        ranked.into_iter().map(|(_, id, view)| (id, view)).collect()
    }

    /// Follows the changes of all streams from now on. At most `capacity` updates (at least 1) wait to be received. Of a view that is
    /// closed it ends at once.
    #[must_use]
    pub fn subscribe(&self, capacity: usize) -> Subscription<S> {
        self.0.subscribers.add(None, capacity)
    }

    /// Follows the changes of one stream from now on.
    #[must_use]
    pub fn subscribe_to(&self, stream: &str, capacity: usize) -> Subscription<S> {
        self.0.subscribers.add(Some(StreamId::new(stream)), capacity)
    }

    /// The snapshot of a stream, and the changes that come after it: none is missed in between, and none of those given is in the
    /// snapshot already.
    ///
    /// ```
    /// use telemetra_core::{Batch, EventTime, Sink};
    /// use telemetra_sinks::LiveView;
    ///
    /// let mut view = LiveView::<u64>::new(3_600_000);
    /// let (snapshot, changes) = view.reader().follow("s1", 64);
    /// assert!(snapshot.is_none(), "there is no such stream yet; if it comes, its subscribers are notified");
    /// # drop(changes);
    /// ```
    #[must_use]
    pub fn follow(&self, stream: &str, capacity: usize) -> (Option<Arc<StreamView<S>>>, Subscription<S>) {
        // In this order: what changes in between is in both, and its time shows which it is.
        let mut changes = self.subscribe_to(stream, capacity);
        let view = self.stream(stream);
        changes.after = view.as_ref().map(|view| view.updated());
        (view, changes)
    }

    /// Calls `each` on all snapshots, no lock held.
    fn visit(&self, mut each: impl FnMut(&StreamId, &Arc<StreamView<S>>)) {
        for shard in &self.0.shards {
            let views: Vec<_> = {
                let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
                shard.iter().map(|(id, view)| (id.clone(), Arc::clone(view))).collect()
            };
            for (id, view) in &views {
                each(id, view);
            }
        }
    }
}

impl<S: Clone> LiveReader<S> {
    /// What changed in a stream after a time, in the order of time: each row once, as it is now, or as it was when it was withdrawn.
    /// For those who know the stream as of that time and want to go on: less than a snapshot, and it tells what is no longer true.
    ///
    /// `None` if not all changes since then are known ([`known_since`](Self::known_since)), or if the view has not come that far; then
    /// only a snapshot will do.
    ///
    /// ```
    /// use telemetra_core::{Action, Batch, Change, EventTime, Row, Sink, StreamId, Summary, Window};
    /// use telemetra_sinks::LiveView;
    ///
    /// let mut view = LiveView::<u64>::new(3_600_000);
    /// for count in 1..=3 {
    ///     let end = EventTime(count * 60_000);
    ///     let window = Window { start: end.minus(60_000), end };
    ///     let row = Row::Summary(StreamId::new("s1"), Summary { window, value: count.into() });
    ///     let change = Change { row, revision: 0, action: Action::Upsert };
    ///     view.apply(&[Batch { time: end.minus(1), changes: vec![change] }])?;
    /// }
    /// let reader = view.reader();
    /// assert_eq!(reader.changes_since("s1", EventTime(119_999)).map(|changes| changes.len()), Some(1));
    /// assert_eq!(reader.changes_since("s1", EventTime(0)), None, "the view was not there yet");
    /// # Ok::<(), telemetra_core::ExternalError>(())
    /// ```
    #[must_use]
    pub fn changes_since(&self, stream: &str, since: EventTime) -> Option<Vec<Update<S>>> {
        // In this order: the view is then at least as of this time, and has forgotten at most what is known to be.
        let as_of = self.as_of();
        let view = self.stream(stream);
        if self.known_since().is_none_or(|known| since < known) || Some(since) > as_of {
            return None;
        }
        let changes = view.map(|view| view.changes_since(&StreamId::new(stream), since));
        Some(changes.unwrap_or_default())
    }
}

impl<S> Clone for LiveReader<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S> fmt::Debug for LiveReader<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveReader").field("as_of", &self.as_of()).finish_non_exhaustive()
    }
}
