//! Rules, moments and their explanations: what their documentation says of them, by hand.
#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

use std::sync::Arc;

use telemetra_core::detect::{Carried, Shares, Usual};
use telemetra_core::{
    Counted, EventSums, EventTime, Ewma, MeanOf, Micro, MissingWindow, Model, Moment, MomentRule, ZScore,
};

fn zscore(threshold: f64, samples: u32) -> ZScore {
    ZScore::new(threshold).unwrap().samples(8..=samples).unwrap()
}

#[test]
fn a_mean_is_rounded_towards_zero_and_stays_in_range() {
    let value = |sum, events| MeanOf { sum, events }.value();
    assert_eq!([value(7, 2), value(-7, 2), value(0, 3), value(9, 0)], [Some(3), Some(-3), Some(0), None]);
    assert_eq!([value(i128::MAX, 1), value(i128::MIN, 1)], [Some(i64::MAX), Some(i64::MIN)]);
}

/// Three events of 10 and one of 50.
#[test]
fn means_count_once_for_each_of_their_events() {
    let mut sums = EventSums::default();
    assert_eq!((sums.departure(5), sums.squares()), (None, None));
    sums.add(10, 3);
    sums.add(50, 1);
    assert_eq!((sums.events, sums.sum, sums.sum_sq), (4, 80, 2_800));
    assert_eq!((sums.departure(26), sums.squares()), (Some(6.0), Some(1_200.0)));
    sums.add(-7, 5);
    assert_eq!(sums.departure(5), Some(0.0));
    sums.remove(-7, 5);
    sums.remove(50, 1);
    assert_eq!((sums.departure(10), sums.squares()), (Some(0.0), Some(0.0)));
    let mut once = EventSums::default();
    once.add(10, 3);
    assert_eq!(sums, once);
}

#[test]
fn kinds_of_rules_differ_in_what_a_missing_window_is() {
    let count = MomentRule::count("count", zscore(3.0, 9), |value: &u64| *value);
    let gauge = MomentRule::gauge("gauge", zscore(3.0, 9), 1_000, |value: &u64| Some(*value as i64));
    let mean = MomentRule::mean("mean", zscore(3.0, 9), 10, |value: &u64| {
        (*value > 0).then_some(MeanOf { sum: 12, events: *value })
    });
    assert_eq!(
        [count.missing, gauge.missing, mean.missing],
        [MissingWindow::Zero, MissingWindow::Skip, MissingWindow::Skip]
    );
    assert_eq!([count.scale, gauge.scale, mean.scale], [1, 1_000, 10]);
    assert_eq!([(count.metric)(&7), (count.metric)(&u64::MAX)], [Some(7), Some(i64::MAX)]);
    assert_eq!([(mean.metric)(&5), (mean.metric)(&0)], [Some(2), None]);
    let events = mean.events.unwrap();
    assert_eq!([events(&5), events(&0)], [5, 0]);
    assert!(count.events.is_none() && gauge.events.is_none());
    assert!(count.excludes_moments && !count.clone().include_moments().excludes_moments);
    assert_eq!([count.absent_after, count.clone().absent_after(7).absent_after], [None, Some(7)]);
    let text = format!("{count:?}");
    assert!(text.starts_with("MomentRule") && text.contains("count"), "{text}");
}

#[test]
fn a_key_may_have_its_own_detector_and_the_longest_baseline_counts() {
    let rule = MomentRule::count("count", zscore(3.0, 9), |value: &u64| *value);
    assert_eq!(rule.max_samples(), 9);
    let of = |rule: &MomentRule<u64>, key: &str| rule.detector_of(&key.to_owned()).threshold();
    let rule = rule.for_key(&"a".to_owned(), zscore(4.0, 20)).for_key(&"b".to_owned(), zscore(5.0, 12));
    assert_eq!([of(&rule, "a"), of(&rule, "b"), of(&rule, "c")], [4.0, 5.0, 3.0]);
    assert_eq!(rule.max_samples(), 20);
    let rule = MomentRule::count("count", Ewma::new(3.0).unwrap().learning(), |value: &u64| *value);
    assert_eq!(rule.max_samples(), 0, "it needs no baseline");
}

fn moment(key: &str, moment_type: &str, started_at: u64) -> Moment<String> {
    Moment {
        key: key.to_owned(),
        moment_type: moment_type.into(),
        started_at: EventTime(started_at),
        peak_at: EventTime(30),
        last_at: EventTime(40),
        open: false,
        detection_method: "zscore".into(),
        value: Micro(1),
        threshold: Micro(3_000_000),
        score: Micro(-4_125_000),
        baseline_mean: Micro(0),
        baseline_stddev: Micro(0),
        baseline_samples: 8,
        windows: 2,
        comparable: true,
        chance: None,
        carried: Arc::default(),
    }
}

