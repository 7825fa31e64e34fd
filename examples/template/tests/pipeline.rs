//! Tests of the pipeline on generated requests, and over a restart.
#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

use telemetra::prelude::*;

/// A request every second for half an hour; in the twentieth minute they fail.
fn requests() -> impl Iterator<Item = String> {
    (0..1_800_u64).map(|second| {
        let status = if (1_200..1_260).contains(&second) { 503 } else { 200 };
        format!(
            r#"{{"path": "/", "time": {}, "millis": {}, "status": {status}}}"#,
            second * 1000,
            second % 50
        )
    })
}

#[test]
fn a_minute_of_failures_is_a_moment() {
    let (tables, checkpoints) = (MemorySink::new(), tempfile::tempdir().unwrap());
    let source = MemorySource::default().partition("requests", requests());
    let running = telemetra_template::start(source, tables.clone(), checkpoints.path()).unwrap();
    assert_eq!(running.wait().unwrap().fates.on_time, 1_800);
    assert_eq!(tables.table("path_minute").len(), 30);
    let moments = tables.rows_of::<Moment<String>>();
    assert_eq!(moments.len(), 1, "{moments:?}");
    assert_eq!(moments[0].started_at, EventTime(20 * 60_000));
}

#[test]
fn what_is_no_request_is_a_dead_letter_with_its_reason() {
    let (tables, checkpoints) = (MemorySink::new(), tempfile::tempdir().unwrap());
    let source = MemorySource::default().partition("requests", [r#"{"path": "/"}"#]);
    telemetra_template::start(source, tables.clone(), checkpoints.path()).unwrap().wait().unwrap();
    assert!(tables.dead_letters()[0].reason.contains("missing field `time`"), "{:?}", tables.dead_letters());
}

#[test]
fn a_second_run_goes_on_where_the_first_ended() {
    let (tables, folder) = (MemorySink::new(), tempfile::tempdir().unwrap());
    let (input, checkpoints) = (folder.path().join("requests.jsonl"), folder.path().join("checkpoints"));
    let all: Vec<String> = requests().collect();
    let mut read = Vec::new();
    for seconds in [900, 1_800] {
        std::fs::write(&input, all[..seconds].join("\n") + "\n").unwrap();
        let source = Lines::files([input.display().to_string()]);
        let running = telemetra_template::start(source, tables.clone(), &checkpoints).unwrap();
        read.push(running.wait().unwrap().fates.on_time);
    }
    assert_eq!(read, [900, 1_800]);
    assert_eq!(tables.table("path_minute").len(), 30);
}
