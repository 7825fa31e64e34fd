//! The z-score keeps its promise of false alarms on means of few and many events, and on counts that scatter
//! more than those of independent events.
#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

use telemetra_core::testkit::Noise;
use telemetra_core::{Baseline, Detector, EventSums, Means, PowerSums, Side, VarianceFloor, ZScore};

/// The share of false alarms that a threshold of 3 promises: the tail of the normal distribution above it.
const PROMISE: f64 = 1.349_898e-3;
const SCALE: f64 = 1e6;
const TRIALS: u32 = 40_000;

fn normal(noise: &mut Noise) -> f64 {
    (-2.0 * noise.uniform().ln()).sqrt() * (std::f64::consts::TAU * noise.uniform()).cos()
}

/// Means of random numbers of events, which vary within windows and between them.
struct Mood {
    within: f64,
    between: f64,
    /// The least and the greatest number of events in a window.
    events: (f64, f64),
}

impl Mood {
    fn events(&self, noise: &mut Noise) -> u64 {
        let (least, most) = self.events;
        (least * (most / least).powf(noise.uniform())).round() as u64
    }

    fn mean(&self, events: u64, noise: &mut Noise) -> i64 {
        let deviation = self.between.hypot(self.within / (events as f64).sqrt());
        (SCALE * (10.0 + deviation * normal(noise))) as i64
    }

    /// False alarms as a multiple of what is promised, for a window of some events after usual ones, by a
    /// detector that knows the numbers of events, and by one that does not.
    fn alarms(&self, detector: &ZScore, samples: u32, events: Option<u64>, seed: u64) -> (f64, f64) {
        let mut noise = Noise::new(seed);
        let (mut knowing, mut blind) = (0, 0);
        for _ in 0..TRIALS {
            let (mut sums, mut of_events) = (PowerSums::default(), EventSums::default());
            for _ in 0..samples {
                let events = self.events(&mut noise);
                let mean = self.mean(events, &mut noise);
                sums.add(mean);
                of_events.add(mean, events);
            }
            let events = events.unwrap_or_else(|| self.events(&mut noise));
            let value = self.mean(events, &mut noise);
            let plain = Baseline { sums, scale: SCALE as i64, samples: &(), means: None };
            let means = Some(Means { events, sums: of_events });
            blind += u32::from(detector.judge(value, &plain).is_some());
            knowing +=
                u32::from(detector.judge(value, &Baseline { means: means.as_ref(), ..plain }).is_some());
        }
        let ratio = |alarms: u32| f64::from(alarms) / f64::from(TRIALS) / PROMISE;
        (ratio(knowing), ratio(blind))
    }
}

#[test]
fn a_mean_of_few_events_raises_no_more_false_alarms_than_promised() {
    let detector = ZScore::new(3.0).unwrap().side(Side::Upper);
    let mut seed = 0;
    for (within, between) in [(1.0, 0.0), (1.0, 0.1), (1.0, 0.5), (0.0, 1.0)] {
        let mood = Mood { within, between, events: (10.0, 400.0) };
        for samples in [8, 30] {
            for events in [None, Some(10), Some(60), Some(400)] {
                seed += 1;
                let (knowing, _) = mood.alarms(&detector, samples, events, seed);
                assert!(
                    knowing < 1.5,
                    "{knowing} times what is promised: within {within}, between {between}, \
                     {samples} samples, a window of {events:?} events"
                );
            }
        }
    }
}

/// A rule that does not know the numbers of events breaks the promise.
#[test]
fn without_the_number_of_events_windows_of_few_raise_many_false_alarms() {
    let detector = ZScore::new(3.0).unwrap().side(Side::Upper);
    let mood = Mood { within: 1.0, between: 0.0, events: (50.0, 400.0) };
    let (knowing, blind) = mood.alarms(&detector, 30, Some(10), 1);
    assert!(knowing < 1.5 && blind > 20.0, "{knowing} and {blind} times what is promised");
}

