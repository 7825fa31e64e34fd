//! The lessons of a model, and the windows that it judges, equal the documentation's definition for any windows; a detector with an
//! influence is asked about its own baseline.
#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use telemetra_core::{
    AnyDetector, Baseline, ConfigError, Detector, EventSums, EventTime, Means, MissingWindow, Model,
    NormalScores, Observed, PowerSums, Sample, Tracker, Verdict, Window, WindowSpec, ZScore,
};

/// The lessons of a model: each window with its value, its number of events, and whether it was anomalous.
type Lessons = Vec<(u64, i64, u64, bool)>;

/// A model that knows all that it has learnt. Even values from 100 on are anomalous.
#[derive(Clone, Debug, Default)]
struct Pupil {
    min: u32,
    asked: Arc<Mutex<Vec<(Lessons, Sample)>>>,
}

impl Model for Pupil {
    type State = Lessons;

    fn method(&self) -> &'static str {
        "pupil"
    }
    fn threshold(&self) -> f64 {
        4.5
    }
    fn normal_scores(&self) -> Option<NormalScores> {
        Some(NormalScores { sides: 1, min_samples: self.min })
    }
    fn with_threshold(&self, threshold: f64) -> Result<Self, ConfigError> {
        Ok(Self { min: threshold as u32, ..self.clone() })
    }
    fn min_samples(&self) -> u32 {
        self.min
    }
    fn judge(&self, state: &Lessons, sample: &Sample) -> Option<Verdict> {
        self.asked.lock().unwrap().push((state.clone(), *sample));
        is_anomalous(sample.value).then_some(Verdict { score: 5.0, mean: 0.0, stddev: 1.0 })
    }
    fn learn(&self, state: &mut Lessons, sample: &Sample, anomalous: bool) {
        assert!(sample.scale >= 1, "a scale of {}", sample.scale);
        assert_eq!(sample.window.end - sample.window.start, 60);
        state.push((sample.window.end.0, sample.value, sample.events, anomalous));
    }
}

fn is_anomalous(value: i64) -> bool {
    value >= 100 && value % 2 == 0
}

fn spec() -> WindowSpec {
    WindowSpec::sliding(Duration::from_millis(60), Duration::from_millis(20)).unwrap()
}

fn observed(end: u64, value: i64, events: u64, missing: MissingWindow) -> Observed<'static> {
    Observed { end: EventTime(end), value, scale: 1, events, spec: spec(), missing, baselines: &() }
}

/// The windows between absences, which are silences of more than 30 windows.
fn presences(windows: &[(u64, i64, u64)]) -> impl Iterator<Item = &[(u64, i64, u64)]> {
    windows.chunk_by(|one, next| next.0 - one.0 <= 30 * 60)
}

/// The first window of a presence that began when the key was there.
fn whole(presence: &[(u64, i64, u64)], missing: MissingWindow) -> u64 {
    presence[0].0 + if missing == MissingWindow::Zero { 40 } else { 0 }
}

/// The lessons before the last of these windows is judged: whether a window is judged is by its number of lessons.
fn lessons(windows: &[(u64, i64, u64)], missing: MissingWindow, min: u32) -> Lessons {
    let mut lessons = Lessons::new();
    let now = windows.last().unwrap().0;
    for presence in presences(windows) {
        let (first, last) = (whole(presence, missing), presence.last().unwrap().0);
        for end in (first..=last).filter(|end| end.is_multiple_of(60)) {
            let goes_on = last == now;
            let passed = end + 60 <= last;
            let seen = presence.iter().find(|window| window.0 == end);
            match seen {
                // After an absence nothing overlaps it.
                Some((_, value, events)) if passed || !goes_on => {
                    let at = windows.iter().position(|window| window.0 == end).unwrap();
                    let before = self::lessons(&windows[..=at], missing, min).len();
                    let anomalous = before >= min as usize && is_anomalous(*value);
                    lessons.push((end, *value, *events, anomalous));
                }
                None if passed && missing == MissingWindow::Zero => lessons.push((end, 0, 1, false)),
                _ => {}
            }
        }
    }
    lessons
}

