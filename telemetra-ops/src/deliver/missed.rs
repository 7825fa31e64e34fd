//! Changes of rows that came out otherwise than what a sink has of the same times.

use std::collections::BTreeSet;
use std::sync::Arc;

use telemetra_core::{Batch, Change, EventTime};

/// The changes that a sink has missed. A sink that is ahead of the checkpoint is not given again the times that it has. But if
/// the definition of a table was changed, what it has of those times is of the earlier definition; so the last change of each
/// row is kept, and given with the first batch that the sink does not have.
#[derive(Debug, Default)]
pub(crate) struct Missed {
    tables: Arc<BTreeSet<String>>,
    /// Changes that took effect before this time were restored from the checkpoint, and are as they were.
    since: EventTime,
    changes: Vec<Change>,
    /// The number that may be kept before those of one row are made one.
    full: usize,
}

/// The least number of changes of which those of one row are made one.
const FULL: usize = 4096;

impl Missed {
    /// The changes of these tables from the time of the checkpoint on.
    pub(crate) fn new(tables: Arc<BTreeSet<String>>, since: EventTime) -> Self {
        Self { tables, since, changes: Vec::new(), full: FULL }
    }

    /// Keeps what is needed of a batch whose time the sink has.
    pub(crate) fn keep(&mut self, batch: Batch) {
        if batch.time < self.since || self.tables.is_empty() {
            return;
        }
        self.changes.extend(batch.changes.into_iter().filter(|change| self.tables.contains(change.table())));
        if self.changes.len() >= self.full {
            self.changes = last_of_each(std::mem::take(&mut self.changes));
            self.full = FULL.max(2 * self.changes.len());
        }
    }

    /// Adds what was kept to the first batch that the sink does not have. Changes of the batch itself are later ones.
    pub(crate) fn add_to(&mut self, batch: &mut Batch) {
        if !self.changes.is_empty() {
            let mut changes = std::mem::take(&mut self.changes);
            changes.append(&mut batch.changes);
            batch.changes = last_of_each(changes);
        }
    }
}

/// Sorts changes by table and key, and leaves the last of each row.
fn last_of_each(mut changes: Vec<Change>) -> Vec<Change> {
    // The sort is stable, so changes of one row stay in their order.
    changes.sort_by(|one, other| one.row.compare_key(&*other.row));
    changes.dedup_by(|later, first| {
        let is_same = later.row.compare_key(&*first.row).is_eq();
        if is_same {
            std::mem::swap(later, first);
        }
        is_same
    });
    changes
}

#[cfg(test)]
mod tests {
    use telemetra_core::{Column, ColumnKind, Layout, Table, Value};

    use super::*;

    fn change(table: &'static str, key: u64, value: u64) -> Change {
        let table = Table::new(table)
            .key(Column::new("key", ColumnKind::Integer))
            .column(Column::new("value", ColumnKind::Integer));
        let layout = Layout::new(table, |(key, value): &(u64, u64), put| {
            put(Value::Unsigned(*key));
            put(Value::Unsigned(*value));
        });
        layout.upsert((key, value), 0)
    }

    fn batch(time: u64, changes: Vec<Change>) -> Batch {
        Batch { time: EventTime(time), changes }
    }

    #[test]
    fn the_last_change_of_each_row_of_a_changed_table_comes_with_the_next_batch() {
        let mut missed = Missed::new(Arc::new(BTreeSet::from(["a".to_owned()])), EventTime(10));
        missed.keep(batch(9, vec![change("a", 1, 9)]));
        missed.keep(batch(10, vec![change("a", 2, 10), change("a", 3, 10), change("b", 1, 10)]));
        missed.keep(batch(11, vec![change("a", 2, 11)]));
        let mut next = batch(12, vec![change("a", 3, 12), change("b", 2, 12)]);
        missed.add_to(&mut next);
        let expected = vec![change("a", 2, 11), change("a", 3, 12), change("b", 2, 12)];
        assert_eq!(next.changes.len(), expected.len());
        for (found, expected) in next.changes.iter().zip(&expected) {
            assert_eq!(format!("{:?}", found.row), format!("{:?}", expected.row));
        }
        let mut later = batch(13, Vec::new());
        missed.add_to(&mut later);
        assert!(later.changes.is_empty(), "once");
    }

    #[test]
    fn what_is_kept_grows_with_the_rows_and_not_with_their_changes() {
        let kept = |rows: u64| {
            let mut missed = Missed::new(Arc::new(BTreeSet::from(["a".to_owned()])), EventTime(0));
            let half = FULL as u64 * 5 / 8;
            missed.keep(batch(1, (0..half).map(|key| change("a", key % rows, 1)).collect()));
            assert_eq!(missed.changes.len() as u64, half);
            missed.keep(batch(2, (0..half).map(|key| change("a", (half + key) % rows, 2)).collect()));
            (missed.changes.len(), missed.full)
        };
        assert_eq!(kept(3), (3, FULL));
        assert_eq!(kept(1_000_000), (FULL * 5 / 4, FULL * 5 / 2), "the next time it is worth it is far");
    }
}
