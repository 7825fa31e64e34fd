//! A pipeline that was stopped anywhere, any number of times, and went on with another number of workers, leaves the same
//! tables as one that was not.
#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use support::streams::{DAY, chat, scored_pipeline, ten_seconds};
use support::watch::{chain, finish, in_time, until};
use support::*;
use telemetra::core::checkpoint::Directory;
use telemetra::core::source::{Memory as MemorySource, MemoryStep};
use telemetra::core::*;
use telemetra::livestream::{Lexicon, Sentiment, Vader};
use telemetra::ops::{Drain, PipelineError, Report, Running, SpillConfig};
use telemetra::sinks::MemorySink;

/// How a run ends.
#[derive(Clone, Debug)]
enum End {
    /// Reading a partition fails for good after so many records.
    Failure { partition: usize, after: usize },
    /// The handle is told to stop after a while.
    Stop(Duration),
    /// It is drained with windows kept after a while.
    Drain(Duration),
}

fn life(
    script: &Script,
    time: &TimeConfig,
    sink: &MemorySink,
    store: &Directory,
    workers: usize,
    end: Option<&End>,
) -> Result<Report, PipelineError> {
    life_with(script, time, sink, store, workers, (end, None))
}

/// The same, with state on disk as this setting says.
fn life_with(
    script: &Script,
    time: &TimeConfig,
    sink: &MemorySink,
    store: &Directory,
    workers: usize,
    (end, spill): (Option<&End>, Option<&SpillConfig>),
) -> Result<Report, PipelineError> {
    let mut source = source(script, 3);
    if let Some(End::Failure { partition, after }) = end {
        let name = format!("p{}", partition % script.len());
        source = source.script(&name, [MemoryStep::Records(*after), MemoryStep::Fail(Retry::Permanent)]);
    }
    let mut pipeline = pipeline_from(source, time, sink)
        .workers(workers)
        .checkpoints(store.clone(), Duration::from_millis(20));
    if let Some(spill) = spill {
        pipeline = pipeline.spill(spill.clone());
    }
    let running = pipeline.start()?;
    match end {
        Some(End::Stop(after)) => {
            std::thread::sleep(*after);
            running.stop()
        }
        Some(End::Drain(after)) => {
            std::thread::sleep(*after);
            running.drain(Drain::KeepWindows)
        }
        Some(End::Failure { .. }) | None => running.wait(),
    }
}

/// In a cluster, a checkpoint that a run before this one began would be taken for whole without a process that skips it now.
#[test]
fn what_an_earlier_life_said_of_its_partitions_is_forgotten() {
    use telemetra::core::checkpoint::CheckpointStore;
    let folder = tempfile::tempdir().unwrap();
    let (mut store, sink) = (Directory::new(folder.path()), MemorySink::new());
    let (left, others) = ("09999999999999999999/source-0000", "09999999999999999999/source-0001");
    store.put(left, b"of a life that was killed").unwrap();
    store.put(others, b"of another process, which sees to it itself").unwrap();
    let script = vec![(0..50).map(|n| format!("k {} e{n} u m", BASE + n * 10)).collect()];
    life(&script, &small_time(), &sink, &store, 1, None).unwrap();
    let names = store.list().unwrap();
    assert!(names.iter().any(|name| name.ends_with("/complete")), "{names:?}");
    assert!(!names.iter().any(|name| name == left) && names.iter().any(|name| name == others), "{names:?}");
}

#[test]
fn a_checkpoint_of_another_scorer_is_refused_and_of_the_same_it_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut source = MemorySource::default();
    let partition = source.handle("p");
    let start = |scorer: Arc<dyn Sentiment>| {
        let pipeline = scored_pipeline(source.clone(), scorer, &ten_seconds()).sink(MemorySink::new());
        pipeline.checkpoints(Directory::new(folder.path()), Duration::from_millis(10_000)).start()
    };
    (0..20).for_each(|n| partition.append(chat("a", n * 1_000, &format!("e{n}"))));
    let english = Lexicon::english().identity();
    let running = start(Arc::new(Lexicon::english())).unwrap();
    until("all is read", || running.fates().read == 20);
    running.drain(Drain::KeepWindows).unwrap();

    let others: [Arc<dyn Sentiment>; 3] = [
        Arc::new(Lexicon::english().with([("hi", 0.5)]).unwrap()),
        Arc::new(Vader::new()),
        Arc::new(Vader::chat()),
    ];
    for other in others {
        let now = other.identity();
        let error = start(other).unwrap_err();
        assert!(matches!(error, PipelineError::Restore(_)), "{error:?}");
        let differing = format!("other settings (sentiment by {english}; now sentiment by {now}); use those");
        assert!(chain(&error).contains(&differing), "{}", chain(&error));
    }
    let running = start(Arc::new(Lexicon::english())).unwrap();
    partition.append(chat("a", 25_000, "last"));
    partition.end();
    assert_eq!(finish(running).unwrap().fates.on_time, 21);
}

