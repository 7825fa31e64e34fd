//! Suppression of scores that are not higher than recent ones.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// The reduction of a score by each earlier report that was at least as high.
const DISCOUNT: f64 = 0.1;

/// The time during which a high score suppresses lower ones.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Fade {
    /// The score suppresses lower ones for this number of samples.
    Sudden(u64),
    /// The effect of the score decreases, down to zero after this number of samples.
    Linear(u64),
}

/// The recent scores, and those of them that were reported.
///
/// One incident causes many high scores, and in a varied series high scores are frequent. So a score is
/// reported only if it is above all recent ones, and the more reports were at least as high before, the more
/// it is reduced.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Records {
    /// The number of scores so far.
    count: u64,
    /// The numbers and values of recent scores that no later score exceeds, highest first.
    recent: VecDeque<(u64, f64)>,
    /// The numbers and values of the reported scores.
    reported: VecDeque<(u64, f64)>,
}

impl Records {
    /// The reduced score, or `None` if it is not above the recent ones.
    pub(super) fn rate(&self, score: f64, fade: Fade) -> Option<f64> {
        let lasts = |&(number, high): &(u64, f64)| {
            let age = self.count - number;
            match fade {
                Fade::Sudden(samples) => {
                    if age < samples {
                        high
                    } else {
                        0.0
                    }
                }
                Fade::Linear(samples) => high * (1.0 - age as f64 / samples as f64).max(0.0),
            }
        };
        let top = self.recent.iter().map(lasts).fold(0.0, f64::max);
        if score <= top {
            return None;
        }
        let as_high = self.reported.iter().filter(|(_, other)| *other >= score).count();
        Some(score / (1.0 + DISCOUNT * as_high as f64))
    }

    /// Adds a score. Reports are kept for `memory` samples.
    pub(super) fn push(&mut self, score: f64, fade: Fade, memory: u64) {
        let is_report = self.rate(score, fade).is_some();
        self.count += 1;
        let (Fade::Sudden(longest) | Fade::Linear(longest)) = fade;
        while self.recent.back().is_some_and(|(_, other)| *other <= score) {
            self.recent.pop_back();
        }
        self.recent.push_back((self.count, score));
        while self.recent.front().is_some_and(|(number, _)| number + longest <= self.count) {
            self.recent.pop_front();
        }
        if is_report {
            self.reported.push_back((self.count, score));
        }
        while self.reported.front().is_some_and(|(number, _)| number + memory <= self.count) {
            self.reported.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_exceeds_the_recent_is_reported_and_repetition_reduces_it() {
        let fade = Fade::Sudden(3);
        let mut records = Records::default();
        let mut rated = Vec::new();
        for score in [1.0, 2.0, 2.0, 1.0, 1.0, 1.5, 2.0, 0.0] {
            rated.push(records.rate(score, fade));
            records.push(score, fade, 100);
        }
        let expected = [Some(1.0), Some(2.0), None, None, None, None, Some(2.0 / 1.1), None];
        assert_eq!(rated, expected);
        // Fading: 2.0 is down to 1.0 after half the time.
        let fade = Fade::Linear(4);
        let mut records = Records::default();
        records.push(2.0, fade, 100);
        assert_eq!(records.rate(1.9, fade), None);
        records.push(0.0, fade, 100);
        records.push(0.0, fade, 100);
        assert_eq!((records.rate(1.0, fade), records.rate(1.1, fade)), (None, Some(1.1 / 1.1)));
    }
}
