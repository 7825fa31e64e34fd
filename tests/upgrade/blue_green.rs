//! Two versions beside each other: the new one catches up, takes over the sink, and is replaced by the old one again.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use telemetra::core::checkpoint::Directory;
use telemetra::core::source::Memory as MemorySource;
use telemetra::core::*;
use telemetra::ops::{PipelineError, Running};
use telemetra::sinks::{MemorySink, Sqlite};

use crate::lives::{Lives, records, rows, time, undisturbed};
use crate::rules::{Rules, with_rules};
use crate::support::Saying;
use crate::support::watch::{finish, until};

/// A sink in memory that one process owns at a time: who opened it last.
#[derive(Clone)]
struct Fenced {
    rows: MemorySink,
    owner: Arc<Mutex<u64>>,
    own: u64,
}

impl Fenced {
    fn new(rows: MemorySink) -> Self {
        Self { rows, owner: Arc::default(), own: 0 }
    }
}

impl Sink for Fenced {
    fn name(&self) -> &str {
        "fenced"
    }

    fn progress(&mut self) -> Result<SinkProgress, ExternalError> {
        self.rows.progress()
    }

    fn open(
        &mut self,
        tables: &[Arc<Table>],
        resume: Option<EventTime>,
    ) -> Result<Option<EventTime>, ExternalError> {
        let mut owner = self.owner.lock().unwrap();
        *owner += 1;
        self.own = *owner;
        self.rows.open(tables, resume)
    }

    fn apply(&mut self, batches: &[Batch]) -> Result<(), ExternalError> {
        let owner = self.owner.lock().unwrap();
        if *owner != self.own {
            return Err(ExternalError::permanent("another process has taken it over"));
        }
        self.rows.apply(batches)
    }
}

/// The versions of a test: each has a store of its own.
struct Versions {
    source: MemorySource,
    stores: Vec<tempfile::TempDir>,
}

impl Versions {
    fn pipeline(&self, sink: impl Sink + 'static) -> telemetra::ops::Pipeline<Saying> {
        let store = Directory::new(self.stores.last().unwrap().path());
        Lives::pipeline_over(self.source.clone(), &time())
            .sink(sink)
            .checkpoints(store, Duration::from_millis(20))
    }

    fn first(&self, sink: impl Sink + 'static, workers: usize) -> Running {
        with_rules("a")(self.pipeline(sink)).workers(workers).start().unwrap()
    }

    /// Starts a version from a savepoint of the one that runs, and has it stand by until it has caught up.
    fn next(&mut self, of: &Running, sink: impl Sink + 'static, workers: usize, name: &str) -> Running {
        let store = Directory::new(self.stores.last().unwrap().path());
        let savepoint = of.savepoint(name).unwrap();
        self.stores.push(tempfile::tempdir().unwrap());
        let pipeline: telemetra::ops::Pipeline<Saying, Rules> = with_rules("a")(self.pipeline(sink));
        let next = pipeline.workers(workers).from_savepoint_in(store, name).standby().start().unwrap();
        assert_eq!(next.restored().unwrap().boundary, savepoint.boundary);
        assert!(next.stands_by());
        until("it has caught up", || next.has_caught_up());
        next
    }
}

/// Appends records bit by bit, up to the share of them that `stop` says in percent, and ends the partition after all.
fn produce(
    source: &mut MemorySource,
    records: Vec<String>,
    stop: &Arc<AtomicUsize>,
) -> std::thread::JoinHandle<()> {
    let (partition, stop) = (source.handle("p"), Arc::clone(stop));
    std::thread::spawn(move || {
        for (number, some) in records.chunks(40).enumerate() {
            while number * 40 * 100 >= records.len() * stop.load(Ordering::Acquire) {
                std::thread::sleep(Duration::from_millis(1));
            }
            some.iter().for_each(|record| partition.append(record.as_str()));
            std::thread::sleep(Duration::from_millis(2));
        }
        partition.end();
    })
}

