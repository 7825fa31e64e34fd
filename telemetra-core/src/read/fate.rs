//! The outcomes of events: counted, late, or not counted for one of several reasons.

use std::fmt;
use std::ops::{Add, AddAssign};

use serde::{Deserialize, Serialize};

/// The outcome of an event: whether it was counted, and why not. Each event that is read has exactly one.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Fate {
    /// The event was counted before its pane was closed.
    OnTime,
    /// The event was counted as a correction of windows that were published already.
    LateApplied,
    /// The event was not counted: its pane had ended longer ago than the allowed lateness.
    TooLate,
    /// The record was not counted: it could not be decoded.
    Malformed,
    /// The event was not counted: its time was too far ahead of processing time, or of the events before it in
    /// its partition.
    FromFuture,
    /// The event was not counted: one with the same id had come before.
    Duplicate,
}

impl Fate {
    /// All fates, in the order of reports.
    pub const ALL: [Self; 6] =
        [Self::OnTime, Self::LateApplied, Self::TooLate, Self::Malformed, Self::FromFuture, Self::Duplicate];

    /// The name of the fate in reports, metrics and tables.
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

    /// Returns whether events of this fate are counted in the results.
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

/// The number of events read, and the number of each fate. A record that cannot be decoded counts as one
/// event, a record without events (a blank line) as none.
///
/// `read = on_time + late_applied + too_late + malformed + from_future + duplicate` always holds;
/// [`is_balanced`](Self::is_balanced) checks it.
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
    /// The number of all events.
    pub read: u64,
    /// The number of [`Fate::OnTime`].
    pub on_time: u64,
    /// The number of [`Fate::LateApplied`].
    pub late_applied: u64,
    /// The number of [`Fate::TooLate`].
    pub too_late: u64,
    /// The number of [`Fate::Malformed`].
    pub malformed: u64,
    /// The number of [`Fate::FromFuture`].
    pub from_future: u64,
    /// The number of [`Fate::Duplicate`].
    pub duplicate: u64,
}

impl Fates {
    /// Counts one event that was read and had this fate.
    pub fn count(&mut self, fate: Fate) {
        self.read += 1;
        *self.slot(fate) += 1;
    }

    /// Returns the number of events that had this fate.
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

    /// Returns whether more than a tenth of the events, and more than a hundred, were too late: a wrong date
    /// may have moved a watermark, or the out-of-orderness and the allowed lateness are too small.
    #[must_use]
    pub fn are_often_too_late(&self) -> bool {
        self.too_late > 100 && self.too_late > self.read / 10
    }

    /// Returns whether each event has a fate:
    /// `read = on_time + late_applied + too_late + malformed + from_future + duplicate`.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn counted() -> Fates {
        let mut fates = Fates::default();
        for (times, fate) in (1..).zip(Fate::ALL) {
            (0..times).for_each(|_| fates.count(fate));
        }
        fates
    }

    #[test]
    fn counts_are_kept_by_fate_and_add_up() {
        let fates = counted();
        assert!(Fate::ALL.into_iter().map(|fate| fates.of(fate)).eq(1..=6));
        assert_eq!((fates.read, fates.is_balanced()), (21, true));
        let twice = fates + fates;
        assert!(Fate::ALL.into_iter().all(|fate| twice.of(fate) == 2 * fates.of(fate)));
        assert_eq!((twice.read, twice.is_balanced()), (42, true));
        assert!(!Fates { read: 22, ..fates }.is_balanced());
        assert!(!Fates { on_time: 0, ..fates }.is_balanced());
    }

    #[test]
    fn more_than_a_tenth_and_more_than_a_hundred_are_often() {
        let of = |too_late, read| Fates { too_late, read, ..Fates::default() }.are_often_too_late();
        assert!(of(101, 1_000) && of(102, 1_010));
        assert!(!of(100, 500) && !of(101, 1_010) && !of(101, 5_000));
    }
}
