//! The settings of event time: windows, out-of-orderness, lateness. They are checked before anything runs.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::ConfigError;
use crate::time::watermark::{BoundedOutOfOrderness, WatermarkStrategy};
use crate::time::window::{WindowRules, WindowSpec};

/// The settings of event time in a pipeline: windows, watermarks, and for how long results may still be
/// corrected. Numbers are milliseconds of event time; a [`Duration`] is processing time.
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
    /// The distance that the watermark of a partition keeps from the greatest event time seen in it.
    pub out_of_orderness: u64,
    /// The time after the end of its pane during which a late event is still applied, as a correction. It is
    /// measured by the floor of its partition.
    pub allowed_lateness: u64,
    /// The time after the end of its window during which a summary stays in the collection. By default it is
    /// as long as lateness and baselines need.
    pub horizon: Option<u64>,
    /// The greatest distance by which an event may be ahead of processing time. `None` accepts any distance.
    pub max_future_skew: Option<u64>,
    /// The greatest distance by which an event may be ahead of all events before it in its partition. One that is
    /// further ahead is suspect: it goes to `from_future` and moves no watermark, until the third in a row that
    /// is, each within this distance of the first, shows that time did go on. `None` accepts any distance. By
    /// default 30 days: one wrong date in a replay would else make all that follows too late.
    pub max_jump: Option<u64>,
    /// The time without records after which a partition is idle: the watermark then no longer waits for it.
    /// `None` means never, which is right for a replay.
    pub idle_after: Option<Duration>,
    /// Whether an event is dropped if one with the same [id](crate::Event::id) came before in its partition,
    /// within the allowed lateness.
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
            max_jump: Some(30 * 86_400_000),
            idle_after: Some(Duration::from_secs(5)),
            deduplicate: false,
        }
    }
}

impl TimeConfig {
    /// The least horizon that works for baselines of `samples` disjoint windows. A window may be corrected
    /// for the allowed lateness after its last pane ended; all windows in whose baseline it is are then
    /// evaluated again, so they must still be there.
    #[must_use]
    pub fn least_horizon(&self, samples: u32) -> u64 {
        let windows = u64::from(samples) + 2;
        self.allowed_lateness
            .saturating_add(self.windows.size().saturating_mul(windows))
            .saturating_add(2 * self.windows.slide())
    }

    /// The horizon with baselines of `samples` windows: the one that is set, or the least.
    #[must_use]
    pub fn horizon(&self, samples: u32) -> u64 {
        self.horizon.unwrap_or_else(|| self.least_horizon(samples))
    }

    /// The settings that the windows operator needs, with baselines of `samples` windows.
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
    /// If one cannot. The error says how to change it.
    pub fn check(&self, samples: u32) -> Result<(), ConfigError> {
        // A deserialised spec was not checked by the constructor.
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
        if self.max_jump == Some(0) {
            return Err(ConfigError::new(
                "max_jump",
                "no event may be ahead of another",
                "give more, or leave it out",
            ));
        }
        let least = self.least_horizon(samples);
        match self.horizon {
            Some(horizon) if horizon < least => Err(ConfigError::new(
                "horizon",
                format!(
                    "{horizon} ms is shorter than the allowed lateness \
                     and a baseline of {samples} windows need"
                ),
                format!("make it at least {least} ms, or leave it out"),
            )),
            _ => Ok(()),
        }
    }

    /// The default watermark strategy with these settings.
    #[must_use]
    pub fn strategy(&self) -> Box<dyn WatermarkStrategy> {
        Box::new(BoundedOutOfOrderness::new(self.out_of_orderness).idle_after(self.idle_after))
    }
}
