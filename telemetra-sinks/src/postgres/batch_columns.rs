//! Turns batches into the parameters of SQL statements: the last change of each row, sorted by key, with one
//! array per column.

use std::cmp::Ordering;

use telemetra_core::{Action, AnyRow, Batch, Change, EventTime, ExternalError, RowKey, Value};

use super::array::{Array, without_nul};
use super::statements::Plan;

/// The last change of a row, with what its table knows it by besides its own key.
pub(super) struct Entry<'a> {
    pub(super) change: &'a Change,
    time: EventTime,
    /// The time by which the table is cut into days, where it is part of the table's key and not of the row's.
    day: EventTime,
}

/// The last change of each row of each table, sorted: whoever writes rows of one table takes locks in one order. The error is a row of a
/// table for which there is no plan.
pub(super) fn last_changes<'a>(
    batches: &'a [Batch],
    plans: &[Plan],
    is_kept: impl Fn(&dyn AnyRow) -> bool,
) -> Result<Vec<Vec<Entry<'a>>>, RowKey> {
    let mut by_table: Vec<Vec<Entry<'a>>> = plans.iter().map(|_| Vec::new()).collect();
    let mut has_nul = vec![false; plans.len()];
    let mut place = 0;
    for batch in batches {
        for change in batch.changes.iter().filter(|change| is_kept(&*change.row)) {
            // The changes of a batch come table by table.
            if plans.get(place).is_none_or(|plan| plan.table.name() != change.table()) {
                let found = plans.iter().position(|plan| plan.table.name() == change.table());
                place = found.ok_or_else(|| RowKey::of(&*change.row))?;
            }
            let plan = &plans[place];
            let (mut nth, mut day) = (0, EventTime::MIN);
            change.row.values(&mut |value| {
                match value {
                    Value::Text(text) if plan.keys.contains(&nth) => {
                        has_nul[place] |= memchr::memchr(0, text.as_bytes()).is_some();
                    }
                    Value::Time(time)
                        if plan.keys.len() > plan.table.keys().len() && plan.keys.contains(&nth) =>
                    {
                        day = time
                    }
                    _ => {}
                }
                nth += 1;
            });
            by_table[place].push(Entry { change, time: batch.time, day });
        }
    }
    for (entries, has_nul) in by_table.iter_mut().zip(has_nul) {
        if has_nul {
            // Keys that differ may be one in the database, which replaces what it cannot hold.
            let stored = |entry: &Entry<'_>| {
                let key = RowKey::of(&*entry.change.row);
                (key.parts().iter().map(|part| without_nul(&part.to_string())).collect::<Vec<_>>(), entry.day)
            };
            entries.sort_by_cached_key(stored);
            keep_last(entries, |one, other| stored(one).cmp(&stored(other)));
        } else {
            let by_key = |one: &Entry<'_>, other: &Entry<'_>| {
                one.change.row.compare_key(&*other.change.row).then(one.day.cmp(&other.day))
            };
            entries.sort_by(by_key);
            keep_last(entries, by_key);
        }
    }
    Ok(by_table)
}

/// The later one of two that are equal stays: sorting keeps their order.
fn keep_last<'a>(entries: &mut Vec<Entry<'a>>, compare: impl Fn(&Entry<'a>, &Entry<'a>) -> Ordering) {
    entries.dedup_by(|later, earlier| {
        let same = compare(later, earlier).is_eq();
        if same {
            std::mem::swap(later, earlier);
        }
        same
    });
}

/// Rows as columns: all of them for an upsert, those of the key for a withdrawal.
pub(super) fn encode(
    plan: &Plan,
    entries: &[&Entry<'_>],
    action: Action,
) -> Result<Vec<Array>, ExternalError> {
    let whole = action == Action::Upsert;
    let mut arrays = plan.arrays(whole);
    let columns = plan.table.all_columns();
    for entry in entries {
        let mut count = 0;
        let mut wrong = None;
        entry.change.values(entry.time, &mut |value| {
            let place = count;
            count += 1;
            let Some(column) = columns.get(place) else { return };
            let slot = if whole { Some(place) } else { plan.keys.iter().position(|key| *key == place) };
            let Some(array) = slot.and_then(|slot| arrays.get_mut(slot)) else { return };
            let Ok(is_null) = array.push(value) else {
                wrong.get_or_insert_with(|| format!("{value:?} is no value of the column {}", column.name));
                return;
            };
            if is_null && !column.nullable {
                wrong.get_or_insert_with(|| format!("there is nothing in the column {}", column.name));
            }
        });
        if count != columns.len() {
            wrong = Some(format!("it has {count} values for {} columns", columns.len()));
        }
        if let Some(wrong) = wrong {
            let key = RowKey::of(&*entry.change.row);
            return Err(ExternalError::permanent(format!("could not write the row {key}: {wrong}")));
        }
    }
    Ok(arrays)
}
