//! Tests of the results for a worker that wants to read a partition.

#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use telemetra_core::{EventTime, ExternalError, Polled, RecordBatch};

use crate::cluster::coordinator::Coordinator;
use crate::cluster::progress::SourceProgress;
use crate::read::ingress::{IngressConfig, Reading, Shared, lock};
use crate::read::partition::{OpenPartition, PartitionReader};
use crate::read::poll::PollResult;
use crate::read::scripted::{Script, Step, config, records, shared};
use crate::support::failure::PipelineError;
use crate::support::wait::wait_until;

const HOUR: Duration = Duration::from_secs(3_600);
const MS: Duration = Duration::from_millis(1);

/// The result of a poll, with the number of records.
#[derive(Debug, PartialEq, Eq)]
enum Given {
    Batch(u64, usize),
    Nothing(Duration),
    Ended,
}

fn poll_at(shared: &Shared, floor: u64) -> Given {
    let (reader, mut batch) = (first(shared), RecordBatch::default());
    match shared.poll(&reader, true, EventTime(floor), &mut batch) {
        PollResult::Batch(number) => Given::Batch(number, batch.records().len()),
        PollResult::Nothing(pause) => Given::Nothing(pause),
        PollResult::Ended => Given::Ended,
    }
}

fn poll(shared: &Shared) -> Given {
    poll_at(shared, 0)
}

/// Polls until the partition is asked.
fn poll_until_asked(shared: &Shared, script: &Script) -> Given {
    let (before, given) = (script.lock().polls, Cell::new(None));
    wait_until("it is asked", || {
        given.set(Some(poll(shared)));
        script.lock().polls > before
    });
    given.take().unwrap()
}

pub(super) fn first(shared: &Shared) -> Arc<PartitionReader> {
    Arc::clone(&shared.readers.read()[0])
}

/// Sequences a batch, of an event of that time.
pub(super) fn sequence(shared: &Shared, number: u64, time: u64) {
    shared.sequence(&first(shared), number, |sequencer, _, now| {
        assert_eq!(now, EventTime(1_000_000), "that is the clock's time");
        sequencer.place(EventTime(time), || None, now);
    });
}

fn alone(script: &Script) -> Arc<Shared> {
    shared(config(), vec![script.open("a")])
}

#[test]
fn batches_are_numbered_and_the_partition_ends_when_all_are_sequenced() {
    let script = Script::new([records(&["a 35", "b 35"]), Step::Records(vec!["a 45"], Polled::Done)]);
    let shared = alone(&script);
    assert_eq!(poll(&shared), Given::Batch(0, 2));
    assert_eq!(poll(&shared), Given::Batch(1, 1));
    assert_eq!(poll(&shared), Given::Nothing(MS), "two are not sequenced yet");
    sequence(&shared, 0, 35);
    assert_eq!((shared.floor(), shared.greatest_floor()), (EventTime(30), EventTime(30)));
    assert_eq!(poll(&shared), Given::Nothing(MS));
    sequence(&shared, 1, 45);
    assert_eq!((shared.floor(), shared.greatest_floor()), (EventTime::MAX, EventTime(40)));
    assert!(!first(&shared).is_end_noted());
    assert_eq!(poll(&shared), Given::Ended);
    assert!(first(&shared).is_end_noted());
    assert_eq!(script.lock().polls, 2);
    assert!(first(&shared).keep().ended);
}

#[test]
fn a_partition_that_ends_with_nothing_has_ended_at_once() {
    let shared = alone(&Script::default());
    assert_eq!(poll(&shared), Given::Ended);
    assert_eq!(shared.floor(), EventTime::MAX);
    let ended = OpenPartition { ended: true, ..Script::default().open("a") };
    assert_eq!(poll(&self::shared(config(), vec![ended])), Given::Ended);
}

#[test]
fn nothing_is_read_that_is_too_far_ahead_of_the_slowest() {
    let script = Script::new([records(&["a 95"]), Step::Nothing(Polled::Ready)]);
    let drift = Some(Duration::from_millis(30));
    let shared =
        self::shared(IngressConfig { max_watermark_drift: drift, ..config() }, vec![script.open("a")]);
    assert_eq!(poll(&shared), Given::Batch(0, 1));
    sequence(&shared, 0, 95);
    assert_eq!(poll_at(&shared, 50), Given::Nothing(MS));
    assert_eq!(script.lock().polls, 1);
    assert_eq!(poll_at(&shared, 60), Given::Nothing(Duration::ZERO));
    assert_eq!(script.lock().polls, 2);
}

