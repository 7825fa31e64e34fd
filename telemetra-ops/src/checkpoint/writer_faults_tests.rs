//! Tests of the measurements of checkpoints, and of the thread that writes them when the store fails.

#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

use std::collections::VecDeque;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use metrics::{Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use telemetra_core::checkpoint::{CheckpointStore, decode};
use telemetra_core::{EventTime, ExternalError};

use crate::checkpoint::state::{Message, SnapshotWriter, blob_name, manifest_name};
use crate::checkpoint::writer::{Ended, Writer};
use crate::checkpoint::writer_tests::writer;
use crate::observe::metrics::{CHECKPOINT_BYTES, CHECKPOINT_SECONDS};
use crate::support::failure::PipelineError;
use crate::support::logged::traced;
use crate::testkit::world::MemoryStore;

/// A store in memory, whose next calls of `put` fail.
#[derive(Clone, Default)]
struct Faulty {
    store: MemoryStore,
    faults: Arc<Mutex<VecDeque<Fault>>>,
}

enum Fault {
    Error(ExternalError),
    Panic,
}

impl Faulty {
    fn new(faults: impl IntoIterator<Item = Fault>) -> Self {
        let faults = Arc::new(Mutex::new(faults.into_iter().collect()));
        Self { store: MemoryStore::default(), faults }
    }
}

impl CheckpointStore for Faulty {
    fn claim(&mut self, process: usize, processes: usize) -> Result<(), ExternalError> {
        self.store.claim(process, processes)
    }
    fn put(&mut self, name: &str, blob: &[u8]) -> Result<(), ExternalError> {
        let fault = self.faults.lock().unwrap().pop_front();
        match fault {
            Some(Fault::Error(error)) => Err(error),
            Some(Fault::Panic) => panic!("as the test says"),
            None => self.store.put(name, blob),
        }
    }
    fn get(&mut self, name: &str) -> Result<Option<Vec<u8>>, ExternalError> {
        self.store.get(name)
    }
    fn list(&mut self) -> Result<Vec<String>, ExternalError> {
        self.store.list()
    }
    fn remove(&mut self, name: &str) -> Result<(), ExternalError> {
        self.store.remove(name)
    }
}

/// Histograms by name and pipeline.
#[derive(Clone, Default)]
struct Histograms(Arc<Mutex<Vec<(String, f64)>>>);

struct Named(String, Histograms);

impl HistogramFn for Named {
    fn record(&self, value: f64) {
        self.1.0.lock().unwrap().push((self.0.clone(), value));
    }
}

impl Recorder for Histograms {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::noop()
    }
    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }
    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        let labels: Vec<_> = key.labels().map(metrics::Label::value).collect();
        Histogram::from_arc(Arc::new(Named(format!("{} of {}", key.name(), labels.concat()), self.clone())))
    }
}

/// Runs a writer on this thread with what this sends. Returns how it ended.
fn run(writer: Writer, send: impl FnOnce(&SnapshotWriter)) -> Result<(), Ended> {
    let (parts, messages) = channel();
    send(&SnapshotWriter { worker: writer.process, parts, gauge: Arc::clone(&writer.gauge) });
    writer.run(&messages)
}

fn write(worker: &SnapshotWriter, boundary: u64) {
    worker.snapshot(EventTime(boundary), "partitions", boundary);
    worker.flush(EventTime(boundary));
}

fn complete(worker: &SnapshotWriter, boundary: u64) {
    worker.parts.send(Message::Complete { boundary: EventTime(boundary) }).unwrap();
}

