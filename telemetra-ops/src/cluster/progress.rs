//! How partitions stand, as far as others that have nothing to read need to know.

use serde::{Deserialize, Serialize};
use telemetra_core::{EventTime, WindowSpec};

/// How a partition stands, or several together: those of a process, or of all.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum SourceProgress {
    /// Some may get more and are not idle. The least of their floors is this, or was: floors only rise.
    Active(EventTime),
    /// All are idle or have ended.
    Idle {
        /// The greatest watermark of them.
        watermark: EventTime,
        /// Where the clock has brought it since.
        reached: EventTime,
    },
}

impl SourceProgress {
    /// That of no partition.
    pub(crate) const NONE: Self = Self::Idle { watermark: EventTime::MIN, reached: EventTime::MIN };
    /// That of partitions that nothing is known about: nobody passes them.
    pub(crate) const UNKNOWN: Self = Self::Active(EventTime::MIN);

    /// That of both. [`NONE`](Self::NONE) is neutral; the order does not matter.
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Active(one), Self::Active(other)) => Self::Active(one.min(other)),
            (Self::Active(floor), Self::Idle { .. }) | (Self::Idle { .. }, Self::Active(floor)) => {
                Self::Active(floor)
            }
            (Self::Idle { watermark, reached }, Self::Idle { watermark: other, reached: other_reached }) => {
                let (watermark, reached) = (watermark, reached).max((other, other_reached));
                Self::Idle { watermark, reached }
            }
        }
    }

    /// How far one goes that is idle.
    pub(crate) fn idle_target(self) -> EventTime {
        match self {
            Self::Active(floor) => floor,
            Self::Idle { reached, .. } => reached,
        }
    }

    /// The same by boundaries of panes, which is all that floors go by, so it changes seldom.
    pub(crate) fn rounded(self, windows: WindowSpec) -> Self {
        match self {
            Self::Active(floor) => Self::Active(windows.pane_start(floor)),
            Self::Idle { watermark, reached } => {
                let (watermark, reached) = (windows.pane_start(watermark), windows.pane_start(reached));
                Self::Idle { watermark, reached }
            }
        }
    }
}
