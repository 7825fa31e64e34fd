//! Counts of looks and moments, which add up in any order.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde::{Deserialize, Serialize};

use crate::micro::Micro;

/// The absolute value of a score or threshold in hundredths, rounded down.
///
/// Rounding makes a moment less extreme by at most a hundredth, which raises its chance by up to 4 % at a
/// score of 4, and keeps the number of distinct scores small.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Level(pub(super) u16);

impl Level {
    /// The level of a score.
    #[must_use]
    pub fn of(score: Micro) -> Self {
        Self(u16::try_from(score.0.unsigned_abs() / 10_000).unwrap_or(u16::MAX))
    }

    /// The least score of this level.
    #[must_use]
    pub fn score(self) -> f64 {
        f64::from(self.0) / 100.0
    }
}

/// Looks and moments of one rule: how many looks there were by threshold, and how many moments ended by score.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct OfRule {
    pub(super) looks: BTreeMap<Level, i64>,
    pub(super) moments: BTreeMap<Level, i64>,
}

/// Looks and moments of one pane, or of several, by rule. A look is one side of one window of one key judged
/// by one rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Looks(pub(super) BTreeMap<u16, OfRule>);

/// Adds to the count of a level. A count that becomes 0 is removed.
pub(super) fn count(counts: &mut BTreeMap<Level, i64>, level: Level, number: i64) {
    match counts.entry(level) {
        Entry::Vacant(_) if number == 0 => {}
        Entry::Vacant(entry) => drop(entry.insert(number)),
        Entry::Occupied(mut entry) => {
            *entry.get_mut() += number;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }
}

impl Looks {
    /// Adds or removes looks by a rule with a threshold.
    pub fn look(&mut self, rule: u16, threshold: Level, number: i64) {
        count(&mut self.0.entry(rule).or_default().looks, threshold, number);
    }

    /// Adds or removes a moment.
    pub fn moment(&mut self, rule: u16, score: Level, number: i64) {
        count(&mut self.0.entry(rule).or_default().moments, score, number);
    }

    /// Adds the counts of `other`, multiplied by `sign`.
    pub fn add(&mut self, other: &Self, sign: i64) {
        for (rule, of_rule) in &other.0 {
            let own = self.0.entry(*rule).or_default();
            of_rule.looks.iter().for_each(|(level, number)| count(&mut own.looks, *level, sign * number));
            of_rule.moments.iter().for_each(|(level, number)| count(&mut own.moments, *level, sign * number));
        }
    }

    /// Gives rules other numbers, and leaves out those that have none.
    pub(super) fn arrange(&mut self, place: impl Fn(u16) -> Option<u16>) {
        let counted = std::mem::take(&mut self.0).into_iter();
        self.0 = counted.filter_map(|(rule, of_rule)| Some((place(rule)?, of_rule))).collect();
    }

    /// Returns whether all counts are zero.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.values().all(|of_rule| of_rule.looks.is_empty() && of_rule.moments.is_empty())
    }

    pub(super) fn has_looks(&self) -> bool {
        self.0.values().any(|of_rule| !of_rule.looks.is_empty())
    }
}
