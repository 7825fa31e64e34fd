//! Publishing: from changes of collections to upserts and withdrawals of rows, with revisions.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

use differential_dataflow::VecCollection;
use differential_dataflow::consolidation::consolidate;
use serde::{Deserialize, Serialize};
use telemetra_core::{
    Action, Change, Data, EventTime, Moment, MomentId, Row, StreamId, WindowRules, key_hash,
};
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::operator::Operator;

use crate::checkpoint::{Durability, Markers, is_mine, reached};

/// Turns a collection of rows into changes for sinks.
pub trait Publish<'scope, S: Data>: Sized {
    /// At most one change per row and time: what is taken back and put anew at one time is an upsert, what is only taken back
    /// a withdrawal. What is taken back because it went beyond the horizon is no news and is dropped.
    ///
    /// Each change carries the revision of its row: how often the row was published before.
    ///
    /// State: one number per row that was published more than once and may still change.
    ///
    /// ```
    /// use differential_dataflow::input::Input;
    /// use std::sync::Arc;
    /// use telemetra_core::{Action, EventTime, Row, StreamId, Summary, TimeConfig};
    /// use telemetra_ops::Publish;
    /// use timely::dataflow::operators::{Capture, capture::Extract};
    ///
    /// let windows = TimeConfig::default().window_rules(0);
    /// let row = move |count: u64| {
    ///     let window = windows.windows.window_ending(EventTime(60_000));
    ///     Row::Summary(StreamId::new("a"), Summary { window, value: Arc::new(count) })
    /// };
    /// let captured = timely::execute_directly(move |worker| {
    ///     let (mut input, captured) = worker.dataflow::<EventTime, _, _>(|scope| {
    ///         let (input, rows) = scope.new_collection::<Row<u64>, isize>();
    ///         (input, rows.publish(windows).capture())
    ///     });
    ///     input.update_at(row(1), EventTime(59_999), 1);
    ///     // Late data: the row is replaced.
    ///     input.update_at(row(1), EventTime(69_999), -1);
    ///     input.update_at(row(2), EventTime(69_999), 1);
    ///     // It is taken back as untrue; beyond the horizon that would be no news.
    ///     input.update_at(row(2), EventTime(79_999), -1);
    ///     captured
    /// });
    /// let changes = captured.extract().into_iter().flat_map(|(_, changes)| changes);
    /// let actions: Vec<_> = changes.map(|change| (change.action, change.revision)).collect();
    /// assert_eq!(actions, [(Action::Upsert, 0), (Action::Upsert, 1), (Action::Withdraw, 2)]);
    /// ```
    fn publish(self, windows: WindowRules) -> StreamVec<'scope, EventTime, Change<S>>;

    /// The same with state that is kept in checkpoints.
    fn publish_with(
        self,
        windows: WindowRules,
        durability: &Durability<'scope>,
    ) -> StreamVec<'scope, EventTime, Change<S>>;
}

/// The identity of a row that may be published again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
enum RowKey {
    Stream(StreamId),
    Summary(StreamId, EventTime),
    Moment(StreamId, MomentId),
}

impl RowKey {
    /// The key of a row; `None` for facts, which never change.
    fn of<S>(row: &Row<S>) -> Option<Self> {
        match row {
            Row::Stream(row) => Some(Self::Stream(row.stream_id.clone())),
            Row::Summary(key, summary) => Some(Self::Summary(key.clone(), summary.window.end)),
            Row::Moment(moment) => Some(Self::Moment(moment.stream_id.clone(), moment.id())),
            Row::Viewer(_) | Row::Transaction(_) => None,
        }
    }

    fn stream_id(&self) -> &StreamId {
        match self {
            Self::Stream(key) | Self::Summary(key, _) | Self::Moment(key, _) => key,
        }
    }
}

/// The stream a row is about.
pub(crate) fn stream_of<S>(row: &Row<S>) -> &StreamId {
    match row {
        Row::Stream(row) => &row.stream_id,
        Row::Summary(key, _) => key,
        Row::Moment(moment) => &moment.stream_id,
        Row::Viewer(row) => &row.stream_id,
        Row::Transaction(row) => &row.stream_id,
    }
}

/// Whether a row that is taken back at `boundary` has gone beyond the horizon.
fn is_retired<S>(windows: &WindowRules, row: &Row<S>, boundary: EventTime) -> bool {
    match row {
        Row::Summary(_, summary) => windows.is_retired(summary.window.end, boundary),
        Row::Moment(Moment { last_at, .. }) => windows.is_retired(*last_at, boundary),
        Row::Stream(_) | Row::Viewer(_) | Row::Transaction(_) => false,
    }
}

