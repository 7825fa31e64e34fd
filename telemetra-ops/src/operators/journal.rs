//! The journal of published changes: the changes that sinks received since the last checkpoint, so that a
//! later run can revise them.
//!
//! At the end of input all windows are closed, so the sinks contain more than the last checkpoint covers. If
//! a later run continues from that checkpoint with more input, it computes those times again, but sinks
//! ignore times that they have already. So a run that comes to its end leaves its journal with the
//! checkpoint, and the next run *settles* it: at a time after all that the sinks have, it publishes the
//! difference between the rows that they received and the current ones.

use std::cmp::Ordering;
use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use telemetra_core::{Action, Data, EventTime, Layout};

use crate::operators::changes::RowChange;

/// A change of one row: the version before, the version after, and the published revision.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound = "")]
pub(crate) struct Entry<R: Data> {
    pub(crate) before: Option<R>,
    pub(crate) after: Option<R>,
    pub(crate) revision: u32,
}

impl<R: Data> Entry<R> {
    /// Returns the row, for its key.
    pub(crate) fn row(&self) -> Option<&R> {
        self.after.as_ref().or(self.before.as_ref())
    }

    /// Compares the keys of two entries' rows.
    fn compare(&self, other: &Self, layout: &Layout<R>) -> Ordering {
        match (self.row(), other.row()) {
            (Some(one), Some(other)) => layout.compare(one, other),
            (one, other) => one.is_some().cmp(&other.is_some()),
        }
    }
}

/// Combines the entries of each row to one, from its first version to its last, sorted by key.
fn net<R: Data>(layout: &Layout<R>, mut entries: Vec<Entry<R>>) -> Vec<Entry<R>> {
    // The sort is stable, so entries of one row stay in their order.
    entries.sort_by(|one, other| one.compare(other, layout));
    entries.dedup_by(|later, first| {
        let is_same = later.compare(first, layout).is_eq();
        if is_same {
            (first.after, first.revision) = (later.after.take(), later.revision);
        }
        is_same
    });
    entries
}

/// The published changes, grouped by the checkpoint that they follow.
#[derive(Debug)]
pub(crate) struct Journal<R: Data> {
    segments: VecDeque<Segment<R>>,
}

/// The changes after one checkpoint.
#[derive(Debug)]
struct Segment<R: Data> {
    /// The boundary of the checkpoint.
    start: EventTime,
    entries: Vec<Entry<R>>,
    /// The number of entries at which they are combined.
    full: usize,
}

/// The least number of entries that are combined at once.
const FULL: usize = 1 << 16;

impl<R: Data> Segment<R> {
    fn new(start: EventTime) -> Self {
        Self { start, entries: Vec::new(), full: FULL }
    }
}

/// The journal as a run leaves it: by checkpoint, oldest first.
pub(crate) type Journaled<R> = Vec<(EventTime, Vec<Entry<R>>)>;

impl<R: Data> Journal<R> {
    /// Creates the journal of a run that starts from a checkpoint at `start`, or from the beginning.
    pub(crate) fn new(start: EventTime) -> Self {
        Self { segments: VecDeque::from([Segment::new(start)]) }
    }

    /// Records a published change.
    pub(crate) fn note(&mut self, layout: &Layout<R>, entry: Entry<R>) {
        let Some(segment) = self.segments.back_mut() else { return };
        segment.entries.push(entry);
        if segment.entries.len() >= segment.full {
            segment.entries = net(layout, std::mem::take(&mut segment.entries));
            segment.full = FULL.max(2 * segment.entries.len());
        }
    }

    /// Begins a new segment for the checkpoint at `boundary`, and drops those before `complete`, the last
    /// complete checkpoint.
    pub(crate) fn checkpoint(&mut self, boundary: EventTime, complete: EventTime) {
        self.segments.push_back(Segment::new(boundary));
        while self.segments.get(1).is_some_and(|next| next.start <= complete) {
            self.segments.pop_front();
        }
    }

    /// Returns the journal that the run leaves.
    pub(crate) fn finish(&mut self, layout: &Layout<R>) -> Journaled<R> {
        self.segments.drain(..).map(|segment| (segment.start, net(layout, segment.entries))).collect()
    }
}

/// The journal of an earlier run, until it is settled.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound = "")]
pub(crate) struct Unsettled<R: Data> {
    /// The time at which it is settled, which is later than everything that a sink received.
    pub(crate) at: EventTime,
    /// The changes that the earlier run gave to the sinks.
    given: Vec<Entry<R>>,
    /// The changes that this run has made since.
    found: Vec<Entry<R>>,
}

impl<R: Data> Unsettled<R> {
    pub(crate) fn new(at: EventTime) -> Self {
        Self { at, given: Vec::new(), found: Vec::new() }
    }

    /// Adds the journal that a run left, from the checkpoint at `start` on.
    pub(crate) fn take_in(
        &mut self,
        start: EventTime,
        journaled: Journaled<R>,
        is_mine: impl Fn(&R) -> bool,
    ) {
        let since = journaled.into_iter().filter(|(begun, _)| *begun >= start);
        let entries = since.flat_map(|(_, entries)| entries);
        self.given.extend(entries.filter(|entry| entry.row().is_some_and(&is_mine)));
    }

    /// Adds the part of another worker's snapshot that belongs to this worker.
    pub(crate) fn merge(&mut self, other: Self, is_mine: impl Fn(&R) -> bool) {
        let mine = |entry: &Entry<R>| entry.row().is_some_and(&is_mine);
        self.given.extend(other.given.into_iter().filter(mine));
        self.found.extend(other.found.into_iter().filter(mine));
    }

    /// Records a change that this run makes before it settles.
    pub(crate) fn note(&mut self, entry: Entry<R>) {
        self.found.push(entry);
    }

    /// Returns, for each row that one of the two runs changed, its current version as an entry, and the
    /// change from the version that sinks received, if they differ.
    pub(crate) fn settle(self, layout: &Layout<R>) -> Vec<(Entry<R>, Option<RowChange<R>>)> {
        let mut given = net(layout, self.given).into_iter().peekable();
        let mut found = net(layout, self.found).into_iter().peekable();
        let mut settled = Vec::new();
        loop {
            let order = match (given.peek(), found.peek()) {
                (Some(one), Some(other)) => one.compare(other, layout),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => return settled,
            };
            let given = if order.is_le() { given.next() } else { None };
            let found = if order.is_ge() { found.next() } else { None };
            let mut revision = given.iter().chain(&found).map(|entry| entry.revision).max().unwrap_or(0);
            // A row that one of the runs did not change is as it was at the checkpoint.
            let at_checkpoint = given.iter().chain(&found).find_map(|entry| entry.before.clone());
            let was = given.map_or_else(|| at_checkpoint.clone(), |entry| entry.after);
            let is = found.map_or(at_checkpoint, |entry| entry.after);
            let mut change = None;
            if was != is {
                revision += 1;
                let action = if is.is_some() { Action::Upsert } else { Action::Withdraw };
                change = is.clone().or(was).map(|row| RowChange { row, revision, action });
            }
            // Settling changes what the sinks contain, not the collection.
            settled.push((Entry { before: is.clone(), after: is, revision }, change));
        }
    }
}
