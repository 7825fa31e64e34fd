//! Windows: from partials by pane to the collection of summaries.

use std::collections::BTreeMap;
use std::sync::Arc;

use differential_dataflow::{AsCollection, VecCollection};
use telemetra_core::checkpoint::CodecError;
use telemetra_core::engine::{KeyState, KeyWindows, StateSize};
use telemetra_core::{Accumulator, EventTime, Key, Summary, WindowRules, key_hash};
use timely::dataflow::StreamVec;

use crate::checkpoint::state::CheckpointContext;
use crate::observe::state_size::{StateSizeCounter, StateSizeGauge};
use crate::operators::checkpointed::{Checkpointed, Inbox, Tactic};
use crate::operators::keyed::Keyed;
use crate::read::partial::Partial;

/// The live collection of summaries.
pub type Summaries<'scope, K, S> = VecCollection<'scope, EventTime, (K, Summary<S>), isize>;

/// Slides windows over panes.
pub trait Windows<'scope, K: Key, A: Accumulator>: Sized {
    /// The summaries of all windows, as a collection that is corrected when late partials arrive. Its state is in the checkpoints of
    /// `context` under `name`.
    ///
    /// A partial counts at the time of its message, its effective time, which must be the last instant of a pane. When
    /// the frontier passes it, the window that ends there is closed for each key that has anything in it, and each
    /// earlier window that a late partial changed is taken back, `-1`, and put anew, `+1`. Summaries whose window ended
    /// a horizon ago are taken back too: they are retired.
    ///
    /// State: per key the panes of `size + allowed lateness` and the summaries of the horizon. Work per key and window:
    /// one pane in, one out, one finish, whatever `size / slide`.
    ///
    /// ```
    /// use telemetra_core::{Accumulate, Count, EventTime, WindowRules, WindowSpec};
    /// use telemetra_ops::{CheckpointContext, Partial, Windows};
    /// use timely::dataflow::operators::{Capture, Input, capture::Extract};
    ///
    /// let rules = WindowRules {
    ///     windows: WindowSpec::sliding(20, 10)?,
    ///     allowed_lateness: 50,
    ///     horizon: 1_000,
    /// };
    /// let captured = timely::execute_directly(move |worker| {
    ///     let (mut input, captured) = worker.dataflow::<EventTime, _, _>(|scope| {
    ///         let (input, partials) = scope.new_input::<Vec<Partial<String, Count>>>();
    ///         let context = CheckpointContext::none(scope);
    ///         (input, partials.windows(rules, "windows", &context).inner.capture())
    ///     });
    ///     let mut accumulator = Count::default();
    ///     accumulator.add(&"an event");
    ///     input.advance_to(EventTime(9));
    ///     input.send(Partial { key: "a".to_owned(), pane: EventTime(0), accumulator });
    ///     input.close();
    ///     while worker.step() {}
    ///     captured
    /// });
    /// let windows: Vec<_> = captured.extract().into_iter().flat_map(|(_, updates)| updates).collect();
    /// assert_eq!(windows.len(), 2, "the pane is in the windows that end at 10 and at 20");
    /// assert_eq!(windows[0].1, EventTime(9));
    /// # Ok::<(), telemetra_core::ConfigError>(())
    /// ```
    fn windows(
        self,
        rules: WindowRules,
        name: &str,
        context: &CheckpointContext<'scope>,
    ) -> Summaries<'scope, K, A::Output>;
}

impl<'scope, K: Key, A: Accumulator> Windows<'scope, K, A> for StreamVec<'scope, EventTime, Partial<K, A>> {
    fn windows(
        self,
        rules: WindowRules,
        name: &str,
        context: &CheckpointContext<'scope>,
    ) -> Summaries<'scope, K, A::Output> {
        let tactic = WindowsTactic::<K, A>::new(rules, Arc::clone(&context.state_size));
        self.checkpointed(name, context, tactic).as_collection()
    }
}

/// The keys of one worker.
struct WindowsTactic<K: Key, A: Accumulator> {
    rules: WindowRules,
    keys: Keyed<K, Entry<A>>,
    inbox: Inbox<Partial<K, A>>,
    /// Which keys to look at when, by boundary: to close a window, to retire a summary, to let a pane go.
    calendar: BTreeMap<EventTime, Vec<u32>>,
    /// The last boundary at which some window is open whatever comes.
    last_close: EventTime,
    /// The boundary of the last checkpoint.
    recorded: EventTime,
    restored: EventTime,
    counter: StateSizeCounter,
    gauge: Arc<StateSizeGauge>,
}

struct Entry<A: Accumulator> {
    windows: KeyWindows<A>,
    pending: Vec<(EventTime, A)>,
    wake: EventTime,
}

impl<A: Accumulator> Default for Entry<A> {
    fn default() -> Self {
        Self { windows: KeyWindows::default(), pending: Vec::new(), wake: EventTime::MAX }
    }
}

/// The wake of a key that is being looked at: the calendar may name it more than once.
const TOUCHED: EventTime = EventTime::MIN;

