//! A pipeline that was stopped anywhere, any number of times, and went on with another number of workers, leaves the same
//! tables as one that was not.
#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

mod support;

use std::time::Duration;

use proptest::prelude::*;
use support::*;
use telemetra::core::checkpoint::Directory;
use telemetra::core::source::MemoryStep;
use telemetra::core::*;
use telemetra::ops::{Drain, PipelineError, Report};
use telemetra::sinks::Memory;

/// How a life ends.
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
    sink: &Memory<Out>,
    store: &Directory,
    workers: usize,
    end: Option<&End>,
) -> Result<Report, PipelineError> {
    let mut source = source(script, 3);
    if let Some(End::Failure { partition, after }) = end {
        let name = format!("p{}", partition % script.len());
        source = source.script(&name, [MemoryStep::Records(*after), MemoryStep::Fail(Retry::Permanent)]);
    }
    let running = pipeline_from(source, time, sink)
        .workers(workers)
        .checkpoints(store.clone(), 20, Duration::ZERO)
        .start()?;
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

/// In a cluster, a checkpoint that a life before this one began would be taken for whole without a process that skips it now.
#[test]
fn what_an_earlier_life_said_of_its_partitions_is_forgotten() {
    use telemetra::core::checkpoint::CheckpointStore;
    let folder = tempfile::tempdir().unwrap();
    let (mut store, sink) = (Directory::new(folder.path()), Memory::new());
    let (left, others) = ("09999999999999999999/source-0000", "09999999999999999999/source-0001");
    store.put(left, b"of a life that was killed").unwrap();
    store.put(others, b"of another process, which sees to it itself").unwrap();
    let script = vec![(0..50).map(|n| format!("k {} e{n} u m", BASE + n * 10)).collect()];
    life(&script, &small_time(), &sink, &store, 1, None).unwrap();
    let names = store.list().unwrap();
    assert!(names.iter().any(|name| name.ends_with("/complete")), "{names:?}");
    assert!(!names.iter().any(|name| name == left) && names.iter().any(|name| name == others), "{names:?}");
}

fn end() -> impl Strategy<Value = (End, usize)> {
    let end = prop_oneof![
        4 => (0usize..3, 0usize..120).prop_map(|(partition, after)| End::Failure { partition, after }),
        1 => (0u64..3_000).prop_map(|micros| End::Stop(Duration::from_micros(micros))),
        1 => (0u64..3_000).prop_map(|micros| End::Drain(Duration::from_micros(micros))),
    ];
    (end, 1usize..=4)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(60), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn restarts_leave_the_same_tables(
        script in script(),
        lives in prop::collection::vec(end(), 1..4),
        last_workers in 1usize..=4,
    ) {
        let time = small_time();
        let (undisturbed, expected) = run(&script, &time, 1, 7).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (store, sink) = (Directory::new(folder.path()), Memory::new().with_log());
        for (end, workers) in &lives {
            let ended = life(&script, &time, &sink, &store, *workers, Some(end));
            if let Err(error) = ended {
                prop_assert!(matches!(error, PipelineError::Source { .. }), "{error}");
            }
        }
        let report = life(&script, &time, &sink, &store, last_workers, None).unwrap();
        prop_assert_eq!(report.fates, expected.fates);
        let (found, wanted) = (sink.rows(), undisturbed.rows());
        for (found, wanted) in found.iter().zip(&wanted) {
            prop_assert_eq!(found, wanted);
        }
        prop_assert_eq!(found.len(), wanted.len());
        prop_assert_eq!(published(&sink.batches()), published(&undisturbed.batches()));
    }
}
