//! Describe: what is known of a stream, beside whatever is computed of it.

use std::collections::{BTreeMap, btree_map};

use differential_dataflow::consolidation::consolidate;
use differential_dataflow::{AsCollection, VecCollection};
use telemetra_core::{Data, EventTime, StreamId, StreamRow, key_hash};
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::generic::operator::Operator;

use crate::keyed::Keyed;
use crate::waiting::Waiting;

/// A record with the row of its stream, if there is one.
pub type Described<'scope, V> = VecCollection<'scope, EventTime, (StreamId, (V, Option<StreamRow>)), isize>;

/// Joins records with the rows of their streams.
pub trait Describe<'scope, V: Data>: Sized {
    /// Each record with the row of its stream; with `None` while there is none. When the row changes, the live records
    /// of that stream are stated anew.
    ///
    /// State: the live records by key, and the rows. Work: proportional to the records that change, and for a change
    /// of a row to the live records of its stream: one for the [latest](crate::Latest) summaries, a horizon of windows for all.
    /// After a restart all of it comes from the two collections again.
    ///
    /// ```
    /// use differential_dataflow::input::Input;
    /// use telemetra_core::{EventTime, StreamId, StreamProfile};
    /// use telemetra_ops::Describe;
    /// use timely::dataflow::operators::{Capture, capture::Extract};
    ///
    /// let captured = timely::execute_directly(|worker| {
    ///     let (mut counts, mut rows, captured) = worker.dataflow::<EventTime, _, _>(|scope| {
    ///         let (counts_in, counts) = scope.new_collection::<(StreamId, u64), isize>();
    ///         let (rows_in, rows) = scope.new_collection();
    ///         (counts_in, rows_in, counts.describe(rows).inner.capture())
    ///     });
    ///     let key = StreamId::new("a");
    ///     counts.insert((key.clone(), 7));
    ///     // Something is heard of the stream later on.
    ///     rows.update_at(StreamProfile::default().row(&key), EventTime(5), 1isize);
    ///     captured
    /// });
    /// let updates = captured.extract().into_iter().flat_map(|(_, updates)| updates);
    /// let found: Vec<_> = updates.map(|((_, (count, row)), at, diff)| (at.0, count, row.is_some(), diff)).collect();
    /// assert_eq!(found, [(0, 7, false, 1), (5, 7, false, -1), (5, 7, true, 1)]);
    /// ```
    fn describe(self, streams: VecCollection<'scope, EventTime, StreamRow, isize>) -> Described<'scope, V>;
}

impl<'scope, V: Data> Describe<'scope, V> for VecCollection<'scope, EventTime, (StreamId, V), isize> {
    fn describe(self, streams: VecCollection<'scope, EventTime, StreamRow, isize>) -> Described<'scope, V> {
        let records_by_key = Exchange::new(|update: &Update<(StreamId, V)>| key_hash(&update.0.0));
        let rows_by_key = Exchange::new(|update: &Update<StreamRow>| key_hash(&update.0.stream_id));
        let rows = streams.inner;
        let updates =
            self.inner.binary_frontier(rows, records_by_key, rows_by_key, "Describe", |cap, _info| {
                drop(cap);
                let mut state = State { keys: Keyed::default() };
                let (mut records_waiting, mut rows_waiting) = (Waiting::default(), Waiting::default());
                move |(records, records_frontier), (rows, rows_frontier), output| {
                    records.for_each_stamp(|cap, messages| {
                        let Some(cap) = cap.retain_least(output.output_index()) else { return };
                        let updates = messages.flat_map(|message| message.drain(..));
                        updates.for_each(|update| records_waiting.add(&cap, update));
                    });
                    rows.for_each_stamp(|cap, messages| {
                        let Some(cap) = cap.retain_least(output.output_index()) else { return };
                        let updates = messages.flat_map(|message| message.drain(..));
                        updates.for_each(|update| rows_waiting.add(&cap, update));
                    });
                    while let Some(time) = records_waiting.next().into_iter().chain(rows_waiting.next()).min()
                    {
                        if records_frontier.less_equal(&time) || rows_frontier.less_equal(&time) {
                            break;
                        }
                        let (record_cap, records) = records_waiting.take(time).unzip();
                        let (row_cap, rows) = rows_waiting.take(time).unzip();
                        let Some(cap) = record_cap.or(row_cap) else { break };
                        let changes = state.advance(records.unwrap_or_default(), rows.unwrap_or_default());
                        let updates = changes.into_iter().map(|(data, diff)| (data, time, diff));
                        output.session(&cap).give_iterator(updates);
                    }
                }
            });
        updates.as_collection()
    }
}

