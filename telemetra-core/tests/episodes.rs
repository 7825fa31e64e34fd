//! The moments of a key: opened, updated, closed, withdrawn, merged and split; the same for any order in
//! which windows were put right, and after any restart, under detectors with and without a memory.
#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use telemetra_core::detect::{Carried, Usual};
use telemetra_core::engine::{EpisodesState, KeyEpisodes, WindowChange};
use telemetra_core::{
    Baseline, Detector, EventTime, Ewma, Layout, MeanOf, Model, Moment, MomentId, MomentRule, NormalScores,
    NoveltyGap, RobustZScore, Side, TimeConfig, Tracker, Unseen, Value, VarianceFloor, Verdict, WindowRules,
    WindowSpec, ZScore,
};

const START: u64 = 1_000_000;

/// Three panes a window; what is late by up to twelve panes counts.
fn rules_of_time(samples: u32) -> WindowRules {
    let time = TimeConfig {
        windows: WindowSpec::sliding(Duration::from_millis(30), Duration::from_millis(10)).unwrap(),
        allowed_lateness: Duration::from_millis(120),
        ..TimeConfig::default()
    };
    time.window_rules(samples)
}

fn end(number: u64) -> EventTime {
    EventTime(START + 10 * number)
}

/// A key, and the moments that it has emitted and not taken back.
struct Key {
    id: String,
    rules: Vec<MomentRule<u64>>,
    windows: WindowRules,
    episodes: KeyEpisodes<String, u64>,
    rows: BTreeMap<EventTime, u64>,
    emitted: BTreeMap<(Arc<str>, MomentId), Moment<String>>,
    /// The summaries that another owner holds; `None` without one.
    held: Option<Vec<Arc<u64>>>,
}

impl Key {
    fn new(rules: Vec<MomentRule<u64>>) -> Self {
        let samples = rules.iter().map(MomentRule::max_samples).max().unwrap();
        Self {
            id: "key".to_owned(),
            windows: rules_of_time(samples),
            episodes: KeyEpisodes::new(rules.len()),
            rules,
            rows: BTreeMap::new(),
            emitted: BTreeMap::new(),
            held: None,
        }
    }

    /// The same key, whose summaries the windows hold too, as those of a busy key.
    fn shared(self) -> Self {
        Self { held: Some(Vec::new()), ..self }
    }

    /// At a boundary some windows are set (or taken back), and old ones retired.
    fn step(&mut self, boundary: u64, set: &[(u64, Option<u64>)]) {
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
        while let Some(first) =
            self.rows.first_entry().filter(|row| self.windows.is_retired(*row.key(), boundary))
        {
            changes.push(WindowChange { end: *first.key(), now: None });
            first.remove();
        }
        let Self { id, rules, windows, episodes, emitted, .. } = self;
        let mut changed = Vec::new();
        episodes.advance(
            rules,
            windows,
            id,
            boundary,
            &mut changes,
            (None, |moment, diff| changed.push((moment, diff))),
        );
        changed.sort_by_key(|(_, diff)| *diff);
        for (moment, diff) in changed {
            let key = (Arc::clone(&moment.moment_type), moment.id());
            if diff < 0 {
                assert_eq!(emitted.remove(&key), Some(moment), "what is taken back was emitted");
            } else {
                assert_eq!(emitted.insert(key, moment), None, "what is emitted was not emitted");
            }
        }
    }

    /// The process ends and goes on from what a checkpoint keeps.
    fn restart(&mut self, boundary: u64) {
        let state = self.episodes.state().unwrap().map(|state| bincode::serialize(&state).unwrap());
        self.episodes = KeyEpisodes::new(self.rules.len());
        if let Some(state) = state {
            let state = bincode::deserialize(&state).unwrap();
            self.episodes.restore(&self.rules, &self.id, state).unwrap();
        }
        for (end, value) in &self.rows {
            self.episodes.recall(&self.rules, &self.windows, *end, &Arc::new(*value));
        }
        let emitted = std::mem::take(&mut self.emitted);
        self.step(boundary, &[]);
        assert_eq!(self.emitted, emitted, "a restart changes nothing");
    }

