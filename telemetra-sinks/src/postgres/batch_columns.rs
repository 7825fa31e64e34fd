//! Turns batches into the parameters of SQL statements: the last change of each row, sorted by key, with one
//! array per column.

use std::borrow::Cow;

use telemetra_core::{Action, Batch, Change, EventTime, ExternalError, Row};

use super::array::{Array, without_nul};
use super::statements::Plan;
use crate::tabular::tables;
use crate::{Layout, RowKey};

/// A change, with the key by which its table knows the row.
pub(super) struct Entry<'a, S> {
    key: (Cow<'a, str>, u64, &'a str),
    pub(super) change: &'a Change<S>,
    time: EventTime,
}

/// The last change of each row of each table, sorted: whoever writes rows of one table takes locks in one order.
pub(super) fn last_changes<'a, S>(
    batches: &'a [Batch<S>],
    plans: &[Plan],
    is_kept: impl Fn(&Row<S>) -> bool,
) -> Vec<Vec<Entry<'a, S>>> {
    let mut by_table: Vec<Vec<Entry<'a, S>>> = plans.iter().map(|_| Vec::new()).collect();
    for batch in batches {
        for change in batch.changes.iter().filter(|change| is_kept(&change.row)) {
            let table = tables::Table::of(&change.row) as usize;
            let by_time = plans[table].keys.len() > 1;
            by_table[table].push(Entry { key: key(&change.row, by_time), change, time: batch.time });
        }
    }
    for entries in &mut by_table {
        entries.sort_by(|a, b| a.key.cmp(&b.key));
        // The later one of two stays: sorting keeps their order.
        entries.dedup_by(|later, earlier| {
            let same = later.key == earlier.key;
            if same {
                std::mem::swap(later, earlier);
            }
            same
        });
    }
    by_table
}

/// What tells rows of one table apart, as the database sees it.
fn key<S>(row: &Row<S>, by_time: bool) -> (Cow<'_, str>, u64, &str) {
    let event = |time: EventTime| if by_time { time.0 } else { 0 };
    let (id, time, rest) = match row {
        Row::Stream(row) => (&*row.stream_id, 0, ""),
        Row::Summary(stream, summary) => (&**stream, summary.window.start.0, ""),
        Row::Moment(moment) => (&*moment.stream_id, moment.started_at.0, &*moment.moment_type),
        Row::Viewer(row) => (&*row.event_id, event(row.timestamp), ""),
        Row::Transaction(row) => (&*row.transaction_id, event(row.timestamp), ""),
    };
    // A moment's key is a hash of the text as it is.
    let is_text = !matches!(row, Row::Moment(_));
    let id = match memchr::memchr(0, id.as_bytes()) {
        Some(_) if is_text => Cow::Owned(without_nul(id)),
        _ => Cow::Borrowed(id),
    };
    (id, time, rest)
}

/// Rows as columns: all of them for an upsert, those of the key for a withdrawal.
pub(super) fn encode<S>(
    plan: &Plan,
    entries: &[&Entry<'_, S>],
    action: Action,
    layout: &Layout<S>,
) -> Result<Vec<Array>, ExternalError> {
    let whole = action == Action::Upsert;
    let mut arrays = plan.arrays(whole);
    for entry in entries {
        let mut count = 0;
        let mut wrong = None;
        tables::values(entry.change, entry.time, layout, &mut |value| {
            let place = count;
            count += 1;
            let Some(column) = plan.columns.get(place) else { return };
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
        if count != plan.columns.len() {
            wrong = Some(format!("it has {count} values for {} columns", plan.columns.len()));
        }
        if let Some(wrong) = wrong {
            let key = RowKey::of(&entry.change.row);
            return Err(ExternalError::permanent(format!("could not write the row {key}: {wrong}")));
        }
    }
    Ok(arrays)
}
