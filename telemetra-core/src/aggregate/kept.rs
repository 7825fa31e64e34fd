//! The summaries of one key that are in the collection.
//!
//! A summary is needed again when its window is corrected, and when it is retired, a horizon later. In between
//! it is only memory. So the summaries that no correction can reach are kept as bytes, one after the other, and
//! the windows in a row that have the same events share one.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::aggregate::settled::{Run, Settled};
use crate::data::Data;
use crate::room::{grow, shrink};
use crate::time::event_time::EventTime;
use crate::time::window::WindowSpec;

/// The summaries of one key, by the end of their window.
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound = "S: Data")]
pub(super) struct KeptSummaries<S> {
    /// The first run that was settled, while its windows are retired.
    first: Option<Run<S>>,
    settled: Settled,
    /// The summaries that may still be corrected, oldest first.
    open: VecDeque<Run<S>>,
    windows: u32,
}

/// The counts of an [`Arc`].
const COUNTS: usize = 2 * size_of::<usize>();

impl<S> Default for KeptSummaries<S> {
    fn default() -> Self {
        Self { first: None, settled: Settled::default(), open: VecDeque::new(), windows: 0 }
    }
}

impl<S: Data> KeptSummaries<S> {
    /// The number of windows.
    pub(super) fn len(&self) -> usize {
        self.windows as usize
    }

    /// An estimate of the bytes of memory, without what summaries point to.
    pub(super) fn memory(&self) -> usize {
        let run = size_of::<Run<S>>() + COUNTS + size_of::<S>();
        self.settled.bytes.capacity() + self.open.capacity() * run
    }

    pub(super) fn is_empty(&self) -> bool {
        self.windows == 0
    }

    /// See [`WindowState::peek`](super::window_state::WindowState::peek).
    pub(super) fn peek(&self) -> u64 {
        self.settled.first.0 ^ self.open.back().map_or(0, |run| run.end.0)
    }

    /// See [`WindowState::peek_deeper`](super::window_state::WindowState::peek_deeper).
    pub(super) fn peek_deeper(&self) -> u64 {
        self.open.back().map_or(0, |run| run.value.peek())
    }

    /// The end of the oldest window.
    pub(super) fn oldest(&self, spec: WindowSpec) -> Option<EventTime> {
        let settled = (!self.settled.bytes.is_empty()).then_some(self.settled.first);
        let first = self.first.as_ref().map(|run| run.first(spec)).or(settled);
        first.or_else(|| self.open.front().map(|run| run.first(spec)))
    }

    /// The newest summary, if it may still be corrected.
    pub(super) fn newest(&self) -> Option<Arc<S>> {
        self.open.back()?.value.get().map(Cow::into_owned)
    }

    /// Adds a window that has ended with the summary of the one before it, and returns that; `None` if there is
    /// none, or it cannot be corrected any more.
    pub(super) fn repeat(&mut self, spec: WindowSpec, end: EventTime) -> Option<Arc<S>> {
        let run = self.open.back_mut().filter(|run| run.end.plus(spec.slide()) == end)?;
        let value = run.value.get()?.into_owned();
        (run.end, run.windows, self.windows) = (end, run.windows + 1, self.windows + 1);
        Some(value)
    }

    /// Adds the summary of a window that has ended.
    pub(super) fn push(&mut self, spec: WindowSpec, end: EventTime, value: &Arc<S>) {
        self.windows += 1;
        match self.open.back_mut() {
            Some(run) if run.value.is_at(value) && run.end.plus(spec.slide()) == end => {
                (run.end, run.windows) = (end, run.windows + 1);
            }
            _ => {
                grow(&mut self.open, 1);
                self.open.push_back(Run::single(end, Arc::clone(value), EventTime::MIN));
            }
        }
    }

    /// Makes room for so many windows that will be set.
    pub(super) fn make_room(&mut self, windows: usize) {
        grow(&mut self.open, windows);
    }

    /// Sets the summary of a window at a boundary, and returns the previous one.
    pub(super) fn set(
        &mut self,
        spec: WindowSpec,
        end: EventTime,
        value: Arc<S>,
        changed: EventTime,
    ) -> Option<Arc<S>> {
        if self.first.is_some() || !self.settled.bytes.is_empty() && end <= self.settled.last {
            self.open_all(spec);
        }
        // A checkpoint is restored in order, window after window.
        let is_newest = self.open.back().is_none_or(|run| run.end < end);
        let index = if is_newest { self.open.len() } else { self.open.partition_point(|run| run.end < end) };
        let known = self.open.get(index).is_some_and(|run| run.first(spec) <= end);
        let new = Run::single(end, value, changed);
        if !known {
            self.windows += 1;
            grow(&mut self.open, 1);
            self.open.insert(index, new);
            return None;
        }
        let run = &mut self.open[index];
        let old = run.value.clone();
        let (after, before) = ((run.end - end) / spec.slide(), (end - run.first(spec)) / spec.slide());
        let part = |end, windows: u64| {
            let (value, revised) = (old.clone(), run.revised);
            (windows > 0).then_some(Run { end, windows: windows as u32, revised, value })
        };
        let (older, newer) = (part(end.minus(spec.slide()), before), part(run.end, after));
        *run = new;
        if let Some(newer) = newer {
            self.open.insert(index + 1, newer);
        }
        if let Some(older) = older {
            self.open.insert(index, older);
        }
        old.get().map(Cow::into_owned)
    }

