//! How a grouping cuts time: the window specifications of the pipeline.

use std::time::Duration;

use telemetra_core::{ConfigError, TimeConfig, WindowSpec};

/// The windows of a grouping. Made by [`tumbling`] and [`sliding`]; checked when the pipeline starts.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Default)]
pub struct WindowKind(pub(crate) Kind);

#[derive(Copy, Clone, Debug, PartialEq, Eq, Default)]
pub(crate) enum Kind {
    /// Those of the pipeline's settings of time.
    #[default]
    Settings,
    Sliding {
        size: Duration,
        slide: Duration,
    },
}

/// Windows of that size, end to end.
///
/// ```
/// use telemetra_ops::{minutes, tumbling};
/// let every_minute = tumbling(minutes(1));
/// ```
#[must_use]
pub const fn tumbling(size: Duration) -> WindowKind {
    sliding(size, size)
}

/// Windows of that size, one every `slide`. The size must be a multiple of the slide.
///
/// ```
/// use telemetra_ops::{hours, minutes, sliding};
/// let last_hour = sliding(hours(1), minutes(5));
/// ```
#[must_use]
pub const fn sliding(size: Duration, slide: Duration) -> WindowKind {
    WindowKind(Kind::Sliding { size, slide })
}

/// A span of seconds.
#[must_use]
pub const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A span of minutes.
#[must_use]
pub const fn minutes(n: u64) -> Duration {
    Duration::from_secs(60 * n)
}

/// A span of hours.
#[must_use]
pub const fn hours(n: u64) -> Duration {
    Duration::from_secs(3600 * n)
}

impl WindowKind {
    /// The windows, with those of `time` where the grouping takes the settings'.
    pub(crate) fn spec(self, time: &TimeConfig) -> Result<WindowSpec, ConfigError> {
        match self.0 {
            Kind::Settings => Ok(time.windows),
            Kind::Sliding { size, slide } => WindowSpec::sliding(whole("window", size)?, whole("window", slide)?),
        }
    }
}

/// A span in milliseconds.
pub(crate) fn whole(setting: &str, span: Duration) -> Result<u64, ConfigError> {
    let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    if Duration::from_millis(millis) != span {
        let detail = format!("{span:?} is not a whole number of milliseconds");
        return Err(ConfigError::new(setting, detail, "round it"));
    }
    Ok(millis)
}

/// The greatest common divisor.
pub(crate) fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}
