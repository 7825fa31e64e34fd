//! The benchmark's score (Lavin and Ahmad 2015, version 1.1), standard profile, written from its description.
//!
//! The earliest detection in a labelled window earns more the earlier it is, each detection outside costs
//! more the further it is after the last window, and each window without a detection costs 1. The best result
//! at one threshold for all files is scaled between a detector without any detections, 0, and a perfect one,
//! 100. The first 15 % of a file, at most 750 points, do not count.

use std::fmt;

const FALSE_ALARM: f64 = 0.11;
const PROBATION: f64 = 0.15;

/// The scores of a series, with its labels.
pub(crate) struct Labelled<'a> {
    pub(crate) folder: &'a str,
    pub(crate) windows: &'a [(usize, usize)],
    pub(crate) scores: Vec<f64>,
}

/// The outcome of a threshold.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) normalised: f64,
    pub(crate) threshold: f64,
    pub(crate) hit: usize,
    pub(crate) windows: usize,
    pub(crate) false_alarms: usize,
    /// The gain over a detector without detections.
    gain: f64,
    /// The greatest possible gain.
    most: f64,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} windows hit, {} false alarms", self.hit, self.windows, self.false_alarms)
    }
}

/// The change of the outcome when the threshold falls to a score.
#[derive(Copy, Clone)]
struct Step {
    score: f64,
    value: f64,
    hit: usize,
    false_alarms: usize,
}

/// The weight of a position: 1 far before the end of a window, 0 at its end, −1 far after it.
fn weight(position: f64) -> f64 {
    if position > 3.0 { -1.0 } else { 2.0 / (1.0 + (5.0 * position).exp()) - 1.0 }
}

/// The steps of a series, and the number of its windows that count.
fn steps(run: &Labelled<'_>) -> (Vec<Step>, usize) {
    let points = run.scores.len();
    let probation = (PROBATION * points as f64).floor().min(PROBATION * 5_000.0) as usize;
    let (mut steps, mut counted) = (Vec::new(), 0);
    for &(first, last) in run.windows {
        let width = (last - first + 1) as f64;
        let (mut highs, mut top): (Vec<(f64, f64)>, _) = (Vec::new(), f64::NEG_INFINITY);
        for at in first.max(probation)..=last {
            if run.scores[at] > top {
                top = run.scores[at];
                highs.push((top, weight(-((last - at + 1) as f64) / width) / weight(-1.0)));
            }
        }
        counted += usize::from(!highs.is_empty());
        // As the threshold falls, the first detection becomes earlier.
        let mut later = None;
        for (score, early) in highs.into_iter().rev() {
            // The first detection also saves the cost of a miss.
            let value = later.map_or(early + 1.0, |later| early - later);
            steps.push(Step { score, value, hit: usize::from(later.is_none()), false_alarms: 0 });
            later = Some(early);
        }
    }
    let mut behind: Option<(usize, usize)> = None;
    for at in 0..points {
        behind = run.windows.iter().copied().rfind(|(_, last)| *last < at).or(behind);
        let inside = run.windows.iter().any(|(first, last)| (*first..=*last).contains(&at));
        if at < probation || inside {
            continue;
        }
        let cost = match behind {
            Some((first, last)) if last > first => weight((at - last) as f64 / (last - first) as f64),
            _ => -1.0,
        };
        steps.push(Step { score: run.scores[at], value: FALSE_ALARM * cost, hit: 0, false_alarms: 1 });
    }
    (steps, counted)
}

/// The outcome at a threshold, or at the best one.
pub(crate) fn standard(runs: &[Labelled<'_>], threshold: Option<f64>) -> Outcome {
    let runs_only: Vec<_> = runs.iter().collect();
    outcome(&runs_only, threshold)
}

fn outcome(runs: &[&Labelled<'_>], threshold: Option<f64>) -> Outcome {
    let windows: usize = runs.iter().map(|run| run.windows.len()).sum();
    let (mut all, mut counted) = (Vec::new(), 0);
    for run in runs {
        let (steps, windows) = steps(run);
        all.extend(steps);
        counted += windows;
    }
    all.sort_by(|a, b| b.score.total_cmp(&a.score));
    let most = (windows + counted) as f64;
    let start = Outcome {
        normalised: 0.0,
        threshold: f64::INFINITY,
        hit: 0,
        windows,
        false_alarms: 0,
        gain: 0.0,
        most,
    };
    let (mut now, mut best) = (start, start);
    for alike in all.chunk_by(|a, b| a.score == b.score) {
        if threshold.is_some_and(|threshold| alike[0].score < threshold) {
            break;
        }
        for step in alike {
            now.gain += step.value;
            now.hit += step.hit;
            now.false_alarms += step.false_alarms;
        }
        now.threshold = alike[0].score;
        if threshold.is_some() || now.gain > best.gain {
            best = now;
        }
    }
    best.normalised = 100.0 * best.gain / most.max(1.0);
    best
}

/// The score with the threshold for each folder chosen as the best of all others: an estimate for data that
/// was not used for tuning.
pub(crate) fn leave_one_folder_out(runs: &[Labelled<'_>]) -> f64 {
    let mut folders: Vec<&str> = runs.iter().map(|run| run.folder).collect();
    folders.dedup();
    let (mut gain, mut most) = (0.0, 0.0);
    for folder in folders {
        let (held, rest): (Vec<_>, Vec<_>) = runs.iter().partition(|run| run.folder == folder);
        let found = outcome(&held, Some(outcome(&rest, None).threshold));
        gain += found.gain;
        most += found.most;
    }
    100.0 * gain / most.max(1.0)
}