    /// Removes the oldest windows of which `is_retired` says that they are beyond the horizon, and gives them
    /// to `gone`.
    pub(super) fn retire(
        &mut self,
        spec: WindowSpec,
        is_retired: impl Fn(EventTime) -> bool,
        mut gone: impl FnMut(EventTime, Arc<S>),
    ) {
        while let Some(end) = self.oldest(spec).filter(|end| is_retired(*end)) {
            if self.first.is_none() {
                self.first = self.settled.pop(spec);
            }
            let Some(run) = self.first.as_mut().or_else(|| self.open.front_mut()) else { return };
            if let Some(value) = run.value.load() {
                gone(end, Arc::clone(value));
            }
            (run.windows, self.windows) = (run.windows - 1, self.windows - 1);
            if run.windows > 0 {
                continue;
            }
            if self.first.take().is_none() {
                self.open.pop_front();
                shrink(&mut self.open);
            }
        }
    }

    /// Lets adjacent windows share equal summaries, after each was restored on its own.
    pub(super) fn share(&mut self, spec: WindowSpec) {
        let mut shared: VecDeque<Run<S>> = VecDeque::new();
        for run in self.open.drain(..) {
            match shared.back_mut() {
                Some(last)
                    if last.end.plus(spec.slide()) == run.first(spec)
                        && last.revised == run.revised
                        && last.value.get() == run.value.get() =>
                {
                    (last.end, last.windows) = (run.end, last.windows + run.windows);
                }
                _ => shared.push_back(run),
            }
        }
        self.open = shared;
    }

    /// Turns the summaries of the windows that ended before a time into bytes: no correction can reach them.
    pub(super) fn settle(&mut self, spec: WindowSpec, before: EventTime) {
        let mut bytes = Vec::new();
        while let Some(run) = self.open.front().filter(|run| run.end < before && !self.settled.refused) {
            if !self.settled.add(spec, run, &mut bytes) {
                break;
            }
            self.open.pop_front();
        }
        shrink(&mut self.open);
    }

    /// Gives up the summaries that may still be corrected for their encoding, until they are needed. Returns false if
    /// one would not be the same after decoding.
    pub(super) fn encode(&mut self) -> bool {
        self.open.iter_mut().all(|run| run.value.encode(PartialEq::eq))
    }