/// The number of events changes nothing where all windows have the same.
#[test]
fn equal_numbers_of_events_cost_no_alarm() {
    let detector = ZScore::new(3.0).unwrap().side(Side::Upper);
    for (within, between) in [(1.0, 0.0), (0.0, 1.0), (1.0, 1.0)] {
        let mood = Mood { within, between, events: (20.0, 20.0) };
        let (knowing, blind) = mood.alarms(&detector, 15, None, 7);
        assert!((knowing - blind).abs() < 1e-9 && knowing > 1.0 / 1.5, "{knowing}, {blind}");
    }
}

#[test]
fn scattered_small_counts_are_no_more_anomalous_than_independent_ones() {
    let detector = ZScore::new(1.0).unwrap().floor(VarianceFloor::Poisson).unwrap().min_value(3.0).unwrap();
    let score = |counts: &[i64]| {
        let mut sums = PowerSums::default();
        (0..30).for_each(|n| sums.add(counts.get(n).copied().unwrap_or(0)));
        detector
            .judge(3, &Baseline { sums, scale: 1, samples: &(), means: None })
            .map_or(0.0, |verdict| verdict.score)
    };
    let independent = score(&[1; 6]);
    assert!((2.9..3.1).contains(&independent), "{independent}");
    for counts in [&[2, 2, 2][..], &[2, 2, 1, 1], &[3, 1, 1, 1]] {
        assert!(score(counts) <= independent, "{} after {counts:?}, not {independent}", score(counts));
    }
}

/// Counts with the variance of `dispersion` times their mean: negative binomial, which is a Poisson count
/// at a rate that is itself random.
struct Scattered {
    mean: f64,
    dispersion: f64,
}

impl Scattered {
    /// Marsaglia and Tsang's gamma, with the boost for shapes below 1.
    fn gamma(shape: f64, noise: &mut Noise) -> f64 {
        if shape < 1.0 {
            let boost = noise.uniform().powf(1.0 / shape);
            return boost * Self::gamma(shape + 1.0, noise);
        }
        let d = shape - 1.0 / 3.0;
        loop {
            let x = normal(noise);
            let v = (1.0 + x / (9.0 * d).sqrt()).powi(3);
            if v > 0.0 && noise.uniform().ln() < 0.5 * x * x + d * (1.0 - v + v.ln()) {
                return d * v;
            }
        }
    }

    fn poisson(mean: f64, noise: &mut Noise) -> i64 {
        // Arrivals, one by one.
        let (mut count, mut left) = (0, mean + noise.uniform().ln());
        while left > 0.0 {
            count += 1;
            left += noise.uniform().ln();
        }
        count
    }

    fn count(&self, noise: &mut Noise) -> i64 {
        let more = self.dispersion - 1.0;
        let rate = if more > 0.0 { more * Self::gamma(self.mean / more, noise) } else { self.mean };
        Self::poisson(rate, noise)
    }

    fn alarms(&self, detector: &ZScore, samples: u32, seed: u64) -> f64 {
        let mut noise = Noise::new(seed);
        let mut alarms = 0;
        for _ in 0..TRIALS {
            let mut sums = PowerSums::default();
            (0..samples).for_each(|_| sums.add(self.count(&mut noise)));
            let baseline = Baseline { sums, scale: 1, samples: &(), means: None };
            alarms += u32::from(detector.judge(self.count(&mut noise), &baseline).is_some());
        }
        f64::from(alarms) / f64::from(TRIALS) / PROMISE
    }
}

/// With few samples or small means, scatter is not always found; what is raised then is stated in the documents.
#[test]
fn scattered_counts_raise_few_more_false_alarms_than_promised() {
    let counts = ZScore::new(3.0).unwrap().side(Side::Upper).floor(VarianceFloor::Poisson).unwrap();
    let detector = counts.min_value(3.0).unwrap();
    for (dispersion, mean, most) in [(1.0, 0.2, 1.0), (1.0, 20.0, 1.2), (2.0, 20.0, 2.0), (4.0, 20.0, 2.0)] {
        let alarms = Scattered { mean, dispersion }.alarms(&detector, 30, 50);
        assert!(alarms < most, "{alarms} times what is promised at {mean}, {dispersion} times as scattered");
    }
}
