//! The sink's in-memory cache of what the Redis keys should hold as of an event time. It is complete enough
//! to rewrite every key.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use telemetra_core::{Action, Change, EventTime};

use super::form::Place;
use super::message::Kind;
use super::subject::{Dirty, Subject};

/// The cached subjects, and the times at which a subject changes without an event: it becomes silent, or
/// leaves the horizon.
pub(super) struct Cache {
    horizon: u64,
    silent_after: u64,
    subjects: HashMap<Arc<str>, Subject>,
    /// Subjects by the time at which each is looked at, which is not after the time that it changes at. A
    /// subject whose windows go on moves only when it is looked at, not with each window.
    agenda: BTreeMap<EventTime, Vec<Arc<str>>>,
    as_of: Option<EventTime>,
}

impl Cache {
    pub(super) fn new(horizon: u64, silent_after: u64) -> Self {
        let (subjects, agenda) = (HashMap::new(), BTreeMap::new());
        Self { horizon, silent_after, subjects, agenda, as_of: None }
    }

    /// The time of the last batch.
    pub(super) fn as_of(&self) -> Option<EventTime> {
        self.as_of
    }

    /// Returns a subject.
    pub(super) fn get(&self, subject: &str) -> Option<&Subject> {
        self.subjects.get(subject)
    }

    pub(super) fn get_mut(&mut self, subject: &str) -> Option<&mut Subject> {
        self.subjects.get_mut(subject)
    }

    /// Iterates over all subjects.
    pub(super) fn subjects(&self) -> impl Iterator<Item = (&Arc<str>, &Subject)> {
        self.subjects.iter()
    }

    /// Applies one change of a kept table. Returns the keys that it touches and the kind of the change;
    /// `None` if nothing changed.
    pub(super) fn change(
        &mut self,
        table: usize,
        subject: &str,
        place: Place,
        change: &Change,
        time: EventTime,
    ) -> Option<(Dirty, Kind)> {
        let since = time.minus(self.horizon);
        let id = match self.subjects.get_key_value(subject) {
            Some((id, _)) => Arc::clone(id),
            None if change.action == Action::Withdraw || place.ended().is_some_and(|end| end < since) => {
                return None;
            }
            None => subject.into(),
        };
        let known = self.subjects.entry(Arc::clone(&id)).or_default();
        let touched = known.change(table, place, change, time, since);
        let due = known.next(self.as_of.unwrap_or_default(), self.horizon, self.silent_after);
        self.plan(&id, due);
        touched
    }

    /// Advances to `time`, up to which all changes are applied. Returns the subjects whose keys must be
    /// written because of the passage of time alone.
    pub(super) fn advance(&mut self, time: EventTime) -> Vec<(Arc<str>, Dirty)> {
        let before = self.as_of.replace(time).unwrap_or_default();
        let mut changed = Vec::new();
        while let Some(entry) = self.agenda.first_entry().filter(|entry| *entry.key() <= time) {
            let (at, subjects) = entry.remove_entry();
            for subject in subjects {
                let Some(known) = self.subjects.get_mut(&subject).filter(|known| known.due == Some(at))
                else {
                    continue;
                };
                known.due = None;
                let mut due = known.next(before, self.horizon, self.silent_after);
                let mut dirty = Dirty::default();
                // One after the other, as if there had been a batch at each of these times.
                while let Some(at) = due.filter(|due| *due <= time) {
                    dirty.and(known.forget(at, self.horizon, self.silent_after));
                    // Where times saturate, the next one is not later.
                    due = known.next(at, self.horizon, self.silent_after).filter(|next| *next > at);
                }
                if !dirty.is_empty() {
                    changed.push((Arc::clone(&subject), dirty));
                }
                self.plan(&subject, due);
            }
        }
        changed
    }

    /// Looks at a subject when it next changes without an event, or forgets it if nothing is left of it.
    fn plan(&mut self, subject: &Arc<str>, due: Option<EventTime>) {
        let Some(known) = self.subjects.get_mut(subject) else { return };
        if let Some(due) = due.filter(|due| known.due.is_none_or(|planned| *due < planned)) {
            known.due = Some(due);
            self.agenda.entry(due).or_default().push(Arc::clone(subject));
        }
        if known.is_empty() {
            self.subjects.remove(subject);
        }
    }

    /// Returns whether a subject whose newest window in a table ended at `end` is in the leaderboards: it has not
    /// been silent for too long.
    pub(super) fn is_ranked(&self, end: EventTime) -> bool {
        self.as_of.unwrap_or(EventTime::MIN) <= end.plus(self.silent_after)
    }
}
