//! Bursts shorter than a window, which a grouping of their own finds beside the job.

use telemetra::livestream::{self, JsonDecoder, LiveStreams, StreamId, default_rules};
use telemetra::prelude::*;

const MINUTE: u64 = 60_000;

/// Three messages a second for half an hour and six in the twenty seconds after twenty minutes, as milliseconds.
fn usual_and_burst() -> Vec<u64> {
    let usual = (0..30 * MINUTE).step_by(333);
    let burst = (20 * MINUTE..20 * MINUTE + 20_000).step_by(333).map(|time| time + 100);
    let mut times: Vec<u64> = usual.chain(burst).collect();
    times.sort_unstable();
    times
}

fn record(time: u64, id: usize) -> String {
    let (minutes, seconds, millis) = (time / MINUTE, time / 1_000 % 60, time % 1_000);
    format!(
        r#"{{"event_id": "{id}", "timestamp": "2026-01-01T12:{minutes:02}:{seconds:02}.{millis:03}Z", "stream_id": "ada", "user_id": "u", "username": "u", "message": "hi"}}"#
    )
}

fn run(pipeline: LiveStreams, times: &[u64], workers: usize) -> MemorySink {
    let tables = MemorySink::new();
    let records = times.iter().enumerate().map(|(id, time)| record(*time, id));
    let pipeline = pipeline
        .source(MemorySource::default().partition("chat", records), JsonDecoder::mixed())
        .rules(default_rules(3.0).unwrap())
        .workers(workers)
        .sink(tables.clone());
    pipeline.start().unwrap().wait().unwrap();
    tables
}

fn bursts(tables: &MemorySink) -> Vec<Moment<StreamId>> {
    let changes = tables.table("chat_bursts");
    changes.iter().map(|change| change.row::<Moment<StreamId>>().unwrap().clone()).collect()
}

#[test]
fn a_burst_of_twenty_seconds_is_found_and_everything_else_is_as_without() {
    let with = run(livestream::pipeline_with_short_bursts(3.0).unwrap(), &usual_and_burst(), 1);
    let found = bursts(&with);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(&*found[0].moment_type, "chat_burst");
    let start = EventTime(1_767_268_800_000 + 20 * MINUTE);
    assert!((start..=start.plus(10_000)).contains(&found[0].started_at), "{found:?}");
    assert!(with.table("chat_burst_windows").is_empty());

    let without = run(livestream::pipeline(), &usual_and_burst(), 1);
    for table in ["chat_summary_minute", "moments", "streams"] {
        assert_eq!(with.table(table), without.table(table), "{table}");
    }
}

#[test]
fn late_messages_correct_bursts_on_any_number_of_workers() {
    // What comes two minutes late makes the minute before the burst as busy, and the half minute before that busier.
    let mut late = usual_and_burst();
    let arrives = late.partition_point(|time| *time < 22 * MINUTE);
    let extra = (20 * MINUTE - 90_000..20 * MINUTE - 60_000).step_by(50);
    late.splice(arrives..arrives, extra.chain((20 * MINUTE - 60_000..20 * MINUTE).step_by(333)));
    let mut sorted = late.clone();
    sorted.sort_unstable();

    let expected = bursts(&run(livestream::pipeline_with_short_bursts(3.0).unwrap(), &sorted, 1));
    let alone = bursts(&run(livestream::pipeline_with_short_bursts(3.0).unwrap(), &usual_and_burst(), 1));
    let starts = |moments: &[Moment<StreamId>]| -> Vec<_> {
        moments.iter().map(|moment| (moment.started_at, moment.peak_at, moment.score)).collect()
    };
    assert_ne!(starts(&expected), starts(&alone), "the late messages change nothing");
    for workers in [1, 3] {
        let found = bursts(&run(livestream::pipeline_with_short_bursts(3.0).unwrap(), &late, workers));
        assert_eq!(starts(&found), starts(&expected), "{workers} workers");
    }
}
