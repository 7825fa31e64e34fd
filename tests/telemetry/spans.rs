//! The spans of a small pipeline.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use telemetra::core::checkpoint::Directory;
use telemetra::core::source::Memory;
use telemetra::core::{Batch, DeadLetter, ExternalError, SerdeJson, Table};
use telemetra::ops::{minutes, tumbling};
use telemetra::prelude::*;
use telemetra::sinks::MemorySink;
use tracing::Level;

use crate::capture::listen;

#[derive(Clone, Debug, serde::Deserialize)]
pub(crate) struct Reading {
    device: String,
    time: EventTime,
}

impl Event for Reading {
    type Key = String;

    fn time(&self) -> EventTime {
        self.time
    }

    fn key(&self) -> &str {
        &self.device
    }
}

const START: u64 = 1_767_225_600_000;

/// A record of a reading, in a second after the start.
pub(crate) fn reading(device: &str, second: u64) -> String {
    format!(r#"{{"device":"{device}","time":{}}}"#, START + 1000 * second)
}

/// A sink that fails twice before it works.
struct Flaky(MemorySink, u32);

impl Sink for Flaky {
    fn name(&self) -> &str {
        "flaky"
    }

    fn open(
        &mut self,
        tables: &[std::sync::Arc<Table>],
        resume: Option<EventTime>,
    ) -> Result<Option<EventTime>, ExternalError> {
        self.0.open(tables, resume)
    }

    fn apply(&mut self, batches: &[Batch]) -> Result<(), ExternalError> {
        if self.1 > 0 {
            self.1 -= 1;
            return Err(ExternalError::transient("busy"));
        }
        self.0.apply(batches)
    }

    fn dead_letters(&mut self, letters: &[DeadLetter]) -> Result<(), ExternalError> {
        Sink::dead_letters(&mut self.0, letters)
    }

    fn close(&mut self) -> Result<(), ExternalError> {
        self.0.close()
    }
}

/// Reads 20 minutes of readings of two devices, a second each, into a sink, with a checkpoint every five minutes.
fn run(folder: &Path, sink: &MemorySink) -> Report {
    let records = (0..1200).map(|n| reading(if n % 2 == 0 { "d1" } else { "d2" }, n));
    Pipeline::<Reading>::new()
        .name("traced")
        .source(Memory::default().partition("p", records), SerdeJson::new())
        .group("device_minute", tumbling(minutes(1)), |a| a.count("readings"))
        .key_columns(["device"])
        .sink(Flaky(sink.clone(), 2))
        .checkpoints(Directory::new(folder), Duration::from_secs(300))
        .checkpoint_pause(Duration::ZERO)
        .start()
        .unwrap()
        .wait()
        .unwrap()
}

#[test]
fn there_are_spans_from_poll_to_commit() {
    let folder = tempfile::tempdir().unwrap();
    let sink = MemorySink::new().with_log();
    let (report, captured) = listen(Some(Level::DEBUG), || run(folder.path(), &sink));
    assert_eq!(report.fates.on_time, 1200);
    assert_eq!(captured.open().len(), 0, "all spans have ended: {:?}", captured.open());

    // Where each is, and in which it is: the table of docs/operations.md.
    let mut places: BTreeMap<(&str, &str), BTreeSet<Option<&str>>> = BTreeMap::new();
    for span in &captured.spans {
        let parent = captured.parent_of(span.parent).map(|parent| parent.name);
        places.entry((span.target, span.name)).or_default().insert(parent);
    }
    let expected = [
        ("telemetra::checkpoint", "checkpoint", None),
        ("telemetra::checkpoint", "commit", Some("checkpoint")),
        ("telemetra::checkpoint", "complete", Some("checkpoint")),
        ("telemetra::checkpoint", "snapshot", Some("checkpoint")),
        ("telemetra::checkpoint", "write", Some("checkpoint")),
        ("telemetra::operator", "advance", None),
        ("telemetra::read", "decode", Some("poll")),
        ("telemetra::read", "fold", Some("poll")),
        ("telemetra::read", "poll", None),
        ("telemetra::read", "sequence", Some("poll")),
        ("telemetra::sink", "apply", Some("deliver")),
        ("telemetra::sink", "deliver", None),
    ];
    let expected: BTreeMap<_, _> =
        expected.map(|(target, name, parent)| ((target, name), BTreeSet::from([parent]))).into();
    assert_eq!(places, expected);
    let manual = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operations.md")).unwrap();
    for ((target, name), fields) in fields(&captured) {
        let row = format!("| `{target}` | `{name}` |");
        let row =
            manual.lines().find(|line| line.starts_with(&row)).unwrap_or_else(|| panic!("no row {row}"));
        for field in fields {
            assert!(row.contains(&format!("`{field}`")), "{field} of {name} is not in: {row}");
        }
    }

    // Reading: batches, not events.
    assert!(captured.named("poll").count() < 100);
    assert_eq!((captured.sum("poll", "records"), captured.sum("decode", "events")), (1200, 1200));
    assert!(captured.sum("poll", "bytes") > 1200 * 20);
    let poll = captured.named("poll").next().unwrap();
    assert_eq!(
        (&*poll.fields["partition"], &*poll.fields["worker"], &*poll.fields["offset"]),
        ("p", "0", "0")
    );
    assert!(captured.named("fold").all(|fold| fold.fields["group"] == "device_minute"));

    // Operators: an activation with something to do, up to the end of a window.
    let windows: Vec<_> =
        captured.named("advance").filter(|span| span.fields["operator"] == "windows device_minute").collect();
    assert!(windows.iter().all(|span| span.fields["group"] == "device_minute"));
    assert!(windows.iter().all(|span| span.fields["times"].parse::<u64>().unwrap() > 0));
    let through: BTreeSet<EventTime> =
        windows.iter().map(|span| span.fields["through"].parse().unwrap()).collect();
    assert!(through.last() >= Some(&EventTime(START + 1_200_000 - 1)), "{through:?}");

    // Checkpoints.
    let checkpoints = captured.named("checkpoint").count();
    assert!(checkpoints >= 1);
    assert_eq!(captured.named("complete").count(), captured.named("commit").count());
    let kept: BTreeSet<&str> = captured.named("snapshot").map(|span| &*span.fields["operator"]).collect();
    for operator in ["ingest device_minute", "partitions", "windows device_minute"] {
        assert!(kept.contains(operator), "{operator} in {kept:?}");
    }
    assert!(captured.sum("write", "bytes") > 0);
    let complete = captured.parent_of(captured.named("complete").next().unwrap().parent).unwrap();
    assert!(complete.fields["bytes"].parse::<u64>().unwrap() > 0);
    complete.fields["through"].parse::<EventTime>().unwrap();

    // Sinks: each time once, all its rows, and the two that failed.
    let rows: usize = sink.batches().iter().map(|batch| batch.changes.len()).sum();
    assert_eq!(captured.sum("deliver", "rows"), rows as u64);
    assert_eq!((rows, captured.sum("apply", "rows")), (40, 40));
    let deliver = captured.named("deliver").next().unwrap();
    assert_eq!((&*deliver.fields["pipeline"], &*deliver.fields["sink"]), ("traced", "flaky"));
    assert!(captured.named("deliver").all(|span| span.fields.contains_key("queued_us")));
    let applied: usize = captured.named("apply").map(|span| 1 + span.follows.len()).sum();
    assert_eq!(applied, captured.named("deliver").count(), "each batch is in the span of one call");
    let retries: Vec<_> = captured
        .events
        .iter()
        .filter(|event| event.fields.get("error").is_some_and(|error| error == "busy"))
        .collect();
    assert_eq!(retries.len(), 2, "{:?}", captured.events);
    assert_eq!(
        (retries[0].level, retries[1].level),
        (Level::WARN, Level::DEBUG),
        "it is warned of once a minute"
    );
    assert_eq!(retries[1].target, "telemetra::retry");
    assert!(retries.iter().all(|event| captured.parent_of(event.parent).unwrap().name == "apply"));
}

fn fields(captured: &crate::capture::Captured) -> BTreeMap<(&str, &str), BTreeSet<&str>> {
    let mut fields: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for span in &captured.spans {
        fields.entry((span.target, span.name)).or_default().extend(span.fields.keys().copied());
    }
    fields
}

#[test]
fn a_span_that_nobody_listens_to_is_not_made() {
    for (most, expected) in [(None, &[][..]), (Some(Level::WARN), &[]), (Some(Level::INFO), &["checkpoint"])]
    {
        let folder = tempfile::tempdir().unwrap();
        let ((), captured) = listen(most, || {
            run(folder.path(), &MemorySink::new());
        });
        let names: BTreeSet<_> = captured.spans.iter().map(|span| span.name).collect();
        assert_eq!(names.into_iter().collect::<Vec<_>>(), expected, "with {most:?}");
    }
}
