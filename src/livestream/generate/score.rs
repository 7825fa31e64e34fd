use std::collections::BTreeMap;
use std::sync::Arc;

use super::{GroundTruth, PlantedMoment};
use crate::core::Moment;
use crate::livestream::StreamId;

/// The score of found moments against planted ones: of one type, or of all.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Score {
    /// The number of planted moments.
    pub planted: u64,
    /// The number of planted moments that were found.
    pub recalled: u64,
    /// The number of moments found, of planted types.
    pub found: u64,
    /// The number of found moments that were planted. Two found moments may belong to one planted one.
    pub correct: u64,
}

impl Score {
    /// Returns the recall: the share of planted moments that were found; `None` if none was planted.
    #[must_use]
    pub fn recall(&self) -> Option<f64> {
        (self.planted > 0).then(|| self.recalled as f64 / self.planted as f64)
    }

    /// Returns the precision: the share of found moments that were planted; `None` if none was found.
    #[must_use]
    pub fn precision(&self) -> Option<f64> {
        (self.found > 0).then(|| self.correct as f64 / self.found as f64)
    }
}

/// Compares found moments with the planted ones, and returns the score of each planted type.
///
/// A found moment belongs to a planted one of the same stream and type if their intervals overlap, the
/// planted one extended by `tolerance` milliseconds at both ends. A window contains its events until it ends,
/// so a tolerance of its size is appropriate. Found moments of types that were not planted at all do not
/// count.
///
/// ```
/// use telemetra::livestream::generate::{Generator, GeneratorConfig, score};
/// let truth = Generator::new(GeneratorConfig { events_per_second: 500.0, ..Default::default() })?.ground_truth();
/// let scores = score(&truth, [], 60_000);
/// assert_eq!(scores["chat_spike"].recall(), Some(0.0));
/// assert_eq!(scores["chat_spike"].precision(), None);
/// # Ok::<(), telemetra::core::ConfigError>(())
/// ```
pub fn score<'m>(
    truth: &GroundTruth,
    found: impl IntoIterator<Item = &'m Moment<StreamId>>,
    tolerance: u64,
) -> BTreeMap<Arc<str>, Score> {
    let mut scores: BTreeMap<Arc<str>, Score> = BTreeMap::new();
    for planted in &truth.planted {
        scores.entry(Arc::clone(&planted.moment_type)).or_default().planted += 1;
    }
    let mut recalled = vec![false; truth.planted.len()];
    for moment in found {
        let Some(score) = scores.get_mut(&moment.moment_type) else { continue };
        score.found += 1;
        let mut correct = false;
        for (planted, recalled) in truth.planted.iter().zip(&mut recalled) {
            if belongs(moment, planted, tolerance) {
                (correct, *recalled) = (true, true);
            }
        }
        score.correct += u64::from(correct);
    }
    for (planted, _) in truth.planted.iter().zip(recalled).filter(|(_, recalled)| *recalled) {
        if let Some(score) = scores.get_mut(&planted.moment_type) {
            score.recalled += 1;
        }
    }
    scores
}

fn belongs(moment: &Moment<StreamId>, planted: &PlantedMoment, tolerance: u64) -> bool {
    moment.key == planted.stream_id
        && moment.moment_type == planted.moment_type
        && moment.started_at < planted.ended_at.plus(tolerance)
        && moment.last_at > planted.started_at.minus(tolerance)
}
