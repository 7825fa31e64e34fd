//! Progress of a set of partitions: what idle partitions follow.

use serde::{Deserialize, Serialize};
use telemetra_core::{EventTime, WindowSpec};

/// The progress of a partition, of the partitions of a process, or of all.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum SourceProgress {
    /// Some partitions may get more records and are not idle. The time is the least of their floors, or was,
    /// as floors only rise.
    Active(EventTime),
    /// All partitions are idle or have ended.
    Idle {
        /// Their greatest watermark.
        watermark: EventTime,
        /// The time to which the clock has advanced it since.
        reached: EventTime,
    },
}

impl SourceProgress {
    /// The progress of no partition.
    pub(crate) const NONE: Self = Self::Idle { watermark: EventTime::MIN, reached: EventTime::MIN };
    /// The progress of partitions that nothing is known about: no idle partition goes past them.
    pub(crate) const UNKNOWN: Self = Self::Active(EventTime::MIN);

    /// Combines two sets of partitions. [`NONE`](Self::NONE) is neutral, and the order does not matter.
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

    /// Returns the time to which an idle partition follows.
    pub(crate) fn idle_target(self) -> EventTime {
        match self {
            Self::Active(floor) => floor,
            Self::Idle { reached, .. } => reached,
        }
    }

    /// Rounds the progress to pane boundaries, which is enough for floors, so that it changes seldom.
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
