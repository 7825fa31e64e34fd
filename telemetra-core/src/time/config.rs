//! The settings of event time: windows, out-of-orderness, lateness. They are checked before anything runs.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::ConfigError;
use crate::time::millis;
use crate::time::watermark::{BoundedOutOfOrderness, WatermarkStrategy};
use crate::time::window::{WindowRules, WindowSpec};

/// The settings of event time in a pipeline: windows, watermarks, and how long results may still be
/// corrected. All but [`idle_after`](Self::idle_after) are spans of event time, in whole milliseconds.
/// Serialised, as in a settings file, they are numbers of milliseconds.
///
/// An event is *on time* up to `out_of_orderness` behind the greatest event time of its partition, then
/// *late* for `allowed_lateness`, and after that *too late*. A larger `out_of_orderness` delays every result;
/// a larger `allowed_lateness` delays none, and costs memory for more panes of each key.
///
/// ```
/// use std::time::Duration;
/// use telemetra_core::TimeConfig;
/// let mut time = TimeConfig { allowed_lateness: Duration::from_secs(120), ..TimeConfig::default() };
/// assert!(time.check(30).is_ok());
/// time.horizon = Some(Duration::from_secs(60));
/// assert!(time.check(30).unwrap_err().to_string().contains("horizon"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TimeConfig {
    /// The size and slide of windows that are not given by a grouping. Default: one minute, sliding by ten
    /// seconds.
    pub windows: WindowSpec,
    /// The distance that the watermark of a partition keeps from the greatest event time seen in it. It is
    /// the delay of on-time results. Default: 10 s; at most a year.
    #[serde(with = "millis")]
    pub out_of_orderness: Duration,
    /// The time after the end of its pane during which a late event is still applied, as a correction. It is
    /// measured by the floor of its partition. Default: 5 minutes; at most a year.
    #[serde(with = "millis")]
    pub allowed_lateness: Duration,
    /// The time after the end of its window during which a summary stays in the collection, where it can be
    /// corrected and be a sample of baselines. `None`, the default, is the [least](Self::least_horizon) that
    /// lateness and baselines need.
    #[serde(with = "millis::option")]
    pub horizon: Option<Duration>,
    /// The greatest distance by which an event may be ahead of processing time; others go to `from_future`.
    /// `None` accepts any distance. Default: 10 minutes.
    #[serde(with = "millis::option")]
    pub max_future_skew: Option<Duration>,
    /// The greatest distance by which an event may be ahead of all events before it in its partition. An
    /// event that is further ahead goes to `from_future` and does not move the watermark. The third such
    /// event in a row is believed, if each is within this distance of the first. `None` accepts any distance.
    /// The default is 30 days: otherwise one wrong date in a replay would make everything after it too late.
    #[serde(with = "millis::option")]
    pub max_jump: Option<Duration>,
    /// The processing time without records after which a partition is idle, so that the watermark no longer
    /// waits for it. `None` means never, which is right for a replay. Default: 5 s.
    #[serde(with = "millis::option")]
    pub idle_after: Option<Duration>,
    /// True if an event is dropped if one with the same [id](crate::Event::id) came before in its partition,
    /// within the allowed lateness. Costs at least 16 bytes and a hash look-up for each event with an id in that time.
    /// Default: false.
    pub deduplicate: bool,
}

impl Default for TimeConfig {
    fn default() -> Self {
        Self {
            windows: WindowSpec::default(),
            out_of_orderness: Duration::from_secs(10),
            allowed_lateness: Duration::from_secs(300),
            horizon: None,
            max_future_skew: Some(Duration::from_secs(600)),
            max_jump: Some(Duration::from_secs(30 * 86_400)),
            idle_after: Some(Duration::from_secs(5)),
            deduplicate: false,
        }
    }
}