#[test]
fn the_id_of_a_moment_depends_on_key_rule_and_start_alone() {
    let one = moment("key", "rule", 20);
    let later = Moment { last_at: EventTime(90), open: true, windows: 7, ..one.clone() };
    assert_eq!(one.id(), later.id());
    let others = [moment("key2", "rule", 20), moment("key", "rule2", 20), moment("key", "rule", 30)];
    others.iter().for_each(|other| assert_ne!(one.id(), other.id()));
    // By the reference implementation: `printf 'key\037rule\03720' | xxhsum -H2`.
    let id = "1114f908d3c49a044ae533d2e025d86d";
    assert_eq!([one.id().to_string(), format!("{:?}", one.id())], [id, id]);
    assert_eq!([one.ended_at(), later.ended_at()], [Some(EventTime(40)), None]);
}

#[test]
fn the_level_of_a_moment_is_that_of_its_score_and_not_below_its_threshold() {
    let level = |moment: Moment<String>| moment.level().map(|level| level.score());
    assert_eq!(level(moment("key", "rule", 20)), Some(4.12));
    let weak = Moment { score: Micro(2_000_000), ..moment("key", "rule", 20) };
    assert_eq!(level(weak.clone()), Some(3.0), "held by a hysteresis");
    assert_eq!(level(Moment { comparable: false, ..weak }), None);
}

#[test]
fn a_usual_mean_is_over_all_windows() {
    let summaries = [3u64, 6, 9].map(Arc::new);
    let mean = |windows, summaries| Usual { summaries, windows }.mean(|value: &u64| i128::from(*value));
    assert_eq!([mean(3, &summaries), mean(6, &summaries), mean(4, &[])], [Some(6.0), Some(3.0), Some(0.0)]);
    assert_eq!(mean(0, &[]), None);
}

fn counts(counts: &[(&str, u64)]) -> Vec<Counted> {
    counts.iter().map(|(name, count)| Counted { name: (*name).into(), count: *count }).collect()
}

/// Names, and the number that their counts are of.
type Words = (Vec<Counted>, u64);

fn above(peak: &Words, usual: &[Words], most: usize) -> Vec<(String, f64, Option<f64>)> {
    let summaries: Vec<_> = usual.iter().cloned().map(Arc::new).collect();
    let usual = Usual { summaries: &summaries, windows: summaries.len() as u32 };
    fn shares((counts, of): &Words) -> Shares<'_> {
        Shares { counts, of: *of, longest: 3 }
    }
    let carried = usual.above_usual_share("word", peak, most, shares);
    let parts = |it: Carried| {
        assert_eq!(it.what, "word");
        (it.name.to_string(), it.now.to_f64(), it.usual.map(Micro::to_f64))
    };
    carried.into_iter().map(parts).collect()
}

#[test]
fn what_is_above_its_usual_share_comes_greatest_difference_first() {
    let usual = [(counts(&[("a", 6), ("b", 2)]), 10), (counts(&[("a", 4)]), 10)];
    let peak = (counts(&[("a", 5), ("d", 2), ("c", 2), ("b", 1)]), 10);
    let wanted = |name: &str, now, usual| (name.to_owned(), now, Some(usual));
    // a has half of all as usual, b a tenth; c and d are new, and equal.
    assert_eq!(above(&peak, &usual, 9), [wanted("c", 0.2, 0.0), wanted("d", 0.2, 0.0)]);
    assert_eq!(above(&peak, &usual, 1), [wanted("c", 0.2, 0.0)]);
    let more = (counts(&[("a", 6), ("c", 3), ("b", 1)]), 10);
    assert_eq!(above(&more, &usual, 9), [wanted("c", 0.3, 0.0), wanted("a", 0.6, 0.5)]);
    // Nothing is of nothing, and without usual windows all is above.
    assert_eq!(above(&(counts(&[("a", 6)]), 0), &usual, 9), []);
    assert_eq!(above(&(counts(&[("a", 6)]), 8), &[], 9), [("a".to_owned(), 0.75, None)]);
    assert_eq!(above(&(counts(&[("a", 6)]), 8), &[(Vec::new(), 0)], 9), [("a".to_owned(), 0.75, None)]);
}

/// A list of three may lack names that are as frequent as its last one; a shorter one lacks none.
#[test]
fn what_a_full_list_lacks_counts_as_its_last() {
    let usual = [(counts(&[("x", 9), ("y", 5), ("z", 2)]), 20), (counts(&[("x", 9), ("y", 4)]), 20)];
    let peak = (counts(&[("new", 1), ("x", 3)]), 10);
    assert_eq!(above(&peak, &usual, 9), [("new".to_owned(), 0.1, Some(0.05))]);
    assert_eq!(above(&peak, &usual[1..], 9), [("new".to_owned(), 0.1, Some(0.0))]);
}