/// The ends of windows with their values and numbers of events.
fn windows() -> impl Strategy<Value = Vec<(u64, i64, u64)>> {
    let apart = prop_oneof![12 => 1u64..3, 3 => 3u64..12, 1 => 80u64..100];
    let window = (apart, prop_oneof![3 => 0i64..50, 1 => 90i64..110], 1u64..4);
    prop::collection::vec(window, 1..18).prop_map(|windows| {
        let mut end = 600;
        let mut absolute = |(apart, value, events)| {
            end += 20 * apart;
            (end, value, events)
        };
        windows.into_iter().map(&mut absolute).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_model_learns_the_disjoint_windows_that_are_past(
        windows in windows(), zero in any::<bool>(), min in 0u32..3,
    ) {
        let missing = if zero { MissingWindow::Zero } else { MissingWindow::Skip };
        let pupil = Pupil { min, ..Pupil::default() };
        let tracker = pupil.clone().learning();
        let mut state = Default::default();
        for (number, &(end, value, events)) in windows.iter().enumerate() {
            let found = tracker.track(&mut state, &observed(end, value, events, missing));
            let known = lessons(&windows[..=number], missing, min);
            let presence = presences(&windows[..=number]).last().unwrap();
            let is_asked = end >= whole(presence, missing) && known.len() >= min as usize;
            let wanted = (is_asked && is_anomalous(value)).then_some(known.len() as u32);
            prop_assert_eq!(found.map(|found| found.samples), wanted);
            let window = Window { start: EventTime(end - 60).into(), end: EventTime(end) };
            let asked = is_asked.then_some((known, Sample { window, value, scale: 1, events }));
            prop_assert_eq!(pupil.asked.lock().unwrap().pop(), asked);
        }
    }
}

#[test]
fn a_model_is_reset_after_a_longer_silence_than_it_remembers() {
    let pupil = Pupil { min: 1, ..Pupil::default() };
    let samples_after = |silence: u64, forgets: Option<u64>| {
        let learning = pupil.clone().learning();
        let learning = forgets.map_or(learning.clone(), |millis| learning.forgets_after(millis));
        let mut state = AnyDetector::new(learning).follow();
        for end in [600, 660, 720, 720 + silence] {
            let _ = state.next(&observed(end, 7, 1, MissingWindow::Skip));
        }
        state.next(&observed(780 + silence, 100, 1, MissingWindow::Skip)).map(|found| found.samples)
    };
    // Three and the first after the silence.
    assert_eq!([samples_after(1_200, Some(1_200)), samples_after(1_260, Some(1_200))], [Some(4), Some(1)]);
    const WEEK: u64 = 604_800_000;
    assert_eq!([samples_after(WEEK, None), samples_after(WEEK + 60, None)], [Some(4), Some(1)]);
}

#[test]
fn a_learning_model_says_what_its_model_says() {
    let detector = AnyDetector::new(Pupil { min: 6, ..Pupil::default() }.learning().forgets_after(77_000));
    assert_eq!((&**detector.method(), detector.threshold(), detector.least()), ("pupil", 4.5, 4.5));
    assert_eq!((detector.reaches(), detector.max_samples(), detector.min_samples()), (&[][..], 0, 0));
    assert_eq!(detector.normal_scores(), Some(NormalScores { sides: 1, min_samples: 6 }));
    assert!(detector.forgets_after() == 77_000 && !detector.is_pure());
    let sensitive = Pupil::default().learning().forgets_after(5).sensitive(2.0).unwrap();
    let sensitive = AnyDetector::new(sensitive);
    assert_eq!(sensitive.normal_scores().map(|scores| scores.min_samples), Some(2));
    assert_eq!(sensitive.forgets_after(), 5);
}

#[test]
fn a_scale_of_nothing_is_one() {
    let pupil = Pupil::default();
    let mut state = Default::default();
    for end in [600, 660] {
        let window = Observed { scale: 0, ..observed(end, 3, 1, MissingWindow::Skip) };
        assert_eq!(pupil.clone().learning().track(&mut state, &window), None);
    }
    assert_eq!(pupil.asked.lock().unwrap().last().map(|(_, sample)| sample.scale), Some(1));
}

/// A detector of few samples that notes its baselines, and finds each third value anomalous.
#[derive(Clone, Debug, Default)]
struct Noted(Arc<Mutex<Option<Seen>>>);

/// The sums of a baseline, its samples one by one, and its means.
type Seen = (PowerSums, Vec<(u32, i64)>, Option<Means>);

impl Detector for Noted {
    fn method(&self) -> &'static str {
        "noted"
    }
    fn threshold(&self) -> f64 {
        2.0
    }
    fn min_samples(&self) -> u32 {
        3
    }
    fn max_samples(&self) -> u32 {
        5
    }
    fn judge(&self, value: i64, baseline: &Baseline<'_>) -> Option<Verdict> {
        let mut samples = Vec::new();
        baseline.samples.visit(&mut |back, value| samples.push((back, value)));
        *self.0.lock().unwrap() = Some((baseline.sums, samples, baseline.means.copied()));
        (value % 3 == 0).then_some(Verdict { score: 3.0, mean: 0.0, stddev: 1.0 })
    }
}

/// Windows one after the other, as they are learnt.
fn disjoint(number: u64, value: i64, events: u64) -> Observed<'static> {
    observed(600 + 60 * number, value, events, MissingWindow::Skip)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_anomalous_value_enters_the_baseline_with_its_influence(
        values in prop::collection::vec((-500i64..500, 1u64..4), 1..20),
        single in any::<bool>(),
    ) {
        let noted = Noted::default();
        let tracker = noted.clone().influence(0.25).unwrap();
        let mut state = Default::default();
        // Newest first.
        let mut kept: Vec<(i64, u64)> = Vec::new();
        for (number, &(value, events)) in values.iter().enumerate() {
            let events = if single { 1 } else { events };
            let found = tracker.track(&mut state, &disjoint(number as u64, value, events));
            let (mut sums, mut of_events) = (PowerSums::default(), EventSums::default());
            for (sample, events) in kept.iter().take(5) {
                sums.add(*sample);
                of_events.add(*sample, *events);
            }
            let seen = noted.0.lock().unwrap().take();
            prop_assert_eq!(seen.is_some(), number >= 3, "from the third sample on");
            prop_assert_eq!(found.is_some(), number >= 3 && value % 3 == 0);
            if let Some((shown, samples, means)) = seen {
                let numbered = (1u32..).zip(kept.iter().take(5).map(|(sample, _)| *sample));
                prop_assert_eq!((shown, samples), (sums, numbered.collect::<Vec<_>>()));
                let is_mean = kept.iter().take(5).any(|(_, events)| *events != 1) || events != 1;
                prop_assert_eq!(means, is_mean.then_some(Means { events, sums: of_events }));
            }
            let mean = sums.mean();
            let reduced = |mean: f64| (mean + 0.25 * (value as f64 - mean)).round() as i64;
            let learnt = mean.filter(|_| found.is_some()).map_or(value, reduced);
            kept.insert(0, (learnt, events));
        }
    }
}

#[test]
fn a_detector_with_an_influence_says_what_it_says_without() {
    let spike = ZScore::new(3.0).unwrap().samples(4..=9).unwrap();
    let (plain, with) =
        (AnyDetector::new(spike.clone()), AnyDetector::new(spike.clone().influence(0.5).unwrap()));
    assert_eq!((with.method(), with.threshold()), (plain.method(), plain.threshold()));
    assert_eq!(with.normal_scores(), plain.normal_scores());
    assert!(with.normal_scores().is_some_and(|scores| scores.min_samples == 4) && !with.is_pure());
    let sensitive = spike.influence(0.5).unwrap().sensitive(2.0).unwrap();
    assert_eq!(AnyDetector::new(sensitive).threshold(), 2.0);
}