impl TimeConfig {
    /// Returns the least horizon that works for baselines of `samples` disjoint windows. A window may be
    /// corrected for the allowed lateness after its last pane ended; all windows in whose baseline it is are
    /// then evaluated again, so they must still be there.
    ///
    /// ```
    /// use std::time::Duration;
    /// use telemetra_core::TimeConfig;
    /// // By default windows of a minute every 10 s, corrected for 5 minutes; with baselines of 30 windows.
    /// assert_eq!(TimeConfig::default().least_horizon(30), Duration::from_secs(300 + 32 * 60 + 2 * 10));
    /// ```
    #[must_use]
    pub fn least_horizon(&self, samples: u32) -> Duration {
        let windows = u64::from(samples) + 2;
        let baseline = self.windows.size().saturating_mul(windows).saturating_add(2 * self.windows.slide());
        self.allowed_lateness.saturating_add(Duration::from_millis(baseline))
    }

    /// Returns the horizon with baselines of `samples` windows: the one that is set, or the least.
    #[must_use]
    pub fn horizon(&self, samples: u32) -> Duration {
        self.horizon.unwrap_or_else(|| self.least_horizon(samples))
    }

    /// Returns the settings that the windows operator needs, with baselines of `samples` windows.
    #[must_use]
    pub fn window_rules(&self, samples: u32) -> WindowRules {
        WindowRules {
            windows: self.windows,
            allowed_lateness: millis::of(self.allowed_lateness),
            horizon: millis::of(self.horizon(samples)),
        }
    }

    /// The longest time that any of these settings may be: a year.
    const LONGEST: Duration = Duration::from_secs(366 * 86_400);

    /// Checks that these settings can work with baselines of up to `samples` windows. A pipeline calls it at
    /// its start.
    ///
    /// # Errors
    ///
    /// If a span is not a whole number of milliseconds, is too long, or the horizon is shorter than the
    /// least. The error says how to change it.
    pub fn check(&self, samples: u32) -> Result<(), ConfigError> {
        // A deserialised spec was not checked by the constructor.
        self.windows.check()?;
        let spans = [
            ("out_of_orderness", Some(self.out_of_orderness)),
            ("allowed_lateness", Some(self.allowed_lateness)),
            ("horizon", self.horizon),
            ("max_future_skew", self.max_future_skew),
            ("max_jump", self.max_jump),
        ];
        for (setting, span) in spans {
            let Some(span) = span else { continue };
            millis::whole(setting, span)?;
            let is_bounded = matches!(setting, "out_of_orderness" | "allowed_lateness");
            if is_bounded && span > Self::LONGEST {
                let detail = format!("{span:?} is longer than a year");
                return Err(ConfigError::new(setting, detail, "give seconds or minutes"));
            }
        }
        if self.max_jump == Some(Duration::ZERO) {
            return Err(ConfigError::new(
                "max_jump",
                "with 0 ms every step of event time would be too far ahead",
                "give more, or leave it out",
            ));
        }
        let least = self.least_horizon(samples);
        match self.horizon {
            Some(horizon) if horizon < least => Err(ConfigError::new(
                "horizon",
                format!(
                    "{horizon:?} is shorter than the allowed lateness \
                     and a baseline of {samples} windows need"
                ),
                format!("make it at least {least:?}, or leave it out"),
            )),
            _ => Ok(()),
        }
    }

    /// Returns the default watermark strategy with these settings: bounded out-of-orderness.
    #[must_use]
    pub fn strategy(&self) -> Box<dyn WatermarkStrategy> {
        Box::new(BoundedOutOfOrderness::new(self.out_of_orderness).idle_after(self.idle_after))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_settings_file_has_milliseconds() {
        let text = r#"{ "allowed_lateness": 120000, "horizon": null, "idle_after": 1500 }"#;
        let time: TimeConfig = serde_json::from_str(text).unwrap();
        assert_eq!(time.allowed_lateness, Duration::from_secs(120));
        assert_eq!(time.idle_after, Some(Duration::from_millis(1500)));
        let again: TimeConfig = serde_json::from_str(&serde_json::to_string(&time).unwrap()).unwrap();
        assert_eq!(again, time);
    }

    #[test]
    fn half_a_millisecond_is_refused() {
        let time = TimeConfig { allowed_lateness: Duration::from_micros(500), ..TimeConfig::default() };
        assert_eq!(
            time.check(30).unwrap_err().to_string(),
            "cannot use the setting `allowed_lateness`: 500µs is not a whole number of milliseconds; round it"
        );
        assert!(WindowSpec::tumbling(Duration::from_micros(1_500)).is_err());
    }
}
