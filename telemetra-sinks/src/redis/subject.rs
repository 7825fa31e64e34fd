//! The cached state of one subject: its windows, moments and rows within the horizon.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use telemetra_core::{Action, Change, EventTime, SignedTime};

use super::form::Place;
use super::message::Kind;

/// The keys of a subject that must be written: those of kept tables, and those of single rows. Each has the event time
/// of its last change, [`EventTime::MIN`] if it did not change and is written all the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Dirty {
    /// The indexes of tables, ascending, each once.
    pub(super) tables: Vec<(usize, EventTime)>,
    pub(super) rows: BTreeMap<(usize, Arc<str>), EventTime>,
}

impl Dirty {
    pub(super) fn is_empty(&self) -> bool {
        self.tables.is_empty() && self.rows.is_empty()
    }

    fn touch(&mut self, table: usize, time: EventTime) {
        match self.tables.binary_search_by_key(&table, |(table, _)| *table) {
            Ok(at) => self.tables[at].1 = time.max(self.tables[at].1),
            Err(at) => self.tables.insert(at, (table, time)),
        }
    }

    fn touch_row(&mut self, row: (usize, Arc<str>), time: EventTime) {
        let known = self.rows.entry(row).or_insert(time);
        *known = time.max(*known);
    }

    pub(super) fn and(&mut self, other: Self) {
        if self.tables.is_empty() {
            self.tables = other.tables;
        } else {
            other.tables.into_iter().for_each(|(table, time)| self.touch(table, time));
        }
        other.rows.into_iter().for_each(|(row, time)| self.touch_row(row, time));
    }
}

/// The cached rows of one subject.
#[derive(Default)]
pub(super) struct Subject {
    /// The tables in which the subject has rows, by the index of the kept table.
    tables: Vec<(usize, Held)>,
    /// The time at which the subject is next looked at, not after something changes without an event.
    pub(super) due: Option<EventTime>,
    /// True if the subject's keys have been written.
    pub(super) written: bool,
}

/// The rows of a subject in one table, each with its end, if it has one.
enum Held {
    /// Windows by their start, as windows of one table and subject have one length or do not overlap.
    Windows(BTreeMap<SignedTime, (EventTime, Change)>),
    /// Moments by start and type.
    Moments(BTreeMap<(EventTime, Box<str>), (Option<EventTime>, Change)>),
    /// Other rows by the name of their key.
    Rows { rows: BTreeMap<Arc<str>, (Option<EventTime>, Change)>, ends: BTreeSet<(EventTime, Arc<str>)> },
}

impl Held {
    fn of(place: &Place) -> Self {
        match place {
            Place::Window(_) => Self::Windows(BTreeMap::new()),
            Place::Moment { .. } => Self::Moments(BTreeMap::new()),
            Place::Row { .. } => Self::Rows { rows: BTreeMap::new(), ends: BTreeSet::new() },
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Windows(windows) => windows.is_empty(),
            Self::Moments(moments) => moments.is_empty(),
            Self::Rows { rows, .. } => rows.is_empty(),
        }
    }
}

impl Subject {
    /// Applies one change, ignoring rows that ended before `since`. Returns the keys that it touches and the
    /// kind of the change; `None` if nothing changed.
    pub(super) fn change(
        &mut self,
        table: usize,
        place: Place,
        change: &Change,
        time: EventTime,
        since: EventTime,
    ) -> Option<(Dirty, Kind)> {
        let at = match self.tables.iter().position(|(known, _)| *known == table) {
            Some(at) => at,
            None => {
                self.tables.push((table, Held::of(&place)));
                self.tables.len() - 1
            }
        };
        let upsert = change.action == Action::Upsert;
        let mut dirty = Dirty::default();
        let kind = match (&mut self.tables[at].1, place) {
            (Held::Windows(windows), Place::Window(window)) => {
                let newest = windows.last_key_value().map(|(start, _)| *start);
                let kept = (upsert && window.end >= since).then(|| (window.end, change.clone()));
                put(windows, window.start, kept)?;
                if newest.is_none_or(|newest| window.start >= newest) {
                    dirty.touch(table, time);
                }
                forget_windows(windows, since, 1);
                Kind::of_window(change)
            }
            (Held::Moments(moments), Place::Moment { started_at, moment_type, ended_at }) => {
                let over = ended_at.is_some_and(|end| end < since);
                let kept = (upsert && !over).then(|| (ended_at, change.clone()));
                let before = put(moments, (started_at, moment_type), kept)?;
                dirty.touch(table, time);
                match upsert {
                    true => Kind::of_moment(ended_at.is_none(), before.map(|(end, _)| end.is_none())),
                    false => Kind::Withdrawn,
                }
            }
            (Held::Rows { rows, ends }, Place::Row { key, time: end }) => {
                let over = end.is_some_and(|end| end < since);
                let kept = (upsert && !over).then(|| (end, change.clone()));
                let now = kept.as_ref().and(end);
                let before = put(rows, Arc::clone(&key), kept)?;
                if let Some((Some(end), _)) = before {
                    ends.remove(&(end, Arc::clone(&key)));
                }
                ends.extend(now.map(|end| (end, Arc::clone(&key))));
                dirty.touch_row((table, key), time);
                Kind::of_row(change)
            }
            // All rows of a table have one shape.
            _ => return None,
        };
        Some((dirty, kind))
    }

