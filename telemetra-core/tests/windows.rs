//! The windows of a key, against their plain definition: whatever is late, whatever lies between two windows'
//! ends, and wherever the process ended.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use telemetra_core::engine::{KeyState, KeyWindows, WindowState};
use telemetra_core::{
    Accumulate, Accumulator, Count, Distinct, EventTime, Max, Summary, TopK, Window, WindowRules, WindowSpec,
};

/// Accumulators with each of the sliding forms.
type All = (Count, Max<i64>, Distinct, TopK<2>, telemetra_core::HyperLogLog<4>);
type Output = <All as Accumulator>::Output;

fn add(all: &mut All, value: i64) {
    all.0.add(value);
    all.1.add(value);
    let name = (value % 5).to_string();
    all.2.add(name.as_str());
    all.3.add(name.as_str());
    all.4.add(name.as_str());
}

const START: u64 = 1_000_000_020_000;
/// The panes of the pipeline, of which these windows' panes are made.
const BASE: u64 = 10_000;

/// One minute every half: the end of a window is every third boundary.
fn rules(horizon: u64) -> WindowRules {
    rules_of(60, 30, horizon)
}

/// With windows of so many seconds.
fn rules_of(size: u64, slide: u64, horizon: u64) -> WindowRules {
    WindowRules {
        windows: WindowSpec::sliding(Duration::from_secs(size), Duration::from_secs(slide)).unwrap(),
        allowed_lateness: 100_000,
        horizon: 100_000 + 2_000 * (size + slide) + horizon,
    }
}

/// An event: its time after the start, its value, and by how many boundaries it is late.
type Seen = (u64, i64, u64);

/// The boundary at which an event takes effect.
fn boundary_of((at, _, late): Seen) -> u64 {
    START + (at / BASE + 1 + late) * BASE
}

/// The live summaries when `boundary` has been reached, by definition: each window that has ended, holds an event
/// that took effect, and had not gone beyond the horizon at the last end of a window.
fn defined(rules: &WindowRules, events: &[Seen], boundary: u64) -> BTreeMap<Window, Output> {
    let spec = rules.windows;
    let newest = spec.pane_start(EventTime(boundary));
    let mut windows = BTreeMap::new();
    let mut end = spec.pane_start(EventTime(START));
    while end <= newest {
        let window = spec.window_ending(end);
        let mut all = All::default();
        let mut any = false;
        for event in events {
            let time = EventTime(START + event.0);
            if window.contains(time) && boundary_of(*event) <= boundary {
                add(&mut all, event.1);
                any = true;
            }
        }
        if any && !rules.is_retired(end, newest) {
            windows.insert(window, all.finish());
        }
        end = end.plus(spec.slide());
    }
    windows
}

/// A key as the operator drives it: looked at when something arrives, and when it asks to be.
struct Driven {
    rules: WindowRules,
    windows: KeyWindows<All>,
    wake: Option<EventTime>,
    live: BTreeMap<Window, Output>,
    /// The parts of a checkpoint, each since the one before.
    parts: Vec<(KeyState<All>, EventTime)>,
    recorded: EventTime,
}

impl Driven {
    fn new(rules: WindowRules) -> Self {
        let (windows, live) = (KeyWindows::default(), BTreeMap::new());
        Self { rules, windows, wake: None, live, parts: Vec::new(), recorded: EventTime::MIN }
    }

    fn step(&mut self, boundary: u64, events: &[Seen]) {
        let now = EventTime(boundary);
        // By two workers, each with a partial of its own a pane.
        let mut partials: BTreeMap<(EventTime, bool), All> = BTreeMap::new();
        for event in events.iter().filter(|event| boundary_of(**event) == boundary) {
            let pane = self.rules.windows.pane_start(EventTime(START + event.0));
            add(partials.entry((pane, event.1 % 2 == 0)).or_default(), event.1);
        }
        if partials.is_empty() && self.wake != Some(now) {
            assert!(self.wake.is_none_or(|wake| wake > now), "it was to be looked at before");
            return;
        }
        let mut partials = partials.into_iter().map(|((pane, _), partial)| (pane, partial)).collect();
        let live = &mut self.live;
        let mut changes = BTreeMap::new();
        self.windows.advance(&self.rules, now, &mut partials, |Summary { window, value }, diff| {
            *changes.entry((window, Output::clone(&value))).or_insert(0) += diff;
        });
        assert!(partials.is_empty());
        // What replaces a value may come before it is taken back.
        let mut changes: Vec<_> = changes.into_iter().collect();
        changes.sort_by_key(|(_, diff)| *diff);
        for ((window, value), diff) in changes {
            match diff {
                -1 => assert_eq!(live.remove(&window), Some(value), "only what is there is taken back"),
                0 => {}
                1 => assert_eq!(live.insert(window, value), None, "a window has one value"),
                _ => panic!("{diff} times"),
            }
        }
        assert_eq!(self.windows.size().summaries, self.live.len());
        self.wake = self.windows.wake(&self.rules, now);
        assert_eq!(self.wake.is_none(), self.windows.is_empty(), "a key of which something is left wakes");
    }

    /// The windows that have not ended, and what each holds so far, are those of the events that took effect.
    fn early(&self, boundary: u64, events: &[Seen]) -> BTreeMap<Window, Output> {
        let (now, spec) = (EventTime(boundary), self.rules.windows);
        let ends = (0..spec.size() / spec.slide()).map(|n| spec.pane_end(now).plus(n * spec.slide()));
        let mut expected = BTreeMap::new();
        for window in ends.map(|end| spec.window_ending(end)) {
            let mut all = All::default();
            let effective = events.iter().filter(|event| boundary_of(**event) <= boundary);
            let inside = |time: EventTime| window.contains(time);
            let inside: Vec<_> = effective.filter(|event| inside(EventTime(START + event.0))).collect();
            inside.iter().for_each(|event| add(&mut all, event.1));
            if !inside.is_empty() {
                expected.insert(window, all.finish());
            }
        }
        let open = self.windows.open_windows(&self.rules, now);
        assert_eq!(open, expected.keys().copied().collect::<Vec<_>>(), "at {boundary}");
        assert_eq!(self.windows.is_open(&self.rules, now), !open.is_empty());
        for window in &open {
            assert_eq!(expected.get(window), Some(&*self.windows.open_summary(*window).value));
        }
        expected
    }

