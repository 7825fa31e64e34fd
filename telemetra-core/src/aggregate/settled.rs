//! Windows in a row that share a summary, and the runs of one key that are kept as bytes.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::io::Read;
use std::sync::Arc;

use bincode::Options;
use serde::{Deserialize, Serialize};

use crate::data::Data;
use crate::lazy::{Lazy, ROOM, byte_queue, encode_into, encoding};
use crate::room::{grow, shrink};
use crate::time::event_time::EventTime;
use crate::time::window::WindowSpec;

/// Windows in a row that share a summary.
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound = "S: Data")]
pub(super) struct Run<S> {
    /// The end of the last window.
    pub(super) end: EventTime,
    pub(super) windows: u32,
    /// The boundary of the last correction, if there was one. A window that was not corrected since it ended
    /// has changed last at its end.
    pub(super) revised: EventTime,
    pub(super) value: Lazy<Arc<S>>,
}

/// Summaries as bytes, oldest first.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Settled {
    #[serde(with = "byte_queue")]
    pub(super) bytes: VecDeque<u8>,
    /// The end of the run before the first.
    before: EventTime,
    /// The end of the first window.
    pub(super) first: EventTime,
    /// The end of the last window.
    pub(super) last: EventTime,
    /// The boundary of the last change of one.
    pub(super) changed: EventTime,
    /// True if a summary was not the same after decoding: this key keeps all others as they are.
    pub(super) refused: bool,
}

/// A run as bytes, before its summary: the time from the end of the run before, the number of windows, and the
/// time from the end of the first window to the last correction.
type Header = (u64, u32, u64);

impl<S: Data> Run<S> {
    pub(super) fn single(end: EventTime, value: Arc<S>, revised: EventTime) -> Self {
        Self { end, windows: 1, revised, value: Lazy::Decoded(value) }
    }

    pub(super) fn first(&self, spec: WindowSpec) -> EventTime {
        self.end.minus(u64::from(self.windows - 1) * spec.slide())
    }

    /// The end, the summary and the boundary of the last change of each window.
    pub(super) fn each(
        &self,
        spec: WindowSpec,
    ) -> impl Iterator<Item = (EventTime, Arc<S>, EventTime)> + use<S> {
        let (first, revised, windows) = (self.first(spec), self.revised, u64::from(self.windows));
        let of_each = move |value: Arc<S>| {
            (0..windows).map(move |n| {
                let end = first.plus(n * spec.slide());
                (end, Arc::clone(&value), revised.max(end))
            })
        };
        self.value.get().map(Cow::into_owned).into_iter().flat_map(of_each)
    }
}

/// Reads a run; `before` is the end of the run before it.
fn read_run<S: Data>(mut from: impl Read, before: EventTime, spec: WindowSpec) -> Option<Run<S>> {
    let (since, windows, revised): Header = encoding().deserialize_from(&mut from).ok()?;
    let value = Lazy::Decoded(Arc::new(encoding().deserialize_from(from).ok()?));
    let mut run = Run { end: before.plus(since), windows, revised: EventTime::MIN, value };
    if revised > 0 {
        run.revised = run.first(spec).plus(revised);
    }
    Some(run)
}

impl Settled {
    /// Adds a run, with `bytes` as a buffer. Returns whether its summary can be kept as bytes.
    pub(super) fn add<S: Data>(&mut self, spec: WindowSpec, run: &Run<S>, bytes: &mut Vec<u8>) -> bool {
        if self.bytes.is_empty() {
            (self.before, self.first, self.last) = (EventTime::MIN, run.first(spec), EventTime::MIN);
        }
        bytes.clear();
        bytes.reserve(ROOM);
        let header: Header =
            (run.end - self.last, run.windows, run.revised.0.saturating_sub(run.first(spec).0));
        let mut is_same = encoding().serialize_into(&mut *bytes, &header).is_ok();
        match &run.value {
            Lazy::Decoded(value) => is_same &= encode_into(&**value, bytes, PartialEq::eq),
            Lazy::Encoded(value) => bytes.extend_from_slice(value),
        }
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
    pub(super) fn pop<S: Data>(&mut self, spec: WindowSpec) -> Option<Run<S>> {
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
    pub(super) fn runs<S: Data>(&self, spec: WindowSpec) -> impl Iterator<Item = Run<S>> + '_ {
        let (older, newer) = self.bytes.as_slices();
        let (mut bytes, mut before) = (older.chain(newer), self.before);
        std::iter::from_fn(move || {
            let run = read_run::<S>(&mut bytes, before, spec)?;
            before = run.end;
            Some(run)
        })
    }
}
