//! A key whose rules change at a restart: what earlier rules found stays, a new rule knows the windows that are still
//! there, and nothing is learnt twice.
#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use telemetra_core::detect::Carried;
use telemetra_core::engine::{EpisodesState, KeyEpisodes, WindowChange};
use telemetra_core::{
    ConfigError, EventTime, Model, Moment, MomentRule, Sample, TimeConfig, Verdict, WindowRules, WindowSpec,
    ZScore,
};

/// A model that finds values from 1,000 on anomalous, and says how many samples it has learnt, and their sum.
#[derive(Debug)]
struct Sum;

impl Model for Sum {
    type State = (u32, i64);

    fn method(&self) -> &'static str {
        "sum"
    }
    fn threshold(&self) -> f64 {
        1.0
    }
    fn with_threshold(&self, _: f64) -> Result<Self, ConfigError> {
        Ok(Self)
    }
    fn min_samples(&self) -> u32 {
        0
    }
    fn judge(&self, (count, sum): &(u32, i64), sample: &Sample) -> Option<Verdict> {
        let verdict = Verdict { score: 2.0, mean: *sum as f64, stddev: f64::from(*count) };
        (sample.value >= 1_000).then_some(verdict)
    }
    fn learn(&self, (count, sum): &mut (u32, i64), sample: &Sample, _: bool) {
        (*count, *sum) = (*count + 1, *sum + sample.value);
    }
}

fn said(name: &str) -> MomentRule<u64> {
    let name = name.to_owned();
    MomentRule::gauge(&name, Sum.learning(), 1, |value: &u64| Some(*value as i64))
        .explain(|peak, _| vec![Carried::new("peak", "", *peak as f64, Some(0.0))])
}

fn high(name: &str) -> MomentRule<u64> {
    let detector = ZScore::new(2.0).unwrap().samples(3..=9).unwrap();
    MomentRule::gauge(name, detector, 1, |value: &u64| Some(*value as i64))
}

fn end(number: u64) -> EventTime {
    EventTime(1_000 * number)
}

/// Windows of a second, which may be corrected for five, and are kept for eighteen.
struct Key {
    rules: Vec<MomentRule<u64>>,
    windows: WindowRules,
    episodes: KeyEpisodes<String, u64>,
    rows: BTreeMap<u64, u64>,
    emitted: Vec<Moment<String>>,
}

fn id() -> String {
    "key".to_owned()
}

/// A hundred and something; some are high.
fn value(number: u64) -> u64 {
    if matches!(number, 30 | 36 | 45 | 52) { 1_000 + number } else { 100 + number * 7 % 5 }
}

impl Key {
    fn new(rules: Vec<MomentRule<u64>>) -> Self {
        let time = TimeConfig {
            windows: WindowSpec::tumbling(Duration::from_secs(1)).unwrap(),
            allowed_lateness: Duration::from_secs(5),
            ..TimeConfig::default()
        };
        let episodes = KeyEpisodes::new(rules.len());
        Self { rules, windows: time.window_rules(9), episodes, rows: BTreeMap::new(), emitted: Vec::new() }
    }

    fn step(&mut self, number: u64, value: Option<u64>) {
        let boundary = end(number);
        let mut changes = Vec::new();
        if let Some(value) = value {
            self.rows.insert(number, value);
            changes.push(WindowChange { end: boundary, now: Some(Arc::new(value)) });
        }
        while let Some(first) = self.rows.first_entry()
            && self.windows.is_retired(end(*first.key()), boundary)
        {
            changes.push(WindowChange { end: end(*first.key()), now: None });
            first.remove();
        }
        let Self { rules, windows, episodes, emitted, .. } = self;
        let mut changed = Vec::new();
        let emit = |moment, diff| changed.push((moment, diff));
        episodes.advance(rules, windows, &id(), boundary, &mut changes, (None, emit));
        changed.sort_by_key(|(_, diff)| *diff);
        for (moment, diff) in changed {
            if diff < 0 {
                emitted.retain(|other| *other != moment);
            } else {
                emitted.push(moment);
            }
        }
    }

    /// A process goes on under other rules, of which each says its number before, and whether it is the same.
    fn restart(&mut self, rules: Vec<MomentRule<u64>>, places: &[(Option<usize>, bool)]) {
        let state: EpisodesState = self.episodes.state().unwrap().unwrap();
        let state = bincode::deserialize::<EpisodesState>(&bincode::serialize(&state).unwrap()).unwrap();
        self.rules = rules;
        self.episodes = KeyEpisodes::new(self.rules.len());
        let state = state.arrange(places.iter().copied());
        self.episodes.restore(&self.rules, &id(), state).unwrap();
        for (number, value) in &self.rows {
            self.episodes.recall(&self.rules, &self.windows, end(*number), &Arc::new(*value));
        }
        self.emitted.clear();
    }

