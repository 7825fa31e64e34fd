//! The sessions of a key, against their plain definition, with late events that extend and join sessions, and
//! with restarts.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use telemetra_core::engine::{KeySessions, Segment, Segments, SessionRules, WindowState};
use telemetra_core::{Accumulate, Accumulator, Count, Distinct, EventTime, Max, Summary, Window, WindowSpec};

type All = (Count, Max<i64>, Distinct);
type Output = <All as Accumulator>::Output;

fn add(all: &mut All, value: i64) {
    all.0.add(value);
    all.1.add(value);
    all.2.add((value % 5).to_string().as_str());
}

const START: u64 = 1_000_000_020_000;
const PANE: u64 = 10_000;
/// The allowed lateness, in panes.
const LATE: u64 = 10;

/// An event: its time after the start, its value, and the number of panes by which it is late.
type Seen = (u64, i64, u64);

fn boundary_of((at, _, late): Seen) -> u64 {
    START + (at / PANE + 1 + late) * PANE
}

/// The closed sessions at a boundary by definition: events less than a gap apart are in the same session.
fn defined(rules: &SessionRules, events: &[Seen], boundary: u64) -> BTreeMap<Window, Output> {
    let mut seen: Vec<&Seen> = events.iter().filter(|event| boundary_of(**event) <= boundary).collect();
    seen.sort();
    let runs = seen.chunk_by(|one, next| next.0 - one.0 < rules.gap);
    let sessions = runs.filter_map(|run| {
        let (first, last) = (START + run.first()?.0, START + run.last()?.0);
        let end = last + rules.gap;
        let is_live = rules.closes(EventTime(last)) <= EventTime(boundary) && end + rules.horizon > boundary;
        let mut all = All::default();
        run.iter().for_each(|event| add(&mut all, event.1));
        is_live.then(|| (Window { start: EventTime(first).into(), end: EventTime(end) }, all.finish()))
    });
    sessions.collect()
}

/// A key as the operator advances it: when a partial arrives, and when the key asks for it.
struct Driven {
    rules: SessionRules,
    sessions: KeySessions<All>,
    wake: Option<EventTime>,
    live: BTreeMap<Window, Output>,
    /// The parts of a checkpoint, each since the one before.
    parts: Vec<Vec<Segment<All>>>,
    recorded: EventTime,
}

impl Driven {
    fn new(rules: SessionRules) -> Self {
        let (sessions, live) = (KeySessions::default(), BTreeMap::new());
        Self { rules, sessions, wake: None, live, parts: Vec::new(), recorded: EventTime::MIN }
    }

    fn step(&mut self, boundary: u64, events: &[Seen]) {
        let now = EventTime(boundary);
        // Two workers make a partial each.
        let mut partials: BTreeMap<(EventTime, bool), Segments<All>> = BTreeMap::new();
        for event in events.iter().filter(|event| boundary_of(**event) == boundary) {
            let time = EventTime(START + event.0);
            let pane = (self.rules.panes.pane_start(time), event.1 % 2 == 0);
            add(partials.entry(pane).or_default().accumulator(time, self.rules.gap), event.1);
        }
        if (boundary / PANE).is_multiple_of(2) {
            // The two were merged on the way.
            for ((pane, other), partial) in std::mem::take(&mut partials) {
                let whole = partials.entry((pane, true)).or_default();
                whole.merge(&partial);
                assert!(other || whole.finish() == partial.finish());
            }
        }
        if partials.is_empty() && self.wake != Some(now) {
            assert!(self.wake.is_none_or(|wake| wake > now), "it was to be advanced before");
            return;
        }
        let mut partials = partials.into_iter().map(|((pane, _), partial)| (pane, partial)).collect();
        let mut changes: Vec<(Window, Output, isize)> = Vec::new();
        self.sessions.advance(&self.rules, now, &mut partials, |Summary { window, value }, diff| {
            changes.push((window, Output::clone(&value), diff));
        });
        // Withdrawals first: a window may be withdrawn with one value and emitted with another.
        changes.sort_by_key(|(_, _, diff)| *diff);
        for (window, value, diff) in changes {
            match diff {
                -1 => assert_eq!(self.live.remove(&window), Some(value), "only what is there is withdrawn"),
                1 => assert_eq!(self.live.insert(window, value), None, "a session is emitted once"),
                _ => panic!("{diff} times"),
            }
        }
        self.wake = self.sessions.wake(&self.rules, now);
    }