    /// Number of the first pane, of the peak's window and of the last window, and whether it is open.
    fn moments(&self) -> Vec<(u64, u64, u64, bool)> {
        let number = |time: EventTime| (time.0 - START) / 10;
        let mut all: Vec<_> = self.emitted.values().collect();
        all.sort_by_key(|moment| moment.started_at);
        let parts =
            |m: &&Moment<String>| (number(m.started_at), number(m.peak_at), number(m.last_at), m.open);
        all.iter().map(parts).collect()
    }

    fn ids(&self) -> Vec<MomentId> {
        let mut all: Vec<_> = self.emitted.values().collect();
        all.sort_by_key(|moment| moment.started_at);
        all.iter().map(|moment| moment.id()).collect()
    }
}

fn simple() -> Vec<MomentRule<u64>> {
    let detector = ZScore::new(2.0).unwrap().samples(3..=5).unwrap();
    vec![MomentRule::gauge("high", detector, 1, |value: &u64| Some(*value as i64))]
}

fn usual(number: u64) -> u64 {
    100 + number * 7 % 5
}

/// A key after sixty usual windows.
fn calm(rules: Vec<MomentRule<u64>>) -> Key {
    let mut key = Key::new(rules);
    for number in 0..60 {
        key.step(number, &[(number, Some(usual(number)))]);
    }
    assert_eq!(key.moments(), []);
    key
}

#[test]
fn a_moment_opens_is_updated_closes_and_is_withdrawn() {
    let mut key = calm(simple());
    key.step(60, &[(60, Some(900))]);
    assert_eq!(key.moments(), [(59, 60, 60, true)]);
    let id = key.ids()[0];
    key.step(61, &[(61, Some(5_000))]);
    assert_eq!(key.moments(), [(59, 61, 61, true)], "the peak moves");
    key.step(62, &[(62, Some(800))]);
    assert_eq!(key.moments(), [(59, 61, 62, true)]);
    key.step(63, &[(63, Some(usual(63)))]);
    assert_eq!(key.moments(), [(59, 61, 62, false)], "closed by the next window");
    assert_eq!(key.ids(), [id], "it was one moment all along");
    key.step(
        64,
        &[(64, Some(usual(64))), (60, Some(usual(60))), (61, Some(usual(61))), (62, Some(usual(62)))],
    );
    assert_eq!(key.moments(), [], "it was not true");
}

#[test]
fn a_moment_closes_when_nothing_follows() {
    let mut key = calm(simple());
    key.step(60, &[(60, Some(900))]);
    assert_eq!(key.episodes.wake(&key.rules, &key.windows), Some(end(61)));
    key.step(61, &[]);
    assert_eq!(key.moments(), [(59, 60, 60, false)]);
}

#[test]
fn corrections_merge_and_split_and_keep_ids_that_remain_true() {
    let mut key = calm(simple());
    for (number, value) in [(60, 900), (61, usual(61)), (62, 900), (63, usual(63))] {
        key.step(number, &[(number, Some(value))]);
    }
    assert_eq!(key.moments(), [(59, 60, 60, false), (61, 62, 62, false)]);
    let [first, second] = key.ids()[..] else { panic!("two moments") };
    // The one between was anomalous too: the second is no moment of its own any more.
    key.step(64, &[(61, Some(950)), (64, Some(usual(64)))]);
    assert_eq!(key.moments().len(), 1);
    assert_eq!(key.moments()[0].2, end(62).0.wrapping_sub(START) / 10);
    assert_eq!(key.ids(), [first]);
    // It was not after all.
    key.step(65, &[(61, Some(usual(61))), (65, Some(usual(65)))]);
    assert_eq!(key.ids(), [first, second], "both are what they were");
    // The first never happened.
    key.step(66, &[(60, Some(usual(60))), (66, Some(usual(66)))]);
    assert_eq!(key.ids(), [second]);
}

