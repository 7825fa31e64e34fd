//! Publications: the tables of a graph, each with the stream of its changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use telemetra_core::{Change, Data, EventTime, Layout, Table, key_hash};
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

use crate::deliver::placement::ShardHomes;
use crate::operators::changes::RowChange;

/// A published table, of any row type.
pub(crate) trait Publication<'scope> {
    /// Returns the table.
    fn table(&self) -> &Arc<Table>;

    /// Adds an input for the table's changes to the delivery operator of a sink.
    fn attach(
        &self,
        builder: &mut OperatorBuilder<'scope, EventTime>,
        homes: &ShardHomes,
    ) -> Box<dyn TableInput>;
}

/// One input of a delivery operator: the changes of one table that have arrived and are not in a batch yet.
pub(crate) trait TableInput {
    /// Stores the changes that have arrived. `note` is called with the shard and capability of each message.
    fn receive(&mut self, note: &mut dyn FnMut(usize, &Capability<EventTime>));

    /// Appends the changes of one shard and time, sorted, as sinks receive them.
    fn take(&mut self, shard: usize, time: EventTime, changes: &mut Vec<Change>);
}

/// A published table with rows of type `R`.
pub(crate) struct TypedPublication<'scope, R: Data> {
    pub(crate) layout: Layout<R>,
    pub(crate) changes: StreamVec<'scope, EventTime, RowChange<R>>,
}

impl<'scope, R: Data> Publication<'scope> for TypedPublication<'scope, R> {
    fn table(&self) -> &Arc<Table> {
        self.layout.table()
    }

    fn attach(
        &self,
        builder: &mut OperatorBuilder<'scope, EventTime>,
        homes: &ShardHomes,
    ) -> Box<dyn TableInput> {
        let (layout, to) = (self.layout.clone(), homes.clone());
        let home = to.only_home();
        // With one shard, the subject of a row is not needed.
        let by_shard = Exchange::new(move |change: &RowChange<R>| {
            home.unwrap_or_else(|| to.home_of(key_hash(&*layout.subject(&change.row))))
        });
        let mut input = builder.new_input(self.changes.clone(), by_shard);
        let (layout, homes) = (self.layout.clone(), homes.clone());
        let receive = move |stash: &mut Stash<R>, note: &mut dyn FnMut(usize, &Capability<EventTime>)| {
            input.for_each_stamp(|cap, messages| {
                let Some(cap) = cap.retain_least(0) else { return };
                let time = *cap.time();
                let changes = messages.flat_map(|message| message.drain(..));
                if homes.len() == 1 {
                    note(0, &cap);
                    stash.entry((0, time)).or_default().extend(changes);
                    return;
                }
                for change in changes {
                    let shard = homes.shard_of(key_hash(&*layout.subject(&change.row)));
                    note(shard, &cap);
                    stash.entry((shard, time)).or_default().push(change);
                }
            });
        };
        Box::new(TypedInput { layout: self.layout.clone(), stash: BTreeMap::new(), receive })
    }
}

/// Changes by shard and time.
type Stash<R> = BTreeMap<(usize, EventTime), Vec<RowChange<R>>>;

/// The input of a table with rows of type `R`.
struct TypedInput<R: Data, F> {
    layout: Layout<R>,
    stash: Stash<R>,
    receive: F,
}

impl<R: Data, F> TableInput for TypedInput<R, F>
where
    F: FnMut(&mut Stash<R>, &mut dyn FnMut(usize, &Capability<EventTime>)),
{
    fn receive(&mut self, note: &mut dyn FnMut(usize, &Capability<EventTime>)) {
        (self.receive)(&mut self.stash, note);
    }

    fn take(&mut self, shard: usize, time: EventTime, changes: &mut Vec<Change>) {
        let mut mine = self.stash.remove(&(shard, time)).unwrap_or_default();
        // Most come sorted, or in a few sorted runs.
        mine.sort();
        changes.reserve(mine.len());
        // The sink's thread drops what this thread makes: counts that both change all the time would be a cost.
        let layout = self.layout.apart();
        for RowChange { row, revision, action } in mine {
            changes.push(Change { row: layout.erase(row), revision, action });
        }
    }
}
