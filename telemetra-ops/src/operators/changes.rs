//! The changelog of a collection of rows: upserts and withdrawals, each with the revision of its row.

use std::collections::hash_map::{self, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering as AtomicOrdering;

use differential_dataflow::VecCollection;
use serde::{Deserialize, Serialize};
use telemetra_core::checkpoint::{CodecError, Migration};
use telemetra_core::{Action, Data, EventTime, Layout, key_hash};
use timely::dataflow::StreamVec;

use crate::checkpoint::state::CheckpointContext;
use crate::observe::checkpoint_gauge::CheckpointGauge;
use crate::operators::checkpointed::{Checkpointed, Inbox, Tactic};
use crate::operators::journal::{Entry, Journal, Journaled, Unsettled};
use crate::operators::net::{Net, Netting};

/// One entry of a changelog: an upsert or a withdrawal of one row, in the row's own type. A pipeline turns it
/// into a [`Change`](telemetra_core::Change), which is what a sink receives.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct RowChange<R: Data> {
    /// The row: the new version of an upsert, or the last version of a withdrawal.
    pub row: R,
    /// The number of times the row was published before: 0 for the first time. Tables of summaries and
    /// moments have it as the column `revision`.
    pub revision: u32,
    /// The kind of the change: an upsert writes the row, a withdrawal removes it.
    pub action: Action,
}

/// Extends a collection of rows by its changelog of upserts and withdrawals, as Flink turns a table into an
/// upsert stream. A pipeline applies it to everything it [publishes](crate::Graph::publish); use it directly
/// in dataflows of your own that write to a database.
///
/// # Contract
///
/// Of the caller; the trait is implemented for collections of rows.
///
/// * **One row for each key.** At each time the collection has at most one row of each key, and has it once.
/// * **A stable name.** `name` is unique in the graph and the same from run to run, as checkpoints store the
///   state under it. Two operators of one name make the pipeline fail.
pub trait Changes<'scope, R: Data>: Sized {
    /// Returns the changes of a collection of rows of one table: at most one for each row and time. A row
    /// that is removed and added again at one time is an upsert; a row that is only removed is a withdrawal.
    ///
    /// The removal of a row whose event time is `horizon` milliseconds or more in the past makes no change,
    /// so the row stays in the sinks; `u64::MAX` turns this off. Rows without an event time never become old.
    ///
    /// Rows are exchanged between workers by their [subject](Layout::subject). Each change has the revision
    /// of its row: how often the row was published before. The state is one number for each row that was
    /// published more than once and may still change. It is part of the checkpoints of `context`, under
    /// `name`; with checkpoints, the changes since the last complete one are kept too.
    ///
    /// ```
    /// use differential_dataflow::input::Input;
    /// use telemetra_core::{Action, Column, ColumnKind, EventTime, Layout, Table, Value};
    /// use telemetra_ops::{Changes, CheckpointContext};
    /// use timely::dataflow::operators::{Capture, capture::Extract};
    ///
    /// let table = Table::new("totals").key(Column::new("site", ColumnKind::Integer)).column(Column::new("total", ColumnKind::Integer));
    /// let layout = Layout::new(table, |(site, total): &(u32, i64), put| {
    ///     put(Value::Unsigned((*site).into()));
    ///     put(Value::Signed(*total));
    /// });
    /// let captured = timely::execute_directly(move |worker| {
    ///     let (mut input, captured) = worker.dataflow::<EventTime, _, _>(|scope| {
    ///         let (input, rows) = scope.new_collection::<(u32, i64), isize>();
    ///         let context = CheckpointContext::none(scope);
    ///         (input, rows.changes(layout, u64::MAX, "totals", &context).capture())
    ///     });
    ///     input.update_at((7, 1), EventTime(1), 1);
    ///     // The row is replaced, then taken back.
    ///     input.update_at((7, 1), EventTime(2), -1);
    ///     input.update_at((7, 2), EventTime(2), 1);
    ///     input.update_at((7, 2), EventTime(3), -1);
    ///     captured
    /// });
    /// let changes = captured.extract().into_iter().flat_map(|(_, changes)| changes);
    /// let actions: Vec<_> = changes.map(|change| (change.action, change.revision)).collect();
    /// assert_eq!(actions, [(Action::Upsert, 0), (Action::Upsert, 1), (Action::Withdraw, 2)]);
    /// ```
    fn changes(
        self,
        layout: Layout<R>,
        horizon: u64,
        name: &str,
        context: &CheckpointContext<'scope>,
    ) -> StreamVec<'scope, EventTime, RowChange<R>>;
}

