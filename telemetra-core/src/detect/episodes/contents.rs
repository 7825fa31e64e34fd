//! The summaries of one key's windows that explanations of its moments may need.
//!
//! A window that may still be corrected has its summary here, shared with the state of the windows. Of the
//! settled windows, only the usual ones of explanations to come are kept: shared as long as somebody else holds
//! the summary, as the windows of a busy key do until they are retired, and otherwise as bytes.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use bincode::Options;
use serde::{Deserialize, Serialize};

use crate::data::Data;
use crate::lazy::{Lazy, byte_queue, encoding};
use crate::room::{grow, shrink};
use crate::time::event_time::EventTime;
use crate::time::window::WindowSpec;

/// The summaries of one key that explanations may need.
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound = "S: Data")]
pub(super) struct Contents<S> {
    /// The summaries of windows that are not settled: each from a window's end on, up to the next.
    open: VecDeque<(EventTime, Lazy<Arc<S>>)>,
    /// The settled windows that ended at a multiple of their size, oldest first: of each the number of bytes
    /// that follow, the end, and the summary.
    #[serde(with = "byte_queue")]
    settled: VecDeque<u8>,
    /// The end of the first of these.
    first: EventTime,
    /// The settled windows, oldest first, whose summary somebody else held when they were settled.
    shared: VecDeque<(EventTime, Arc<S>)>,
    /// All windows up to this end are settled.
    until: EventTime,
    /// The boundary at which the key must be advanced to give up summaries, if that is planned.
    pub(super) releases_at: Option<EventTime>,
}

impl<S> Default for Contents<S> {
    fn default() -> Self {
        let (open, settled, shared) = Default::default();
        Self { open, settled, first: EventTime::MIN, shared, until: EventTime::MIN, releases_at: None }
    }
}

/// The bytes of the length of a settled window.
const LENGTH: usize = size_of::<u32>();

/// A settled window as bytes; `None` if its summary cannot be encoded.
fn record<S: Data>(end: EventTime, value: &Lazy<Arc<S>>) -> Option<Vec<u8>> {
    match value {
        Lazy::Decoded(value) => encoding().serialize(&(end.0, &**value)).ok(),
        Lazy::Encoded(value) => Some([&encoding().serialize(&end.0).ok()?, &**value].concat()),
    }
}

/// Some bytes of a queue; `None` if it has fewer.
fn slice(queue: &VecDeque<u8>, range: Range<usize>) -> Option<Cow<'_, [u8]>> {
    let (older, newer) = queue.as_slices();
    match range.start.checked_sub(older.len()) {
        Some(start) => newer.get(start..range.end - older.len()).map(Cow::Borrowed),
        None if range.end <= older.len() => Some(Cow::Borrowed(&older[range])),
        None => {
            let rest = newer.get(..range.end - older.len())?;
            Some(Cow::Owned([&older[range.start..], rest].concat()))
        }
    }
}

impl<S: Data> Contents<S> {
    /// The bytes of memory of the queues and of the settled summaries, which the windows may have given up by now;
    /// the other summaries are those of the windows.
    pub(super) fn memory(&self) -> usize {
        let summary = size_of::<(EventTime, Arc<S>)>();
        let open = self.open.capacity() * size_of::<(EventTime, Lazy<Arc<S>>)>();
        let queues = self.settled.capacity() + open + self.shared.capacity() * summary;
        size_of::<Self>() + queues + self.shared.len() * size_of::<S>()
    }

    /// See [`KeyEpisodes::peek`](super::KeyEpisodes::peek).
    pub(super) fn peek(&self) -> u64 {
        self.open.front().map_or(0, |(first, _)| first.0)
            ^ self.first.0
            ^ self.until.0
            ^ self.shared.len() as u64
    }

    /// See [`KeyEpisodes::peek_deeper`](super::KeyEpisodes::peek_deeper).
    pub(super) fn peek_deeper(&self) -> u64 {
        let ends = [self.open.front(), self.open.back()].into_iter().flatten();
        let bytes = self.settled.front().map_or(0, |byte| u64::from(*byte));
        ends.fold(bytes, |all, (_, value)| all ^ value.peek())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty() && self.settled.is_empty() && self.shared.is_empty()
    }

    /// Returns whether a window has a summary that may still be corrected.
    pub(super) fn has_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// Gives up the summaries of windows that are not settled for their encoding, until they are needed. Returns false
    /// if one would not be the same after decoding.
    pub(super) fn encode(&mut self) -> bool {
        self.open.iter_mut().all(|(_, value)| value.encode(PartialEq::eq))
    }

    /// Gives up the summaries of windows that are not settled: none will be.
    pub(super) fn close(&mut self) {
        self.open = VecDeque::new();
    }

    /// Sets the summary of a window; `is_newest` if there is none after it.
    pub(super) fn set(&mut self, spec: WindowSpec, end: EventTime, value: &Arc<S>, is_newest: bool) {
        if end <= self.until {
            return;
        }
        if is_newest {
            match self.open.back_mut() {
                Some((first, held)) if *first == end || held.equals(value) => {
                    // The newest of equal summaries is held here as long as elsewhere.
                    if *first == end || matches!(held, Lazy::Decoded(_)) {
                        *held = Lazy::Decoded(Arc::clone(value));
                    }
                }
                _ => {
                    grow(&mut self.open, 1);
                    self.open.push_back((end, Lazy::Decoded(Arc::clone(value))));
                }
            }
            return;
        }
        let next = self.open.partition_point(|(first, _)| *first <= end);
        let covering = next.checked_sub(1).map(|at| (at, self.open[at].0, self.open[at].1.clone()));
        if covering.as_ref().is_some_and(|(_, _, held)| held.is_at(value)) {
            return;
        }
        let after = end.plus(spec.slide());
        grow(&mut self.open, 2);
        if let Some((_, _, held)) = &covering
            && self.open.get(next).is_none_or(|(first, _)| *first > after)
        {
            self.open.insert(next, (after, held.clone()));
        }
        let value = Lazy::Decoded(Arc::clone(value));
        match covering {
            Some((at, first, _)) if first == end => self.open[at].1 = value,
            _ => self.open.insert(next, (end, value)),
        }
    }

