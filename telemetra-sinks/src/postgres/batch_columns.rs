//! Turns batches into the parameters of SQL statements: the last change of each row, sorted by key, with one
//! array per column.

use std::cmp::Ordering;

use telemetra_core::{
    Action, AnyRow, Batch, Change, Column, ColumnKind, EventTime, ExternalError, KeyPart, RowKey, SignedTime,
    Value,
};

use super::array::{Array, is_exact, shows_nul, without_nul};
use super::define::type_of;
use super::statements::Plan;

/// The last change of a row, with the part of the table's key that is not in the row's own.
pub(super) struct Entry<'a> {
    pub(super) change: &'a Change,
    time: EventTime,
    /// The time that decides the partition by day, if it is part of the table's key but not of the row's.
    day: SignedTime,
}

/// Returns the last change of each row of each table, sorted by key, so that all writers of a table lock its
/// rows in one order. Fails, with the row, if there is no plan for its table, or if Postgres could not tell
/// its key from another one.
pub(super) fn last_changes<'a>(
    batches: &'a [Batch],
    plans: &[Plan],
    is_kept: impl Fn(&dyn AnyRow) -> bool,
) -> Result<Vec<Vec<Entry<'a>>>, String> {
    let mut by_table: Vec<Vec<Entry<'a>>> = plans.iter().map(|_| Vec::new()).collect();
    let mut merges = vec![false; plans.len()];
    let mut place = 0;
    for batch in batches {
        for change in batch.changes.iter().filter(|change| is_kept(&*change.row)) {
            // A batch is sorted by table.
            if plans.get(place).is_none_or(|plan| plan.table.name() != change.table()) {
                let found = plans.iter().position(|plan| plan.table.name() == change.table());
                place = found.ok_or_else(|| {
                    let row = RowKey::of(&*change.row);
                    format!("the row {row} is of a table that the sink was not opened with")
                })?;
            }
            let plan = &plans[place];
            let has_day = plan.keys.len() > plan.table.keys().len();
            let (mut nth, mut day, mut inexact) = (0, SignedTime::default(), None);
            change.row.values(&mut |value| {
                if plan.keys.contains(&nth) {
                    match value.time().filter(|_| has_day) {
                        Some(time) => day = time,
                        None => merges[place] |= is_merged(value),
                    }
                    if !is_exact(value) {
                        inexact.get_or_insert(nth);
                    }
                }
                nth += 1;
            });
            if let Some(column) = inexact.and_then(|nth| plan.table.all_columns().get(nth)) {
                return Err(format!(
                    "the row {} has more in the column {} of its key than a {} can hold; give the column \
                     another kind, as `Text`",
                    RowKey::of(&*change.row),
                    column.name,
                    type_of(column.kind)
                ));
            }
            by_table[place].push(Entry { change, time: batch.time, day });
        }
    }
    for ((entries, plan), merges) in by_table.iter_mut().zip(plans).zip(merges) {
        if merges {
            let stored = |entry: &Entry<'_>| (stored(entry, plan.table.keys()), entry.day);
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

/// Returns whether Postgres may store two different values of a key as one: a text with a NUL, which is replaced, or
/// the negative zero, which equals the positive one.
fn is_merged(value: Value<'_>) -> bool {
    match value {
        Value::Text(text) => memchr::memchr(0, text.as_bytes()).is_some(),
        Value::Shown(shown) => shows_nul(shown),
        Value::Float(x) => x == 0.0 && x.is_sign_negative(),
        _ => false,
    }
}

/// Returns a key as the database stores it.
fn stored(entry: &Entry<'_>, keys: &[Column]) -> Vec<String> {
    let key = RowKey::of(&*entry.change.row);
    let part = |(part, column): (&KeyPart, &Column)| match (column.kind, part.to_string()) {
        (ColumnKind::Float, text) if text == "-0" => "0".to_owned(),
        (_, text) => without_nul(&text),
    };
    key.parts().iter().zip(keys).map(part).collect()
}

/// Keeps the later one of two equal entries, as sorting keeps their order.
fn keep_last<'a>(entries: &mut Vec<Entry<'a>>, compare: impl Fn(&Entry<'a>, &Entry<'a>) -> Ordering) {
    entries.dedup_by(|later, earlier| {
        let same = compare(later, earlier).is_eq();
        if same {
            std::mem::swap(later, earlier);
        }
        same
    });
}

/// Encodes rows as columns: all columns for an upsert, those of the key for a withdrawal.
pub(super) fn encode(
    plan: &Plan,
    entries: &[&Entry<'_>],
    action: Action,
) -> Result<Vec<Array>, ExternalError> {
    let whole = action == Action::Upsert;
    let mut arrays = plan.arrays(action);
    let rest = if plan.records(action) { 3 } else { 0 };
    let mut record = arrays.split_off(arrays.len() - rest);
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
        if let [subject, revision, time] = &mut record[..] {
            // They are of these kinds.
            let _ = subject.push(Value::Text(&entry.change.row.subject()));
            let _ = revision.push(Value::Unsigned(entry.change.revision.into()));
            let _ = time.push(Value::Time(entry.time));
        }
        if count != columns.len() {
            wrong = Some(format!("it has {count} values for {} columns", columns.len()));
        }
        if let Some(wrong) = wrong {
            let key = RowKey::of(&*entry.change.row);
            return Err(ExternalError::permanent(format!("could not write the row {key}: {wrong}")));
        }
    }
    arrays.append(&mut record);
    Ok(arrays)
}
