//! A key under rules that note what they are shown.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use telemetra_core::engine::{EpisodesState, KeyEpisodes, Level, WindowChange};
use telemetra_core::{EventTime, Moment, MomentRule, TimeConfig, WindowRules, WindowSpec};

use super::definition::Defined;
use super::{Plan, Seen};

const KEY: &str = "key";

/// A step in the life of the process that has a key.
#[derive(Copy, Clone, Debug)]
pub(crate) enum Step {
    /// It ends, and goes on from what a checkpoint keeps.
    Restart,
    /// The same, with the rules in another order.
    Reorder,
    /// The key is written out and read again.
    Repack,
}

pub(crate) struct Key {
    plans: Vec<(String, Plan)>,
    rules: Vec<MomentRule<u64>>,
    windows: WindowRules,
    seen: Vec<Seen>,
    episodes: KeyEpisodes<String, u64>,
    /// All windows, also those that are retired.
    rows: BTreeMap<EventTime, u64>,
    /// The first window that is not retired.
    live: EventTime,
    emitted: BTreeSet<Moment<String>>,
    looks: BTreeMap<(EventTime, u16), i64>,
    /// The summaries that another owner holds; `None` without one.
    held: Option<Vec<Arc<u64>>>,
}

fn end(number: u64) -> EventTime {
    EventTime(1_000_000 + 10 * number)
}

impl Key {
    pub(crate) fn new(plans: &[Plan], shared: bool) -> Self {
        let seen: Vec<_> = plans.iter().map(|_| Seen::default()).collect();
        let rule = |(number, plan): (usize, &Plan)| plan.rule(&number.to_string(), &seen[number]);
        let rules: Vec<_> = plans.iter().enumerate().map(rule).collect();
        let time = TimeConfig {
            windows: WindowSpec::sliding(Duration::from_millis(30), Duration::from_millis(10)).unwrap(),
            allowed_lateness: Duration::from_millis(120),
            ..TimeConfig::default()
        };
        let samples = rules.iter().map(MomentRule::max_samples).max().unwrap();
        Self {
            windows: time.window_rules(samples),
            episodes: KeyEpisodes::new(rules.len()),
            plans: plans.iter().enumerate().map(|(number, plan)| (number.to_string(), *plan)).collect(),
            rules,
            seen,
            rows: BTreeMap::new(),
            live: EventTime::MIN,
            emitted: BTreeSet::new(),
            looks: BTreeMap::new(),
            held: shared.then(Vec::new),
        }
    }

    /// At a boundary some windows are set or taken back, and old ones retired.
    pub(crate) fn step(&mut self, boundary: u64, set: &[(u64, Option<u64>)]) {
        let boundary = end(boundary);
        let mut changes = Vec::new();
        for (number, value) in set {
            match value {
                Some(value) => drop(self.rows.insert(end(*number), *value)),
                None => drop(self.rows.remove(&end(*number))),
            }
            let now = value.map(Arc::new);
            if let Some(held) = &mut self.held {
                held.extend(now.clone());
            }
            changes.push(WindowChange { end: end(*number), now });
        }
        let retired = self.rows.range(self.live..).map(|(end, _)| *end);
        let retired: Vec<_> = retired.take_while(|end| self.windows.is_retired(*end, boundary)).collect();
        if let Some(last) = retired.last() {
            self.live = last.plus(1);
        }
        changes.extend(retired.into_iter().map(|end| WindowChange { end, now: None }));
        let Self { rules, windows, episodes, looks, emitted, .. } = self;
        let mut changed = Vec::new();
        let mut look = |end, counted: &[(u16, Level, i64)]| {
            for (rule, level, number) in counted {
                assert_eq!(level.score(), 5.0);
                *looks.entry((end, *rule)).or_default() += number;
            }
        };
        let emit = |moment, diff| changed.push((moment, diff));
        episodes.advance(rules, windows, &KEY.to_owned(), boundary, &mut changes, (Some(&mut look), emit));
        changed.sort_by_key(|(_, diff)| *diff);
        for (moment, diff) in changed {
            let is_known = if diff < 0 { emitted.remove(&moment) } else { emitted.insert(moment) };
            assert!(is_known, "what is emitted was not, and what is taken back was");
        }
    }