    /// The windows that changed after a boundary, oldest first: the end and the summary of each.
    pub(super) fn changed_after(
        &self,
        spec: WindowSpec,
        since: EventTime,
    ) -> impl Iterator<Item = (EventTime, Arc<S>)> + '_ {
        let settled = (self.settled.changed > since).then(|| self.settled.runs(spec));
        let first = self.first.iter().flat_map(move |run| run.each(spec));
        let settled = settled.into_iter().flatten().flat_map(move |run: Run<S>| run.each(spec));
        let open = self.open.iter().flat_map(move |run| run.each(spec));
        let all = first.chain(settled).chain(open);
        all.filter(move |(.., changed)| *changed > since).map(|(end, value, _)| (end, value))
    }

    /// Turns bytes into summaries again.
    fn open_all(&mut self, spec: WindowSpec) {
        let mut all: VecDeque<_> = self.first.take().into_iter().collect();
        while let Some(run) = self.settled.pop(spec) {
            all.push_back(run);
        }
        all.append(&mut self.open);
        self.open = all;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bincode::Options;

    use super::*;
    use crate::lazy::{Lazy, encoding};

    fn spec() -> WindowSpec {
        WindowSpec::tumbling(Duration::from_millis(10)).unwrap_or_default()
    }

    /// The windows that end at 10, 20, and 40, of which the first two share a value.
    fn three() -> (KeptSummaries<u64>, Arc<u64>) {
        let (mut kept, value) = (KeptSummaries::default(), Arc::new(7));
        [10, 20, 40].into_iter().for_each(|end| kept.push(spec(), EventTime(end), &value));
        (kept, value)
    }

    fn all(kept: &KeptSummaries<u64>) -> Vec<(u64, u64)> {
        kept.changed_after(spec(), EventTime::MIN).map(|(end, value)| (end.0, *value)).collect()
    }

    #[test]
    fn windows_in_a_row_are_kept_as_one() {
        let (kept, value) = three();
        assert_eq!(kept.open.iter().map(|run| run.windows).collect::<Vec<_>>(), [2, 1]);
        assert_eq!(kept.len(), 3);
        assert!(kept.open.back().is_some_and(|run| run.value.is_at(&value)));
        assert_eq!(all(&kept), [(10, 7), (20, 7), (40, 7)]);
    }

    #[test]
    fn encoded_summaries_are_the_same_in_all_uses() {
        let encoded = || {
            let (mut kept, _) = three();
            assert!(kept.encode() && kept.open.iter().all(|run| matches!(run.value, Lazy::Encoded(_))));
            kept
        };
        assert_eq!(all(&encoded()), [(10, 7), (20, 7), (40, 7)]);
        // The windows after it may have the same summary, and it stays encoded.
        let mut kept = encoded();
        assert_eq!((kept.repeat(spec(), EventTime(60)), kept.len()), (None, 3));
        assert_eq!((kept.repeat(spec(), EventTime(50)).as_deref(), kept.len()), (Some(&7), 4));
        assert!(matches!(kept.open[1], Run { windows: 2, value: Lazy::Encoded(_), .. }));
        // Corrected in the middle of a run.
        assert_eq!(kept.set(spec(), EventTime(20), Arc::new(8), EventTime(60)).as_deref(), Some(&7));
        assert_eq!(all(&kept), [(10, 7), (20, 8), (40, 7), (50, 7)]);
        // Settled, in part, and retired from there.
        for settled in [15, 45] {
            let mut kept = encoded();
            kept.settle(spec(), EventTime(settled));
            assert_eq!((kept.open.len(), all(&kept).len()), (if settled == 15 { 2 } else { 0 }, 3));
            let mut gone = Vec::new();
            kept.retire(spec(), |end| end <= EventTime(20), |end, value| gone.push((end.0, *value)));
            assert_eq!((gone, all(&kept)), (vec![(10, 7), (20, 7)], vec![(40, 7)]));
        }
        // Packed and read.
        let bytes = encoding().serialize(&encoded()).unwrap_or_default();
        let read: KeptSummaries<u64> = encoding().deserialize(&bytes).unwrap_or_default();
        assert_eq!(all(&read), all(&encoded()));
        let decoded = encoding().serialize(&three().0).unwrap_or_default();
        assert_eq!(decoded, bytes);
    }

    #[test]
    fn what_was_settled_can_be_corrected_all_the_same() {
        for (end, old, corrected) in [
            (20, Some(7), vec![(10, 7), (20, 8), (40, 7)]),
            (30, None, vec![(10, 7), (20, 7), (30, 8), (40, 7)]),
            (40, Some(7), vec![(10, 7), (20, 7), (40, 8)]),
            (50, None, vec![(10, 7), (20, 7), (40, 7), (50, 8)]),
        ] {
            let (mut kept, _) = three();
            kept.settle(spec(), EventTime(41));
            assert!(kept.open.is_empty() && kept.oldest(spec()) == Some(EventTime(10)));
            let before = kept.set(spec(), EventTime(end), Arc::new(8), EventTime(60));
            assert_eq!(before.as_deref().copied(), old, "at {end}");
            assert_eq!((all(&kept), kept.len()), (corrected.clone(), corrected.len()), "at {end}");
            let changed = kept.changed_after(spec(), EventTime(59));
            assert_eq!(changed.map(|(end, _)| end.0).collect::<Vec<_>>(), [end]);
        }
    }

    /// It is another one after decoding.
    #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
    struct Forgetful {
        #[serde(skip)]
        number: u64,
    }

    #[test]
    fn what_its_encoding_does_not_keep_is_not_settled() {
        let mut kept = KeptSummaries::default();
        for number in [10, 20] {
            kept.push(spec(), EventTime(number), &Arc::new(Forgetful { number }));
        }
        kept.settle(spec(), EventTime(41));
        assert!(kept.settled.refused && kept.settled.bytes.is_empty() && !kept.encode());
        let found: Vec<_> =
            kept.changed_after(spec(), EventTime::MIN).map(|(_, value)| value.number).collect();
        assert_eq!(found, [10, 20]);
    }

    #[test]
    fn a_window_is_settled_once_the_time_has_passed_its_end() {
        let (mut kept, value) = three();
        kept.settle(spec(), EventTime(40));
        assert!(kept.open.back().is_some_and(|run| run.value.is_at(&value)));
        assert_eq!((kept.open.len(), all(&kept).len()), (1, 3));
        let mut gone = Vec::new();
        kept.retire(spec(), |end| end <= EventTime(20), |end, _| gone.push(end.0));
        assert_eq!((gone, all(&kept)), (vec![10, 20], vec![(40, 7)]));
        assert_eq!((kept.len(), kept.oldest(spec())), (1, Some(EventTime(40))));
    }
}
