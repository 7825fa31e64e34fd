//! The threads of sinks, with a scripted sink.

use std::sync::mpsc::TrySendError;

use telemetra_core::{EventTime, ExternalError};

use crate::deliver::scripted::{Call, Running, Script, batch, letters};
use crate::deliver::sink_thread::Job;
use crate::support::failure::PipelineError;
use crate::support::wait::wait_until;

#[test]
fn batches_that_wait_are_written_together_up_to_sixteen() {
    let (script, (permits, gate)) = (Script::default(), std::sync::mpsc::channel());
    let run = Running::start(script.gated(gate), Some(5));
    assert_eq!((run.queue.durable(), run.gauge.last()), (EventTime(5), None));
    assert_eq!(run.queue.labels(), ["pipeline", "scripted", "0"]);
    let queued =
        |count| move |run: &Running| run.gauge.queued.load(std::sync::atomic::Ordering::Relaxed) == count;
    run.send(batch(10));
    wait_until("the first is applied", || script.lock().begun == 1);
    (11..31).for_each(|time| run.send(batch(time)));
    assert!(queued(20)(&run));
    assert_eq!(run.queue.durable(), EventTime(5));
    (0..3).for_each(|_| permits.send(()).expect("the sink is there"));
    wait_until("all is durable", || run.queue.durable() == EventTime(30));
    assert!(queued(0)(&run));
    let last = run.gauge.last().expect("it was called");
    assert_eq!((last.batches, last.changes), (4, 4));
    assert_eq!(run.gauge.changes.load(std::sync::atomic::Ordering::Relaxed), 21);
    assert!(!run.end().is_set());
    let of = |times: std::ops::Range<u64>| Call::Apply(times.collect());
    assert_eq!(script.calls(), [of(10..11), of(11..27), of(27..31), Call::Close]);
}

#[test]
fn a_full_queue_gives_the_job_back() {
    let (script, (permits, gate)) = (Script::default(), std::sync::mpsc::channel());
    let run = Running::start(script.gated(gate), None);
    let queued = || run.gauge.queued.load(std::sync::atomic::Ordering::Relaxed);
    run.send(batch(1));
    // The thread has this one alone and waits for a permit, so nothing more is taken.
    wait_until("the first is applied", || script.lock().begun == 1);
    let refused = (2..1_000).find_map(|time| run.queue.try_send(batch(time)).err());
    let Some(TrySendError::Full(Job::Batch(refused))) = refused else { panic!("{refused:?}") };
    assert_eq!(refused.batch.time.0, 2 + queued() as u64);
    drop(permits);
    assert!(run.end().is_set());
}

#[test]
fn dead_letters_are_durable_with_the_next_batch_or_flush() {
    let script = Script::default();
    let run = Running::start(script.sink(), None);
    for job in [letters(1, 0), letters(2, 0), Job::FlushLetters] {
        run.send(job);
    }
    wait_until("they are flushed", || run.queue.settled() == 2);
    run.send(letters(3, 0));
    run.send(batch(10));
    wait_until("the third is durable", || run.queue.settled() == 3);
    run.send(letters(4, 0));
    run.end();
    let expected = [
        Call::Letters(vec![1]),
        Call::Letters(vec![2]),
        Call::Apply(vec![]),
        Call::Letters(vec![3]),
        Call::Apply(vec![10]),
        Call::Letters(vec![4]),
        Call::Close,
    ];
    assert_eq!(script.calls(), expected);
}

#[test]
fn what_fails_for_the_moment_is_repeated_and_what_fails_for_good_ends_the_pipeline() {
    let script = Script::default();
    script.lock().failures.push_back(ExternalError::transient("busy"));
    let run = Running::start(script.sink(), None);
    run.send(batch(10));
    wait_until("it is durable", || run.queue.durable() == EventTime(10));
    assert_eq!(run.gauge.retry.retries(), 1);
    script.lock().failures.push_back(ExternalError::permanent("no such table"));
    run.send(batch(20));
    wait_until("the pipeline has failed", || run.failure.is_set());
    assert_eq!(run.queue.durable(), EventTime(10));
    let error = run.end().take();
    assert!(matches!(&error, Some(PipelineError::Sink { sink, .. }) if sink == "scripted"), "{error:?}");
    assert_eq!(script.calls(), [Call::Apply(vec![10])], "it is not closed");
}

#[test]
fn a_sink_that_panics_ends_the_pipeline() {
    let script = Script::default();
    script.lock().panics = true;
    let run = Running::start(script.sink(), None);
    run.send(batch(10));
    wait_until("the pipeline has failed", || run.failure.is_set());
    let Some(PipelineError::Sink { source, .. }) = run.end().take() else { panic!("it is the sink's error") };
    assert!(source.to_string().contains("it panicked: as the script says"), "{source}");
}
