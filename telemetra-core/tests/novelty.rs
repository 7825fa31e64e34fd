//! `NoveltyGap` and `Unseen`: their verdicts are those of their documentation, computed from all samples so far.
#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

use std::time::Duration;

use telemetra_core::testkit::Noise;
use telemetra_core::{EventTime, Model, NoveltyGap, Sample, Side, Unseen, WindowSpec};

const HOUR: u64 = 3_600_000;

/// A mean with exponential weights, and equal weights while there are few values.
fn weighted(values: impl Iterator<Item = f64>, weight: f64) -> Option<f64> {
    let number = |mean: Option<f64>, (count, value): (u32, f64)| {
        let mean = mean.unwrap_or(0.0);
        Some(mean + weight.max(1.0 / f64::from(count)) * (value - mean))
    };
    (1..).zip(values).fold(None, number)
}

/// The usual value at a time, of values with their times.
fn usual(values: &[(u64, f64)], at: u64) -> Option<f64> {
    let of_hours = |modulus: u64| {
        let hour = |time: u64| time / HOUR % modulus;
        let alike = values.iter().filter(move |(time, _)| hour(*time) == hour(at));
        weighted(alike.map(|(_, value)| *value), 0.02)
    };
    of_hours(168).or_else(|| of_hours(24)).or_else(|| weighted(values.iter().map(|(_, value)| *value), 0.01))
}

/// The mean of all, and the deviation from it.
fn mean_and_deviation(values: &[(u64, f64)]) -> (f64, f64) {
    let (mut mean, mut variance) = (0.0, 0.0);
    for (count, (_, value)) in (1..).zip(values) {
        let weight = 0.01f64.max(1.0 / f64::from(count));
        mean += weight * (value - mean);
        variance += weight * ((value - mean) * (value - mean) - variance);
    }
    (mean, f64::sqrt(variance))
}

/// The least distance from the last values, divided by their range.
fn gap(all: &[f64], memory: usize, value: f64) -> f64 {
    let values = &all[all.len().saturating_sub(memory)..];
    let extreme = |better: fn(f64, f64) -> f64| values.iter().copied().reduce(better).unwrap_or(0.0);
    let range = extreme(f64::max) - extreme(f64::min);
    let near = values.iter().map(|other| (other - value).abs()).reduce(f64::min).unwrap_or(0.0);
    if range > 0.0 { near / range } else { 0.0 }
}

/// The differences between the two.
struct Kind {
    x: fn(f64) -> f64,
    departure: fn(f64) -> f64,
    seasonal: f64,
    memory: usize,
    /// The rest of a high score after so many samples.
    fades: fn(f64) -> f64,
}

/// The series so far, and the rated scores.
struct Defined {
    kind: Kind,
    xs: Vec<(u64, f64)>,
    departures: Vec<f64>,
    scores: Vec<f64>,
    /// The numbers of the samples that were reported.
    reported: Vec<usize>,
}

impl Defined {
    fn new(kind: Kind) -> Self {
        Self { kind, xs: Vec::new(), departures: Vec::new(), scores: Vec::new(), reported: Vec::new() }
    }

    fn departure(&self, at: u64, x: f64) -> Option<f64> {
        usual(&self.xs, at).map(|usual| (self.kind.departure)(x - usual).round())
    }

    fn raw(&self, at: u64, x: f64) -> f64 {
        let all: Vec<_> = self.xs.iter().map(|(_, x)| *x).collect();
        let seasonal = self.departure(at, x).map_or(0.0, |e| gap(&self.departures, 4_000, e));
        gap(&all, self.kind.memory, x).max(self.kind.seasonal * seasonal)
    }

    /// The score, if it is reported: without the sign.
    fn rated(&self, raw: f64) -> Option<f64> {
        let number = self.scores.len();
        let recent = self
            .scores
            .iter()
            .enumerate()
            .map(|(n, score)| score * (self.kind.fades)((number - n - 1) as f64));
        let as_high =
            self.reported.iter().filter(|n| number - **n < 4_001 && self.scores[**n] >= raw).count();
        let rated = raw / (1.0 + 0.1 * as_high as f64);
        (raw > recent.fold(0.0, f64::max)).then(|| rated / (1.0 + rated))
    }

