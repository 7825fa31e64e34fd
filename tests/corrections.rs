//! A late event corrects what was said, in every sink alike: a moment that was not one is withdrawn, one that was missed appears.
#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use support::streams::{DAY, chats, json_pipeline, ten_seconds};
use support::watch::{finish, until};
use telemetra::core::source::Memory as MemorySource;
use telemetra::core::*;
use telemetra::livestream::{StreamId, StreamSummary};
use telemetra::ops::Running;
use telemetra::sinks::{JsonLines, LiveReader, LiveView, MemorySink, Sqlite};

/// What a sink holds: messages by stream and start of the window, and moments by stream, type and start.
#[derive(Debug, Default, PartialEq)]
struct Held {
    summaries: BTreeMap<(String, u64), u64>,
    moments: BTreeSet<(String, String, u64)>,
}

/// All sinks of one pipeline.
struct Sinks<'a> {
    memory: MemorySink,
    live: LiveReader<StreamSummary, StreamId>,
    folder: &'a Path,
}

impl Sinks<'_> {
    /// What all sinks hold.
    fn held(&self) -> Held {
        let held = self.in_memory();
        assert_eq!(self.in_live_view(), held, "live view");
        assert_eq!(self.in_sqlite(), held, "sqlite");
        assert_eq!(self.in_json_lines(), held, "json lines");
        held
    }

    fn in_memory(&self) -> Held {
        let mut held = Held::default();
        for SummaryRow { key, summary } in self.memory.rows_of::<SummaryRow<StreamId, StreamSummary>>() {
            held.summaries
                .insert((key.to_string(), summary.window.start.or_epoch().0), summary.value.chat_count);
        }
        held.moments.extend(self.memory.rows_of::<Moment<StreamId>>().iter().map(moment_key));
        held
    }

    fn in_live_view(&self) -> Held {
        let mut held = Held::default();
        for (stream, _) in self.live.subjects() {
            for (window, value) in self.live.history(&stream, ..) {
                held.summaries.insert((stream.to_string(), window.start.or_epoch().0), value.chat_count);
            }
            held.moments.extend(self.live.moments(&stream).iter().map(moment_key));
        }
        held
    }

    fn in_sqlite(&self) -> Held {
        let database = rusqlite::Connection::open(self.folder.join("t.db")).unwrap();
        let mut held = Held::default();
        let mut summaries =
            database.prepare("SELECT stream_id, window_start, chat_count FROM chat_summary_minute").unwrap();
        let rows = summaries.query_map([], |row| Ok(((row.get(0)?, number(row, 1)?), number(row, 2)?)));
        held.summaries.extend(rows.unwrap().map(Result::unwrap));
        let mut moments = database.prepare("SELECT stream_id, moment_type, started_at FROM moments").unwrap();
        let rows = moments.query_map([], |row| Ok((row.get(0)?, row.get(1)?, number(row, 2)?)));
        held.moments.extend(rows.unwrap().map(Result::unwrap));
        held
    }

    /// Replays the lines, as a reader of the log would.
    fn in_json_lines(&self) -> Held {
        let mut files: Vec<_> = std::fs::read_dir(self.folder.join("lines"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.retain(|path| path.file_name().unwrap().to_str().unwrap().starts_with("changes-"));
        files.sort();
        let mut held = Held::default();
        for line in
            files.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect::<String>().lines()
        {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            let text = |name: &str| line[name].as_str().unwrap().to_owned();
            let time = |name: &str| text(name).parse::<EventTime>().unwrap().0;
            match (text("table").as_str(), text("action") == "upsert") {
                ("chat_summary_minute", true) => {
                    let count = line["chat_count"].as_u64().unwrap();
                    held.summaries.insert((text("stream_id"), time("window_start")), count);
                }
                ("chat_summary_minute", false) => {
                    held.summaries.remove(&(text("stream_id"), time("window_start")));
                }
                ("moments", true) => {
                    held.moments.insert((text("stream_id"), text("moment_type"), time("started_at")));
                }
                ("moments", false) => {
                    held.moments.remove(&(text("stream_id"), text("moment_type"), time("started_at")));
                }
                _ => {}
            }
        }
        held
    }
}

fn number(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(|number| u64::try_from(number).unwrap())
}

fn moment_key(moment: &Moment<StreamId>) -> (String, String, u64) {
    (moment.key.to_string(), moment.moment_type.to_string(), moment.started_at.0)
}

/// A pipeline into all sinks.
fn start(source: MemorySource, folder: &Path) -> (Running, Sinks<'_>) {
    let memory = MemorySink::new();
    let view = LiveView::new(Duration::from_secs(86_400));
    let live = view.reader();
    let pipeline = json_pipeline(source, &ten_seconds())
        .max_watermark_drift(Duration::from_millis(3_600_000))
        .workers(2)
        .sink(memory.clone())
        .sink(view)
        .sink(Sqlite::new(folder.join("t.db")))
        .sink(JsonLines::new(folder.join("lines")));
    (pipeline.start().unwrap(), Sinks { memory, live, folder })
}

/// The start of the `n`th window, after [`DAY`].
fn window(n: u64) -> u64 {
    n * 10_000
}

#[test]
fn late_events_withdraw_and_create_moments_in_every_sink() {
    let folder = tempfile::tempdir().unwrap();
    let mut source = MemorySource::default();
    let partition = source.handle("p");
    let (running, sinks) = start(source, folder.path());
    // Brings the floor to the start of a window, and waits until everything before is durable.
    let tick = |n: u64| {
        partition.append(chats("clock", window(n), 1).remove(0));
        until("the tick has passed", || running.status().durable >= EventTime(DAY + window(n)));
    };
    let add = |stream: &str, n: u64, count: usize| {
        chats(stream, window(n), count).into_iter().for_each(|record| partition.append(record));
    };
    let spike = |stream: &str, n: u64| (stream.to_owned(), "chat_spike".to_owned(), DAY + window(n));
    let count = |held: &Held, stream: &str, n: u64| held.summaries[&(stream.to_owned(), DAY + window(n))];

    // Ten quiet windows each; then `loud` is, and `calm` seems not to be.
    for n in 0..10 {
        add("loud", n, 20);
        add("calm", n, 20);
    }
    add("loud", 10, 100);
    add("calm", 10, 20);
    tick(11);
    let first = sinks.held();
    assert_eq!(first.moments, BTreeSet::from([spike("loud", 10)]));
    assert_eq!((count(&first, "loud", 10), count(&first, "calm", 10)), (100, 20));

    // Late: all windows of `loud` were as loud, so nothing happened there.
    for n in 0..10 {
        chats("loud", window(n) + 1, 80).into_iter().for_each(|record| partition.append(record));
    }
    tick(12);
    let second = sinks.held();
    assert_eq!(second.moments, BTreeSet::new());
    assert_eq!((count(&second, "loud", 0), count(&second, "loud", 10)), (100, 100));

    // Late: the last window of `calm` was not calm.
    chats("calm", window(10) + 1, 80).into_iter().for_each(|record| partition.append(record));
    tick(13);
    let third = sinks.held();
    assert_eq!(third.moments, BTreeSet::from([spike("calm", 10)]));
    assert_eq!(count(&third, "calm", 10), 100);

    // Later than is allowed: nothing moves.
    tick(90);
    let before = sinks.held();
    add("calm", 3, 50);
    tick(91);
    let mut after = sinks.held();
    after.summaries.remove(&("clock".to_owned(), DAY + window(90)));
    assert_eq!(after, before);

    partition.end();
    let fates = finish(running).unwrap().fates;
    assert_eq!((fates.late_applied, fates.too_late), (880, 50));
    sinks.held();
}

#[test]
fn a_window_that_only_late_events_made_appears_in_every_sink() {
    let folder = tempfile::tempdir().unwrap();
    let mut source = MemorySource::default();
    let partition = source.handle("p");
    let (running, sinks) = start(source, folder.path());
    let records = [chats("a", window(0), 1), chats("a", window(5), 1)].concat();
    records.into_iter().for_each(|record| partition.append(record));
    until("the first window is there", || running.status().durable >= EventTime(DAY + window(5)));
    assert_eq!(sinks.held().summaries, BTreeMap::from([(("a".to_owned(), DAY), 1)]));
    partition.append(chats("a", window(2), 1).remove(0));
    partition.append(chats("b", window(7), 1).remove(0));
    until("the late one is there", || running.status().durable >= EventTime(DAY + window(7)));
    let starts = [0, 2, 5].map(|n| (("a".to_owned(), DAY + window(n)), 1));
    assert_eq!(sinks.held().summaries, BTreeMap::from(starts));
    partition.end();
    assert_eq!(finish(running).unwrap().fates.late_applied, 1);
}
