//! The sink's in-memory cache of what the Redis keys should hold as of an event time. It is complete enough
//! to rewrite every key.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use telemetra_core::{Action, Change, EventTime, Row, StreamId, Window};

use super::message::Kind;

/// The streams, and when something about each changes without an event: it falls silent, or goes beyond the horizon.
pub(super) struct Cache<S> {
    horizon: u64,
    silent_after: u64,
    streams: HashMap<StreamId, Stream<S>>,
    agenda: BTreeSet<(EventTime, StreamId)>,
    as_of: Option<EventTime>,
}

/// One stream.
pub(super) struct Stream<S> {
    /// By end and start.
    windows: BTreeMap<(EventTime, EventTime), Change<S>>,
    moments: BTreeMap<(EventTime, Arc<str>), Change<S>>,
    due: Option<EventTime>,
    /// Whether its keys were written.
    pub(super) written: bool,
}

/// Which keys of a stream have to be written.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Dirty {
    pub(super) latest: bool,
    pub(super) moments: bool,
}

impl Dirty {
    pub(super) const ALL: Self = Self { latest: true, moments: true };

    pub(super) fn and(&mut self, other: Self) {
        self.latest |= other.latest;
        self.moments |= other.moments;
    }
}

impl<S: Clone> Cache<S> {
    pub(super) fn new(horizon: u64, silent_after: u64) -> Self {
        let (streams, agenda) = (HashMap::new(), BTreeSet::new());
        Self { horizon, silent_after, streams, agenda, as_of: None }
    }

    /// The time of the last batch.
    pub(super) fn as_of(&self) -> Option<EventTime> {
        self.as_of
    }

    pub(super) fn get(&self, stream: &str) -> Option<&Stream<S>> {
        self.streams.get(stream)
    }

    pub(super) fn get_mut(&mut self, stream: &str) -> Option<&mut Stream<S>> {
        self.streams.get_mut(stream)
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = &StreamId> {
        self.streams.keys()
    }

    /// Takes one change in, and says which keys it touches and what has become of the row; `None` where nothing has.
    pub(super) fn change(&mut self, change: &Change<S>, time: EventTime) -> Option<(Dirty, Kind)> {
        let since = time.minus(self.horizon);
        let (stream, over) = match &change.row {
            Row::Summary(stream, summary) => (stream, summary.window.end < since),
            Row::Moment(moment) => (&moment.stream_id, moment.ended_at().is_some_and(|end| end < since)),
            Row::Stream(_) | Row::Viewer(_) | Row::Transaction(_) => return None,
        };
        let upsert = change.action == Action::Upsert && !over;
        let kept = match self.streams.entry(stream.clone()) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(_) if !upsert => return None,
            Entry::Vacant(entry) => entry.insert(Stream::default()),
        };
        let touched = match &change.row {
            Row::Summary(_, summary) => {
                let key = (summary.window.end, summary.window.start);
                let newest = kept.windows.last_key_value().map(|(key, _)| *key);
                put(&mut kept.windows, key, upsert.then(|| change.clone()))?;
                let latest = newest.is_none_or(|newest| key >= newest);
                Some((Dirty { latest, moments: false }, Kind::of_summary(change)))
            }
            Row::Moment(moment) => {
                let key = (moment.started_at, Arc::clone(&moment.moment_type));
                let before = put(&mut kept.moments, key, upsert.then(|| change.clone()))?;
                let was_open = before.map(|before| matches!(before.row, Row::Moment(was) if was.open));
                let kind = match change.action {
                    Action::Upsert => Kind::of_moment(moment.open, was_open),
                    Action::Withdraw => Kind::Withdrawn,
                };
                Some((Dirty { latest: false, moments: true }, kind))
            }
            Row::Stream(_) | Row::Viewer(_) | Row::Transaction(_) => None,
        };
        kept.forget_windows(since, 1);
        let stream = stream.clone();
        self.plan(&stream);
        touched
    }

