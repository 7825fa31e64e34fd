//! How partitions stand, as far as others that have nothing to read need to know.

use serde::{Deserialize, Serialize};
use telemetra_core::{EventTime, WindowSpec};

/// How a partition stands, or several together: those of a process, or of all.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Standing {
    /// Some may get more and are not idle. The least of their floors is this, or was: floors only rise.
    Holds(EventTime),
    /// All are idle or have ended.
    Rests {
        /// The greatest watermark of them.
        watermark: EventTime,
        /// Where the clock has brought it since.
        reached: EventTime,
    },
}

impl Standing {
    /// That of no partition.
    pub(crate) const NONE: Self = Self::Rests { watermark: EventTime::MIN, reached: EventTime::MIN };
    /// That of partitions that nothing is known about: nobody passes them.
    pub(crate) const UNKNOWN: Self = Self::Holds(EventTime::MIN);

    /// That of both. [`NONE`](Self::NONE) is neutral; the order does not matter.
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Holds(one), Self::Holds(other)) => Self::Holds(one.min(other)),
            (Self::Holds(floor), Self::Rests { .. }) | (Self::Rests { .. }, Self::Holds(floor)) => {
                Self::Holds(floor)
            }
            (
                Self::Rests { watermark, reached },
                Self::Rests { watermark: other, reached: other_reached },
            ) => {
                let (watermark, reached) = (watermark, reached).max((other, other_reached));
                Self::Rests { watermark, reached }
            }
        }
    }

    /// How far one goes that is idle.
    pub(crate) fn leads_to(self) -> EventTime {
        match self {
            Self::Holds(floor) => floor,
            Self::Rests { reached, .. } => reached,
        }
    }

    /// The same by boundaries of panes, which is all that floors go by, so it changes seldom.
    pub(crate) fn rounded(self, windows: WindowSpec) -> Self {
        match self {
            Self::Holds(floor) => Self::Holds(windows.pane_start(floor)),
            Self::Rests { watermark, reached } => {
                let (watermark, reached) = (windows.pane_start(watermark), windows.pane_start(reached));
                Self::Rests { watermark, reached }
            }
        }
    }
}
