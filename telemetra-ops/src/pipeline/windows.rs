//! How a grouping cuts time: the window specifications of the pipeline.

use std::time::Duration;

use telemetra_core::engine::millis;
use telemetra_core::{ConfigError, TimeConfig, WindowSpec};

/// The windows of a grouping. Made by [`tumbling`], [`sliding`] and [`sessions`]; checked when the pipeline starts. The default is the
/// windows of the pipeline's [settings of time](crate::Pipeline::time).
#[derive(Copy, Clone, Debug, PartialEq, Eq, Default)]
pub struct WindowKind {
    kind: Kind,
    /// The time between early results.
    early: Option<Duration>,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq, Default)]
enum Kind {
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
    WindowKind { kind: Kind::Sliding { size, slide }, early: None }
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
    WindowKind { kind: Kind::Sessions { gap }, early: None }
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
    /// Publishes early results: every `every` of event time, what each open window contains so far, if that changed. The row is revised at later
    /// ticks and when the window ends. Rules, `latest` and what else works on the summaries see complete windows only.
    ///
    /// Panes become as short as the greatest common divisor of the slide and `every`. State and work of the grouping double, and each tick
    /// costs a merge for each pane of each open window of the keys that changed.
    ///
    /// ```
    /// use telemetra_ops::{hours, seconds, tumbling};
    /// let hour_so_far = tumbling(hours(1)).early(seconds(10));
    /// ```
    #[must_use]
    pub const fn early(mut self, every: Duration) -> Self {
        self.early = Some(every);
        self
    }

    /// The time between early results in milliseconds, if there are any.
    pub(crate) fn early_every(self) -> Result<Option<u64>, ConfigError> {
        match self.early.map(|every| millis::whole("early", every)).transpose()? {
            Some(0) => {
                let detail = "early results every 0 ms have no end";
                Err(ConfigError::new("early", detail, "give the time between them"))
            }
            Some(every) => match self.kind {
                Kind::Sliding { size, .. } if Duration::from_millis(every) >= size => {
                    let detail =
                        format!("early results every {every} ms come after windows of {size:?} have ended");
                    Err(ConfigError::new("early", detail, "give less than the size of the windows"))
                }
                _ => Ok(Some(every)),
            },
            None => Ok(None),
        }
    }

    /// The windows, with those of `time` where the grouping takes the settings'; for sessions, their panes.
    pub(crate) fn spec(self, time: &TimeConfig) -> Result<WindowSpec, ConfigError> {
        match self.kind {
            Kind::Settings => Ok(time.windows),
            Kind::Sliding { size, slide } => WindowSpec::sliding(size, slide),
            Kind::Sessions { gap } => WindowSpec::tumbling(match millis::whole("sessions", gap)? {
                0 => {
                    return Err(ConfigError::new(
                        "sessions",
                        "a gap of 0 separates every event",
                        "give a longer gap",
                    ));
                }
                gap => Duration::from_millis(gcd(gap, SESSION_PANE)),
            }),
        }
    }

    /// The gap in milliseconds, if these are sessions.
    pub(crate) fn gap(self) -> Option<u64> {
        match self.kind {
            Kind::Sessions { gap } => millis::whole("sessions", gap).ok(),
            _ => None,
        }
    }
}

/// The greatest common divisor.
pub(crate) fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}