    fn learn(&mut self, at: u64, x: f64) {
        let raw = self.raw(at, x);
        if self.rated(raw).is_some() {
            self.reported.push(self.scores.len());
        }
        self.scores.push(raw);
        self.departures.extend(self.departure(at, x));
        self.xs.push((at, x));
    }
}

/// A value every so often: noise with a daily rhythm, and now and then something else.
fn series(number: u64) -> impl Iterator<Item = (u64, i64)> {
    let mut noise = Noise::new(3);
    (0..number).map(move |n| {
        // Four in an hour, and some days of the week have none.
        let at = n * HOUR / 4 + n / 200 * 30 * HOUR;
        let usual = if at / HOUR % 24 < 12 { 400.0 } else { 900.0 };
        let odd = match n % 61 {
            17 => 1_700.0 * noise.uniform(),
            40 => -700.0,
            _ => 0.0,
        };
        (at, (1_000.0 * (usual + odd + 80.0 * noise.uniform())) as i64)
    })
}

fn agrees<M: Model>(
    model: &M,
    mut defined: Defined,
    number: u64,
    unit: impl Fn(f64, f64) -> (f64, f64),
) -> u32 {
    let spec = WindowSpec::tumbling(Duration::from_secs(900)).unwrap();
    let (mut state, mut found) = (M::State::default(), 0);
    for (at, value) in series(number) {
        let window = spec.window_ending(EventTime(at + spec.size()));
        let sample = Sample { window, value, scale: 1_000, events: 1 };
        let x = (defined.kind.x)(value as f64 / 1_000.0);
        let score = defined.rated(defined.raw(at, x)).filter(|score| *score >= model.threshold());
        let verdict = model.judge(&state, &sample);
        assert_eq!(verdict.is_some(), score.is_some(), "{verdict:?}, not {score:?}, at {at}");
        if let Some((verdict, score)) = verdict.zip(score) {
            let (mean, deviation) = mean_and_deviation(&defined.xs);
            let (in_units, spread) = unit(mean, deviation);
            let near = |found: f64, wanted: f64| (found - wanted).abs() < 1e-6 * wanted.abs().max(1.0);
            assert!(near(verdict.score, score.copysign(x - mean)), "{verdict:?}, not {score} at {at}");
            assert!(near(verdict.mean, in_units) && near(verdict.stddev, spread), "{verdict:?} at {at}");
            found += 1;
        }
        model.learn(&mut state, &sample, verdict.is_some());
        defined.learn(at, x);
    }
    found
}

#[test]
fn a_novelty_gap_is_that_of_its_documentation() {
    let kind = || Kind {
        x: |value| value * 1_000.0,
        departure: f64::abs,
        seasonal: 0.2,
        memory: 4_000,
        fades: |age| if age < 75.0 { 1.0 } else { 0.0 },
    };
    let in_units = |mean: f64, deviation: f64| (mean / 1_000.0, deviation / 1_000.0);
    let found = agrees(&NoveltyGap::new(1e-9).unwrap(), Defined::new(kind()), 700, in_units);
    let strict = agrees(&NoveltyGap::new(0.03).unwrap(), Defined::new(kind()), 700, in_units);
    assert!(found > strict && strict > 0, "{found}, {strict}");
}

#[test]
fn what_is_unseen_is_so_by_the_documentation() {
    let kind = |memory| Kind {
        x: |value| (value.abs().sqrt() * 1_048_576.0).round().copysign(value),
        departure: |departure| departure,
        seasonal: 0.15,
        memory,
        fades: |age| (1.0 - age / 120.0).max(0.0),
    };
    // Back from roots: the square, and how far a value is from it whose root is one deviation further.
    let in_units = |mean: f64, deviation: f64| {
        let (mean, deviation) = (mean / 1_048_576.0, deviation / 1_048_576.0);
        (mean * mean.abs(), (mean.abs() + deviation).powi(2) - mean * mean)
    };
    let long = agrees(&Unseen::new(1e-9).unwrap(), Defined::new(kind(16_384)), 700, in_units);
    let model = Unseen::new(1e-9).unwrap().memory(130).unwrap();
    let short = agrees(&model, Defined::new(kind(130)), 700, in_units);
    assert!(short > long && long > 0, "{short}, {long}");
}