#[test]
fn a_correction_reaches_what_a_detector_remembers() {
    let rules = || {
        let spike = ZScore::new(2.0).unwrap().samples(3..=5).unwrap().cooldown(60);
        vec![MomentRule::gauge("high", spike, 1, |value: &u64| Some(*value as i64))]
    };
    let mut key = calm(rules());
    for (number, value) in [(60, 900), (61, usual(61)), (62, 900), (63, usual(63))] {
        key.step(number, &[(number, Some(value))]);
    }
    assert_eq!(key.moments(), [(59, 60, 60, false)], "the second is in the cooldown of the first");
    key.step(64, &[(60, Some(usual(60))), (64, Some(usual(64)))]);
    assert_eq!(key.moments(), [(61, 62, 62, false)], "without the first there is no cooldown");
}

fn explained() -> Vec<MomentRule<u64>> {
    let detector = ZScore::new(2.0).unwrap().samples(3..=5).unwrap();
    let rule = MomentRule::count("high", detector, |value: &u64| *value).explain(said);
    vec![rule]
}

/// The first component of the moment that begins with pane 59: its name and amount.
fn carried(key: &Key) -> (String, f64) {
    let moment = key.emitted.values().find(|moment| moment.started_at == end(59)).unwrap();
    (moment.carried[0].name.to_string(), moment.carried[0].now.to_f64())
}

/// Windows of three panes that end at multiples of their size: 50, 53, 56 are the last before 58 began, 35 the
/// first in reach.
#[test]
fn an_explanation_is_corrected_with_its_peak_and_with_what_is_usual() {
    let mut key = calm(explained());
    let usual_of = |numbers: &[u64]| -> Vec<u64> { numbers.iter().map(|number| usual(*number)).collect() };
    key.step(60, &[(60, Some(900))]);
    assert_eq!(carried(&key), (format!("{:?} of 5", usual_of(&[44, 47, 50, 53, 56])), 900.0));
    key.step(61, &[(61, Some(800)), (60, Some(910))]);
    assert_eq!(carried(&key).1, 910.0, "the peak was corrected");
    key.step(62, &[(56, None)]);
    assert_eq!(carried(&key).0, format!("{:?} of 5", usual_of(&[44, 47, 50, 53])), "it counts as zero");
    key.step(63, &[(62, Some(usual(62))), (63, Some(usual(63))), (53, Some(103)), (56, Some(100))]);
    let late = [usual_of(&[44, 47, 50]), vec![103, 100]].concat();
    assert_eq!(carried(&key).0, format!("{late:?} of 5"));
    // Nothing of it can be computed any more when its windows are retired, and it stays.
    for number in 64..74 {
        key.step(number, &[(number, Some(usual(number)))]);
        key.restart(number);
        assert_eq!(carried(&key), (format!("{late:?} of 5"), 910.0));
    }
}

/// The windows of a moment are not what is usual, unless there are no others.
#[test]
fn windows_of_moments_are_left_out_of_what_is_usual() {
    let mut key = calm(explained());
    key.step(60, &[(59, Some(700)), (60, Some(usual(60)))]);
    key.step(63, &[(61, Some(usual(61))), (62, Some(usual(62))), (63, Some(900))]);
    let last = key.emitted.values().max_by_key(|moment| moment.started_at).unwrap();
    let wanted: Vec<_> = [47, 50, 53, 56].map(usual).into();
    assert_eq!(last.carried[0].name, format!("{wanted:?} of 4"), "without 59");
}

