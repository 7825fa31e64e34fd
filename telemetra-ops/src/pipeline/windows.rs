//! How a grouping cuts time: the window specifications of the pipeline.

use std::time::Duration;

use telemetra_core::{ConfigError, TimeConfig, WindowSpec};

/// The windows of a grouping. Made by [`tumbling`], [`sliding`] and [`sessions`]; checked when the pipeline starts. The default is the
/// windows of the pipeline's [settings of time](crate::Pipeline::time).
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
    Sessions {
        gap: Duration,
    },
}

/// The panes of a session's grouping are at most this long, so that a session is closed soon after its end.
const SESSION_PANE: u64 = 10_000;

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

/// Sessions: runs of a key's events of which each is less than `gap` after the one before. The window of a session reaches from its first
/// event to a gap after its last, and is closed at the first end of a pane at or after that; panes are as long as the greatest common divisor
/// of the gap and ten seconds.
///
/// A late event that joins sessions takes back their rows and puts one. A grouping by sessions has no moments: rules compare windows of one length.
///
/// ```
/// use telemetra_ops::{minutes, sessions};
/// let visits = sessions(minutes(30));
/// ```
#[must_use]
pub const fn sessions(gap: Duration) -> WindowKind {
    WindowKind(Kind::Sessions { gap })
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
    /// The windows, with those of `time` where the grouping takes the settings'; for sessions, their panes.
    pub(crate) fn spec(self, time: &TimeConfig) -> Result<WindowSpec, ConfigError> {
        match self.0 {
            Kind::Settings => Ok(time.windows),
            Kind::Sliding { size, slide } => {
                WindowSpec::sliding(whole("window", size)?, whole("window", slide)?)
            }
            Kind::Sessions { gap } => WindowSpec::tumbling(match whole("sessions", gap)? {
                0 => {
                    return Err(ConfigError::new(
                        "sessions",
                        "a gap of 0 separates every event",
                        "give a longer gap",
                    ));
                }
                gap => gcd(gap, SESSION_PANE),
            }),
        }
    }

    /// The gap in milliseconds, if these are sessions.
    pub(crate) fn gap(self) -> Option<u64> {
        match self.0 {
            Kind::Sessions { gap } => whole("sessions", gap).ok(),
            _ => None,
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