#[test]
fn only_the_side_that_is_set_is_reported_by_both() {
    fn sides<M: Model>(model: &M) -> (bool, bool) {
        let spec = WindowSpec::tumbling(Duration::from_secs(900)).unwrap();
        let mut state = M::State::default();
        let sample = |n: u64, value: i64| {
            let window = spec.window_ending(EventTime((n + 1) * spec.size()));
            Sample { window, value, scale: 1, events: 1 }
        };
        (0..200).for_each(|n| model.learn(&mut state, &sample(n, 1_000 + (n * 37 % 50) as i64), false));
        let verdict = |value| model.judge(&state, &sample(200, value)).map(|verdict| verdict.score);
        let (high, low) = (verdict(5_000), verdict(-5_000));
        assert!(high.is_none_or(|score| score > 0.0) && low.is_none_or(|score| score < 0.0));
        (high.is_some(), low.is_some())
    }
    for (side, wanted) in
        [(Side::Upper, (true, false)), (Side::Lower, (false, true)), (Side::Both, (true, true))]
    {
        let (gap, unseen) = (NoveltyGap::new(0.1).unwrap().side(side), Unseen::new(0.1).unwrap().side(side));
        assert_eq!((sides(&gap), sides(&unseen)), (wanted, wanted));
        // With another threshold the rest is as before.
        let (gap, unseen) = (gap.with_threshold(0.2).unwrap(), unseen.with_threshold(0.2).unwrap());
        assert_eq!((gap.threshold(), unseen.threshold()), (0.2, 0.2));
        assert_eq!((sides(&gap), sides(&unseen)), (wanted, wanted));
        assert!(gap.with_threshold(1.0).is_err() && unseen.with_threshold(0.0).is_err());
    }
}

/// A series in which the mean has never been seen: it is new, and on no side.
#[test]
fn the_mean_itself_is_on_no_side() {
    fn found<M: Model>(model: &M, value: i64) -> bool {
        let spec = WindowSpec::tumbling(Duration::from_secs(900)).unwrap();
        let window = spec.window_ending(EventTime(spec.size()));
        let sample = |value| Sample { window, value, scale: 1, events: 1 };
        let mut state = M::State::default();
        [-9, 9].into_iter().for_each(|value| model.learn(&mut state, &sample(value), false));
        model.judge(&state, &sample(value)).is_some()
    }
    for side in [Side::Upper, Side::Lower, Side::Both] {
        let (gap, unseen) = (NoveltyGap::new(0.1).unwrap().side(side), Unseen::new(0.1).unwrap().side(side));
        assert_eq!([found(&gap, 0), found(&unseen, 0)], [false; 2]);
        let beside = if side == Side::Lower { -1 } else { 1 };
        assert_eq!([found(&gap, beside), found(&unseen, beside)], [true; 2]);
    }
}

#[test]
fn a_score_of_the_threshold_is_found() {
    fn score<M: Model>(model: &M) -> Option<f64> {
        let spec = WindowSpec::tumbling(Duration::from_secs(900)).unwrap();
        let window = spec.window_ending(EventTime(spec.size()));
        let sample = |value| Sample { window, value, scale: 1, events: 1 };
        let mut state = M::State::default();
        [1, 9].into_iter().for_each(|value| model.learn(&mut state, &sample(value), false));
        model.judge(&state, &sample(16)).map(|verdict| verdict.score)
    }
    // A distance of 7 in a range of 8, and on the scale of roots of 1 in 2.
    let (gap, unseen) = (NoveltyGap::new(0.1).unwrap(), Unseen::new(0.1).unwrap());
    let scores = [score(&gap), score(&unseen)].map(Option::unwrap);
    assert!((scores[0] - 7.0 / 15.0).abs() < 1e-9 && (scores[1] - 1.0 / 3.0).abs() < 1e-6, "{scores:?}");
    let at = |threshold: [f64; 2]| {
        [score(&NoveltyGap::new(threshold[0]).unwrap()), score(&Unseen::new(threshold[1]).unwrap())]
    };
    assert_eq!(at(scores), scores.map(Some));
    assert_eq!(at(scores.map(f64::next_up)), [None; 2]);
}
