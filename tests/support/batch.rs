//! Tables by a batch computation: all windows over the events that count.

use std::collections::BTreeMap;

use telemetra::core::{Accumulator, Change, EventTime, SummaryRow};

use crate::support::{Acc, Counted, Out, add};

/// The gap of sessions in milliseconds.
#[allow(dead_code, reason = "each test uses its part")]
pub(crate) const GAP: u64 = 20;

/// A table: by key and start of the window, its end and its value.
pub(crate) type Rows = BTreeMap<(String, u64), (u64, Out)>;

/// What a table holds of the events that take effect before `boundary`: `sliding` windows of 30 ms every 10, `tumbling` ones of 40, or `sessions`.
pub(crate) fn expected(table: &str, counted: &[Counted], boundary: u64) -> Rows {
    let mut rows: BTreeMap<(String, u64), (u64, Acc)> = BTreeMap::new();
    let effective = counted.iter().filter(|event| event.effective.0 < boundary);
    let mut put = |event: &Counted, start: u64, end: u64| {
        let (_, acc) = rows.entry((event.key.clone(), start)).or_insert_with(|| (end, Acc::default()));
        add(acc, event.time, &event.user, &event.message);
    };
    match table {
        "sliding" => effective.for_each(|event| {
            let pane = event.time.0 - event.time.0 % 10;
            // A window that has not begun has no events that have taken effect: a late one takes effect later than its time.
            (0..3).for_each(|n| put(event, pane - n * 10, pane - n * 10 + 30));
        }),
        "tumbling" => effective.for_each(|event| {
            let start = event.time.0 - event.time.0 % 40;
            put(event, start, start + 40);
        }),
        _ => {
            let mut events: Vec<_> = effective.collect();
            events.sort_by_key(|event| (event.key.clone(), event.time));
            let near = |a: &&Counted, b: &&Counted| a.key == b.key && b.time.0 < a.time.0 + GAP;
            for session in events.chunk_by(near) {
                let (first, last) = (session[0].time.0, session[session.len() - 1].time.0);
                session.iter().for_each(|event| put(event, first, last + GAP));
            }
        }
    }
    rows.into_iter().map(|(key, (end, acc))| (key, (end, acc.finish()))).collect()
}

/// The event of a record, if it has the right form.
#[allow(dead_code, reason = "each test uses its part")]
pub(crate) fn counted(record: &str) -> Option<Counted> {
    let words: Vec<&str> = record.splitn(5, ' ').collect();
    let [key, time, _, user, message] = words[..] else { return None };
    let (time, own) = (EventTime(time.parse().ok()?), str::to_owned);
    Some(Counted { key: own(key), time, user: own(user), message: own(message), effective: time })
}

/// The table of these changes; those of other row types are passed over.
#[allow(dead_code, reason = "each test uses its part")]
pub(crate) fn rows_of<'a>(changes: impl Iterator<Item = &'a Change>) -> Rows {
    let row = |change: &Change| {
        let SummaryRow { key, summary } = change.row::<SummaryRow<String, Out>>()?.clone();
        Some(((key, summary.window.start.or_epoch().0), (summary.window.end.0, Out::clone(&summary.value))))
    };
    changes.filter_map(row).collect()
}
