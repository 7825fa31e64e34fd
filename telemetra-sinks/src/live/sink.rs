//! The sink of a live view: it applies batches to the snapshots and notifies the subscribers.

use std::sync::{Arc, PoisonError, RwLockWriteGuard};

use telemetra_core::{Batch, Change, EventTime, ExternalError, Row, Sink, StreamId};

use super::{Group, LiveView, SHARDS, Shard, StreamView, Update};

fn stream_of<S>(row: &Row<S>) -> &StreamId {
    match row {
        Row::Stream(row) => &row.stream_id,
        Row::Summary(stream, _) => stream,
        Row::Moment(moment) => &moment.stream_id,
        Row::Viewer(row) => &row.stream_id,
        Row::Transaction(row) => &row.stream_id,
    }
}

fn write<S>(
    shard: &Shard<S>,
) -> RwLockWriteGuard<'_, std::collections::HashMap<StreamId, Arc<StreamView<S>>>> {
    shard.write().unwrap_or_else(PoisonError::into_inner)
}

impl<S: Clone> LiveView<S> {
    /// All changes of a stream at one time, under one lock: a reader sees them all or none.
    fn change(&self, stream: &StreamId, group: Group<'_, S>, time: EventTime) {
        let kept = |change: &&&Change<S>| !matches!(change.row, Row::Viewer(_) | Row::Transaction(_));
        if group.iter().any(|change| kept(&change)) {
            let mut shard = write(self.shared.shard(stream));
            let view = Arc::make_mut(shard.entry(stream.clone()).or_default());
            for change in group.iter().filter(kept) {
                view.apply(change, time);
            }
            view.forget(time.minus(self.shared.horizon));
        }
    }

    /// Forgets what has left the horizon in streams that do not change any more, one shard at a time.
    fn sweep(&mut self, time: EventTime) {
        let since = time.minus(self.shared.horizon);
        let mut shard = write(&self.shared.shards[self.sweep]);
        shard.retain(|_, view| {
            if view.is_stale(since) {
                Arc::make_mut(view).forget(since);
                return !view.is_bare();
            }
            true
        });
        drop(shard);
        self.sweep = (self.sweep + 1) % SHARDS;
    }
}

impl<S: Clone + Send + Sync> Sink<S> for LiveView<S> {
    fn name(&self) -> &str {
        "live_view"
    }

    fn open(&mut self, _resume: Option<EventTime>) -> Result<Option<EventTime>, ExternalError> {
        for shard in &self.shared.shards {
            write(shard).clear();
        }
        self.shared.reach(|reached| *reached = super::Reached::default());
        self.shared.subscribers.open();
        Ok(None)
    }

    fn apply(&mut self, batches: &[Batch<S>]) -> Result<(), ExternalError> {
        for batch in batches {
            // Before anything is forgotten.
            let horizon = batch.time.minus(self.shared.horizon);
            self.shared.reach(|reached| {
                reached.since = Some(reached.since.unwrap_or(batch.time).max(horizon));
            });
            let mut changes: Vec<_> = batch.changes.iter().collect();
            changes.sort_by(|a, b| stream_of(&a.row).cmp(stream_of(&b.row)));
            let groups = || changes.chunk_by(|a, b| stream_of(&a.row) == stream_of(&b.row));
            for group in groups() {
                self.change(stream_of(&group[0].row), group, batch.time);
            }
            self.sweep(batch.time);
            self.shared.reach(|reached| reached.as_of = Some(batch.time));
            // After the view, so that a notified subscriber finds the change there.
            for group in groups() {
                let stream = stream_of(&group[0].row);
                self.shared.subscribers.notify(stream, || Update {
                    time: batch.time,
                    stream_id: stream.clone(),
                    changes: group.iter().map(|change| (*change).clone()).collect(),
                });
            }
        }
        Ok(())
    }

    fn close(&mut self) -> Result<(), ExternalError> {
        self.shared.subscribers.close();
        Ok(())
    }
}

/// Subscribers must not wait for a writer that is gone.
impl<S> Drop for LiveView<S> {
    fn drop(&mut self) {
        self.shared.subscribers.close();
    }
}
