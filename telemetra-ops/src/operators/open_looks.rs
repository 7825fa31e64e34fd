//! The numbers of looks and moments in the panes that are not settled.

use std::collections::BTreeMap;

use telemetra_core::EventTime;
use telemetra_core::engine::{Level, Looks};

/// Looks and moments of the panes that are not settled. They are counted anew from the summaries after a
/// restart.
#[derive(Default)]
pub(crate) struct OpenLooks {
    pub(crate) panes: BTreeMap<EventTime, Looks>,
    /// A pane, and the looks at it that are not in `panes` yet: by rule and threshold. Most keys have looks of
    /// the same few rules at the newest pane.
    pane: EventTime,
    counted: Vec<(u16, Level, i64)>,
}

impl OpenLooks {
    /// So many kinds of looks are searched one by one.
    const MOST: usize = 32;

    /// Counts looks at a pane: by rule and threshold, how many.
    pub(crate) fn look(&mut self, pane: EventTime, looks: &[(u16, Level, i64)]) {
        if pane != self.pane || self.counted.len() > Self::MOST {
            self.flush();
            self.pane = pane;
        }
        for (place, &(rule, threshold, number)) in looks.iter().enumerate() {
            let is_it = |(of, at, _): &&mut (u16, Level, i64)| (*of, *at) == (rule, threshold);
            // Mostly the key before had looks of the same rules.
            if let Some((.., sum)) = self.counted.get_mut(place).filter(is_it) {
                *sum += number;
                continue;
            }
            match self.counted.iter_mut().find(is_it) {
                Some((.., sum)) => *sum += number,
                None => self.counted.push((rule, threshold, number)),
            }
        }
    }

    /// Adds all that was counted to the panes.
    pub(crate) fn flush(&mut self) {
        if !self.counted.is_empty() {
            let looks = self.panes.entry(self.pane).or_default();
            self.counted.drain(..).for_each(|(rule, threshold, sum)| looks.look(rule, threshold, sum));
        }
    }
}
