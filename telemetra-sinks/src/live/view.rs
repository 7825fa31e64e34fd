use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use telemetra_core::{Action, Change, EventTime, Moment, Row, StreamRow, Window};

/// One stream as of one event time.
pub struct StreamView<S> {
    row: Option<StreamRow>,
    /// By the end of the window, oldest first.
    history: VecDeque<(Window, Arc<S>)>,
    moments: BTreeMap<(Arc<str>, EventTime), Moment>,
    updated: EventTime,
}

impl<S> StreamView<S> {
    /// The row of `streams`, if there was any metadata.
    #[must_use]
    pub fn row(&self) -> Option<&StreamRow> {
        self.row.as_ref()
    }

    /// The newest window and its summary.
    #[must_use]
    pub fn latest(&self) -> Option<(Window, &Arc<S>)> {
        self.history.back().map(|(window, value)| (*window, value))
    }

    /// The windows within the horizon and their summaries, oldest first.
    pub fn history(&self) -> impl DoubleEndedIterator<Item = (Window, &Arc<S>)> {
        self.history.iter().map(|(window, value)| (*window, value))
    }

    /// The moments that are open or ended within the horizon, by type and start.
    pub fn moments(&self) -> impl Iterator<Item = &Moment> {
        self.moments.values()
    }

    /// The event time of the last change.
    #[must_use]
    pub fn updated(&self) -> EventTime {
        self.updated
    }

    pub(super) fn apply(&mut self, change: &Change<S>, time: EventTime) {
        let upsert = change.action == Action::Upsert;
        self.updated = time;
        match &change.row {
            Row::Stream(row) => self.row = upsert.then(|| row.clone()),
            Row::Summary(_, summary) => {
                let key = (summary.window.end, summary.window.start);
                let found = self.history.binary_search_by_key(&key, |(window, _)| (window.end, window.start));
                match (found, upsert) {
                    (Ok(at), true) => self.history[at].1 = Arc::clone(&summary.value),
                    (Ok(at), false) => drop(self.history.remove(at)),
                    (Err(at), true) => self.history.insert(at, (summary.window, Arc::clone(&summary.value))),
                    (Err(_), false) => {}
                }
            }
            Row::Moment(moment) => {
                let key = (Arc::clone(&moment.moment_type), moment.started_at);
                if upsert {
                    self.moments.insert(key, moment.clone());
                } else {
                    self.moments.remove(&key);
                }
            }
            Row::Viewer(_) | Row::Transaction(_) => {}
        }
    }

    /// Whether something in it ended before `since`.
    pub(super) fn is_stale(&self, since: EventTime) -> bool {
        self.history.front().is_some_and(|(window, _)| window.end < since)
            || self.moments.values().any(|moment| ended_before(moment, since))
            || (self.is_bare() && self.updated < since)
    }

    /// Forgets what ended before `since`.
    pub(super) fn forget(&mut self, since: EventTime) {
        while self.history.front().is_some_and(|(window, _)| window.end < since) {
            self.history.pop_front();
        }
        self.moments.retain(|_, moment| !ended_before(moment, since));
    }

    /// Whether there is nothing worth keeping.
    pub(super) fn is_bare(&self) -> bool {
        self.row.is_none() && self.history.is_empty() && self.moments.is_empty()
    }
}

fn ended_before(moment: &Moment, since: EventTime) -> bool {
    moment.ended_at().is_some_and(|end| end < since)
}

impl<S> Default for StreamView<S> {
    fn default() -> Self {
        Self { row: None, history: VecDeque::new(), moments: BTreeMap::new(), updated: EventTime::MIN }
    }
}

/// Summaries are shared, so a copy is one count a window.
impl<S> Clone for StreamView<S> {
    fn clone(&self) -> Self {
        Self {
            row: self.row.clone(),
            history: self.history.iter().map(|(window, value)| (*window, Arc::clone(value))).collect(),
            moments: self.moments.clone(),
            updated: self.updated,
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for StreamView<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamView")
            .field("row", &self.row)
            .field("updated", &self.updated)
            .field("latest", &self.latest())
            .finish_non_exhaustive()
    }
}