#[test]
fn a_new_version_takes_over_under_load_and_the_old_one_again_without_a_gap_or_a_double_row() {
    let records = records(0..3_000);
    let sink = Fenced::new(MemorySink::new().with_log());
    let mut versions =
        Versions { source: MemorySource::default(), stores: vec![tempfile::tempdir().unwrap()] };
    // Each has something to write after the next one has taken over.
    let stop = Arc::new(AtomicUsize::new(40));
    let producer = produce(&mut versions.source, records.clone(), &stop);

    let blue = versions.first(sink.clone(), 1);
    until("blue writes", || sink.rows.durable().is_some());
    let green = versions.next(&blue, sink.clone(), 4, "for-green");
    assert!(blue.status().failure.is_none(), "blue serves until it is taken over");
    let before = sink.rows.durable().unwrap();
    green.take_over().unwrap();
    assert!(!green.stands_by());
    stop.store(70, Ordering::Release);
    let replaced = finish(blue).unwrap_err();
    assert!(matches!(&replaced, PipelineError::Sink { sink, .. } if sink == "fenced"), "{replaced}");
    until("green writes", || sink.rows.durable().unwrap() > before.plus(20));

    // And back.
    let blue = versions.next(&green, sink.clone(), 2, "for-blue");
    blue.take_over().unwrap();
    stop.store(100, Ordering::Release);
    assert!(matches!(finish(green).unwrap_err(), PipelineError::Sink { .. }));
    finish(blue).unwrap();
    producer.join().unwrap();

    let expected = undisturbed(&time(), &records, with_rules("a"));
    for table in ["sayings", "sayings_moments"] {
        assert_eq!(rows(&sink.rows, table), rows(&expected, table), "{table}");
        assert!(rows(&expected, table).len() > 20, "{table}");
    }
    let times: Vec<_> = sink.rows.batches().iter().map(|batch| batch.time).collect();
    assert!(times.is_sorted_by(|one, next| one < next), "each time was written once");
}

#[test]
fn a_sink_that_cannot_revoke_a_claim_is_taken_over_when_the_other_version_has_closed_it() {
    let records = records(0..1_000);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rows.sqlite");
    let mut versions =
        Versions { source: MemorySource::default(), stores: vec![tempfile::tempdir().unwrap()] };
    let stop = Arc::new(AtomicUsize::new(50));
    let producer = produce(&mut versions.source, records.clone(), &stop);
    let blue = versions.first(Sqlite::new(&file), 1);
    let green = versions.next(&blue, Sqlite::new(&file), 2, "for-green");
    assert!(green.stands_by());
    blue.stop().unwrap();
    green.take_over().unwrap();
    assert!(!green.stands_by());
    stop.store(100, Ordering::Release);
    finish(green).unwrap();
    producer.join().unwrap();
    assert_is_whole(&file, &records);
}

#[test]
fn a_version_that_stands_by_ends_when_the_other_one_has_written_everything() {
    let records = records(0..600);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rows.sqlite");
    let mut versions =
        Versions { source: MemorySource::default(), stores: vec![tempfile::tempdir().unwrap()] };
    let stop = Arc::new(AtomicUsize::new(50));
    let producer = produce(&mut versions.source, records.clone(), &stop);
    let blue = versions.first(Sqlite::new(&file), 1);
    let green = versions.next(&blue, Sqlite::new(&file), 2, "for-green");
    stop.store(100, Ordering::Release);
    finish(blue).unwrap();
    until("green has ended", || green.stop_handle().has_ended());
    green.take_over().unwrap();
    finish(green).unwrap();
    producer.join().unwrap();
    assert_is_whole(&file, &records);
}

/// The file has the rows of an undisturbed run.
fn assert_is_whole(file: &std::path::Path, records: &[String]) {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole.sqlite");
    let mut undisturbed = MemorySource::default();
    let partition = undisturbed.handle("p");
    records.iter().for_each(|record| partition.append(record.as_str()));
    partition.end();
    let pipeline = Lives::pipeline_over(undisturbed, &time()).sink(Sqlite::new(&whole));
    finish(with_rules("a")(pipeline).start().unwrap()).unwrap();
    let (found, expected) = (dump(file), dump(&whole));
    assert!(expected.len() > 100);
    assert_eq!(found, expected);
}

/// The rows of both tables but for the time at which they were written.
fn dump(file: &std::path::Path) -> Vec<String> {
    let connection = rusqlite::Connection::open(file).unwrap();
    let mut dumped = Vec::new();
    for table in ["sayings", "sayings_moments"] {
        let sql = format!("SELECT * FROM {table} ORDER BY 1, 2, 3");
        let mut statement = connection.prepare(&sql).unwrap();
        let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let mut found = statement.query([]).unwrap();
        while let Some(row) = found.next().unwrap() {
            let value = |(n, name): (usize, &String)| {
                let value: rusqlite::types::Value = row.get(n).unwrap();
                (name != "updated_at").then(|| format!("{name} {value:?}"))
            };
            dumped.push(names.iter().enumerate().filter_map(value).collect::<Vec<_>>().join(", "));
        }
    }
    dumped.sort();
    dumped
}