/// An explanation that says too much is cut in its order, to 2 KiB of JSON.
#[test]
fn the_column_of_an_explanation_is_bounded() {
    let things = |n: u64| Carried::new("thing", &format!("\u{1}\"{n}"), n as f64, Some(1e12));
    let detector = ZScore::new(2.0).unwrap().samples(3..=5).unwrap();
    let rule = MomentRule::count("high", detector, |value: &u64| *value);
    let mut key = calm(vec![rule.explain(move |_, _| (0..1_000).map(things).collect())]);
    key.step(60, &[(60, Some(900))]);
    let moment = key.emitted.values().next().unwrap();
    assert_eq!(moment.carried[..], (0..moment.carried.len() as u64).map(things).collect::<Vec<_>>());
    let (layout, mut lengths) = (Layout::<Moment<String>>::moments("moments", &["key"]), Vec::new());
    layout.values(moment, &mut |value| {
        if let Value::Json(json) = value {
            lengths.push(json.to_string().len());
        }
    });
    assert!(matches!(lengths[..], [1_700..=2_048]), "{lengths:?}");
}

/// The summaries that a key keeps for explanations are bounded, and dropped after its last window.
#[test]
fn a_silent_key_gives_up_its_summaries() {
    let mut key = calm(explained());
    let last = Arc::new(5);
    let change = WindowChange { end: end(60), now: Some(Arc::clone(&last)) };
    key.rows.insert(end(60), 5);
    let Key { id, rules, windows, episodes, .. } = &mut key;
    episodes.advance(rules, windows, id, end(60), &mut vec![change], (None, |_, _| ()));
    let released = episodes.releases(windows).unwrap();
    assert_eq!(episodes.releases(windows), None, "it is planned once");
    assert_eq!(Arc::strong_count(&last), 2);
    episodes.advance(rules, windows, id, end(62), &mut Vec::new(), (None, |_, _| ()));
    assert_eq!(episodes.releases(windows), None, "it is still planned");
    assert!(episodes.due(rules, windows).any(|due| due == released));
    episodes.advance(rules, windows, id, released, &mut Vec::new(), (None, |_, _| ()));
    assert_eq!(Arc::strong_count(&last), 1, "as the windows do");
    assert_eq!(episodes.releases(windows), None);
}

/// State of the first version, which had no explanations, is read on.
#[test]
fn state_of_an_earlier_version_is_migrated() {
    let mut key = calm(simple());
    key.step(60, &[(60, Some(900))]);
    let state = bincode::serialize(&key.episodes.state().unwrap().unwrap()).unwrap();
    // What was added is an empty map at the end.
    let (before, empty) = state.split_at(state.len() - 8);
    assert_eq!(empty, [0; 8]);
    let migrated = EpisodesState::migration(0).unwrap().decode(&mut &*before).unwrap();
    assert_eq!(bincode::serialize(&migrated).unwrap(), state);
    assert!(EpisodesState::migration(EpisodesState::VERSION).is_none());
}

/// The memory of a key is freed after a silence, and a key without state reports that it is empty.
#[test]
fn memories_end() {
    let rules = || {
        let learning = Ewma::new(2.0).unwrap().learning().forgets_after(2_000);
        vec![MomentRule::gauge("high", learning, 1, |value: &u64| Some(*value as i64))]
    };
    let mut key = calm(rules());
    let mut boundary = 60;
    while let Some(next) = key.rows.last_key_value().map(|(end, _)| end.plus(key.windows.horizon)) {
        boundary = (next.0 - START) / 10;
        key.step(boundary, &[]);
    }
    assert!(!key.episodes.is_empty(), "what was learnt is still there");
    let wake = key.episodes.wake(&key.rules, &key.windows).unwrap();
    assert!(
        wake >= key.windows.settled_at(end(59)).plus(2_000),
        "a late event may still be compared: {wake}"
    );
    key.step((wake.0 - START) / 10 - 1, &[]);
    assert!(!key.episodes.is_empty());
    key.step((wake.0 - START).div_ceil(10).max(boundary), &[]);
    assert!(key.episodes.is_empty() && key.episodes.state().unwrap().is_none());
}