    /// Forgets rows that leave the horizon at `time`. Returns the keys that change then, those of windows of which
    /// the subject becomes silent included.
    pub(super) fn forget(&mut self, time: EventTime, horizon: u64, silent_after: u64) -> Dirty {
        let (mut dirty, since) = (Dirty::default(), time.minus(horizon));
        for (table, held) in &mut self.tables {
            match held {
                Held::Windows(windows) => {
                    let newest = windows.last_key_value().map(|(_, (end, _))| *end);
                    forget_windows(windows, since, 0);
                    let is_silent = newest.is_some_and(|newest| newest.plus(silent_after).plus(1) == time);
                    if is_silent || windows.is_empty() {
                        dirty.touch(*table, time);
                    }
                }
                Held::Moments(moments) => {
                    let before = moments.len();
                    moments.retain(|_, (end, _)| end.is_none_or(|end| end >= since));
                    if moments.len() < before {
                        dirty.touch(*table, time);
                    }
                }
                Held::Rows { rows, ends } => {
                    while ends.first().is_some_and(|(end, _)| *end < since) {
                        let Some((_, key)) = ends.pop_first() else { break };
                        rows.remove(&key);
                        dirty.touch_row((*table, key), time);
                    }
                }
            }
        }
        self.tables.retain(|(_, held)| !held.is_empty());
        dirty
    }

    /// Returns the next time after `time` at which a key changes without an event; `None` if there is none.
    pub(super) fn next(&self, time: EventTime, horizon: u64, silent_after: u64) -> Option<EventTime> {
        let gone = |end: EventTime| end.plus(horizon).plus(1);
        let next = |held: &Held| match held {
            Held::Windows(windows) => {
                let newest = windows.last_key_value().map(|(_, (end, _))| *end)?;
                let silent = Some(newest.plus(silent_after).plus(1)).filter(|at| *at > time);
                silent.into_iter().chain([gone(newest)]).min()
            }
            // An open moment is closed later, by a change of its subject.
            Held::Moments(moments) => moments.values().filter_map(|(end, _)| end.map(gone)).min(),
            Held::Rows { ends, .. } => ends.first().map(|(end, _)| gone(*end)),
        };
        self.tables.iter().filter_map(|(_, held)| next(held)).min()
    }

    /// Returns whether no row of the subject is left.
    pub(super) fn is_empty(&self) -> bool {
        self.tables.iter().all(|(_, held)| held.is_empty())
    }

    /// Returns whether the subject has a row that stays until it is withdrawn.
    pub(super) fn is_lasting(&self) -> bool {
        self.tables.iter().any(|(_, held)| match held {
            Held::Rows { rows, ends } => rows.len() > ends.len(),
            Held::Windows(_) | Held::Moments(_) => false,
        })
    }

    fn table(&self, table: usize) -> Option<&Held> {
        self.tables.iter().find(|(known, _)| *known == table).map(|(_, held)| held)
    }

    /// Returns the newest window in a table: its end, and the change that published it.
    pub(super) fn latest(&self, table: usize) -> Option<(EventTime, &Change)> {
        match self.table(table)? {
            Held::Windows(windows) => windows.last_key_value().map(|(_, (end, change))| (*end, change)),
            _ => None,
        }
    }

    /// Returns the moments in a table, newest first.
    pub(super) fn moments(&self, table: usize) -> impl Iterator<Item = &Change> {
        let moments = match self.table(table) {
            Some(Held::Moments(moments)) => Some(moments),
            _ => None,
        };
        moments.into_iter().flat_map(|moments| moments.values().rev().map(|(_, change)| change))
    }

    /// Returns the row under a key, and whether it stays until it is withdrawn.
    pub(super) fn row(&self, table: usize, key: &str) -> Option<(bool, &Change)> {
        match self.table(table)? {
            Held::Rows { rows, .. } => rows.get(key).map(|(end, change)| (end.is_none(), change)),
            _ => None,
        }
    }

    /// Returns the keys of all rows, each with the index of its table.
    pub(super) fn row_keys(&self) -> impl Iterator<Item = (usize, Arc<str>)> {
        self.tables.iter().flat_map(|(table, held)| {
            let rows = match held {
                Held::Rows { rows, .. } => Some(rows),
                _ => None,
            };
            rows.into_iter().flat_map(|rows| rows.keys().map(|key| (*table, Arc::clone(key))))
        })
    }
}

/// Forgets windows that ended before `since`, except the newest `keep`.
fn forget_windows(windows: &mut BTreeMap<SignedTime, (EventTime, Change)>, since: EventTime, keep: usize) {
    while windows.len() > keep && windows.first_key_value().is_some_and(|(_, (end, _))| *end < since) {
        windows.pop_first();
    }
}

/// Inserts or removes an entry and returns the previous one; `None` if there was none and there is none.
fn put<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: Option<V>) -> Option<Option<V>> {
    match value {
        Some(value) => Some(map.insert(key, value)),
        None => map.remove(&key).map(Some),
    }
}
