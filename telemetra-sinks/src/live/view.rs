//! The snapshot of one stream in a live view: its row, its summaries, and its moments.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use telemetra_core::{Action, Change, EventTime, Moment, Row, StreamId, StreamRow, Summary, Window};

use super::Update;
use crate::RowKey;

/// A row as it was last published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published<T> {
    /// The row.
    pub row: T,
    /// How often it was published before.
    pub revision: u32,
    /// The event time at which it was.
    pub time: EventTime,
}

/// One stream as of one event time. Summaries are shared, so a copy costs little.
#[derive(Clone)]
pub struct StreamView<S> {
    row: Option<Published<StreamRow>>,
    /// By the end of the window, oldest first.
    windows: VecDeque<Published<Summary<S>>>,
    moments: BTreeMap<(Arc<str>, EventTime), Published<Moment>>,
    /// Rows that turned out to be untrue, for those who still hold them. Few, so they are searched.
    withdrawn: Vec<Published<Row<S>>>,
    updated: EventTime,
}

impl<S> StreamView<S> {
    /// The row of `streams`, if there was any metadata.
    #[must_use]
    pub fn row(&self) -> Option<&StreamRow> {
        self.row.as_ref().map(|published| &published.row)
    }

    /// The newest window and its summary.
    #[must_use]
    pub fn latest(&self) -> Option<(Window, &Arc<S>)> {
        self.windows.back().map(|published| (published.row.window, &published.row.value))
    }

    /// The windows within the horizon and their summaries, oldest first.
    pub fn history(&self) -> impl DoubleEndedIterator<Item = (Window, &Arc<S>)> {
        self.windows.iter().map(|published| (published.row.window, &published.row.value))
    }

    /// The moments that are open or ended within the horizon, by type and start.
    pub fn moments(&self) -> impl Iterator<Item = &Moment> {
        self.moments.values().map(|published| &published.row)
    }

    /// The windows within the horizon as they were published, oldest first.
    pub fn published_windows(&self) -> impl DoubleEndedIterator<Item = &Published<Summary<S>>> {
        self.windows.iter()
    }

    /// The moments that are open or ended within the horizon as they were published, by type and start.
    pub fn published_moments(&self) -> impl Iterator<Item = &Published<Moment>> {
        self.moments.values()
    }

    /// The event time of the last change.
    #[must_use]
    pub fn updated(&self) -> EventTime {
        self.updated
    }

    /// Whether something in it ended before `since`.
    pub(super) fn is_stale(&self, since: EventTime) -> bool {
        self.windows.front().is_some_and(|known| known.row.window.end < since)
            || self.moments.values().any(|known| ended_before(&known.row, since))
            || self.withdrawn.iter().any(|known| known.time < since)
            || (self.is_bare() && self.updated < since)
    }

    /// Forgets what ended before `since`.
    pub(super) fn forget(&mut self, since: EventTime) {
        while self.windows.front().is_some_and(|known| known.row.window.end < since) {
            self.windows.pop_front();
        }
        self.moments.retain(|_, known| !ended_before(&known.row, since));
        self.withdrawn.retain(|known| known.time >= since);
    }

    /// Whether there is nothing worth keeping.
    pub(super) fn is_bare(&self) -> bool {
        self.row.is_none() && self.windows.is_empty() && self.moments.is_empty() && self.withdrawn.is_empty()
    }
}

impl<S: Clone> StreamView<S> {
    /// What changed after a time, as updates in the order of time: each row once, as it is now or as it was when it was withdrawn.
    pub(super) fn changes_since(&self, stream: &StreamId, since: EventTime) -> Vec<Update<S>> {
        let mut updates: BTreeMap<EventTime, Vec<Change<S>>> = BTreeMap::new();
        let mut put = |row: Row<S>, revision, time, action| {
            updates.entry(time).or_default().push(Change { row, revision, action });
        };
        for Published { row, revision, time } in self.row.iter().filter(|known| known.time > since) {
            put(Row::Stream(row.clone()), *revision, *time, Action::Upsert);
        }
        for Published { row, revision, time } in self.windows.iter().filter(|known| known.time > since) {
            put(Row::Summary(stream.clone(), row.clone()), *revision, *time, Action::Upsert);
        }
        for Published { row, revision, time } in self.moments.values().filter(|known| known.time > since) {
            put(Row::Moment(row.clone()), *revision, *time, Action::Upsert);
        }
        for Published { row, revision, time } in self.withdrawn.iter().filter(|known| known.time > since) {
            put(row.clone(), *revision, *time, Action::Withdraw);
        }
        let update = |(time, changes)| Update { time, stream_id: stream.clone(), changes };
        updates.into_iter().map(update).collect()
    }

    pub(super) fn apply(&mut self, change: &Change<S>, time: EventTime) {
        let upsert = change.action == Action::Upsert;
        let revision = change.revision;
        self.updated = time;
        if !self.withdrawn.is_empty() {
            let key = RowKey::of(&change.row);
            self.withdrawn.retain(|withdrawn| RowKey::of(&withdrawn.row) != key);
        }
        match &change.row {
            Row::Stream(row) => self.row = upsert.then(|| Published { row: row.clone(), revision, time }),
            Row::Summary(_, summary) => {
                let key = (summary.window.end, summary.window.start);
                let found = self
                    .windows
                    .binary_search_by_key(&key, |known| (known.row.window.end, known.row.window.start));
                let published = Published { row: summary.clone(), revision, time };
                match (found, upsert) {
                    (Ok(at), true) => self.windows[at] = published,
                    (Ok(at), false) => drop(self.windows.remove(at)),
                    (Err(at), true) => self.windows.insert(at, published),
                    (Err(_), false) => {}
                }
            }
            Row::Moment(moment) => {
                let key = (Arc::clone(&moment.moment_type), moment.started_at);
                if upsert {
                    self.moments.insert(key, Published { row: moment.clone(), revision, time });
                } else {
                    self.moments.remove(&key);
                }
            }
            Row::Viewer(_) | Row::Transaction(_) => return,
        }
        if !upsert {
            self.withdrawn.push(Published { row: change.row.clone(), revision, time });
        }
    }
}

fn ended_before(moment: &Moment, since: EventTime) -> bool {
    moment.ended_at().is_some_and(|end| end < since)
}

impl<S> Default for StreamView<S> {
    fn default() -> Self {
        Self {
            row: None,
            windows: VecDeque::new(),
            moments: BTreeMap::new(),
            withdrawn: Vec::new(),
            updated: EventTime::MIN,
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for StreamView<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamView")
            .field("row", &self.row())
            .field("updated", &self.updated)
            .field("latest", &self.latest())
            .finish_non_exhaustive()
    }
}