impl<'scope, R: Data> Changes<'scope, R> for VecCollection<'scope, EventTime, R, isize> {
    fn changes(
        self,
        layout: Layout<R>,
        horizon: u64,
        name: &str,
        context: &CheckpointContext<'scope>,
    ) -> StreamVec<'scope, EventTime, RowChange<R>> {
        use timely::dataflow::operators::vec::Map;
        let routes = layout.clone();
        let routed = self.inner.map(move |(row, time, diff)| {
            let route = key_hash(&*routes.subject(&row));
            Routed { route, row, time, diff }
        });
        let writer = context.writer.as_ref();
        let tactic = ChangesTactic {
            layout,
            horizon,
            inbox: Inbox::default(),
            revisions: HashMap::new(),
            restored: EventTime::MIN,
            scratch: String::new(),
            netting: Netting::default(),
            last: EventTime::MIN,
            journal: writer.map(|_| Journal::new(EventTime::MIN)),
            complete: writer.map(|writer| Arc::clone(&writer.gauge)),
            unsettled: Vec::new(),
        };
        routed.checkpointed(name, context, tactic)
    }
}

/// An update of a collection of rows, with the hash of its row's subject.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound = "")]
struct Routed<R: Data> {
    route: u64,
    row: R,
    time: EventTime,
    diff: isize,
}

/// The tactic that turns updates of rows into changes.
struct ChangesTactic<R: Data> {
    layout: Layout<R>,
    horizon: u64,
    inbox: Inbox<(R, isize, u64)>,
    /// The number of times that rows were published, for rows that were published more than once, with their route.
    revisions: HashMap<u128, (u64, u32)>,
    /// The time up to which the restored state counts as published. It is emitted again for sinks that keep
    /// nothing.
    restored: EventTime,
    scratch: String,
    netting: Netting,
    /// The last time at which anything was published.
    last: EventTime,
    /// The changes since the last checkpoint, if there are checkpoints.
    journal: Option<Journal<R>>,
    /// The boundary of the last complete checkpoint.
    complete: Option<Arc<CheckpointGauge>>,
    /// The journals of earlier runs that had come to their end, each with the time at which it is settled.
    unsettled: Vec<Unsettled<R>>,
}

/// The state in a checkpoint.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
struct ChangesSnapshot<R: Data> {
    /// The route of each row, and how often it was published, for rows that were published more than once.
    revisions: Vec<(u128, u64, u32)>,
    unsettled: Vec<Unsettled<R>>,
}

impl<R: Data> ChangesTactic<R> {
    /// Returns whether a row belongs to this worker.
    fn is_mine(layout: &Layout<R>, row: &R, is_mine: &dyn Fn(u64) -> bool) -> bool {
        is_mine(key_hash(&*layout.subject(row)))
    }

    /// Publishes the difference between the rows that an earlier run gave to the sinks and the current ones.
    fn settle(&mut self, emit: &mut dyn FnMut(RowChange<R>)) {
        for (entry, change) in self.unsettled.remove(0).settle(&self.layout) {
            if entry.row().is_some() {
                self.note(entry);
            }
            if let Some(change) = change {
                let id = self.layout.key_id(&change.row, &mut self.scratch);
                let route = key_hash(&*self.layout.subject(&change.row));
                self.revisions.insert(id, (route, change.revision));
                emit(change);
            }
        }
    }

    /// Records a change of a row.
    fn note(&mut self, entry: Entry<R>) {
        self.unsettled.iter_mut().for_each(|unsettled| unsettled.note(entry.clone()));
        if let Some(journal) = &mut self.journal {
            journal.note(&self.layout, entry);
        }
    }

    /// Returns whether a row that is removed at `boundary` was removed because of its age.
    fn is_retired(&self, row: &R, boundary: EventTime) -> bool {
        self.layout.time(row).is_some_and(|time| time.plus(self.horizon) <= boundary)
    }

    /// Returns the revision of this change.
    fn revision(&mut self, net: &Net<R>) -> u32 {
        if net.before.is_none() && self.revisions.is_empty() {
            return 0;
        }
        match self.revisions.entry(self.layout.key_id(&net.row, &mut self.scratch)) {
            hash_map::Entry::Occupied(mut entry) => {
                entry.get_mut().1 += 1;
                entry.get().1
            }
            hash_map::Entry::Vacant(entry) if net.before.is_some() => entry.insert((net.route, 1)).1,
            hash_map::Entry::Vacant(_) => 0,
        }
    }

    /// Returns the last revision of a row.
    fn known(&mut self, row: &R) -> u32 {
        if self.revisions.is_empty() {
            return 0;
        }
        self.revisions.get(&self.layout.key_id(row, &mut self.scratch)).map_or(0, |(_, revision)| *revision)
    }
}

impl<R: Data> Tactic for ChangesTactic<R> {
    type In = Routed<R>;
    type Out = RowChange<R>;
    type Snapshot = ChangesSnapshot<R>;

