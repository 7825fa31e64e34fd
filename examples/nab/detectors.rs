use std::collections::VecDeque;

use anyhow::{Context, Result};
use telemetra::core::{
    Baseline, ConfigError, Ewma, Model, NoveltyGap, PowerSums, RobustZScore, Sample, Unseen, Window,
};
use telemetra::prelude::{EventTime, ZScore};

/// Fixed-point units per unit of a series.
const SCALE: i64 = 1_000_000;
/// A threshold low enough that every score is reported: the benchmark itself looks for the best threshold.
const LOWEST: f64 = 1e-3;

/// A detector that scores one point after the other, from 0 to 1.
pub(crate) type Score = Box<dyn FnMut(EventTime, f64) -> f64>;

/// A detector that is available by name.
#[derive(Copy, Clone)]
pub(crate) struct Detector {
    name: &'static str,
    start: fn() -> Result<Score, ConfigError>,
}

impl Detector {
    pub(crate) const ALL: &'static [Self] = &[
        Self { name: "zscore", start: || zscore(30) },
        Self { name: "zscore_1000", start: || zscore(1_000) },
        Self {
            name: "robust_zscore",
            start: || Ok(of_model(RobustZScore::new(LOWEST)?.samples(15..=1_000)?)),
        },
        Self { name: "ewma", start: || Ok(of_model(Ewma::new(LOWEST)?.weight(0.01)?)) },
        Self { name: "pewma", start: || Ok(of_model(Ewma::new(LOWEST)?.weight(0.01)?.probabilistic(0.9)?)) },
        Self { name: "novelty_gap", start: || Ok(of_model(NoveltyGap::new(LOWEST)?)) },
        Self { name: "unseen", start: || Ok(of_model(Unseen::new(LOWEST)?)) },
    ];

    pub(crate) fn named(name: &str) -> Result<Self> {
        let found = Self::ALL.iter().find(|detector| detector.name == name);
        found.copied().with_context(|| format!("there is no detector `{name}`; there are {}", Self::names()))
    }

    pub(crate) fn names() -> String {
        Self::ALL.iter().map(|detector| detector.name).collect::<Vec<_>>().join(", ")
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Starts a new series.
    pub(crate) fn start(&self) -> Result<Score> {
        Ok((self.start)()?)
    }
}

/// A score by a model. Each point is a window, but points of a series need not be equally far apart, so they
/// are passed to the model directly.
fn of_model<M: Model>(model: M) -> Score {
    let mut state = M::State::default();
    let (mut count, is_share) = (0, ["novelty_gap", "unseen"].contains(&model.method()));
    Box::new(move |time, value| {
        let sample = Sample {
            window: Window { start: time.into(), end: time.plus(1) },
            value: fixed(value),
            scale: SCALE,
            events: 1,
        };
        let verdict = (count >= model.min_samples()).then(|| model.judge(&state, &sample)).flatten();
        model.learn(&mut state, &sample, false);
        count += 1;
        let score = verdict.map_or(0.0, |verdict| verdict.score.abs());
        if is_share { score } else { score / (1.0 + score) }
    })
}

/// The z-score over the last `most` points.
fn zscore(most: u32) -> Result<Score, ConfigError> {
    let detector = ZScore::new(LOWEST)?.samples(8..=most)?;
    let (mut samples, mut sums) = (VecDeque::new(), PowerSums::default());
    Ok(Box::new(move |_, value| {
        let value = fixed(value);
        let baseline = Baseline { sums, scale: SCALE, samples: &(), means: None };
        let verdict = telemetra::prelude::Detector::judge(&detector, value, &baseline);
        samples.push_back(value);
        sums.add(value);
        if samples.len() > most as usize
            && let Some(oldest) = samples.pop_front()
        {
            sums.remove(oldest);
        }
        verdict.map_or(0.0, |verdict| verdict.score.abs() / (1.0 + verdict.score.abs()))
    }))
}

fn fixed(value: f64) -> i64 {
    (value * SCALE as f64).round() as i64
}