#[test]
fn a_partition_that_another_worker_asks_is_left_to_it() {
    let shared = alone(&Script::new([records(&["a 35"])]));
    let (reader, mut batch) = (first(&shared), RecordBatch::default());
    let mut poll = || shared.poll(&reader, false, EventTime::MIN, &mut batch);
    let guard = lock(&reader.state);
    assert!(matches!(poll(), PollResult::Nothing(Duration::ZERO)));
    drop(guard);
    assert!(matches!(poll(), PollResult::Batch(0)));
}

#[test]
fn reading_goes_on_after_a_rest_and_does_not_after_an_end() {
    let script = Script::new((0..9).map(|_| records(&["a 35"])));
    let shared = alone(&script);
    shared.set_reading(Reading::Rests);
    assert_eq!(poll(&shared), Given::Nothing(MS));
    assert_eq!(shared.floor(), EventTime::MIN);
    shared.set_reading(Reading::Goes);
    assert_eq!(poll(&shared), Given::Batch(0, 1));
    sequence(&shared, 0, 35);
    shared.set_reading(Reading::Ends);
    assert_eq!(poll(&shared), Given::Nothing(MS));
    assert_eq!(shared.floor(), EventTime::MAX);
    assert_eq!(script.lock().polls, 1);
    assert!(!first(&shared).keep().ended, "there is more of it");
}

#[test]
fn a_partition_is_left_alone_for_as_long_as_it_asks() {
    for asked in [HOUR, Duration::MAX] {
        for polled in [Polled::Idle(asked), Polled::Pending(asked)] {
            let script = Script::new([Step::Nothing(polled)]);
            let shared = alone(&script);
            assert_eq!(poll(&shared), Given::Nothing(asked));
            let Given::Nothing(pause) = poll(&shared) else { panic!("it asked for {asked:?}") };
            assert!(pause > HOUR / 2 && pause <= asked, "{pause:?}");
            assert_eq!(script.lock().polls, 1);
        }
    }
    for polled in [Polled::Idle(Duration::ZERO), Polled::Pending(Duration::ZERO)] {
        let script = Script::new([Step::Nothing(polled), records(&["a 35"])]);
        let shared = alone(&script);
        assert_eq!(poll(&shared), Given::Nothing(MS), "not at once");
        assert_eq!(poll_until_asked(&shared, &script), Given::Batch(0, 1));
    }
    let script = Script::new([Step::Nothing(Polled::Ready), records(&["a 35"])]);
    let shared = alone(&script);
    assert_eq!(poll(&shared), Given::Nothing(Duration::ZERO));
    assert_eq!(poll(&shared), Given::Batch(0, 1), "it has more at once");
}

#[test]
fn only_a_partition_that_has_nothing_is_silent() {
    let idle = || Step::Nothing(Polled::Idle(MS));
    let script = Script::new([idle(), Step::Nothing(Polled::Pending(MS)), idle(), records(&["a 35"])]);
    let shared = alone(&script);
    let silent = || shared.status()[0].silent;
    for expected in [Some(Duration::ZERO), None, Some(Duration::ZERO), None] {
        poll_until_asked(&shared, &script);
        assert_eq!(silent(), expected);
    }
    for polled in [Polled::Ready, Polled::Pending(MS)] {
        let shared = alone(&Script::new([Step::Nothing(polled)]));
        first(&shared).had_nothing(&mut lock(&first(&shared).state), MS, MS);
        assert_eq!(shared.status()[0].silent, Some(Duration::ZERO));
        poll(&shared);
        assert_eq!(shared.status()[0].silent, None, "{polled:?} does not say that there is nothing");
    }
}

/// Asserts that it pauses for this long, or up to half as long less, so that many do not all come back at once.
fn assert_about(given: &Given, pause: Duration) {
    let Given::Nothing(given) = given else { panic!("{given:?} is no pause") };
    assert!((pause / 2..=pause).contains(given), "{given:?} instead of {pause:?}");
}