    /// The number of times that rows were published, without the journals, which consist of rows.
    fn reduced(&self) -> Option<Migration<Self::Snapshot>> {
        Some(Migration::decoding(|bytes| {
            let revisions = bincode::deserialize_from(&mut *bytes)?;
            *bytes = &[];
            Ok(ChangesSnapshot { revisions, unsettled: Vec::new() })
        }))
    }

    fn route(update: &Routed<R>) -> u64 {
        update.route
    }

    fn time_of(update: &Routed<R>, _: EventTime) -> EventTime {
        update.time
    }

    fn take_in(&mut self, time: EventTime, update: Routed<R>) {
        self.inbox.push(time, (update.row, update.diff, update.route));
    }

    fn next(&self, _: bool) -> Option<EventTime> {
        let settles = self.unsettled.first().map(|unsettled| unsettled.at);
        self.inbox.next().into_iter().chain(settles).min()
    }

    fn advance(&mut self, time: EventTime, emit: &mut dyn FnMut(RowChange<R>)) {
        self.last = time;
        let mut updates = self.inbox.take(time);
        let arrived = updates.len();
        let settles = self.unsettled.first().is_some_and(|unsettled| unsettled.at == time);
        let nets = self.netting.net_changes(&self.layout, &mut updates);
        self.inbox.recycle(updates, arrived);
        for mut net in nets {
            if net.action == Action::Withdraw && self.is_retired(&net.row, time.plus(1)) {
                if !self.revisions.is_empty() {
                    self.revisions.remove(&self.layout.key_id(&net.row, &mut self.scratch));
                }
                continue;
            }
            if time < self.restored {
                let revision = self.known(&net.row);
                emit(RowChange { row: net.row, revision, action: net.action });
                continue;
            }
            let revision = self.revision(&net);
            if self.journal.is_some() {
                self.note(net.take_entry(revision));
            }
            if !settles {
                emit(RowChange { row: net.row, revision, action: net.action });
            }
        }
        if settles {
            self.settle(emit);
        }
    }

    fn snapshot(&mut self, boundary: EventTime, _: bool) -> Result<Self::Snapshot, CodecError> {
        if let (Some(journal), Some(gauge)) = (&mut self.journal, &self.complete) {
            journal.checkpoint(boundary, EventTime(gauge.boundary.load(AtomicOrdering::Acquire)));
        }
        let mut revisions: Vec<_> =
            self.revisions.iter().map(|(id, (route, revision))| (*id, *route, *revision)).collect();
        revisions.sort_unstable();
        Ok(ChangesSnapshot { revisions, unsettled: self.unsettled.clone() })
    }

    fn restore(
        &mut self,
        restored: EventTime,
        snapshots: Vec<Self::Snapshot>,
        is_mine: &dyn Fn(u64) -> bool,
    ) -> Result<(), CodecError> {
        self.restored = restored;
        if let Some(journal) = &mut self.journal {
            *journal = Journal::new(restored);
        }
        for ChangesSnapshot { revisions, unsettled } in snapshots {
            let mine = revisions.into_iter().filter(|(_, route, _)| is_mine(*route));
            self.revisions.extend(mine.map(|(id, route, revision)| (id, (route, revision))));
            for other in unsettled {
                let index = self.unsettled.partition_point(|own| own.at < other.at);
                if self.unsettled.get(index).is_none_or(|own| own.at != other.at) {
                    self.unsettled.insert(index, Unsettled::new(other.at));
                }
                self.unsettled[index].merge(other, |row| Self::is_mine(&self.layout, row, is_mine));
            }
        }
        Ok(())
    }

    fn leave(&mut self) -> Option<(EventTime, Result<Vec<u8>, CodecError>)> {
        let journaled = self.journal.as_mut().map(|journal| journal.finish(&self.layout));
        Some((self.last, bincode::serialize(&journaled.unwrap_or_default()).map_err(CodecError::from)))
    }

    fn take_over(
        &mut self,
        settles: EventTime,
        left: Vec<Vec<u8>>,
        is_mine: &dyn Fn(u64) -> bool,
    ) -> Result<(), CodecError> {
        // That run has settled the journals that were unsettled at the checkpoint.
        let settled = self.unsettled.last().map_or(EventTime::MIN, |unsettled| unsettled.at.plus(1));
        let mut unsettled = Unsettled::new(settles.max(settled));
        for part in left {
            let journaled: Journaled<R> = bincode::deserialize(&part)?;
            unsettled.take_in(self.restored, journaled, |row| Self::is_mine(&self.layout, row, is_mine));
        }
        self.unsettled.push(unsettled);
        Ok(())
    }
}
