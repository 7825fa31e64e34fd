//! Rules that are added, removed and changed between two runs.

use std::time::Duration;

use telemetra::core::*;
use telemetra::ops::{Pipeline, RestoreAction, tumbling};

use crate::lives::{Lives, records, rows, time, undisturbed};
use crate::support::Saying;

/// The rules of a test, by letters: `a` is pure, `b` has state, `c` is `a` with another threshold, `d` is `b` by another method.
pub fn with_rules(letters: &'static str) -> impl FnOnce(Pipeline<Saying>) -> Pipeline<Saying, Rules> {
    move |pipeline| {
        let score = |threshold| ZScore::new(threshold).unwrap().samples(2..=4).unwrap();
        let learnt = || Ewma::new(0.8).unwrap().min_samples(3).unwrap().learning().forgets_after(400);
        let count = |sayings: &u64| *sayings;
        let rules = letters.chars().map(move |letter| match letter {
            'a' => MomentRule::count("busy", score(1.5), count),
            'b' => MomentRule::count("learnt", learnt(), count),
            'c' => MomentRule::count("busy", score(1.0), count),
            _ => MomentRule::count("learnt", score(1.2).hysteresis(0.6).unwrap(), count),
        });
        let rules: Vec<_> = rules.map(MomentRule::include_moments).collect();
        let make: fn(Aggregates<Saying>) -> _ = |a| a.count("sayings");
        let pipeline = pipeline.group("sayings", tumbling(Duration::from_millis(10)), make);
        pipeline.rules(rules).without_chance()
    }
}

pub type Rules = telemetra::ops::Group<Saying, String, aggregate::CountOf, telemetra::ops::OwnKey>;

/// The moments of a type that began at or after a time, or before it.
fn moments(
    sink: &telemetra::sinks::MemorySink,
    moment_type: &str,
    from: EventTime,
) -> [Vec<Moment<String>>; 2] {
    let mut all = sink.rows_of::<Moment<String>>();
    all.retain(|moment| &*moment.moment_type == moment_type);
    all.sort();
    let (before, after) = all.into_iter().partition(|moment| moment.started_at < from);
    [before, after]
}

/// The middle of the input, and the time at which the second run's own windows begin.
fn changed(
    from: &'static str,
    to: &'static str,
) -> (Lives, EventTime, telemetra::ops::RestorePlan, [telemetra::sinks::MemorySink; 2]) {
    let (records, lives) = (records(0..1200), Lives::default());
    lives.first(&records[..records.len() / 2], with_rules(from));
    // The window that was open at the checkpoint is judged by the new rules.
    let boundary = lives.boundary();
    let open = EventTime(boundary.0 / 10 * 10);
    let report = lives.last(&records, with_rules(to));
    let references = [from, to].map(|rules| undisturbed(&time(), &records, with_rules(rules)));
    for reference in &references {
        assert_eq!(rows(&lives.sink, "sayings"), rows(reference, "sayings"), "windows are kept");
    }
    (lives, open, report.restored.unwrap(), references)
}

fn detail(plan: &telemetra::ops::RestorePlan, part: &str) -> (RestoreAction, String) {
    let step = plan.steps.iter().find(|step| step.part == part);
    let step = step.unwrap_or_else(|| panic!("{part} is not in {plan}"));
    (step.action, step.detail.clone())
}

#[test]
fn an_added_rule_judges_what_ends_after_the_checkpoint_by_baselines_from_before() {
    for (from, to, added, kept) in [("a", "ba", "learnt", "busy"), ("b", "ab", "busy", "learnt")] {
        let (lives, from_there, plan, [never, always]) = changed(from, to);
        let part = format!("rule `{added}` of moments sayings");
        assert_eq!(detail(&plan, &part).0, RestoreAction::Rebuilt);
        let [before, after] = moments(&lives.sink, added, from_there);
        let [_, expected] = moments(&always, added, from_there);
        assert_eq!(before, [], "{added}: nothing of what was closed is judged");
        assert!(expected.len() > 3, "{added}: {} moments", expected.len());
        assert_eq!(after, expected, "{added}");
        assert_eq!(
            moments(&lives.sink, kept, EventTime::MIN),
            moments(&never, kept, EventTime::MIN),
            "{kept} is kept as it was"
        );
    }
}

#[test]
fn the_rows_of_a_removed_rule_stay_and_the_others_go_on() {
    let mut compared = 0;
    for (from, to, gone, kept) in [("ab", "b", "busy", "learnt"), ("ba", "a", "learnt", "busy")] {
        let (lives, from_there, plan, [never, _]) = changed(from, to);
        let part = format!("rule `{gone}` of moments sayings");
        assert_eq!(
            detail(&plan, &part),
            (RestoreAction::Dropped, "the rows of its moments stay as they are".into())
        );
        let [before, after] = moments(&lives.sink, gone, from_there);
        let [expected, _] = moments(&never, gone, from_there);
        assert_eq!(after, []);
        // The last one may have been open.
        let closed = |moments: &[Moment<String>]| {
            moments.iter().filter(|moment| moment.last_at.plus(10) < from_there).cloned().collect::<Vec<_>>()
        };
        compared += closed(&expected).len();
        assert_eq!(closed(&before), closed(&expected));
        let all = EventTime::MIN;
        assert_eq!(moments(&lives.sink, kept, all), moments(&never, kept, all));
    }
    // How many there are depends on which checkpoint was the last.
    assert!(compared > 0);
}

#[test]
fn another_threshold_and_another_detector_judge_from_the_checkpoint_on() {
    for (from, to, rule) in [("ab", "cb", "busy"), ("ab", "ad", "learnt")] {
        let (lives, from_there, plan, [never, always]) = changed(from, to);
        let (action, words) = detail(&plan, &format!("rule `{rule}` of moments sayings"));
        assert_eq!(action, RestoreAction::Rebuilt);
        assert!(
            words.contains(" instead of ") && words.contains("the moments that were found are kept"),
            "{words}"
        );
        // A moment that was open goes on under the new rule, if it does: so it is of neither run.
        let closed = |moments: &[Vec<Moment<String>>; 2]| {
            let ended = |moment: &&Moment<String>| moment.last_at.plus(10) < from_there;
            let begun = |moment: &&Moment<String>| moment.started_at > from_there;
            [
                moments[0].iter().filter(ended).cloned().collect::<Vec<_>>(),
                moments[1].iter().filter(begun).cloned().collect::<Vec<_>>(),
            ]
        };
        let found = closed(&moments(&lives.sink, rule, from_there));
        let was = closed(&moments(&never, rule, from_there));
        let is = closed(&moments(&always, rule, from_there));
        let numbers = (was[0].len(), was[1].len(), is[1].len());
        assert!(was[0].len() > 2 && is[1].len() > 2 && was[1] != is[1], "{rule}: {numbers:?}");
        assert_eq!(found[0], was[0], "{rule} before the checkpoint");
        assert_eq!(found[1], is[1], "{rule} after it");
    }
}
