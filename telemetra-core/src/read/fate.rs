//! What becomes of each event that is read.

use std::fmt;
use std::ops::{Add, AddAssign};

use serde::{Deserialize, Serialize};

/// What became of an event. Every event read has exactly one fate.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Fate {
    /// Counted, before its pane was closed.
    OnTime,
    /// Counted, as a correction of windows already published.
    LateApplied,
    /// Not counted: its pane had ended longer ago than the allowed lateness.
    TooLate,
    /// Not counted: the record could not be decoded.
    Malformed,
    /// Not counted: its time was further ahead of processing time than may be.
    FromFuture,
    /// Not counted: an event of the same id had been counted.
    Duplicate,
}

impl Fate {
    /// All six, in the order of reports.
    pub const ALL: [Self; 6] =
        [Self::OnTime, Self::LateApplied, Self::TooLate, Self::Malformed, Self::FromFuture, Self::Duplicate];

    /// Its name in reports, metrics and tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OnTime => "on_time",
            Self::LateApplied => "late_applied",
            Self::TooLate => "too_late",
            Self::Malformed => "malformed",
            Self::FromFuture => "from_future",
            Self::Duplicate => "duplicate",
        }
    }

    /// Whether events of this fate are part of the answer.
    #[must_use]
    pub const fn is_counted(self) -> bool {
        matches!(self, Self::OnTime | Self::LateApplied)
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How many events were read and what became of them. A record that cannot be decoded counts as one event;
/// one without any event (a blank line) as none.
///
/// ```
/// use telemetra_core::{Fate, Fates};
/// let mut fates = Fates::default();
/// fates.count(Fate::OnTime);
/// fates.count(Fate::Malformed);
/// assert_eq!(fates.read, 2);
/// assert!(fates.is_balanced());
/// ```
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fates {
    /// All that were read.
    pub read: u64,
    /// [`Fate::OnTime`].
    pub on_time: u64,
    /// [`Fate::LateApplied`].
    pub late_applied: u64,
    /// [`Fate::TooLate`].
    pub too_late: u64,
    /// [`Fate::Malformed`].
    pub malformed: u64,
    /// [`Fate::FromFuture`].
    pub from_future: u64,
    /// [`Fate::Duplicate`].
    pub duplicate: u64,
}

impl Fates {
    /// Counts one event read, and its fate.
    pub fn count(&mut self, fate: Fate) {
        self.read += 1;
        *self.slot(fate) += 1;
    }

    /// How many had this fate.
    #[must_use]
    pub fn of(&self, fate: Fate) -> u64 {
        let mut copy = *self;
        *copy.slot(fate)
    }

    fn slot(&mut self, fate: Fate) -> &mut u64 {
        match fate {
            Fate::OnTime => &mut self.on_time,
            Fate::LateApplied => &mut self.late_applied,
            Fate::TooLate => &mut self.too_late,
            Fate::Malformed => &mut self.malformed,
            Fate::FromFuture => &mut self.from_future,
            Fate::Duplicate => &mut self.duplicate,
        }
    }

    /// Whether nothing vanished: `read = on_time + late_applied + too_late + malformed + from_future + duplicate`.
    #[must_use]
    pub fn is_balanced(&self) -> bool {
        self.read == Fate::ALL.iter().map(|&fate| self.of(fate)).sum::<u64>()
    }
}

impl AddAssign for Fates {
    fn add_assign(&mut self, rhs: Self) {
        self.read += rhs.read;
        for fate in Fate::ALL {
            *self.slot(fate) += rhs.of(fate);
        }
    }
}
impl Add for Fates {
    type Output = Self;
    fn add(mut self, rhs: Self) -> Self {
        self += rhs;
        self
    }
}
