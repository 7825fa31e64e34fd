//! The rules of a restored state, where a grouping has others now.

use telemetra_core::engine::EpisodesState;

use crate::checkpoint::definition::RuleDefinition;

/// For each rule that there is now, its number in the restored state.
#[derive(Clone, Debug)]
pub(crate) struct RestoredRules(Vec<Place>);

/// The place of the state of a rule.
#[derive(Copy, Clone, Debug)]
struct Place {
    /// The number of the rule in the restored state, if it was there.
    number: Option<usize>,
    /// True if its detectors are the same, so that their states mean the same.
    is_same: bool,
}

impl RestoredRules {
    /// Compares the rules of the restored state with those that there are now.
    pub(crate) fn new(found: &[RuleDefinition], now: &[RuleDefinition]) -> Self {
        let place = |rule: &RuleDefinition| {
            let number = found.iter().position(|other| other.name == rule.name);
            let is_same = number.is_some_and(|number| found[number].details == rule.details);
            Place { number, is_same }
        };
        Self(now.iter().map(place).collect())
    }

    /// Arranges the state of a key as these rules have it. A rule that was not there has none; of a rule whose
    /// detectors changed, the moments are kept.
    pub(crate) fn arrange(&self, state: EpisodesState) -> EpisodesState {
        state.arrange(self.0.iter().map(|place| (place.number, place.is_same)))
    }

    /// The number that a rule of the restored state has now; `None` if it is not there any more.
    pub(crate) fn now(&self, number: usize) -> Option<usize> {
        self.0.iter().position(|place| place.number == Some(number))
    }
}
