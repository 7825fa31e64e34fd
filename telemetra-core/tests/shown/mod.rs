//! Rules whose tracker finds anomalous what is great, and notes what it is shown.

pub(crate) mod definition;
pub(crate) mod key;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use telemetra_core::detect::{Carried, Usual};
use telemetra_core::{
    EventTime, Finding, MeanOf, Means, MissingWindow, MomentRule, NormalScores, Observed, PowerSums, Tracker,
    Verdict, WindowSpec,
};

/// From here on a value is anomalous.
pub(crate) const HIGH: i64 = 100;
/// Below this a value departs, which is not reported.
pub(crate) const LOW: i64 = 10;
/// The scale of the rules that are no counts.
pub(crate) const SCALE: i64 = 4;

#[derive(Copy, Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    Count,
    Gauge,
    Mean,
}

/// The properties of a rule.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) kind: Kind,
    pub(crate) reaches: &'static [u32],
    pub(crate) fewest: u32,
    pub(crate) stateful: bool,
    pub(crate) absent: Option<u64>,
    pub(crate) includes: bool,
}

impl Plan {
    pub(crate) const COUNT: Self =
        Self { kind: Kind::Count, reaches: &[], fewest: 0, stateful: false, absent: None, includes: false };

    pub(crate) fn longest(&self) -> u32 {
        self.reaches.iter().copied().max().unwrap()
    }

    /// The metric of a summary, and the number of events that it is the mean of.
    pub(crate) fn value(&self, summary: u64) -> Option<(i64, u64)> {
        let there = !summary.is_multiple_of(11);
        match self.kind {
            Kind::Count => Some((summary as i64, 1)),
            Kind::Gauge => there.then_some((summary as i64, 1)),
            Kind::Mean => there.then_some((summary as i64, summary % 5 + 1)),
        }
    }

    pub(crate) fn missing(&self) -> MissingWindow {
        if self.kind == Kind::Count { MissingWindow::Zero } else { MissingWindow::Skip }
    }

    pub(crate) fn scale(&self) -> i64 {
        if self.kind == Kind::Count { 1 } else { SCALE }
    }

    /// Looks are counted of rules with few samples only.
    pub(crate) fn scores(&self) -> Option<NormalScores> {
        (self.fewest > 0).then_some(NormalScores { sides: self.fewest, min_samples: self.fewest })
    }

    pub(crate) fn rule(&self, name: &str, seen: &Seen) -> MomentRule<u64> {
        let (plan, witness) = (*self, Witness { plan: *self, seen: Arc::clone(seen) });
        let rule = match self.kind {
            Kind::Count => MomentRule::count(name, witness, |summary: &u64| *summary),
            Kind::Gauge => {
                MomentRule::gauge(name, witness, SCALE, move |summary| Some(plan.value(*summary)?.0))
            }
            Kind::Mean => MomentRule::mean(name, witness, SCALE, move |summary| {
                let (mean, events) = plan.value(*summary)?;
                Some(MeanOf { sum: i128::from(mean) * i128::from(events), events })
            }),
        };
        let rule = MomentRule { absent_after: self.absent, excludes_moments: !self.includes, ..rule };
        rule.explain(said)
    }
}

/// All that an explanation is given.
pub(crate) fn said(peak: &u64, usual: &Usual<'_, u64>) -> Vec<Carried> {
    let name = format!("{:?} of {}", usual.summaries, usual.windows);
    vec![Carried::new("value", &name, *peak as f64, usual.mean(|value| (*value).into()))]
}

/// One baseline.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Compared {
    pub(crate) sums: PowerSums,
    pub(crate) samples: Vec<(u32, i64)>,
    pub(crate) means: Option<Means>,
}

/// A window as a tracker was shown it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Shown {
    pub(crate) value: i64,
    pub(crate) scale: i64,
    pub(crate) events: u64,
    pub(crate) spec: WindowSpec,
    pub(crate) missing: MissingWindow,
    pub(crate) baselines: Vec<Compared>,
}

impl Shown {
    /// The finding in the window: odd values count as below.
    pub(crate) fn found(&self) -> Option<Finding> {
        let sums = self.baselines.last()?.sums;
        let score = self.value as f64 / 20.0 * if self.value % 2 == 0 { 1.0 } else { -1.0 };
        let stddev = sums.sample_variance().unwrap_or(0.0).sqrt();
        let verdict = Verdict { score, mean: sums.mean().unwrap_or(-1.0), stddev };
        (self.value >= HIGH).then_some(Finding { verdict, samples: sums.count as u32 })
    }
}

pub(crate) type Seen = Arc<Mutex<BTreeMap<EventTime, Shown>>>;

#[derive(Clone, Debug)]
struct Witness {
    plan: Plan,
    seen: Seen,
}

impl Tracker for Witness {
    type State = ();

    fn name(&self) -> std::borrow::Cow<'static, str> {
        "witness".into()
    }

    fn limit(&self) -> f64 {
        5.0
    }

    fn reaches(&self, reaches: &mut Vec<u32>) {
        reaches.extend(self.plan.reaches);
    }

    fn fewest(&self) -> u32 {
        self.plan.fewest
    }

    fn is_pure(&self) -> bool {
        !self.plan.stateful
    }

    fn departs(&self, window: &Observed<'_>) -> bool {
        window.value < LOW
    }

    fn normal_scores(&self) -> Option<NormalScores> {
        self.plan.scores()
    }

    fn track(&self, (): &mut (), window: &Observed<'_>) -> Option<Finding> {
        let baseline = |reach: &u32| {
            let baseline = window.baselines.baseline(*reach).unwrap();
            assert_eq!(baseline.scale, window.scale);
            let mut samples = Vec::new();
            baseline.samples.visit(&mut |back, value| samples.push((back, value)));
            Compared { sums: baseline.sums, samples, means: baseline.means.copied() }
        };
        let baselines = self.plan.reaches.iter().map(baseline).collect();
        let Observed { value, scale, events, spec, missing, .. } = *window;
        let shown = Shown { value, scale, events, spec, missing, baselines };
        let found = shown.found();
        self.seen.lock().unwrap().insert(window.end, shown);
        found
    }
}