    /// Everything up to `time` has been taken in. Says which streams have keys to write for what time alone has done.
    pub(super) fn advance(&mut self, time: EventTime) -> Vec<(StreamId, Dirty)> {
        self.as_of = Some(time);
        let mut due = Vec::new();
        while self.agenda.first().is_some_and(|(at, _)| *at <= time) {
            let Some((_, stream)) = self.agenda.pop_first() else { break };
            if let Some(kept) = self.streams.get_mut(&stream) {
                kept.due = None;
                kept.forget(time.minus(self.horizon));
            }
            self.plan(&stream);
            due.push((stream, Dirty::ALL));
        }
        due
    }

    /// Notes when time alone changes something of a stream next; forgets it if that is never.
    fn plan(&mut self, stream: &StreamId) {
        let Some(kept) = self.streams.get_mut(stream) else { return };
        let due = kept.next(self.as_of.unwrap_or_default(), self.horizon, self.silent_after);
        if due == kept.due {
            return;
        }
        if let Some(before) = std::mem::replace(&mut kept.due, due) {
            self.agenda.remove(&(before, stream.clone()));
        }
        match due {
            Some(due) => drop(self.agenda.insert((due, stream.clone()))),
            None => drop(self.streams.remove(stream)),
        }
    }

    /// Whether the stream is on the leaderboards: it has not been silent for too long.
    pub(super) fn is_ranked(&self, stream: &Stream<S>) -> bool {
        let as_of = self.as_of.unwrap_or(EventTime::MIN);
        stream.latest().is_some_and(|(window, _)| as_of <= window.end.plus(self.silent_after))
    }
}

impl<S> Stream<S> {
    /// The newest window, and the change that published it.
    pub(super) fn latest(&self) -> Option<(Window, &Change<S>)> {
        let ((end, start), change) = self.windows.last_key_value()?;
        Some((Window { start: *start, end: *end }, change))
    }

    /// The moments, newest first.
    pub(super) fn moments(&self) -> impl Iterator<Item = &Change<S>> {
        self.moments.values().rev()
    }

    /// Forgets windows that ended before `since`, but for so many of the newest.
    fn forget_windows(&mut self, since: EventTime, keep: usize) {
        while self.windows.len() > keep
            && self.windows.first_key_value().is_some_and(|((end, _), _)| *end < since)
        {
            self.windows.pop_first();
        }
    }

    fn forget(&mut self, since: EventTime) {
        self.forget_windows(since, 0);
        self.moments.retain(|_, change| ended(change).is_none_or(|end| end >= since));
    }

    /// When, after `time`, time alone changes a key; `None` if there is nothing left that could change.
    fn next(&self, time: EventTime, horizon: u64, silent_after: u64) -> Option<EventTime> {
        let newest = self.windows.last_key_value().map(|((end, _), _)| *end);
        let silent = newest.map(|end| end.plus(silent_after).plus(1)).filter(|at| *at > time);
        let gone = newest.map(|end| end.plus(horizon).plus(1));
        let over = self.moments.values().map(|change| match ended(change) {
            Some(end) => end.plus(horizon).plus(1),
            // It will be closed, unless no more changes of its stream come.
            None => time.plus(horizon).plus(1),
        });
        silent.into_iter().chain(gone).chain(over).min()
    }
}

fn ended<S>(change: &Change<S>) -> Option<EventTime> {
    match &change.row {
        Row::Moment(moment) => moment.ended_at(),
        _ => None,
    }
}

/// Puts or removes an entry and returns what was there; `None` if nothing was there and nothing is.
fn put<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: Option<V>) -> Option<Option<V>> {
    match value {
        Some(value) => Some(map.insert(key, value)),
        None => map.remove(&key).map(Some),
    }
}

impl<S> Default for Stream<S> {
    fn default() -> Self {
        Self { windows: BTreeMap::new(), moments: BTreeMap::new(), due: None, written: false }
    }
}