#[test]
fn a_folder_for_state_that_cannot_be_used_is_refused_and_one_that_fails_ends_the_pipeline() {
    let disk = tempfile::tempdir().unwrap();
    let file = disk.path().join("file");
    std::fs::write(&file, "").unwrap();
    let refused = pipeline_from(MemorySource::default(), &small_time(), &MemorySink::new());
    let error = refused.spill(SpillConfig::new(&file)).start().unwrap_err();
    assert!(matches!(error, PipelineError::Config(_)), "{error:?}");
    assert!(chain(&error).contains(&*file.to_string_lossy()), "{}", chain(&error));

    let folder = disk.path().join("folder");
    let mut source = MemorySource::default();
    let partition = source.handle("p");
    let sink = MemorySink::new();
    let pipeline = pipeline_from(source, &small_time(), &sink);
    let running = pipeline.spill(SpillConfig::new(&folder).memory(0)).start().unwrap();
    std::fs::remove_dir(&folder).unwrap();
    (0..100).for_each(|n| partition.append(format!("k{} {} e{n} u m", n % 7, BASE + n * 10)));
    partition.end();
    let error = finish(running).unwrap_err();
    assert!(matches!(&error, PipelineError::Spill { .. }), "{error:?}");
    let words = format!("could not keep the state of keys in the folder `{}`", folder.display());
    assert!(chain(&error).contains(&words) && chain(&error).contains("setting `spill`"), "{}", chain(&error));
    // What was computed without the state is not written.
    assert!(sink.rows().is_empty(), "{:?}", sink.rows());
}

/// A pipeline that reads one record and waits for more.
fn waiting(folder: &tempfile::TempDir, patience: Duration) -> Result<Running, PipelineError> {
    let mut source = MemorySource::default();
    source.handle("p").append(format!("k {DAY} e u m"));
    let pipeline = pipeline_from(source, &small_time(), &MemorySink::new()).startup_timeout(patience);
    pipeline.checkpoints(Directory::new(folder.path()), Duration::from_millis(100)).start()
}

#[test]
fn a_second_pipeline_on_one_folder_waits_for_the_end_of_the_first_and_is_refused_if_that_does_not_come() {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let first = waiting(&folder, Duration::ZERO).unwrap();
    let error = waiting(&folder, Duration::ZERO).unwrap_err();
    let words = format!("is held by process {}, which still runs; stop it", std::process::id());
    assert!(chain(&error).contains("could not use the checkpoint store: place 0 among"), "{}", chain(&error));
    assert!(chain(&error).contains(&words), "{}", chain(&error));

    let shared = Arc::clone(&folder);
    let second = std::thread::spawn(move || waiting(&shared, Duration::from_secs(30)));
    first.stop().unwrap();
    let second = in_time("waiting for the folder", move || second.join().unwrap()).unwrap();
    assert!(waiting(&folder, Duration::ZERO).is_err());
    drop(second);
    waiting(&folder, Duration::ZERO).unwrap().stop().unwrap();
}

fn end() -> impl Strategy<Value = (End, usize)> {
    let end = prop_oneof![
        4 => (0usize..3, 0usize..120).prop_map(|(partition, after)| End::Failure { partition, after }),
        1 => (0u64..3_000).prop_map(|micros| End::Stop(Duration::from_micros(micros))),
        1 => (0u64..3_000).prop_map(|micros| End::Drain(Duration::from_micros(micros))),
    ];
    (end, 1usize..=4)
}

/// The fate of each event that was not counted, by its place. A letter may come twice.
fn fates_by_place(sink: &MemorySink) -> BTreeSet<(PartitionId, u64, u32, &'static str)> {
    let letters = sink.dead_letters().into_iter();
    letters.map(|letter| (letter.partition, letter.offset, letter.index, letter.fate.as_str())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(60), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn restarts_leave_the_same_tables(
        script in script(),
        lives in prop::collection::vec(end(), 1..4),
        last_workers in 1usize..=4,
        memory in prop::option::of(prop_oneof![Just(0), 1_000u64..100_000]),
    ) {
        let time = small_time();
        let (undisturbed, expected) = run(&script, &time, 1, 7).unwrap();
        let (folder, disk) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let spill = memory.map(|memory| SpillConfig::new(disk.path()).memory(memory));
        let (store, sink) = (Directory::new(folder.path()), MemorySink::new().with_log());
        for (end, workers) in &lives {
            let ended = life_with(&script, &time, &sink, &store, *workers, (Some(end), spill.as_ref()));
            if let Err(error) = ended {
                prop_assert!(matches!(error, PipelineError::Source { .. }), "{error}");
            }
        }
        let report = life_with(&script, &time, &sink, &store, last_workers, (None, spill.as_ref())).unwrap();
        prop_assert_eq!(report.fates, expected.fates);
        prop_assert_eq!(fates_by_place(&sink), fates_by_place(&undisturbed));
        let (found, wanted) = (sink.rows(), undisturbed.rows());
        for (found, wanted) in found.iter().zip(&wanted) {
            prop_assert_eq!(found, wanted);
        }
        prop_assert_eq!(found.len(), wanted.len());
        prop_assert_eq!(published(&sink.batches()), published(&undisturbed.batches()));
    }
}