#[test]
fn a_checkpoint_that_is_complete_is_measured_with_all_that_was_written_for_it() {
    let (store, histograms) = (MemoryStore::default(), Histograms::default());
    let writer = writer(store.clone(), 0, 1);
    let gauge = Arc::clone(&writer.gauge);
    let spans = traced(|| {
        let sent = |worker: &SnapshotWriter| {
            write(worker, 10);
            write(worker, 20);
            complete(worker, 10);
            complete(worker, 20);
            complete(worker, 30);
        };
        metrics::with_local_recorder(&histograms, || assert!(run(writer, sent).is_ok()));
    });
    let bytes_of = |boundary: u64| {
        let group = format!("{boundary:020}/");
        let names = store.clone().list().unwrap().into_iter().filter(|name| name.starts_with(&group));
        names.map(|name| store.clone().get(&name).unwrap().unwrap().len()).sum::<usize>()
    };
    let histograms = histograms.0.lock().unwrap();
    let of = |name: &str| {
        let of = format!("{name} of test");
        histograms.iter().filter(|(name, _)| *name == of).map(|(_, value)| *value).collect::<Vec<_>>()
    };
    let bytes = of(CHECKPOINT_BYTES.name);
    assert_eq!((bytes.len(), of(CHECKPOINT_SECONDS.name).len()), (2, 2));
    assert_eq!(bytes[1] as usize, bytes_of(20));
    let link = std::mem::size_of::<EventTime>() as f64;
    assert_eq!(bytes[1] - bytes[0], link, "it has the same parts, and the first one in its chain");
    assert_eq!(bytes.iter().sum::<f64>() as u64, gauge.bytes.load(std::sync::atomic::Ordering::Relaxed));
    let written = store.clone().get(&blob_name(EventTime(20), 0)).unwrap().unwrap().len();
    let recorded = |name: &str| {
        let start = format!("{name} bytes=");
        let found = spans.iter().filter_map(|line| line.strip_prefix(&start));
        found.map(|bytes| bytes.parse::<usize>().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(recorded("checkpoint"), bytes.iter().map(|bytes| *bytes as usize).collect::<Vec<_>>());
    assert_eq!(recorded("write").len(), 2, "{spans:?}");
    assert!(recorded("write").iter().all(|bytes| *bytes > written && *bytes < bytes_of(20)), "{spans:?}");
}

#[test]
fn a_store_that_fails_for_the_moment_is_tried_again() {
    let store = Faulty::new([Fault::Error(ExternalError::transient("busy"))]);
    let writer = writer(store.clone(), 0, 1);
    let gauge = Arc::clone(&writer.gauge);
    let ended = run(writer, |worker| {
        write(worker, 10);
        complete(worker, 10);
    });
    assert!(ended.is_ok() && store.clone().get(&manifest_name(EventTime(10))).unwrap().is_some());
    assert_eq!((gauge.retry.retries(), gauge.retry.failing()), (1, None));
}

#[test]
fn a_store_that_fails_for_good_ends_the_pipeline() {
    let writer = writer(Faulty::new([Fault::Error(ExternalError::permanent("no rights"))]), 0, 1);
    let ended = run(writer, |worker| write(worker, 10)).unwrap_err();
    let Ended::Failed(PipelineError::Checkpoint(error)) = ended else { panic!("{ended:?}") };
    assert_eq!(error.to_string(), "no rights");
}

#[test]
fn a_store_that_panics_ends_the_pipeline() {
    let writer = writer(Faulty::new([Fault::Panic]), 0, 1);
    let failure = writer.failure.clone();
    let (parts, messages) = channel();
    write(&SnapshotWriter { worker: 0, parts, gauge: Arc::clone(&writer.gauge) }, 10);
    writer.start(messages).unwrap().join().unwrap();
    let told = failure.describe().unwrap();
    assert!(told.contains("the store panicked: as the test says"), "{told}");
}

#[test]
fn nothing_is_written_any_more_when_the_pipeline_goes_down() {
    let store = MemoryStore::default();
    let writer = writer(store.clone(), 0, 1);
    writer.failure.halt();
    assert!(matches!(run(writer, |worker| write(worker, 10)), Err(Ended::Down)));
    assert!(store.clone().list().unwrap().is_empty());
    let busy = self::writer(Faulty::new([Fault::Error(ExternalError::transient("busy"))]), 0, 1);
    let failure = busy.failure.clone();
    let (parts, messages) = channel();
    write(&SnapshotWriter { worker: 0, parts, gauge: Arc::clone(&busy.gauge) }, 10);
    let retry = busy.gauge.retry.clone();
    let thread = busy.start(messages).unwrap();
    failure.halt();
    thread.join().unwrap();
    assert!(!failure.is_set(), "an order to stop is no failure: {:?}", retry.failing());
}

#[test]
fn a_part_that_could_not_be_encoded_fails_the_pipeline_by_its_name() {
    let error = || Err(decode::<u64>(b"").unwrap_err());
    let fails = |hand_over: &dyn Fn(&SnapshotWriter)| {
        let ended = run(writer(MemoryStore::default(), 0, 1), hand_over).unwrap_err();
        let Ended::Failed(told) = ended else { panic!("{ended:?}") };
        assert!(told.to_string().contains("windows a"), "{told}");
    };
    fails(&|worker| worker.encoded(EventTime(10), &"windows a".into(), error()));
    fails(&|worker| worker.leave("windows a", EventTime(10), error()));
}
