//! The summaries of one key that are in the collection.
//!
//! A summary is needed again when its window is corrected, and when it is retired, a horizon later. In between
//! it is only memory. So the summaries that no correction can reach are kept as bytes, one after the other, and
//! the windows in a row that have the same events share one.

use std::collections::VecDeque;
use std::io::Read;
use std::sync::Arc;

use bincode::Options;
use serde::{Deserialize, Serialize};

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

/// Windows in a row that share a summary.
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound = "S: Data")]
struct Run<S> {
    /// The end of the last window.
    end: EventTime,
    windows: u32,
    /// The boundary of the last correction, if there was one. A window that was not corrected since it ended
    /// has changed last at its end.
    revised: EventTime,
    value: Arc<S>,
}

/// Summaries as bytes, oldest first.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Settled {
    bytes: VecDeque<u8>,
    /// The end of the run before the first.
    before: EventTime,
    /// The end of the first window.
    first: EventTime,
    /// The end of the last window.
    last: EventTime,
    /// The boundary of the last change of one.
    changed: EventTime,
    /// True if a summary was not the same after decoding: this key keeps all others as they are.
    refused: bool,
}

/// A run as bytes, before its summary: the time from the end of the run before, the number of windows, and the
/// time from the end of the first window to the last correction.
type Header = (u64, u32, u64);

/// The counts of an [`Arc`].
const COUNTS: usize = 2 * size_of::<usize>();
/// Most runs take fewer bytes.
const ROOM: usize = 256;

fn encoding() -> impl Options {
    bincode::DefaultOptions::new()
}

impl<S> Default for KeptSummaries<S> {
    fn default() -> Self {
        Self { first: None, settled: Settled::default(), open: VecDeque::new(), windows: 0 }
    }
}

impl<S> Run<S> {
    fn single(end: EventTime, value: Arc<S>, revised: EventTime) -> Self {
        Self { end, windows: 1, revised, value }
    }

    fn first(&self, spec: WindowSpec) -> EventTime {
        self.end.minus(u64::from(self.windows - 1) * spec.slide())
    }

    /// The end, the summary and the boundary of the last change of each window.
    fn each(&self, spec: WindowSpec) -> impl Iterator<Item = (EventTime, Arc<S>, EventTime)> + use<S> {
        let (first, revised, value) = (self.first(spec), self.revised, Arc::clone(&self.value));
        (0..u64::from(self.windows)).map(move |n| {
            let end = first.plus(n * spec.slide());
            (end, Arc::clone(&value), revised.max(end))
        })
    }
}

