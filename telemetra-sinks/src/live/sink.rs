//! The sink of a live view: it applies batches to the snapshots and notifies the subscribers.

use std::borrow::Cow;
use std::sync::{Arc, PoisonError, RwLockWriteGuard};

use telemetra_core::{Batch, Change, Data, EventTime, ExternalError, Key, Shape, Sink, SummaryRow, Table};

use super::{LiveView, SHARDS, Shard, Subjects, Update};

/// A change, and the subject of its row.
type About<'c> = (Cow<'c, str>, &'c Change);

fn write<S, K>(shard: &Shard<S, K>) -> RwLockWriteGuard<'_, Subjects<S, K>> {
    shard.write().unwrap_or_else(PoisonError::into_inner)
}

impl<S: Data, K: Key> LiveView<S, K> {
    /// Returns whether the view accepts the rows of this table.
    fn takes(&self, table: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|known| known == table)
    }

    /// Returns the changes of the accepted tables, sorted by subject.
    fn taken<'c>(&self, batch: &'c Batch) -> Vec<About<'c>> {
        let taken = batch.changes.iter().filter(|change| self.takes(change.table()));
        let mut changes: Vec<_> = taken.map(|change| (change.row.subject(), change)).collect();
        changes.sort_by(|a, b| a.0.cmp(&b.0));
        changes
    }

    /// Checks that all windows are from one table, as windows of several tables would be mixed up.
    fn check_windows(&mut self, changes: &[About<'_>]) -> Result<(), ExternalError> {
        for (_, change) in changes {
            if change.row.table().row_shape() != Shape::Windows || change.row::<SummaryRow<K, S>>().is_none()
            {
                continue;
            }
            let table = change.table();
            match &self.windows {
                None => self.windows = Some(table.to_owned()),
                Some(known) if known == table => {}
                Some(known) => {
                    return Err(ExternalError::permanent(format!(
                        "the live view is given windows of one type from two tables, `{known}` and \
                         `{table}`; name the tables of one grouping by `LiveView::only`"
                    )));
                }
            }
        }
        Ok(())
    }

    /// Applies all changes of a subject at one time under one lock, so that a reader sees all or none.
    fn change(&self, subject: &str, group: &[About<'_>], time: EventTime) {
        let shard = self.shared.shard(subject);
        if !group.iter().any(|(_, change)| self.shared.keeps(&*change.row)) {
            // A row that now has an event time leaves the view; a row that always had one was never in it.
            let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
            let Some(view) = shard.get(subject) else { return };
            if !group.iter().any(|(_, change)| view.holds(&*change.row)) {
                return;
            }
        }
        let mut shard = write(shard);
        if !shard.contains_key(subject) {
            shard.insert(subject.into(), Arc::default());
        }
        let Some(view) = shard.get_mut(subject) else { return };
        let view = Arc::make_mut(view);
        for (_, change) in group {
            let keeps = self.shared.keeps(&*change.row);
            if keeps || view.holds(&*change.row) {
                view.apply(change, time, keeps);
            }
        }
        view.forget(time.minus(self.shared.horizon));
    }

    /// Forgets rows that have left the horizon, of subjects without changes, one shard at a time.
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

impl<S: Data, K: Key> Sink for LiveView<S, K> {
    fn name(&self) -> &str {
        "live_view"
    }

    fn open(
        &mut self,
        tables: &[Arc<Table>],
        _resume: Option<EventTime>,
    ) -> Result<Option<EventTime>, ExternalError> {
        if let Some(unknown) = self.only.iter().find(|name| tables.iter().all(|table| table.name() != **name))
        {
            let known: Vec<_> = tables.iter().map(|table| format!("`{}`", table.name())).collect();
            return Err(ExternalError::permanent(format!(
                "the pipeline has no table `{unknown}`, which `LiveView::only` names; it has these: {}",
                known.join(", ")
            )));
        }
        self.windows = None;
        let taken = tables.iter().filter(|table| self.takes(table.name())).cloned().collect();
        *self.shared.tables.write().unwrap_or_else(PoisonError::into_inner) = taken;
        for shard in &self.shared.shards {
            write(shard).clear();
        }
        self.shared.reach(|reached| *reached = super::Reached::default());
        self.shared.subscribers.open();
        Ok(None)
    }

    fn apply(&mut self, batches: &[Batch]) -> Result<(), ExternalError> {
        for batch in batches {
            let changes = self.taken(batch);
            self.check_windows(&changes)?;
            // The start of the known changes moves before any row is forgotten.
            let horizon = batch.time.minus(self.shared.horizon);
            self.shared.reach(|reached| {
                reached.since = Some(reached.since.unwrap_or(batch.time).max(horizon));
            });
            let groups = || changes.chunk_by(|a, b| a.0 == b.0);
            for group in groups() {
                self.change(&group[0].0, group, batch.time);
            }
            self.sweep(batch.time);
            self.shared.reach(|reached| reached.as_of = Some(batch.time));
            // Subscribers are notified after the view has changed, so that they find the change there.
            for group in groups() {
                let subject = &*group[0].0;
                self.shared.subscribers.notify(subject, || Update {
                    time: batch.time,
                    subject: subject.into(),
                    changes: group.iter().map(|(_, change)| (*change).clone()).collect(),
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

/// Ends all subscriptions, so that no subscriber waits for a writer that is gone.
impl<S, K> Drop for LiveView<S, K> {
    fn drop(&mut self) {
        self.shared.subscribers.close();
    }
}
