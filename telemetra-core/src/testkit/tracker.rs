//! The compliance suites of trackers and models.

use std::fmt::Debug;
use std::time::Duration;

use crate::aggregate::power_sums::PowerSums;
use crate::detect::any_detector::AnyDetector;
use crate::detect::observed::{Baselines, MissingWindow, Observed};
use crate::detect::tracker::Tracker;
use crate::detect::{Baseline, Samples};
use crate::time::event_time::EventTime;
use crate::time::window::WindowSpec;

/// Checks that a tracker keeps the contract of [`Tracker`]: a [`Detector`](crate::Detector), a
/// [`Model`](crate::Model) that is [learning](crate::Learning), a combination, or your own implementation.
///
/// The suite runs it on series that are constant, noisy, huge, erratic, or interrupted, at several scales, in
/// tumbling and sliding windows, of counts and of gauges. It must not panic, each finding must be finite and
/// not below the threshold, and findings must be the same again, also from an earlier state that was cloned,
/// or encoded and decoded.
///
/// # Panics
///
/// If the contract is broken. The message describes the violation.
///
/// ```
/// use telemetra_core::testkit::tracker_compliance;
/// use telemetra_core::{Ewma, Model, Tracker, ZScore};
/// tracker_compliance(ZScore::new(3.0)?.max(Ewma::new(3.0)?.learning()).cooldown(60_000));
/// # Ok::<(), telemetra_core::ConfigError>(())
/// ```
pub fn tracker_compliance(tracker: impl Tracker) {
    any_detector_compliance(&AnyDetector::new(tracker));
}

/// Checks the same for the detector of a rule.
///
/// # Panics
///
/// If its tracker breaks the contract. The message describes the violation.
pub fn any_detector_compliance(detector: &AnyDetector) {
    let (name, threshold, least) = (detector.method(), detector.threshold(), detector.least());
    assert!(!name.is_empty(), "a tracker must have a name");
    assert!(threshold.is_finite() && threshold > 0.0, "`{name}` has a threshold of {threshold}");
    assert!(
        least > 0.0 && least <= threshold,
        "`{name}` may find what scores {least}, with a threshold of {threshold}"
    );
    let shapes: [fn(i64) -> Option<i64>; 9] = [
        |_| Some(0),
        |i| Some(100 + (i * 7919) % 41),
        |i| Some(if i % 97 == 0 { 100_000 } else { (i * 7919) % 41 - 20 }),
        |i| (i % 7 != 0 && !(200..260).contains(&i)).then_some(i * i),
        |i| (!(150..=380).contains(&i)).then_some(1_000_000_000 + (i * 31) % 17),
        |_| Some(i64::MAX),
        |i| Some(if i % 2 == 0 { i64::MIN + 1 } else { i64::MAX }),
        |i| Some(if i > 300 { 50 } else { 40 + i % 3 }),
        |i| Some(-(1i64 << (i % 60))),
    ];
    for shape in shapes {
        for (size, slide) in [(60_000, 60_000), (60_000, 10_000)] {
            for missing in [MissingWindow::Zero, MissingWindow::Skip] {
                for scale in [1, 1_000_000] {
                    let Ok(spec) =
                        WindowSpec::sliding(Duration::from_millis(size), Duration::from_millis(slide))
                    else {
                        continue;
                    };
                    let start = 1_767_225_600_000;
                    let end = |i: i64| EventTime(start + slide * i.unsigned_abs());
                    let windows: Vec<_> =
                        (1..500).filter_map(|i| shape(i).map(|value| (end(i), value))).collect();
                    run(detector, &Series { spec, missing, scale, windows });
                }
            }
        }
    }
}

#[derive(Debug)]
struct Series {
    spec: WindowSpec,
    missing: MissingWindow,
    scale: i64,
    windows: Vec<(EventTime, i64)>,
}

/// Runs a detector on a series in three ways, which must agree: without interruption, with rewinding, and
/// with saved states.
fn run(detector: &AnyDetector, series: &Series) {
    let name = detector.method();
    let (mut straight, mut back, mut saved) = (detector.follow(), detector.follow(), detector.follow());
    for index in 0..series.windows.len() {
        let found = series.show(index, |window| straight.next(window));
        if let Some(found) = &found {
            let verdict = found.verdict;
            let finite = [verdict.score, verdict.mean, verdict.stddev].iter().all(|x| x.is_finite());
            assert!(finite, "`{name}` gives numbers that are not finite: {verdict:?}");
            assert!(
                verdict.score.abs() >= detector.least() * (1.0 - 1e-12),
                "`{name}` finds a window anomalous with a score of {}, below the least",
                verdict.score
            );
            assert!(verdict.stddev >= 0.0, "`{name}` gives a deviation of {}", verdict.stddev);
        }
        assert_eq!(
            found,
            series.show(index, |window| back.next(window)),
            "`{name}` differs after going back"
        );
        if index % 5 == 4 {
            (index - 4..index).for_each(|index| series.show(index, |window| back.settle(window)));
            back.rewind();
            series.show(index, |window| back.next(window));
            series.show(index, |window| back.settle(window));
            back.rewind();
        }
        assert_eq!(
            found,
            series.show(index, |window| saved.next(window)),
            "`{name}` differs after a restart"
        );
        series.show(index, |window| saved.settle(window));
        if index % 50 == 49 {
            let mut restarted = detector.follow();
            let restored = saved.save().and_then(|state| restarted.restore(&state));
            assert!(restored.is_ok(), "`{name}` cannot read its own state: {restored:?}");
            saved = restarted;
        }
    }
}

impl Series {
    fn show<T>(&self, index: usize, ask: impl FnOnce(&Observed<'_>) -> T) -> T {
        let Self { spec, missing, scale, .. } = *self;
        let (end, value) = self.windows[index];
        ask(&Observed {
            end,
            value,
            scale,
            events: 1,
            spec,
            missing,
            baselines: &Plain { series: self, index },
        })
    }
}

/// Baselines, computed by their definition.
#[derive(Debug)]
struct Plain<'a> {
    series: &'a Series,
    index: usize,
}

impl Baselines for Plain<'_> {
    fn baseline(&self, reach: u32) -> Option<Baseline<'_>> {
        let mut sums = PowerSums::default();
        self.visit(&mut |back, value| {
            if back <= reach {
                sums.add(value)
            }
        });
        Some(Baseline { sums, scale: self.series.scale, samples: self, means: None })
    }
}

impl Samples for Plain<'_> {
    fn visit(&self, visit: &mut dyn FnMut(u32, i64)) {
        let (end, _) = self.series.windows[self.index];
        for &(earlier, value) in self.series.windows[..self.index].iter().rev() {
            let (size, apart) = (self.series.spec.size(), end - earlier);
            if apart.is_multiple_of(size) {
                visit(u32::try_from(apart / size).unwrap_or(u32::MAX), value);
            }
        }
    }
}