/// One rule for each kind of detector, all of which speak often.
fn all_rules() -> Vec<MomentRule<u64>> {
    let z = || ZScore::new(1.0).unwrap().samples(2..=4).unwrap();
    let ewma = || Ewma::new(1.0).unwrap().min_samples(3).unwrap();
    let value = |value: &u64| *value;
    let gauge = |value: &u64| (!value.is_multiple_of(11)).then_some(*value as i64);
    let mean = |value: &u64| {
        let events = value % 7 + 1;
        (!value.is_multiple_of(11)).then_some(MeanOf { sum: i128::from(value * events), events })
    };
    let steady = z().hysteresis(0.5).unwrap().min_duration(2).unwrap().cooldown(40);
    let rules = vec![
        MomentRule::count("zscore", z(), value),
        MomentRule::gauge("gauge", z(), 1, gauge),
        MomentRule::count("pure", z().max(ZScore::new(1.5).unwrap().samples(3..=3).unwrap()), value),
        MomentRule::count(
            "robust",
            RobustZScore::new(2.0).unwrap().samples(3..=9).unwrap().learning(),
            value,
        ),
        MomentRule::count("ewma", ewma().learning(), value),
        MomentRule::gauge("pewma", ewma().probabilistic(0.9).unwrap().learning(), 1, gauge),
        MomentRule::count("influence", z().influence(0.2).unwrap(), value),
        MomentRule::count("steady", steady, value),
        MomentRule::count("short", ZScore::new(1.0).unwrap().samples(2..=3).unwrap(), value),
        MomentRule::count("included", z(), value).include_moments(),
        MomentRule::count("absent", z(), value).absent_after(20),
        MomentRule::gauge("away", z(), 1, gauge).absent_after(30),
        MomentRule::mean("mean", z(), 1, mean),
        MomentRule::mean("mean steadily", z().hysteresis(0.5).unwrap(), 1, mean).absent_after(40),
        MomentRule::mean("mean influence", z().influence(0.2).unwrap(), 1, mean),
        MomentRule::gauge("both", z().all(ewma().learning()).cooldown(20), 1, gauge),
        MomentRule::count("gap", NoveltyGap::new(1e-6).unwrap().learning(), value),
        MomentRule::count("unseen", Unseen::new(1e-6).unwrap().memory(120).unwrap().learning(), value),
    ];
    rules.into_iter().map(|rule| rule.explain(said)).collect()
}

/// All that an explanation is given.
fn said(peak: &u64, usual: &Usual<'_, u64>) -> Vec<Carried> {
    let name = format!("{:?} of {}", usual.summaries, usual.windows);
    vec![Carried::new("value", &name, *peak as f64, usual.mean(|value| (*value).into()))]
}

/// The same detector, which does not say below which value it finds nothing.
#[derive(Debug)]
struct Judged(ZScore);

impl Detector for Judged {
    fn method(&self) -> &'static str {
        self.0.method()
    }
    fn threshold(&self) -> f64 {
        Detector::threshold(&self.0)
    }
    fn min_samples(&self) -> u32 {
        self.0.min_samples()
    }
    fn max_samples(&self) -> u32 {
        self.0.max_samples()
    }
    fn judge(&self, value: i64, baseline: &Baseline<'_>) -> Option<Verdict> {
        self.0.judge(value, baseline)
    }
    fn judge_or_departs(&self, value: i64, baseline: &Baseline<'_>) -> Result<Verdict, bool> {
        self.0.judge_or_departs(value, baseline)
    }
    fn normal_scores(&self) -> Option<NormalScores> {
        Detector::normal_scores(&self.0)
    }
}

