use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// How much each earlier record that was at least as high takes from a score.
const DISCOUNT: f64 = 0.1;

/// For how long a high score silences lower ones.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Fade {
    /// In full for so many samples, then not at all.
    Sudden(u64),
    /// Ever less, down to nothing after so many samples.
    Linear(u64),
}

/// The scores of the past, and which of them were records when they came.
///
/// One event makes many high scores, and a lively series makes high scores all the time. So only a score above all
/// recent ones speaks, and the more often one as high spoke before, the less it says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Records {
    /// How many scores there were.
    count: u64,
    /// Number and score, each lower than those before it: the others are outdone by a later one.
    recent: VecDeque<(u64, f64)>,
    /// Number and score of those that spoke.
    spoken: VecDeque<(u64, f64)>,
}

impl Records {
    /// What a score says: nothing, if it is not above the recent ones.
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
        let as_high = self.spoken.iter().filter(|(_, other)| *other >= score).count();
        Some(score / (1.0 + DISCOUNT * as_high as f64))
    }

    /// Takes a score in, remembering those that spoke for `memory` samples.
    pub(super) fn push(&mut self, score: f64, fade: Fade, memory: u64) {
        let speaks = self.rate(score, fade).is_some();
        self.count += 1;
        let (Fade::Sudden(longest) | Fade::Linear(longest)) = fade;
        while self.recent.back().is_some_and(|(_, other)| *other <= score) {
            self.recent.pop_back();
        }
        self.recent.push_back((self.count, score));
        while self.recent.front().is_some_and(|(number, _)| number + longest <= self.count) {
            self.recent.pop_front();
        }
        if speaks {
            self.spoken.push_back((self.count, score));
        }
        while self.spoken.front().is_some_and(|(number, _)| number + memory <= self.count) {
            self.spoken.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_exceeds_the_recent_speaks_and_repetition_takes_from_it() {
        let fade = Fade::Sudden(3);
        let mut records = Records::default();
        let mut said = Vec::new();
        for score in [1.0, 2.0, 2.0, 1.0, 1.0, 1.5, 2.0, 0.0] {
            said.push(records.rate(score, fade));
            records.push(score, fade, 100);
        }
        let expected = [Some(1.0), Some(2.0), None, None, None, None, Some(2.0 / 1.1), None];
        assert_eq!(said, expected);
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