    /// The moments of a rule: the window of each, and how many samples there were, and their sum.
    fn moments(&self, rule: &str) -> Vec<(u64, f64, f64)> {
        let of_rule = self.emitted.iter().filter(|moment| *moment.moment_type == *rule);
        let numbers = |moment: &Moment<String>| {
            let samples = moment.baseline_stddev.to_f64();
            (moment.peak_at.0 / 1_000, samples, moment.baseline_mean.to_f64())
        };
        let mut all: Vec<_> = of_rule.map(numbers).collect();
        all.sort_by_key(|moment| moment.0);
        all
    }

    fn can_be_packed(&self) -> bool {
        self.episodes.pack(&mut Vec::new()).unwrap()
    }
}

fn until(rules: Vec<MomentRule<u64>>, number: u64) -> Key {
    let mut key = Key::new(rules);
    (1..number).for_each(|number| key.step(number, Some(value(number))));
    key
}

/// The number and the sum of the windows before one, from another on.
fn before(number: u64, first: u64) -> (u64, f64, f64) {
    (number, (number - first) as f64, (first..number).map(|number| value(number) as f64).sum())
}

#[test]
fn a_rule_that_stays_learns_nothing_twice_when_another_comes() {
    let straight = until(vec![said("old")], 54);
    let mut key = until(vec![said("old")], 40);
    assert_eq!(key.moments("old"), [before(30, 1), before(36, 1)]);
    key.restart(vec![said("new"), said("old")], &[(None, false), (Some(0), true)]);
    assert!(!key.can_be_packed(), "the state of the new rule is to be made yet");
    (40..54).for_each(|number| key.step(number, Some(value(number))));
    assert!(key.can_be_packed());
    assert_eq!(key.moments("old"), straight.moments("old"));
    assert_eq!(key.moments("old").last(), Some(&before(52, 1)));
    assert_eq!(key.emitted.iter().filter(|moment| moment.carried.is_empty()).count(), 0);
    // What was there at the restart was learnt, and not judged: 17 windows are kept before the newest.
    assert_eq!(key.moments("new"), [before(45, 22), before(52, 22)]);
}

#[test]
fn what_a_rule_has_found_stays_when_its_detector_is_another() {
    let mut key = until(vec![said("one"), high("two")], 40);
    let found = key.emitted.len();
    assert_eq!(found, 4);
    key.restart(vec![high("two"), said("one")], &[(Some(1), false), (Some(0), false)]);
    key.step(40, Some(value(40)));
    assert_eq!(key.emitted.len(), found, "the rules are told apart by their places");
    assert_eq!(key.moments("one"), [before(30, 1), before(36, 1)]);
    assert!(key.emitted.iter().all(|moment| moment.carried.is_empty() == (*moment.moment_type == *"two")));
    (41..54).for_each(|number| key.step(number, Some(value(number))));
    assert_eq!(key.moments("one")[1..], [before(45, 22), before(52, 22)], "it learns anew");
}

#[test]
fn what_a_rule_has_found_goes_with_it() {
    let mut key = until(vec![said("one"), high("two"), said("three")], 40);
    key.restart(vec![said("three")], &[(Some(2), true)]);
    key.step(40, Some(value(40)));
    assert_eq!(key.moments("three"), [before(30, 1), before(36, 1)]);
    assert_eq!(key.emitted.len(), 2);
    key.restart(vec![high("pure")], &[(None, false)]);
    key.step(41, Some(value(41)));
    assert_eq!(key.emitted, []);
    assert!(!key.episodes.has_state() && key.can_be_packed());
}

/// Before the first window after a restart: what was known is judged by the new state only.
#[test]
fn a_silent_key_makes_the_state_of_a_new_rule_when_it_goes_on() {
    let mut key = until(vec![said("old")], 40);
    key.restart(vec![said("old"), said("new")], &[(Some(0), true), (None, false)]);
    (40..45).for_each(|number| key.step(number, None));
    key.step(45, Some(value(45)));
    let (_, samples, _) = key.moments("new")[0];
    // Windows 23 to 39 were there; those that are retired before it goes on are settled then.
    assert!((12.0..=18.0).contains(&samples), "{samples}");
    assert_eq!(key.moments("old").last().unwrap().1, 39.0);
}
