//! Settings of time: windows, disorder, lateness. Checked before anything runs.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::ConfigError;
use crate::time::watermark::{BoundedOutOfOrderness, WatermarkStrategy};
use crate::time::window::{WindowRules, WindowSpec};

/// How event time is cut, and how long answers may still change. All lengths in milliseconds of event time,
/// unless they are a [`Duration`] of processing time.
///
/// ```
/// use telemetra_core::TimeConfig;
/// let mut time = TimeConfig::default();
/// assert!(time.check(30).is_ok());
/// time.horizon = Some(60_000);
/// assert!(time.check(30).unwrap_err().to_string().contains("horizon"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TimeConfig {
    /// Size and slide of the windows.
    pub windows: WindowSpec,
    /// How far events of one partition may be behind the greatest time seen in it before they are late.
    pub out_of_orderness: u64,
    /// How far before the floor a pane may have ended and still be revised.
    pub allowed_lateness: u64,
    /// How far back summaries stay in the live collection; by default just as far as lateness and baselines need.
    pub horizon: Option<u64>,
    /// How far ahead of processing time an event may be; `None`: any distance.
    pub max_future_skew: Option<u64>,
    /// How long a partition may have nothing to read before it stops holding back the others; `None`: for ever,
    /// as a replay wants it.
    pub idle_after: Option<Duration>,
    /// Whether events are dropped whose `event_id` was seen before in their partition, within the allowed lateness.
    pub deduplicate: bool,
}

impl Default for TimeConfig {
    fn default() -> Self {
        Self {
            windows: WindowSpec::default(),
            out_of_orderness: 10_000,
            allowed_lateness: 300_000,
            horizon: None,
            max_future_skew: Some(600_000),
            idle_after: Some(Duration::from_secs(5)),
            deduplicate: false,
        }
    }
}

impl TimeConfig {
    /// The least horizon that serves baselines of `samples` disjoint windows: a window may be revised for the
    /// allowed lateness after its last pane ended, and each that it is a sample of is then judged again.
    #[must_use]
    pub fn least_horizon(&self, samples: u32) -> u64 {
        let windows = u64::from(samples) + 2;
        self.allowed_lateness
            .saturating_add(self.windows.size().saturating_mul(windows))
            .saturating_add(2 * self.windows.slide())
    }

    /// The horizon in force with baselines of `samples` windows.
    #[must_use]
    pub fn horizon(&self, samples: u32) -> u64 {
        self.horizon.unwrap_or_else(|| self.least_horizon(samples))
    }

    /// What windows need to know of these settings, with baselines of `samples` windows.
    #[must_use]
    pub fn window_rules(&self, samples: u32) -> WindowRules {
        WindowRules {
            windows: self.windows,
            allowed_lateness: self.allowed_lateness,
            horizon: self.horizon(samples),
        }
    }

    /// The longest time that any of these settings may be: a year.
    const LONGEST: u64 = 366 * 86_400_000;

    /// Checks that these settings can work with baselines of up to `samples` windows.
    ///
    /// # Errors
    ///
    /// If one cannot, with what to change.
    pub fn check(&self, samples: u32) -> Result<(), ConfigError> {
        // Deserialised specs have not been through the constructor.
        WindowSpec::sliding(self.windows.size(), self.windows.slide())?;
        for (setting, value) in
            [("out_of_orderness", self.out_of_orderness), ("allowed_lateness", self.allowed_lateness)]
        {
            if value > Self::LONGEST {
                return Err(ConfigError::new(
                    setting,
                    format!("{value} ms is longer than a year"),
                    "the unit is milliseconds",
                ));
            }
        }
        let least = self.least_horizon(samples);
        match self.horizon {
            Some(horizon) if horizon < least => Err(ConfigError::new(
                "horizon",
                format!(
                    "{horizon} ms is shorter than the allowed lateness and a baseline of {samples} windows need"
                ),
                format!("make it at least {least} ms, or leave it out"),
            )),
            _ => Ok(()),
        }
    }

    /// The default strategy of these settings.
    #[must_use]
    pub fn strategy(&self) -> Box<dyn WatermarkStrategy> {
        Box::new(BoundedOutOfOrderness::new(self.out_of_orderness).idle_after(self.idle_after))
    }
}