#[test]
fn what_fails_for_the_moment_is_tried_again_ever_later() {
    let fails = || Step::Fails(ExternalError::transient("away"));
    let script = Script::new([fails(), fails(), records(&["a 35"]), fails()]);
    let shared = alone(&script);
    for pause in [10, 20] {
        assert_about(&poll_until_asked(&shared, &script), pause * MS);
        assert_eq!(shared.status()[0].failing.as_ref().map(|failing| &*failing.error), Some("away"));
    }
    assert_eq!(poll_until_asked(&shared, &script), Given::Batch(0, 1));
    assert_eq!((shared.status()[0].failing.clone(), shared.status()[0].retries), (None, 2));
    assert_about(&poll(&shared), 10 * MS);
    assert!(!shared.failure.is_set());
}

#[test]
fn what_waits_between_two_failures_has_not_recovered() {
    let fails = || Step::Fails(ExternalError::transient("away"));
    let waits = || Step::Nothing(Polled::Pending(MS));
    let script = Script::new([fails(), waits(), fails(), waits(), fails(), waits(), records(&["a 35"])]);
    let shared = alone(&script);
    for pause in [10, 20, 40] {
        assert_about(&poll_until_asked(&shared, &script), pause * MS);
        assert_eq!(poll_until_asked(&shared, &script), Given::Nothing(MS));
        assert_eq!(shared.status()[0].failing.as_ref().map(|failing| &*failing.error), Some("away"));
    }
    assert_eq!(poll_until_asked(&shared, &script), Given::Batch(0, 1));
    assert_eq!((shared.status()[0].failing.clone(), shared.status()[0].retries), (None, 3));
}

#[test]
fn what_fails_for_the_moment_is_left_alone_for_as_long_as_it_asks() {
    let busy = |pause| Step::Fails(ExternalError::transient("busy").with_retry_after(pause));
    for asked in [HOUR, Duration::MAX] {
        let script = Script::new([busy(asked), records(&["a 35"])]);
        let shared = alone(&script);
        assert_eq!(poll(&shared), Given::Nothing(asked));
        let Given::Nothing(pause) = poll(&shared) else { panic!("it asked for {asked:?}") };
        assert!(pause > HOUR / 2, "{pause:?}");
        assert_eq!(script.lock().polls, 1);
        shared.set_reading(Reading::Ends);
        poll(&shared);
        assert_eq!(shared.floor(), EventTime::MAX, "draining does not wait for it");
    }
    let script = Script::new([busy(Duration::ZERO), records(&["a 35"])]);
    let shared = alone(&script);
    assert_about(&poll(&shared), 10 * MS);
    assert_eq!(poll_until_asked(&shared, &script), Given::Batch(0, 1));
}

#[test]
fn what_fails_for_good_ends_the_pipeline() {
    let shared = alone(&Script::new([Step::Fails(ExternalError::permanent("no such topic"))]));
    assert_eq!(poll(&shared), Given::Ended);
    let error = shared.failure.take();
    let Some(PipelineError::Source { partition, source }) = error else { panic!("{error:?}") };
    assert_eq!((partition.as_str(), source.to_string()), ("a", "no such topic".to_owned()));
    assert_eq!(shared.floor(), EventTime::MIN, "no window is closed");
}

#[test]
fn processes_tell_each_other_how_their_partitions_stand_if_any_may_be_idle() {
    timely::execute_directly(|worker| {
        let tells = |worker: &mut timely::worker::Worker, config: IngressConfig| {
            let shared = shared(config, vec![Script::default().open("a")]);
            shared.exchange(&mut Coordinator::open(worker, 0, 2, true));
            *lock(&shared.others)
        };
        assert_eq!(tells(worker, config()), SourceProgress::NONE);
        let mut idle = config();
        idle.time.idle_after = Some(MS);
        assert_eq!(tells(worker, idle), SourceProgress::UNKNOWN);
        let time = config().time;
        let watermarks: crate::Watermarks = Arc::new(move |_| time.strategy());
        let own = IngressConfig { watermarks: Some(watermarks), ..config() };
        assert_eq!(tells(worker, own), SourceProgress::UNKNOWN, "of which some may be idle");
    });
}
