//! Processes of a cluster begin alike or not at all, and end together.
#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use support::cluster::{cluster, wait};
use support::growing::Growing;
use support::watch::{chain, finish, until};
use support::*;
use telemetra::core::checkpoint::{CheckpointStore, Directory};
use telemetra::core::source::MemoryStep;
use telemetra::core::*;
use telemetra::ops::{Drain, Pipeline, PipelineError, Report};
use telemetra::sinks::MemorySink;

fn script() -> Script {
    let records = |p: u64| (0..100).map(|n| format!("k{} {} {p}-{n} u m", n % 3, BASE + n * 4)).collect();
    (0..2).map(records).collect()
}

fn pipeline(script: &Script, sink: &MemorySink) -> Sayings {
    pipeline_from(source(script, 5), &small_time(), sink)
}

fn errors(ended: Vec<Result<Report, PipelineError>>) -> Vec<String> {
    ended.into_iter().map(|ended| chain(&ended.unwrap_err())).collect()
}

/// A store in a folder that notes what it is asked.
#[derive(Clone)]
struct Noted(Directory, Arc<Mutex<Vec<String>>>);

impl CheckpointStore for Noted {
    fn claim(&mut self, process: usize, processes: usize) -> Result<(), ExternalError> {
        let mut notes = self.1.lock().unwrap();
        notes.push(format!("claim {process} of {processes}"));
        if notes.len() == 1 { Err(ExternalError::transient("not up yet")) } else { Ok(()) }
    }
    fn put(&mut self, name: &str, blob: &[u8]) -> Result<(), ExternalError> {
        self.0.put(name, blob)
    }
    fn get(&mut self, name: &str) -> Result<Option<Vec<u8>>, ExternalError> {
        self.1.lock().unwrap().push("get".to_owned());
        self.0.get(name)
    }
    fn list(&mut self) -> Result<Vec<String>, ExternalError> {
        self.1.lock().unwrap().push("list".to_owned());
        self.0.list()
    }
    fn remove(&mut self, name: &str) -> Result<(), ExternalError> {
        self.0.remove(name)
    }
}

#[test]
fn a_store_is_claimed_before_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let notes: Vec<_> = (0..2).map(|_| Arc::<Mutex<Vec<String>>>::default()).collect();
    let process = |process: usize| {
        let store = Noted(Directory::new(folder.path()), Arc::clone(&notes[process]));
        pipeline(&script(), &MemorySink::new()).checkpoints(store, Duration::from_millis(100))
    };
    for ended in wait(vec![process(0), process(1)]) {
        ended.unwrap();
    }
    for (process, notes) in notes.iter().enumerate() {
        let claim = format!("claim {process} of 2");
        assert_eq!(notes.lock().unwrap()[..3], [claim.clone(), claim, "list".to_owned()]);
    }
}

#[test]
fn from_different_checkpoints_none_begins() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let sink = MemorySink::new();
    let mut source = source(&script(), 5);
    let _open = [source.handle("p0"), source.handle("p1")];
    let with = |folder: &tempfile::TempDir| {
        let pipeline = pipeline_from(source.clone(), &small_time(), &sink);
        pipeline.checkpoints(Directory::new(folder.path()), Duration::from_millis(100))
    };
    let running = with(&one).start().unwrap();
    until("all is read", || running.fates().read == 200);
    running.drain(Drain::KeepWindows).unwrap();
    let before = sink.rows();
    let errors = errors(wait(vec![with(&one), with(&other), with(&one)]));
    assert!(
        errors[0].starts_with(
            "the processes of the cluster do not agree: process 0 begins from the checkpoint of"
        )
    );
    assert!(errors[0].contains("and process 1 from the beginning; give all the same store"), "{}", errors[0]);
    assert_eq!(errors, vec![errors[0].clone(); 3]);
    assert_eq!(sink.rows(), before);
}

#[test]
fn with_different_partitions_shards_or_settings_none_begins() {
    let sink = MemorySink::new();
    let longer = [script(), vec![vec![format!("k0 {BASE} more u m")]]].concat();
    let more = wait(vec![pipeline(&script(), &sink), pipeline(&longer, &sink)]);
    for error in errors(more) {
        assert!(
            error.contains("process 0 lists 2 partitions and lacks `p2`, process 1 lists 3 and lacks none"),
            "{error}"
        );
    }
    let sharded = |shards| pipeline(&script(), &sink).sharded_sink(shards, |_| MemorySink::new());
    for error in errors(wait(vec![sharded(2), sharded(3)])) {
        assert!(error.contains("process 0 has sinks of [1, 2] shards and process 1 of [1, 3]"), "{error}");
    }
    let time = TimeConfig { allowed_lateness: Duration::from_millis(50), ..small_time() };
    let other = pipeline_from(source(&script(), 5), &time, &sink);
    for error in errors(wait(vec![pipeline(&script(), &sink), other])) {
        assert!(error.contains("lateness 40") && error.contains("lateness 50"), "{error}");
    }
    assert!(sink.rows().is_empty() && sink.batches().is_empty());
}

#[test]
fn what_stops_one_process_stops_all() {
    let fails = |source: telemetra::core::source::Memory, name: &str| {
        source.script(name, [MemoryStep::Records(20), MemoryStep::Fail(Retry::Permanent)])
    };
    // The second partition is read by the second process.
    let reads =
        |_| pipeline_from(fails(source(&script(), 5), "p1"), &small_time(), &MemorySink::new()).workers(2);
    let ended = errors(wait((0..3).map(reads).collect()));
    assert!(ended[1].starts_with("could not read the partition `p1`: cannot read"), "{}", ended[1]);
    for other in [&ended[0], &ended[2]] {
        assert_eq!(*other, format!("process 1 of the cluster stopped: {}", ended[1]));
    }
}

#[test]
fn the_order_to_stop_one_process_stops_all() {
    let open = Growing::default();
    let handles: Vec<_> = (0..2).map(|n| open.add(&format!("p{n}"), &script()[n])).collect();
    let process = |_| {
        let pipeline =
            Pipeline::<Saying>::new().source(open.clone(), Words).time(small_time()).clock(clock());
        pipeline.max_watermark_drift(Duration::from_millis(10_000)).sink(MemorySink::new())
    };
    let ended = cluster((0..2).map(process).collect(), |process, running| {
        // The one that is stopped by the other may not get that far.
        until("its partition is read", || running.fates().read == 100 || running.is_finished());
        if process == 1 { running.stop() } else { finish(running) }
    });
    let ended: Vec<_> = ended.into_iter().map(|ended| ended.and_then(|ended| ended)).collect();
    assert_eq!(ended[1].as_ref().unwrap().fates.read, 100);
    let error = ended[0].as_ref().unwrap_err();
    assert_eq!(error.to_string(), "process 1 of the cluster stopped: it was ordered to");
    drop(handles);
}