    /// Writes what changed since the last time.
    fn record(&mut self, boundary: u64) {
        let now = EventTime(boundary);
        if let Some(state) = self.windows.state_since(&self.rules, self.recorded) {
            let state = bincode::deserialize(&bincode::serialize(&state).unwrap()).unwrap();
            self.parts.push((state, now));
        }
        self.recorded = now;
    }

    /// The process ends, and goes on from the parts that were written.
    fn restart(&mut self, boundary: u64) {
        self.record(boundary);
        self.windows = KeyWindows::default();
        for (state, _) in &self.parts {
            self.windows.restore(&self.rules, state.clone(), EventTime(boundary));
        }
        let aligned = self.rules.windows.pane_start(EventTime(boundary));
        self.windows.trim(&self.rules, aligned);
        self.wake = self.windows.wake(&self.rules, EventTime(boundary));
        let summaries = self.windows.summaries(&self.rules);
        let live: BTreeMap<_, _> = summaries.map(|s| (s.window, Output::clone(&s.value))).collect();
        assert_eq!(live, self.live, "a restart changes nothing");
    }
}

fn events() -> impl Strategy<Value = Vec<Seen>> {
    // Late by up to the allowed lateness: ten boundaries.
    let late = prop_oneof![3 => Just(0_u64), 2 => 1..=10_u64];
    // Spread out, or in most panes.
    let times = prop_oneof![Just(600_000_u64), Just(200_000)];
    times.prop_flat_map(move |times| prop::collection::vec((0..times, -20..20_i64, late.clone()), 0..40))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    /// At every boundary, also at those between two windows' ends.
    #[test]
    fn windows_are_what_they_are_defined_to_be(
        events in events(),
        (size, slide) in prop_oneof![Just((60, 30)), Just((120, 10)), Just((40, 10)), Just((30, 30))],
        horizon in prop_oneof![Just(0_u64), Just(30_000), Just(1), 0..100_000_u64],
        records in prop::collection::btree_set(0..100_u64, 0..6),
        restarts in prop::collection::btree_set(0..100_u64, 0..4),
    ) {
        let rules = rules_of(size, slide, horizon);
        let mut key = Driven::new(rules);
        for number in 1..130 {
            let boundary = START + number * BASE;
            key.step(boundary, &events);
            key.early(boundary, &events);
            prop_assert_eq!(&key.live, &defined(&rules, &events, boundary), "at boundary {}", number);
            if records.contains(&number) {
                key.record(boundary);
            }
            if restarts.contains(&number) {
                key.restart(boundary);
            }
        }
        prop_assert!(key.windows.is_empty() && key.wake.is_none(), "nothing is left");
    }
}

/// The case in small: an event between two ends counts when the next window ends, and a late one revises at
/// once.
#[test]
fn a_boundary_between_two_ends_closes_nothing_and_revises() {
    let rules = rules(0);
    let mut key = Driven::new(rules);
    let aligned = rules.windows.pane_start(EventTime(START)).0;
    assert_eq!(START - aligned, 0, "the first boundary is an end");
    let events = [(5_000, 1, 0), (35_000, 2, 0), (1_000, 4, 3)];
    let mut counts = Vec::new();
    for number in 1..=9 {
        key.step(START + number * BASE, &events);
        counts.push(key.live.values().map(|output| output.0).collect::<Vec<_>>());
    }
    let expected: [&[u64]; 9] = [&[], &[], &[1], &[2], &[2], &[2, 3], &[2, 3], &[2, 3], &[2, 3, 1]];
    assert_eq!(counts, expected);
}

/// A quiet key mostly has the same panes in one window after the other: one value in memory for all of them.
#[test]
fn neighbouring_windows_with_the_same_panes_share_their_value() {
    let (rules, mut windows) = (rules(0), KeyWindows::<Count>::default());
    let mut closed: Vec<Summary<u64>> = Vec::new();
    for slide in 1..=4 {
        // One event in the first pane, one in the third.
        let pane = EventTime(START).plus((slide - 1) * 30_000);
        let mut count = Count::default();
        count.add(());
        let mut partials = if slide % 2 == 1 { vec![(pane, count)] } else { Vec::new() };
        windows.advance(&rules, pane.plus(30_000), &mut partials, |summary, diff| {
            assert_eq!(diff, 1);
            closed.push(summary);
        });
    }
    assert_eq!(closed.iter().map(|summary| *summary.value).collect::<Vec<_>>(), [1, 1, 1, 1]);
    let is_shared: Vec<_> =
        closed.windows(2).map(|pair| Arc::ptr_eq(&pair[0].value, &pair[1].value)).collect();
    assert_eq!(is_shared, [true, false, true], "the third window has another pane");
    assert_eq!(windows.newest_bytes(), (Some(8), Some(8)), "a count each");
    assert_eq!(KeyWindows::<Count>::default().newest_bytes(), (None, None));
    assert_eq!(KeyWindows::<Count>::panes(&rules), rules.windows);
    let description = "windows of 60000 ms every 30000 ms".to_owned();
    assert_eq!(KeyWindows::<Count>::describe(&rules), (description, rules.horizon));
}
