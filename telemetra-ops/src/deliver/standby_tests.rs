//! Tests of sinks that stand by, with the scripted sink.

use std::sync::Arc;
use std::time::Instant;

use telemetra_core::{EventTime, SinkProgress};

use crate::deliver::missed::Missed;
use crate::deliver::scripted::{Call, Running, Script, batch, letters};
use crate::deliver::sink_thread::SinkGauge;
use crate::deliver::standby::{Standby, WATCH};
use crate::support::wait::wait_until;

/// A sink that another pipeline has written up to 10.
fn standing_by(script: &Script) -> Running {
    script.progresses(SinkProgress::Until(Some(EventTime(10))));
    let labels = ["pipeline".into(), "scripted".into(), "0".into()];
    let gauge = Arc::new(SinkGauge::new("scripted", labels, Some(EventTime(10))));
    gauge.standby.begin(Some(EventTime(10)));
    let standby = Standby::new(&[], Some(EventTime(7)), Some(EventTime(10)), Missed::default());
    Running::start_with(script.sink(), gauge, Some(standby))
}

#[test]
fn a_sink_that_stands_by_follows_the_other_pipeline_and_writes_the_rest_once_it_takes_over() {
    let script = Script::default();
    let run = standing_by(&script);
    let gauge = &run.gauge.standby;
    assert!(gauge.stands_by() && !gauge.holds());
    assert_eq!(gauge.other(), EventTime(10));
    run.queue.known(EventTime(12));
    assert_eq!(gauge.ready(), EventTime(12), "times that the sink has count as computed");
    // The letters of 15 are the other's, those of 35 were found ahead of it.
    for job in [letters(1, 15), letters(2, 35), batch(20), letters(3, 0), batch(30)] {
        run.send(job);
    }
    wait_until("all is computed", || gauge.ready() == EventTime(30));
    run.queue.known(EventTime(25));
    assert_eq!(gauge.ready(), EventTime(30), "it does not go back");
    script.progresses(SinkProgress::Until(Some(EventTime(20))));
    wait_until("it is followed", || run.queue.settled() == 2);
    assert_eq!((gauge.other(), run.queue.durable()), (EventTime(20), EventTime(20)));
    assert_eq!(script.calls(), [], "it only looks");
    script.lock().durable = Some(EventTime(20));
    gauge.take_over();
    wait_until("it has written the rest", || run.queue.durable() == EventTime(30));
    assert!(!gauge.stands_by());
    wait_until("all letters are settled", || run.queue.settled() == 3);
    run.end();
    let expected = [
        Call::Open(Some(EventTime(7))),
        Call::Letters(vec![2]),
        Call::Apply(vec![]),
        Call::Letters(vec![3]),
        Call::Apply(vec![30]),
        Call::Close,
    ];
    assert_eq!(script.calls(), expected);
}

#[test]
fn another_pipeline_is_not_looked_at_all_the_time() {
    let (script, begun) = (Script::default(), Instant::now());
    let run = standing_by(&script);
    wait_until("it is looked at", || script.lock().looks >= 3);
    assert!(begun.elapsed() >= 3 * WATCH);
    run.end();
}

#[test]
fn a_sink_that_is_taken_over_with_nothing_ahead_gets_no_empty_call() {
    let script = Script::default();
    let run = standing_by(&script);
    script.lock().durable = Some(EventTime(10));
    run.gauge.standby.take_over();
    wait_until("it is taken over", || !run.gauge.standby.stands_by());
    run.end();
    assert_eq!(script.calls(), [Call::Open(Some(EventTime(7))), Call::Close]);
}

#[test]
fn a_sink_that_stands_by_to_the_end_of_the_input_is_left_to_the_other() {
    let script = Script::default();
    let run = standing_by(&script);
    let gauge = Arc::clone(&run.gauge);
    assert!(!run.end().is_down());
    assert!(!gauge.standby.stands_by());
    assert_eq!(script.calls(), []);
}

#[test]
fn a_sink_whose_pipeline_goes_down_has_not_been_taken_over() {
    let script = Script::default();
    let run = standing_by(&script);
    let gauge = Arc::clone(&run.gauge);
    run.failure.halt();
    assert!(!run.end().is_set());
    assert!(gauge.standby.stands_by());
    assert_eq!(script.calls(), []);
}

#[test]
fn a_sink_that_stands_by_and_goes_back_ends_the_pipeline() {
    let script = Script::default();
    let run = standing_by(&script);
    script.progresses(SinkProgress::Until(Some(EventTime(9))));
    wait_until("the pipeline has failed", || run.failure.is_set());
    run.end();
}

#[test]
fn a_sink_that_holds_what_it_gets_lets_go_once_it_takes_over() {
    let script = Script::default();
    script.progresses(SinkProgress::Rewritten(Some(EventTime(10))));
    let labels = ["pipeline".into(), "scripted".into(), "0".into()];
    let gauge = Arc::new(SinkGauge::new("scripted", labels, None));
    gauge.standby.begin_holding(Some(EventTime(10)));
    assert!(gauge.standby.holds() && gauge.standby.stands_by());
    let run = Running::start_with(script.sink(), gauge, None);
    run.send(batch(20));
    script.progresses(SinkProgress::Rewritten(Some(EventTime(15))));
    wait_until("the other is followed", || run.gauge.standby.other() == EventTime(15));
    wait_until("it is given what it holds", || run.queue.durable() == EventTime(20));
    assert!(run.gauge.standby.stands_by());
    run.gauge.standby.take_over();
    wait_until("it has let go", || !run.gauge.standby.stands_by());
    run.end();
    assert_eq!(script.calls(), [Call::Apply(vec![20]), Call::Hold(false), Call::Apply(vec![]), Call::Close]);
}