impl<'scope, S: Data> Publish<'scope, S> for VecCollection<'scope, EventTime, Row<S>, isize> {
    fn publish(self, windows: WindowRules) -> StreamVec<'scope, EventTime, Change<S>> {
        let durability = Durability::none(self.inner.scope());
        self.publish_with(windows, &durability)
    }

    fn publish_with(
        self,
        windows: WindowRules,
        durability: &Durability<'scope>,
    ) -> StreamVec<'scope, EventTime, Change<S>> {
        let scope = self.inner.scope();
        let (worker, peers) = (scope.index(), scope.peers());
        let Durability { markers: marks, recorder, restored, failure, .. } = durability.clone();
        let by_key = Exchange::new(|update: &(Row<S>, EventTime, isize)| key_hash(stream_of(&update.0)));
        self.inner.binary_frontier(marks, by_key, Pipeline, "Publish", move |capability, _info| {
            drop(capability);
            let mut revisions = Revisions::default();
            if let Some(restored) = &restored {
                let parts: Vec<Vec<(RowKey, u32)>> = restored.parts("publish", &failure);
                let mine =
                    parts.into_iter().flatten().filter(|(key, _)| is_mine(key.stream_id(), worker, peers));
                revisions.0.extend(mine);
            }
            // The state before a restart comes again, for sinks that keep nothing: it counts as published.
            let again = restored.as_ref().map_or(EventTime::MIN, |restored| restored.boundary);
            let mut inbox: BTreeMap<EventTime, (Capability<EventTime>, Vec<(Row<S>, isize)>)> =
                BTreeMap::new();
            let mut markers = Markers::default();
            move |(rows, frontier), (marks, marks_frontier), output| {
                rows.for_each_stamp(|cap, messages| {
                    let Some(cap) = cap.retain_least(output.output_index()) else { return };
                    for (row, time, diff) in messages.flat_map(|message| message.drain(..)) {
                        let (_, rows) = inbox
                            .entry(time)
                            .or_insert_with(|| (cap.delayed(&time.max(*cap.time())), Vec::new()));
                        rows.push((row, diff));
                    }
                });
                marks.for_each_stamp(|cap, messages| {
                    let Some(cap) = cap.retain_least(output.output_index()) else { return };
                    messages.flat_map(|m| m.drain(..)).for_each(|boundary| markers.note(boundary, &cap));
                });
                let limit = reached(frontier).min(reached(marks_frontier));
                loop {
                    let next = inbox.keys().next().copied().filter(|time| *time < limit);
                    while let Some((boundary, cap)) = markers.due(next.unwrap_or(limit)) {
                        if let Some(recorder) = &recorder {
                            let mut part: Vec<_> = revisions.0.iter().collect();
                            part.sort_unstable();
                            recorder.part(boundary, "publish", &part);
                        }
                        drop(cap);
                    }
                    let Some((time, (cap, rows))) = next.and_then(|time| inbox.remove_entry(&time)) else {
                        break;
                    };
                    let mut session = output.session(&cap);
                    for net in net_changes(rows) {
                        if net.action == Action::Withdraw && is_retired(&windows, &net.row, time.plus(1)) {
                            revisions.forget(&net.row);
                            continue;
                        }
                        let revision =
                            if time < again { revisions.known(&net.row) } else { revisions.of(&net) };
                        session.give(Change { row: net.row, revision, action: net.action });
                    }
                }
            }
        })
    }
}

/// What became of one row at one time.
struct Net<S> {
    row: Row<S>,
    action: Action,
    /// Whether the row was there before.
    known: bool,
}

/// Nets the changes of each row: its last state, and whether it had one before.
fn net_changes<S: Data>(mut updates: Vec<(Row<S>, isize)>) -> Vec<Net<S>> {
    // Rows order by what identifies them first, so the states of one row lie side by side.
    consolidate(&mut updates);
    let mut nets: Vec<Net<S>> = Vec::with_capacity(updates.len());
    for (row, diff) in updates {
        let action = if diff > 0 { Action::Upsert } else { Action::Withdraw };
        match nets.last_mut().filter(|net| is_same_row(&net.row, &row)) {
            Some(net) => {
                net.known |= action == Action::Withdraw;
                if action == Action::Upsert {
                    (net.row, net.action) = (row, action);
                }
            }
            None => nets.push(Net { row, action, known: action == Action::Withdraw }),
        }
    }
    nets
}

fn is_same_row<S>(a: &Row<S>, b: &Row<S>) -> bool {
    match (a, b) {
        (Row::Stream(a), Row::Stream(b)) => a.stream_id == b.stream_id,
        (Row::Summary(a, of_a), Row::Summary(b, of_b)) => a == b && of_a.window == of_b.window,
        (Row::Moment(a), Row::Moment(b)) => {
            (&a.stream_id, &a.moment_type, a.started_at) == (&b.stream_id, &b.moment_type, b.started_at)
        }
        (Row::Viewer(a), Row::Viewer(b)) => a.event_id == b.event_id,
        (Row::Transaction(a), Row::Transaction(b)) => a.transaction_id == b.transaction_id,
        _ => false,
    }
}

/// How often rows were published, for those that were so more than once.
#[derive(Debug, Default)]
struct Revisions(HashMap<RowKey, u32>);

impl Revisions {
    /// The revision of this change.
    fn of<S>(&mut self, net: &Net<S>) -> u32 {
        let Some(key) = RowKey::of(&net.row) else { return 0 };
        match self.0.entry(key) {
            Entry::Occupied(mut entry) => {
                *entry.get_mut() += 1;
                *entry.get()
            }
            Entry::Vacant(entry) if net.known => *entry.insert(1),
            Entry::Vacant(_) => 0,
        }
    }

    /// The revision that a row had.
    fn known<S>(&self, row: &Row<S>) -> u32 {
        RowKey::of(row).and_then(|key| self.0.get(&key).copied()).unwrap_or(0)
    }

    fn forget<S>(&mut self, row: &Row<S>) {
        if !self.0.is_empty()
            && let Some(key) = RowKey::of(row)
        {
            self.0.remove(&key);
        }
    }
}