/// The value of a window, and what it was thought to be at first and how many panes later it was put right.
fn script() -> impl Strategy<Value = Vec<(Option<u64>, Option<u64>, u64)>> {
    let value =
        || prop_oneof![6 => (20u64..40).prop_map(Some), 1 => (100u64..200).prop_map(Some), 1 => Just(None)];
    prop::collection::vec((value(), value(), prop_oneof![3 => Just(0u64), 1 => 1u64..10]), 60..140)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    /// However windows came to be what they are, and wherever the process ended: the moments are those of a
    /// key that was given the truth at once.
    #[test]
    fn moments_depend_on_what_is_true_alone(
        script in script(),
        restarts in prop::collection::vec(0u64..160, 0..4),
    ) {
        let (mut truth, mut corrected) = (Key::new(all_rules()), Key::new(all_rules()).shared());
        let mut late: BTreeMap<u64, Vec<(u64, Option<u64>)>> = BTreeMap::new();
        let last = script.len() as u64 + 10;
        for boundary in 0..last {
            let mut set = late.remove(&boundary).unwrap_or_default();
            let mut right = Vec::new();
            if let Some((value, first, after)) = script.get(boundary as usize) {
                right.extend(value.map(|value| (boundary, Some(value))));
                if *after == 0 {
                    set.extend(right.iter().copied());
                } else {
                    set.extend(first.map(|first| (boundary, Some(first))));
                    if value.is_some() || first.is_some() {
                        late.entry(boundary + after).or_default().push((boundary, *value));
                    }
                }
            }
            truth.step(boundary, &right);
            corrected.step(boundary, &set);
            if restarts.contains(&boundary) {
                corrected.restart(boundary);
            }
        }
        for ((key, found), (_, wanted)) in corrected.emitted.iter().zip(&truth.emitted) {
            prop_assert_eq!(found, wanted, "{:?}", key);
        }
        prop_assert_eq!(corrected.emitted.len(), truth.emitted.len());
    }

    /// A key that is not judged while its values are small has the moments of one that is judged always.
    #[test]
    fn a_quiet_key_misses_nothing(script in script(), least in 5u64..40) {
        let detector = |side| {
            let detector = ZScore::new(1.0).unwrap().samples(2..=4).unwrap().side(side);
            let detector = detector.floor(VarianceFloor::Poisson).unwrap();
            detector.min_value(least as f64).unwrap()
        };
        // Between 0 and 9, with some of 40 to 90.
        let value = |value: &u64| value / 2 % 50;
        let gauge = move |of: &u64| (!of.is_multiple_of(13)).then(|| value(of) as i64 - 5);
        let rules = |judged: bool| {
            let count = |name: &str, side| match judged {
                true => MomentRule::count(name, Judged(detector(side)), value),
                false => MomentRule::count(name, detector(side), value),
            };
            let gauge = match judged {
                true => MomentRule::gauge("gauge", Judged(detector(Side::Both)), 1, gauge),
                false => MomentRule::gauge("gauge", detector(Side::Both), 1, gauge),
            };
            let lower = count("included", Side::Lower).include_moments();
            vec![count("upper", Side::Upper), lower, count("absent", Side::Both).absent_after(20), gauge]
        };
        let (mut quiet, mut judged) = (Key::new(rules(false)), Key::new(rules(true)));
        for (boundary, (value, first, after)) in (0u64..).zip(&script) {
            let mut set = vec![(boundary, *first)];
            if let Some(late) = boundary.checked_sub(*after).filter(|_| *after > 0) {
                set.push((late, *value));
            }
            set.retain(|(number, value)| value.is_some() || quiet.rows.contains_key(&end(*number)));
            quiet.step(boundary, &set);
            judged.step(boundary, &set);
            prop_assert_eq!(&quiet.emitted, &judged.emitted);
        }
    }
}

/// The random keys reach what they are meant to; else equality would say little.
#[test]
fn random_keys_have_moments_of_every_kind() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut found: BTreeMap<Arc<str>, u32> = BTreeMap::new();
    for _ in 0..10 {
        let values: Vec<_> = (0..5).flat_map(|_| script().new_tree(&mut runner).unwrap().current()).collect();
        let mut key = Key::new(all_rules());
        for (boundary, (value, ..)) in (0..).zip(values) {
            key.step(boundary, &value.map(|value| (boundary, Some(value))).into_iter().collect::<Vec<_>>());
            for (moment_type, _) in key.emitted.keys() {
                *found.entry(Arc::clone(moment_type)).or_default() += 1;
            }
        }
    }
    assert_eq!(found.len(), all_rules().len(), "{found:?}");
}