    /// The sessions that have not ended hold the events that took effect and are in none that has.
    fn early(&self, boundary: u64, events: &[Seen]) {
        let now = EventTime(boundary);
        let open = self.sessions.open_windows(&self.rules, now);
        assert_eq!(self.sessions.is_open(&self.rules, now), !open.is_empty());
        for window in open {
            assert!(!self.live.contains_key(&window), "it has not ended");
            let mut all = All::default();
            for event in events.iter().filter(|event| boundary_of(**event) <= boundary) {
                if window.contains(EventTime(START + event.0)) {
                    add(&mut all, event.1);
                }
            }
            assert_eq!(*self.sessions.open_summary(window).value, all.finish());
        }
        assert_eq!(self.sessions.size().summaries, self.live.len());
    }

    fn record(&mut self, boundary: u64) {
        if let Some(state) = self.sessions.state_since(&self.rules, self.recorded) {
            self.parts.push(bincode::deserialize(&bincode::serialize(&state).unwrap()).unwrap());
        }
        self.recorded = EventTime(boundary);
    }

    fn restart(&mut self, boundary: u64) {
        self.record(boundary);
        self.sessions = KeySessions::default();
        for part in &self.parts {
            self.sessions.restore(&self.rules, part.clone(), EventTime(boundary));
        }
        self.sessions.trim(&self.rules, EventTime(boundary));
        self.wake = self.sessions.wake(&self.rules, EventTime(boundary));
        let summaries = self.sessions.summaries(&self.rules);
        let live: BTreeMap<_, _> = summaries.map(|s| (s.window, Output::clone(&s.value))).collect();
        assert_eq!(live, self.live, "a restart changes nothing");
    }
}

fn events() -> impl Strategy<Value = Vec<Seen>> {
    let late = prop_oneof![3 => Just(0_u64), 2 => 1..=LATE];
    // Many are exactly a gap apart.
    let time = prop_oneof![0..400_000_u64, (0..80_u64).prop_map(|n| n * 5_000)];
    prop::collection::vec((time, -20..20_i64, late), 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sessions_are_what_they_are_defined_to_be(
        events in events(),
        gap in prop_oneof![Just(1_u64), Just(5_000), Just(10_000), Just(15_000), 1..60_000_u64],
        horizon in 0..50_000_u64,
        records in prop::collection::btree_set(0..80_u64, 0..6),
        restarts in prop::collection::btree_set(0..80_u64, 0..4),
    ) {
        let panes = WindowSpec::tumbling(Duration::from_millis(PANE)).unwrap();
        let rules = SessionRules { gap, panes, horizon: (LATE + 2) * PANE + gap + horizon };
        let mut key = Driven::new(rules);
        for number in 1..90 {
            let boundary = START + number * PANE;
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
        prop_assert!(key.live.is_empty() && key.wake.is_none(), "nothing is left");
    }
}

#[test]
fn a_late_event_joins_two_sessions() {
    let panes = WindowSpec::tumbling(Duration::from_millis(PANE)).unwrap();
    let rules = SessionRules { gap: 15_000, panes, horizon: 300_000 };
    let mut key = Driven::new(rules);
    let events = [(0, 1, 0), (25_000, 2, 0), (13_000, 3, 4)];
    let mut windows = Vec::new();
    for number in 1..=7 {
        key.step(START + number * PANE, &events);
        let bounds = |window: &Window| (window.start.or_epoch().0 - START, window.end.0 - START);
        windows.push(key.live.keys().map(bounds).collect::<Vec<_>>());
    }
    let (first, second, joined) = ((0, 15_000), (25_000, 40_000), (0, 40_000));
    let expected = [
        vec![],
        vec![first],
        vec![first],
        vec![first, second],
        vec![first, second],
        vec![joined],
        vec![joined],
    ];
    assert_eq!(windows, expected);
    let (session, summary) = key.sessions.newest_bytes();
    assert!(session.is_some_and(|bytes| bytes > 0) && summary.is_some_and(|bytes| bytes > 0));
    assert_eq!(KeySessions::<Count>::default().newest_bytes(), (None, None));
    assert_eq!(KeySessions::<Count>::panes(&rules), panes);
    assert_eq!(
        KeySessions::<Count>::describe(&rules),
        ("sessions with gaps of 15000 ms".to_owned(), 300_000)
    );
}
