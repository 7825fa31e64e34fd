//! A left join of a stream of records with a table of rows, by key.

use std::collections::{BTreeMap, btree_map};

use differential_dataflow::consolidation::consolidate;
use differential_dataflow::{AsCollection, VecCollection};
use telemetra_core::{Data, EventTime, Key, key_hash};
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::generic::operator::Operator;

use crate::operators::keyed::Keyed;
use crate::operators::stash::Stash;

/// The result of [`enrich`](Enrich::enrich): a collection of `(key, (record, row))`, in which the row is
/// `None` if the key has none.
pub type Enriched<'scope, K, V, R> = VecCollection<'scope, EventTime, (K, (V, Option<R>)), isize>;

/// Extends a collection of keyed records by a left join with a collection of keyed rows that may change, such
/// as reference data. It is implemented for collections of pairs of a key and a value.
///
/// # Contract
///
/// Of the caller:
///
/// * **Restored inputs.** After a restart, both collections contain what they contained before, as the
///   collections of a pipeline do: the join has no state in checkpoints.
pub trait Enrich<'scope, K: Key, V: Data>: Sized {
    /// Returns each record with the row of its key, or with `None` while there is no row. When the row
    /// changes, all current records of the key are emitted again with the new row. A key should have one row
    /// at a time; with several, each record appears once for each.
    ///
    /// State: the current records by key, and the rows. Work: proportional to the records that change, and
    /// for a changed row to the current records of its key. A key has one record in the
    /// [latest](crate::Latest) summaries, and one for each window of the horizon in all summaries. Both
    /// inputs are exchanged by key, and a result is emitted when the frontiers of both have passed its time,
    /// so a collection of rows whose time does not advance holds back the join.
    ///
    /// ```
    /// use differential_dataflow::input::Input;
    /// use telemetra_core::EventTime;
    /// use telemetra_ops::Enrich;
    /// use timely::dataflow::operators::{Capture, capture::Extract};
    ///
    /// let captured = timely::execute_directly(|worker| {
    ///     let (mut counts, mut rows, captured) = worker.dataflow::<EventTime, _, _>(|scope| {
    ///         let (counts_in, counts) = scope.new_collection::<(String, u64), isize>();
    ///         let (rows_in, rows) = scope.new_collection::<(String, u32), isize>();
    ///         (counts_in, rows_in, counts.enrich(rows).inner.capture())
    ///     });
    ///     counts.insert(("a".to_owned(), 7));
    ///     // The row of the key comes later.
    ///     rows.update_at(("a".to_owned(), 2026), EventTime(5), 1);
    ///     captured
    /// });
    /// let updates = captured.extract().into_iter().flat_map(|(_, updates)| updates);
    /// let found: Vec<_> = updates.map(|((_, (count, row)), at, diff)| (at.0, count, row.is_some(), diff)).collect();
    /// assert_eq!(found, [(0, 7, false, 1), (5, 7, false, -1), (5, 7, true, 1)]);
    /// ```
    fn enrich<R: Data>(
        self,
        rows: VecCollection<'scope, EventTime, (K, R), isize>,
    ) -> Enriched<'scope, K, V, R>;
}

impl<'scope, K: Key, V: Data> Enrich<'scope, K, V> for VecCollection<'scope, EventTime, (K, V), isize> {
    fn enrich<R: Data>(
        self,
        rows: VecCollection<'scope, EventTime, (K, R), isize>,
    ) -> Enriched<'scope, K, V, R> {
        let records_by_key = Exchange::new(|update: &Update<(K, V)>| key_hash(&update.0.0.as_ref()));
        let rows_by_key = Exchange::new(|update: &Update<(K, R)>| key_hash(&update.0.0.as_ref()));
        let rows = rows.inner;
        let updates =
            self.inner.binary_frontier(rows, records_by_key, rows_by_key, "Enrich", |cap, _info| {
                drop(cap);
                let mut state = State { keys: Keyed::default() };
                let (mut records_waiting, mut rows_waiting) = (Stash::default(), Stash::default());
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

/// An output update: a record with the row of its key, and its multiplicity.
type Change<K, V, R> = ((K, (V, Option<R>)), isize);

/// The keys of one worker.
struct State<K, V, R> {
    keys: Keyed<K, Entry<V, R>>,
}

/// The records and rows of one key, with their multiplicities.
struct Entry<V, R> {
    records: BTreeMap<V, isize>,
    rows: BTreeMap<R, isize>,
}

impl<K: Key, V: Data, R: Data> State<K, V, R> {
    /// Applies the changes of one time, each list sorted.
    fn advance(&mut self, records: Vec<((K, V), isize)>, rows: Vec<((K, R), isize)>) -> Vec<Change<K, V, R>> {
        let mut changes = Vec::new();
        let mut emptied = Vec::new();
        for rows in rows.chunk_by(|(a, _), (b, _)| a.0 == b.0) {
            let Some(((key, _), _)) = rows.first() else { continue };
            let slot = self.slot(key);
            let Some((key, entry)) = self.keys.get_mut(slot) else { continue };
            entry.records.iter().for_each(|(value, count)| entry.state(key, value, -count, &mut changes));
            rows.iter().for_each(|((_, row), diff)| count(&mut entry.rows, row.clone(), *diff));
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
            // A record may be removed together with its old row, so it is not emitted with the new row in
            // between.
            consolidate(&mut changes);
        }
        changes
    }

    /// Returns the slot of a key, which is created if there is none.
    fn slot(&mut self, key: &K) -> u32 {
        self.keys.slot_or_insert(key.as_ref(), || Entry { records: BTreeMap::new(), rows: BTreeMap::new() })
    }
}

impl<V: Data, R: Data> Entry<V, R> {
    /// Emits a record with the rows of its key.
    fn state<K: Key>(&self, key: &K, value: &V, diff: isize, changes: &mut Vec<Change<K, V, R>>) {
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

/// Adds to the multiplicity of an item, and forgets it at zero.
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