type Update<D> = (D, EventTime, isize);

/// What the operator says: a record and the row of its stream, and how often.
type Change<V> = ((StreamId, (V, Option<StreamRow>)), isize);

/// The keys of one worker.
struct State<V> {
    keys: Keyed<Entry<V>>,
}

/// What there is of one key, and how often.
struct Entry<V> {
    records: BTreeMap<V, isize>,
    rows: BTreeMap<StreamRow, isize>,
}

impl<V: Data> State<V> {
    /// Takes in the changes of one time, each sorted.
    fn advance(
        &mut self,
        records: Vec<((StreamId, V), isize)>,
        rows: Vec<(StreamRow, isize)>,
    ) -> Vec<Change<V>> {
        let mut changes = Vec::new();
        let mut emptied = Vec::new();
        for rows in rows.chunk_by(|(a, _), (b, _)| a.stream_id == b.stream_id) {
            let Some((row, _)) = rows.first() else { continue };
            let slot = self.slot(&row.stream_id);
            let Some((key, entry)) = self.keys.get_mut(slot) else { continue };
            entry.records.iter().for_each(|(value, count)| entry.state(key, value, -count, &mut changes));
            rows.iter().for_each(|(row, diff)| count(&mut entry.rows, row.clone(), *diff));
            entry.records.iter().for_each(|(value, count)| entry.state(key, value, *count, &mut changes));
            if entry.is_empty() {
                emptied.push(slot);
            }
        }
        for ((key, value), diff) in records {
            let slot = self.slot(&key);
            let Some((key, entry)) = self.keys.get_mut(slot) else { continue };
            entry.state(key, &value, diff, &mut changes);
            count(&mut entry.records, value, diff);
            if entry.is_empty() {
                emptied.push(slot);
            }
        }
        for slot in emptied {
            if self.keys.get_mut(slot).is_some_and(|(_, entry)| entry.is_empty()) {
                self.keys.remove(slot);
            }
        }
        if !rows.is_empty() {
            // A record may have gone with its old row: it need not be stated with the new one in between.
            consolidate(&mut changes);
        }
        changes
    }

    fn slot(&mut self, key: &str) -> u32 {
        self.keys.slot_or_insert(key, || Entry { records: BTreeMap::new(), rows: BTreeMap::new() })
    }
}

impl<V: Data> Entry<V> {
    /// States a record with what is known of its stream.
    fn state(&self, key: &StreamId, value: &V, diff: isize, changes: &mut Vec<Change<V>>) {
        let record = |row| (key.clone(), (value.clone(), row));
        if self.rows.is_empty() {
            changes.push((record(None), diff));
        }
        changes.extend(self.rows.iter().map(|(row, count)| (record(Some(row.clone())), count * diff)));
    }

    fn is_empty(&self) -> bool {
        self.records.is_empty() && self.rows.is_empty()
    }
}

/// Adds to how often something is there; what is not there is not kept.
fn count<T: Ord>(counts: &mut BTreeMap<T, isize>, item: T, diff: isize) {
    match counts.entry(item) {
        btree_map::Entry::Vacant(entry) if diff != 0 => drop(entry.insert(diff)),
        btree_map::Entry::Vacant(_) => {}
        btree_map::Entry::Occupied(mut entry) => {
            *entry.get_mut() += diff;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }
}