impl<K: Key, A: Accumulator> WindowsTactic<K, A> {
    fn new(rules: WindowRules, gauge: Arc<StateSizeGauge>) -> Self {
        Self {
            rules,
            keys: Keyed::default(),
            inbox: Inbox::default(),
            calendar: BTreeMap::new(),
            last_close: EventTime::MIN,
            recorded: EventTime::MIN,
            restored: EventTime::MIN,
            counter: StateSizeCounter::default(),
            gauge,
        }
    }

    /// Plans the next look at a key; `false` if nothing is left of it.
    fn plan(&mut self, slot: u32, boundary: EventTime) -> bool {
        let Some((_, entry)) = self.keys.get_mut(slot) else { return false };
        let Some(next) = entry.windows.wake(&self.rules, boundary) else { return false };
        entry.wake = next;
        if entry.windows.is_open(&self.rules, boundary) {
            self.last_close = self.last_close.max(next);
        }
        self.calendar.entry(next).or_default().push(slot);
        true
    }
}

impl<K: Key, A: Accumulator> Tactic for WindowsTactic<K, A> {
    type In = Partial<K, A>;
    type Out = ((K, Summary<A::Output>), EventTime, isize);
    /// The keys that changed.
    type Snapshot = Vec<(K, KeyState<A>)>;

    const INCREMENTAL: bool = true;

    fn route(partial: &Partial<K, A>) -> u64 {
        key_hash(&partial.key.as_ref())
    }

    fn take_in(&mut self, time: EventTime, partial: Partial<K, A>) {
        self.inbox.push(time, partial);
    }

    fn next(&self, ended: bool) -> Option<EventTime> {
        // Once the input has ended, nothing retires any more.
        let due = self.calendar.keys().next().copied().filter(|due| !ended || *due <= self.last_close);
        let due = due.map(|boundary| boundary.minus(1));
        match (self.inbox.next(), due) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    fn advance(&mut self, time: EventTime, emit: &mut dyn FnMut(Self::Out)) {
        let boundary = time.plus(1);
        let mut touched = self.calendar.remove(&boundary).unwrap_or_default();
        touched.retain(|&slot| {
            let due = self.keys.get_mut(slot).filter(|(_, entry)| entry.wake == boundary);
            due.map(|(_, entry)| entry.wake = TOUCHED).is_some()
        });
        for partial in self.inbox.take(time) {
            let slot = self.keys.slot_or_insert(partial.key.as_ref(), Entry::default);
            let Some((_, entry)) = self.keys.get_mut(slot) else { continue };
            if entry.wake != TOUCHED {
                entry.wake = TOUCHED;
                touched.push(slot);
            }
            entry.pending.push((partial.pane, partial.accumulator));
        }
        for slot in touched {
            let Some((key, entry)) = self.keys.get_mut(slot) else { continue };
            let Entry { windows, pending, .. } = entry;
            let before = windows.size();
            windows.advance(&self.rules, boundary, pending, |summary, diff| {
                emit(((key.clone(), summary), time, diff));
            });
            self.counter.changed(before, windows);
            if !self.plan(slot, boundary) {
                self.keys.remove(slot);
            }
        }
    }

    fn snapshot(&mut self, boundary: EventTime, whole: bool) -> Result<Self::Snapshot, CodecError> {
        let since = if whole { EventTime::MIN } else { self.recorded };
        self.recorded = boundary;
        let keys = self.keys.iter_mut();
        Ok(keys.filter_map(|(_, key, entry)| Some((key.clone(), entry.windows.state_since(since)?))).collect())
    }

    fn restore(
        &mut self,
        restored: EventTime,
        snapshots: Vec<Self::Snapshot>,
        is_mine: &dyn Fn(u64) -> bool,
    ) -> Result<(), CodecError> {
        (self.recorded, self.restored) = (restored, restored);
        // A last checkpoint may lie between two boundaries; all before it is as of the one before.
        let boundary = self.rules.windows.pane_start(restored);
        for (key, state) in snapshots.into_iter().flatten().filter(|(key, _)| is_mine(key_hash(&key.as_ref()))) {
            let slot = self.keys.slot_or_insert(key.as_ref(), Entry::default);
            if let Some((_, entry)) = self.keys.get_mut(slot) {
                entry.windows.restore(state, boundary);
            }
        }
        let mut slots = Vec::with_capacity(self.keys.len());
        for (slot, _, entry) in self.keys.iter_mut() {
            entry.windows.trim(&self.rules, boundary);
            self.counter.changed(StateSize::default(), &entry.windows);
            slots.push(slot);
        }
        for slot in slots {
            if !self.plan(slot, boundary) {
                self.keys.remove(slot);
            }
        }
        Ok(())
    }

    /// All summaries, as the collection held them when the checkpoint was taken.
    fn emit_restored(&mut self, emit: &mut dyn FnMut(Self::Out)) {
        let (spec, time) = (self.rules.windows, self.restored.minus(1));
        for (_, key, entry) in self.keys.iter_mut() {
            entry.windows.summaries(spec).for_each(|summary| emit(((key.clone(), summary), time, 1)));
        }
    }

    fn end_of_turn(&mut self) {
        self.counter.publish(self.keys.len(), &self.gauge);
    }
}