    /// The summary of a window that is not settled.
    pub(super) fn open(&self, end: EventTime) -> Option<Arc<S>> {
        self.find(end)?.get().map(Cow::into_owned)
    }

    fn find(&self, end: EventTime) -> Option<&Lazy<Arc<S>>> {
        let at = self.open.partition_point(|(first, _)| *first <= end).checked_sub(1)?;
        self.open.get(at).filter(|_| end > self.until).map(|(_, value)| value)
    }

    /// Settles the windows up to `limit`, of which none can change any more, and keeps the usual ones that
    /// ended after `oldest`. `is_there` says which windows there are.
    pub(super) fn settle(
        &mut self,
        spec: WindowSpec,
        limit: EventTime,
        oldest: EventTime,
        is_there: impl Fn(EventTime) -> bool,
    ) {
        let size = spec.size();
        if let Some((first, _)) = self.open.front() {
            let from = first.0.max(self.until.0 + 1).max(oldest.0 + 1);
            let mut end = EventTime(from.next_multiple_of(size));
            while end <= limit {
                match self.find(end).filter(|_| is_there(end)) {
                    Some(Lazy::Decoded(value)) if Arc::strong_count(value) > 1 => {
                        let value = Arc::clone(value);
                        grow(&mut self.shared, 1);
                        self.shared.push_back((end, value));
                    }
                    Some(value) => {
                        if let Some(bytes) = record(end, value) {
                            self.keep_bytes(end, &bytes);
                        }
                    }
                    None => {}
                }
                end = end.plus(size);
            }
        }
        self.until = self.until.max(limit);
        while self.open.get(1).is_some_and(|(next, _)| *next <= limit.plus(spec.slide())) {
            self.open.pop_front();
        }
        shrink(&mut self.open);
        if !self.settled.is_empty() && self.first <= oldest {
            self.forget(oldest);
        }
        while self.shared.front().is_some_and(|(end, _)| *end <= oldest) {
            self.shared.pop_front();
        }
        shrink(&mut self.shared);
    }

    /// Adds the newest settled window to those that are bytes.
    fn keep_bytes(&mut self, end: EventTime, bytes: &[u8]) {
        if self.settled.is_empty() {
            self.first = end;
        }
        grow(&mut self.settled, LENGTH + bytes.len());
        self.settled.extend(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
        self.settled.extend(bytes);
    }

    /// Removes the settled windows that are bytes and ended at a time or before it.
    fn forget(&mut self, oldest: EventTime) {
        let (mut gone, mut first) = (0, EventTime::MIN);
        for bytes in self.records() {
            let end = encoding().allow_trailing_bytes().deserialize(&bytes).map_or(EventTime::MIN, EventTime);
            if end > oldest {
                first = end;
                break;
            }
            gone += LENGTH + bytes.len();
        }
        self.settled.drain(..gone);
        self.first = first;
        shrink(&mut self.settled);
    }

    /// The bytes of the settled windows that are bytes, oldest first.
    fn records(&self) -> impl Iterator<Item = Cow<'_, [u8]>> {
        let mut at = 0;
        std::iter::from_fn(move || {
            let begin = at + LENGTH;
            let length: [u8; LENGTH] = slice(&self.settled, at..begin)?.as_ref().try_into().ok()?;
            at = begin + usize::try_from(u32::from_le_bytes(length)).ok()?;
            slice(&self.settled, begin..at)
        })
    }

    /// The settled windows that are bytes, oldest first.
    fn settled(&self) -> impl Iterator<Item = (EventTime, S)> + '_ {
        self.records().filter_map(|bytes| {
            let (end, value): (u64, S) = encoding().deserialize(&bytes).ok()?;
            Some((EventTime(end), value))
        })
    }

    /// The usual windows among those whose end is in an interval of `[oldest, newest]`, oldest first.
    pub(super) fn usual(
        &self,
        spec: WindowSpec,
        (oldest, newest): (EventTime, EventTime),
        is_there: impl Fn(EventTime) -> bool,
    ) -> Vec<(EventTime, Arc<S>)> {
        let settled = self.settled().map(|(end, value)| (end, Arc::new(value)));
        let settled = settled.chain(self.shared.iter().cloned());
        let mut usual: Vec<_> = settled.filter(|(end, _)| (oldest..=newest).contains(end)).collect();
        usual.sort_by_key(|(end, _)| *end);
        let mut end = EventTime(oldest.0.max(self.until.0 + 1).next_multiple_of(spec.size()));
        while end <= newest {
            usual.extend(self.open(end).filter(|_| is_there(end)).map(|value| (end, value)));
            end = end.plus(spec.size());
        }
        usual
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// It is another one after decoding.
    #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
    struct Forgetful {
        #[serde(skip)]
        number: u64,
    }

    #[test]
    fn a_summary_that_would_not_be_the_same_is_not_given_up() {
        let spec = WindowSpec::tumbling(Duration::from_millis(10)).unwrap_or_default();
        let mut contents = Contents::default();
        contents.set(spec, EventTime(10), &Arc::new(Forgetful { number: 0 }), true);
        assert!(contents.encode());
        contents.set(spec, EventTime(20), &Arc::new(Forgetful { number: 7 }), true);
        assert!(!contents.encode());
        assert_eq!(contents.open(EventTime(20)).map(|value| value.number), Some(7));
    }
}
