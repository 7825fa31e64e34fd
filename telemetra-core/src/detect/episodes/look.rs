//! How many times the windows of a key were looked at: the size of the comparison that its moments are in.

use super::KeyEpisodes;
use super::series::first_after;
use crate::detect::chance::Level;
use crate::detect::moment::MomentRule;
use crate::key::Key;
use crate::micro::Micro;
use crate::time::event_time::EventTime;
use crate::time::window::WindowRules;

/// Counts looks at the window that ended at a time, by a rule of a threshold.
pub type CountLooks<'a> = &'a mut dyn FnMut(EventTime, Level, i64);

impl<K: Key> KeyEpisodes<K> {
    /// Counts `sign` times the looks at one window: those of the rules for which it has a value, from the
    /// first window of the key on whose baseline can be as long as the detector needs.
    pub(super) fn count_looks<S>(
        &self,
        rules: &[MomentRule<S>],
        windows: &WindowRules,
        key: &K,
        end: EventTime,
        sign: i64,
        count: CountLooks<'_>,
    ) {
        let spec = windows.windows;
        let number = spec.series_of(end);
        let Some(index) = self.series.get(number).and_then(|series| series.find(end)) else { return };
        let mut firsts: Option<(u32, EventTime)> = None;
        let mut looks: Option<(Level, i64)> = None;
        for (rule_number, rule) in rules.iter().enumerate() {
            let detector = rule.detector_of(key);
            let Some(scores) = detector.normal_scores() else { continue };
            if self.series[number].value(rule_number, rules.len(), index).is_none() {
                continue;
            }
            let reach = detector.max_samples();
            let first = match firsts {
                Some((known, first)) if known == reach => first,
                _ => {
                    let before = end.minus(spec.size().saturating_mul(u64::from(reach) + 1));
                    first_after(&self.series, spec, before).unwrap_or(end)
                }
            };
            firsts = Some((reach, first));
            if first.plus(spec.size() * u64::from(scores.min_samples.min(reach))) > end {
                continue;
            }
            let level = Level::of(Micro::from_f64(detector.threshold()));
            let number = sign * i64::from(scores.sides);
            // Mostly all rules have one threshold.
            looks = match looks {
                Some((known, counted)) if known == level => Some((level, counted + number)),
                Some((known, counted)) => {
                    count(end, known, counted);
                    Some((level, number))
                }
                None => Some((level, number)),
            };
        }
        if let Some((level, counted)) = looks {
            count(end, level, counted);
        }
    }

    /// Counts `sign` times the looks at all windows that are not settled at `boundary`.
    pub(super) fn count_open_looks<S>(
        &self,
        rules: &[MomentRule<S>],
        windows: &WindowRules,
        key: &K,
        boundary: EventTime,
        sign: i64,
        count: CountLooks<'_>,
    ) {
        for series in &self.series {
            for &end in series.ends.iter().rev().take_while(|end| windows.settled_at(**end) > boundary) {
                self.count_looks(rules, windows, key, end, sign, count);
            }
        }
    }
}
