//! Checks of the settings that detectors have in common.

use super::tail::MAX_SCORE;
use super::{Side, VarianceFloor};
use crate::detect::Verdict;
use crate::error::ConfigError;

/// Checks a threshold in standard deviations.
pub(super) fn deviations(threshold: f64) -> Result<f64, ConfigError> {
    if threshold > 0.0 && threshold < MAX_SCORE {
        return Ok(threshold);
    }
    Err(ConfigError::new(
        "threshold",
        format!("{threshold} is not between 0 and {MAX_SCORE}"),
        "take a number of standard deviations, say 3",
    ))
}

/// Checks a share: a number between 0 and 1, both excluded.
pub(super) fn share(setting: &'static str, value: f64, hint: &str) -> Result<f64, ConfigError> {
    if value > 0.0 && value < 1.0 {
        return Ok(value);
    }
    Err(ConfigError::new(setting, format!("{value} is not between 0 and 1"), hint))
}

/// Checks a number of samples.
pub(super) fn samples(setting: &'static str, value: u32, least: u32, most: u32) -> Result<u32, ConfigError> {
    if (least..=most).contains(&value) {
        return Ok(value);
    }
    Err(ConfigError::new(
        setting,
        format!("{value} samples are too few or too many"),
        format!("take {least} to {most}"),
    ))
}

/// Checks a least deviation.
pub(super) fn floor(floor: VarianceFloor) -> Result<VarianceFloor, ConfigError> {
    if floor.is_valid() {
        return Ok(floor);
    }
    Err(ConfigError::new(
        "floor",
        format!("{floor:?} is negative or not finite"),
        "take finite numbers that are not negative",
    ))
}

/// The verdict on a departure from the mean, if its side is watched and all its numbers are finite.
pub(super) fn verdict(side: Side, departure: f64, size: f64, mean: f64, stddev: f64) -> Option<Verdict> {
    let finite = size.is_finite() && mean.is_finite() && stddev.is_finite();
    (side.takes(departure) && finite).then(|| Verdict { score: size.copysign(departure), mean, stddev })
}