    /// The number of looks at a window by all rules.
    pub(crate) fn looks_at(&self, number: u64) -> i64 {
        self.looks.range((end(number), 0)..(end(number + 1), 0)).map(|(_, looks)| looks).sum()
    }

    /// All is as it is defined.
    pub(crate) fn check(&self, boundary: u64) {
        let boundary = end(boundary);
        let mut moments = BTreeSet::new();
        for (number, (name, plan)) in self.plans.iter().enumerate() {
            let defined = Defined::new(*plan, &self.rows, &self.windows);
            let seen = self.seen[number].lock().unwrap();
            // What is long past changes no more.
            for end in self.rows.range(self.live..).map(|(end, _)| *end) {
                if let Some(shown) = defined.shown(end) {
                    assert_eq!(
                        seen.get(&end),
                        Some(&shown),
                        "rule {number}, the window that ended at {end:?}"
                    );
                }
                let looks = self.looks.get(&(end, number as u16)).copied().unwrap_or(0);
                assert_eq!(looks, defined.looks(end), "rule {number}, looks at {end:?}");
            }
            moments.extend(defined.moments(name, KEY, boundary));
        }
        assert_eq!(self.emitted, moments);
        assert!(self.looks.iter().all(|((end, _), looks)| *looks == 0 || self.rows.contains_key(end)));
    }

    pub(crate) fn interrupt(&mut self, boundary: u64, step: Step) {
        match step {
            Step::Restart => self.restart(boundary, 0),
            Step::Reorder => self.restart(boundary, 1),
            Step::Repack => {
                let mut bytes = Vec::new();
                assert!(self.episodes.pack(&mut bytes).unwrap());
                self.episodes = KeyEpisodes::unpack(&self.rules, &KEY.to_owned(), &bytes).unwrap();
            }
        }
    }

    /// The rules are moved towards the front by so many places, from there to the end.
    fn restart(&mut self, boundary: u64, by: usize) {
        let state = self.episodes.state().unwrap();
        assert_eq!(self.episodes.has_state(), state.is_some());
        let number = self.rules.len();
        self.plans.rotate_left(by);
        self.rules.rotate_left(by);
        self.seen.rotate_left(by);
        let looks = std::mem::take(&mut self.looks).into_iter();
        let place = |rule: u16| ((usize::from(rule) + number - by) % number) as u16;
        self.looks = looks.map(|((end, rule), looks)| ((end, place(rule)), looks)).collect();
        self.episodes = KeyEpisodes::new(self.rules.len());
        if let Some(state) = state.map(|state| bincode::serialize(&state).unwrap()) {
            let state: EpisodesState = bincode::deserialize(&state).unwrap();
            let state = state.arrange((0..number).map(|rule| (Some((rule + by) % number), true)));
            self.episodes.restore(&self.rules, &KEY.to_owned(), state).unwrap();
        }
        for (end, value) in self.rows.range(self.live..) {
            self.episodes.recall(&self.rules, &self.windows, *end, &Arc::new(*value));
        }
        // Looks at windows that may still change are not in checkpoints.
        let is_open = |at: EventTime| self.windows.settled_at(at) > end(boundary);
        self.looks.retain(|(end, _), _| !is_open(*end));
        let looks = &mut self.looks;
        let mut look = |end, counted: &[(u16, Level, i64)]| {
            counted.iter().for_each(|(rule, _, number)| *looks.entry((end, *rule)).or_default() += number);
        };
        let (rules, windows) = (&self.rules, &self.windows);
        self.episodes.recall_looks(rules, windows, &KEY.to_owned(), end(boundary), &mut look);
        let emitted = std::mem::take(&mut self.emitted);
        self.step(boundary, &[]);
        assert_eq!(self.emitted, emitted, "a restart changes nothing");
    }
}
