//! The number of looks at the windows of a key: the size of the comparison for its moments.

use smallvec::SmallVec;

use super::KeyEpisodes;
use super::sums::Columns;
use crate::data::Data;
use crate::detect::chance::Level;
use crate::detect::moment::MomentRule;
use crate::key::Key;
use crate::time::event_time::EventTime;
use crate::time::window::WindowRules;

/// Counts looks at the window that ended at a time: the number of looks by each rule, with its threshold.
pub type CountLooks<'a> = &'a mut dyn FnMut(EventTime, &[(u16, Level, i64)]);

impl<K: Key, S: Data> KeyEpisodes<K, S> {
    /// Counts `sign` times the looks at one window: those of the rules for which it has a value, from the
    /// first window of the key on whose baseline can be as long as the detector needs.
    pub(super) fn count_looks(
        &self,
        rules: &[MomentRule<S>],
        windows: &WindowRules,
        key: &K,
        end: EventTime,
        sign: i64,
        count: CountLooks<'_>,
    ) {
        let spec = windows.windows;
        let Some(run) = self.history.find(spec, end) else { return };
        let mut firsts: Option<(u32, EventTime)> = None;
        let mut looks = SmallVec::<[_; 8]>::new();
        for (columns, rule) in Columns::of(rules).zip(rules) {
            let detector = rule.detector_of(key);
            let Some(scores) = detector.normal_scores() else { continue };
            if self.history.value(columns, run).is_none() {
                continue;
            }
            let reach = detector.max_samples();
            let first = match firsts {
                Some((known, first)) if known == reach => first,
                _ => {
                    let before = end.minus(spec.size().saturating_mul(u64::from(reach) + 1));
                    self.history.first_after(spec, before).unwrap_or(end)
                }
            };
            firsts = Some((reach, first));
            // A key that was absent begins anew.
            let first =
                self.starts.last_before(end, rule.absent_after).map_or(first, |start| start.max(first));
            if first.plus(spec.size() * u64::from(scores.min_samples.min(reach))) > end {
                continue;
            }
            let rule_number = u16::try_from(columns.rule).unwrap_or(u16::MAX);
            looks.push((rule_number, detector.level(), sign * i64::from(scores.sides)));
        }
        if !looks.is_empty() {
            count(end, &looks);
        }
    }

    /// Counts `sign` times the looks at all windows that are not settled at `boundary`.
    pub(super) fn count_open_looks(
        &self,
        rules: &[MomentRule<S>],
        windows: &WindowRules,
        key: &K,
        boundary: EventTime,
        sign: i64,
        count: CountLooks<'_>,
    ) {
        let spec = windows.windows;
        let open = self.history.newest_first(spec).take_while(|end| windows.settled_at(*end) > boundary);
        for end in open {
            self.count_looks(rules, windows, key, end, sign, count);
        }
    }
}
