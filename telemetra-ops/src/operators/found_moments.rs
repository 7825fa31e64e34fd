//! The output of the moments operator.

use std::sync::Arc;

use differential_dataflow::VecCollection;
use telemetra_core::engine::Looks;
use telemetra_core::{EventTime, Key, Moment, MomentRule, WindowRules};
use timely::dataflow::StreamVec;

/// The result of [`find_moments`](crate::Moments::find_moments): moments, and the number of judged windows
/// (looks) among which they were found. [`with_chance`](Self::with_chance), whose page has an example, estimates
/// from both which share of the moments is due to chance.
pub struct FoundMoments<'scope, K: Key> {
    /// The moments, without an estimate of their chance: [`chance`](Moment::chance) is `None`.
    pub moments: VecCollection<'scope, EventTime, Moment<K>, isize>,
    /// Looks and moments of each pane that is settled, by the pane's end: of the keys of this worker.
    pub(crate) looks: StreamVec<'scope, EventTime, (EventTime, Looks)>,
    pub(crate) windows: WindowRules,
    /// The types of moments, in the order of the rules.
    pub(crate) types: Vec<Arc<str>>,
}

impl<K: Key> std::fmt::Debug for FoundMoments<'_, K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FoundMoments").field("windows", &self.windows).finish_non_exhaustive()
    }
}

/// An output of the operator.
#[derive(Clone)]
pub(super) enum Found<K: Key> {
    Moment((Moment<K>, EventTime, isize)),
    Looks(EventTime, Looks),
}

impl<K: Key> Found<K> {
    pub(super) fn moment(self) -> Option<(Moment<K>, EventTime, isize)> {
        if let Self::Moment(update) = self { Some(update) } else { None }
    }

    pub(super) fn looks(self) -> Option<(EventTime, Looks)> {
        if let Self::Looks(pane, looks) = self { Some((pane, looks)) } else { None }
    }
}

/// The number of the rule that found a moment.
pub(super) fn rule_number<K: Key, S>(rules: &[MomentRule<S>], moment: &Moment<K>) -> u16 {
    let position = rules.iter().position(|rule| rule.moment_type == moment.moment_type);
    position.and_then(|number| u16::try_from(number).ok()).unwrap_or(u16::MAX)
}
