//! A test bed for the chance of moments among many keys.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::detect::chance::{Comparison, Level, Looks};
use crate::detect::moment::{Moment, MomentRule};
use crate::detect::tracker::Tracker;
use crate::testkit::watch::{self, WatchedCounts};
use crate::time::config::TimeConfig;
use crate::time::event_time::EventTime;
use crate::time::millis;

/// A test bed that runs a tracker on the counts of many keys, one after the other, and compares the moments
/// of all in the same way as a pipeline. Use it to check whether the [chance](Moment::chance) of moments is
/// right for a detector and a kind of noise.
///
/// ```
/// use std::time::Duration;
/// use telemetra_core::testkit::{ComparedCounts, Noise};
/// use telemetra_core::{Side, TimeConfig, VarianceFloor, ZScore};
/// let detector = ZScore::new(3.0)?.side(Side::Upper).floor(VarianceFloor::Poisson)?;
/// let mut compared = ComparedCounts::new(&TimeConfig::default(), detector, Duration::from_secs(1800));
/// let mut noise = Noise::new(1);
/// let law = noise.law(10.0);
/// for key in 0..20 {
///     // A burst, in one of twenty keys.
///     let usual: Vec<u64> = (0..720).map(|_| noise.count(&law)).collect();
///     let burst = (0..720).map(|pane| if key == 7 && (400..406).contains(&pane) { 40 } else { usual[pane] });
///     compared.key(&key.to_string(), burst);
/// }
/// let moments = compared.moments();
/// // At a limit of 0.1 one of ten is expected to be chance; the burst is beyond doubt.
/// let certain: Vec<_> = moments.iter().filter(|moment| moment.chance.is_some_and(|c| c.to_f64() < 0.001)).collect();
/// assert_eq!((certain.len(), certain[0].key.as_str()), (1, "7"));
/// # Ok::<(), telemetra_core::ConfigError>(())
/// ```
#[derive(Debug)]
pub struct ComparedCounts {
    time: TimeConfig,
    rule: MomentRule<u64>,
    period: u64,
    panes: BTreeMap<EventTime, Looks>,
    moments: Vec<Moment<String>>,
}

impl ComparedCounts {
    /// A test bed that compares moments over a period.
    #[must_use]
    pub fn new(time: &TimeConfig, tracker: impl Tracker, period: Duration) -> Self {
        Self {
            time: time.clone(),
            rule: MomentRule::count("watched", tracker, |count: &u64| *count),
            period: millis::of(period),
            panes: BTreeMap::new(),
            moments: Vec::new(),
        }
    }

    /// The start of the first pane of each key.
    #[must_use]
    pub fn start(&self) -> EventTime {
        watch::start(&self.time.window_rules(0))
    }

    /// Adds a key with the counts of its panes.
    pub fn key(&mut self, key: &str, counts: impl IntoIterator<Item = u64>) {
        let mut watched = WatchedCounts::of(&self.time, self.rule.clone(), key);
        let (panes, moments) = (&mut self.panes, &mut self.moments);
        let mut look = |pane, looks: &[(u16, Level, i64)]| {
            let all = panes.entry(pane).or_default();
            looks.iter().for_each(|(rule, threshold, number)| all.look(*rule, *threshold, *number));
        };
        let mut counts = counts.into_iter();
        loop {
            let count = counts.next();
            let ended = count.is_none();
            watched.judge(count.unwrap_or(0), Some(&mut look), |moment, diff| {
                // Each state is emitted once, and the last one is closed.
                if diff > 0 && !moment.open {
                    moments.push(moment);
                }
            });
            if ended {
                return;
            }
        }
    }

    /// The moments of all keys, by their end, with their final chance.
    #[must_use]
    pub fn moments(mut self) -> Vec<Moment<String>> {
        let windows = self.time.window_rules(self.rule.max_samples());
        self.moments.sort_by_key(|moment| moment.last_at);
        for moment in &self.moments {
            if let Some(level) = moment.level() {
                self.panes.entry(moment.last_at).or_default().moment(0, level, 1);
            }
        }
        let mut comparison = Comparison::new(self.period, windows);
        let mut moments = self.moments.iter_mut().peekable();
        for (pane, looks) in &self.panes {
            comparison.advance(windows.settled_at(*pane));
            comparison.add(*pane, looks);
            while let Some(moment) = moments.next_if(|moment| moment.last_at == *pane) {
                moment.chance = moment.level().map(|level| comparison.chance(0, level));
            }
        }
        self.moments
    }
}