/// Reads a run; `before` is the end of the run before it.
fn read_run<S: Data>(mut from: impl Read, before: EventTime, spec: WindowSpec) -> Option<Run<S>> {
    let (since, windows, revised): Header = encoding().deserialize_from(&mut from).ok()?;
    let value = Arc::new(encoding().deserialize_from(from).ok()?);
    let mut run = Run { end: before.plus(since), windows, revised: EventTime::MIN, value };
    if revised > 0 {
        run.revised = run.first(spec).plus(revised);
    }
    Some(run)
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
        self.open.back().map_or(0, |run| Arc::strong_count(&run.value) as u64)
    }

    /// The end of the oldest window.
    pub(super) fn oldest(&self, spec: WindowSpec) -> Option<EventTime> {
        let settled = (!self.settled.bytes.is_empty()).then_some(self.settled.first);
        let first = self.first.as_ref().map(|run| run.first(spec)).or(settled);
        first.or_else(|| self.open.front().map(|run| run.first(spec)))
    }

    /// The end and the summary of the newest window, if it may still be corrected.
    pub(super) fn newest(&self) -> Option<(EventTime, &Arc<S>)> {
        self.open.back().map(|run| (run.end, &run.value))
    }

    /// Adds the summary of a window that has ended.
    pub(super) fn push(&mut self, spec: WindowSpec, end: EventTime, value: &Arc<S>) {
        self.windows += 1;
        match self.open.back_mut() {
            Some(run) if Arc::ptr_eq(&run.value, value) && run.end.plus(spec.slide()) == end => {
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
        let old = Arc::clone(&run.value);
        let (after, before) = ((run.end - end) / spec.slide(), (end - run.first(spec)) / spec.slide());
        let part = |end, windows: u64| {
            let (value, revised) = (Arc::clone(&old), run.revised);
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
        Some(old)
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
            gone(end, Arc::clone(&run.value));
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
                        && last.value == run.value =>
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

impl Settled {
    /// Adds a run, with `bytes` as a buffer. Returns whether its summary can be kept as bytes.
    fn add<S: Data>(&mut self, spec: WindowSpec, run: &Run<S>, bytes: &mut Vec<u8>) -> bool {
        if self.bytes.is_empty() {
            (self.before, self.first, self.last) = (EventTime::MIN, run.first(spec), EventTime::MIN);
        }
        bytes.clear();
        bytes.reserve(ROOM);
        let header: Header =
            (run.end - self.last, run.windows, run.revised.0.saturating_sub(run.first(spec).0));
        let encoded = encoding().serialize_into(&mut *bytes, &(header, &*run.value));
        let read = || encoding().deserialize_from::<_, (Header, S)>(&bytes[..]).ok();
        let is_same = encoded.is_ok() && read().is_some_and(|(_, value)| value == *run.value);
        self.refused = !is_same;
        if is_same {
            grow(&mut self.bytes, bytes.len());
            self.bytes.extend(&*bytes);
            self.last = run.end;
            self.changed = self.changed.max(run.revised).max(run.end);
        }
        is_same
    }

    /// Removes the first run.
    fn pop<S: Data>(&mut self, spec: WindowSpec) -> Option<Run<S>> {
        let all = &*self.bytes.make_contiguous();
        let (length, mut rest) = (all.len(), all);
        let run: Run<S> = read_run(&mut rest, self.before, spec)?;
        self.before = run.end;
        let read = length - rest.len();
        if let Ok((since, windows, _)) = encoding().deserialize_from::<_, Header>(rest) {
            self.first = self.before.plus(since).minus(u64::from(windows.max(1) - 1) * spec.slide());
        }
        self.bytes.drain(..read);
        shrink(&mut self.bytes);
        Some(run)
    }

    /// The runs, oldest first.
    fn runs<S: Data>(&self, spec: WindowSpec) -> impl Iterator<Item = Run<S>> + '_ {
        let (older, newer) = self.bytes.as_slices();
        let (mut bytes, mut before) = (older.chain(newer), self.before);
        std::iter::from_fn(move || {
            let run = read_run::<S>(&mut bytes, before, spec)?;
            before = run.end;
            Some(run)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

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
        assert_eq!(kept.newest(), Some((EventTime(40), &value)));
        assert_eq!(all(&kept), [(10, 7), (20, 7), (40, 7)]);
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
        assert!(kept.settled.refused && kept.settled.bytes.is_empty());
        let found: Vec<_> =
            kept.changed_after(spec(), EventTime::MIN).map(|(_, value)| value.number).collect();
        assert_eq!(found, [10, 20]);
    }

    #[test]
    fn a_window_is_settled_once_the_time_has_passed_its_end() {
        let (mut kept, value) = three();
        kept.settle(spec(), EventTime(40));
        assert_eq!(kept.newest(), Some((EventTime(40), &value)));
        assert_eq!((kept.open.len(), all(&kept).len()), (1, 3));
        let mut gone = Vec::new();
        kept.retire(spec(), |end| end <= EventTime(20), |end, _| gone.push(end.0));
        assert_eq!((gone, all(&kept)), (vec![10, 20], vec![(40, 7)]));
        assert_eq!((kept.len(), kept.oldest(spec())), (1, Some(EventTime(40))));
    }
}
