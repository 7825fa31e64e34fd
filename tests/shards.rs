//! Any number of shards, workers and processes leaves the same rows as one sink on one worker, restarts included.
#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use support::cluster::wait;
use support::*;
use telemetra::core::checkpoint::Directory;
use telemetra::core::source::MemoryStep;
use telemetra::core::*;
use telemetra::ops::PipelineError;
use telemetra::sinks::MemorySink;

/// The stores of the shards of one sink, as they would be somewhere outside.
#[derive(Clone, Debug)]
struct Stores(Vec<MemorySink>);

impl Stores {
    fn new(shards: usize) -> Self {
        Self((0..shards).map(|_| MemorySink::new().with_log()).collect())
    }

    /// The rows of all shards, in the order of one store.
    fn rows(&self) -> Vec<Change> {
        let mut rows: Vec<_> = self.0.iter().flat_map(MemorySink::rows).collect();
        sort(&mut rows);
        rows
    }

    fn letters(&self) -> Vec<DeadLetter> {
        let mut letters: Vec<_> = self.0.iter().flat_map(MemorySink::dead_letters).collect();
        letters.sort();
        letters
    }

    /// The changes of each time, over all shards.
    fn published(&self) -> Vec<Update> {
        let mut by_time: BTreeMap<EventTime, Vec<Change>> = BTreeMap::new();
        for batch in self.0.iter().flat_map(MemorySink::batches) {
            by_time.entry(batch.time).or_default().extend(batch.changes);
        }
        let batches: Vec<_> = by_time.into_iter().map(|(time, changes)| Batch { time, changes }).collect();
        published(&batches)
    }
}

fn pipelines(
    script: &Script,
    stores: &Stores,
    checkpoints: Option<&Directory>,
    (workers, processes): (usize, usize),
    fails: Option<(usize, usize)>,
) -> Vec<Sayings> {
    let pipeline = |_| {
        let mut source = source(script, 3);
        if let Some((partition, after)) = fails {
            let name = format!("p{}", partition % script.len());
            source = source.script(&name, [MemoryStep::Records(after), MemoryStep::Fail(Retry::Permanent)]);
        }
        let made = stores.clone();
        let mut pipeline = sayings(source, Words, &small_time())
            .max_watermark_drift(Duration::from_millis(10_000))
            .rules(small_rules())
            .sharded_sink(stores.0.len(), move |shard| made.0[shard.index].clone())
            .workers(workers);
        if let Some(store) = checkpoints {
            pipeline = pipeline.checkpoints(store.clone(), Duration::from_millis(20));
        }
        pipeline
    };
    (0..processes).map(pipeline).collect()
}

fn assert_same(script: &Script, stores: &Stores) {
    let (whole, _) = run(script, &small_time(), 1, 7).unwrap();
    let (mut rows, mut letters) = (whole.rows(), whole.dead_letters());
    sort(&mut rows);
    letters.sort();
    assert_eq!(stores.rows(), rows);
    assert_eq!(stores.letters(), letters);
    assert_eq!(stores.published(), published(&whole.batches()));
    for (index, store) in stores.0.iter().enumerate() {
        for (stream, _) in summaries(store) {
            assert_eq!(Shard::index_of(&stream, stores.0.len()), index, "{stream} is in the wrong shard");
        }
    }
}

/// Shards, workers and processes: clusters are few, as they take a moment to meet.
fn shape() -> impl Strategy<Value = (usize, usize, usize)> {
    (1usize..=5, 1usize..=3, prop_oneof![3 => Just(1usize), 1 => 2usize..=3])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(30), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_number_of_shards_leaves_the_same_rows(
        script in script(),
        (shards, workers, processes) in shape(),
    ) {
        let stores = Stores::new(shards);
        for ended in wait(pipelines(&script, &stores, None, (workers, processes), None)) {
            prop_assert!(ended.is_ok(), "{:?}", ended.err());
        }
        assert_same(&script, &stores);
    }

    #[test]
    fn restarts_of_another_shape_leave_the_same_rows(
        script in script(),
        (shards, workers, processes) in shape(),
        fails in prop::collection::vec((0usize..3, 0usize..120, 1usize..=3), 1..3),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let (stores, store) = (Stores::new(shards), Directory::new(folder.path()));
        for (partition, after, workers) in fails {
            let life = pipelines(&script, &stores, Some(&store), (workers, 1), Some((partition, after)));
            for ended in wait(life) {
                let expected = matches!(ended, Ok(_) | Err(PipelineError::Source { .. }));
                prop_assert!(expected, "{:?}", ended.err());
            }
        }
        for ended in wait(pipelines(&script, &stores, Some(&store), (workers, processes), None)) {
            prop_assert!(ended.is_ok(), "{:?}", ended.err());
        }
        assert_same(&script, &stores);
    }
}

#[test]
fn every_shard_sees_every_marked_time_also_without_rows() {
    // One stream: all rows are in one of the shards.
    let record = |n: u64| format!("only {} e{n} u{} m", BASE + n * 5, n % 3);
    let script = vec![(0..100).map(record).collect::<Vec<_>>()];
    let folder = tempfile::tempdir().unwrap();
    let (stores, store) = (Stores::new(4), Directory::new(folder.path()));
    for ended in wait(pipelines(&script, &stores, Some(&store), (2, 2), None)) {
        ended.unwrap();
    }
    let times = |memory: &MemorySink| -> BTreeSet<EventTime> {
        memory.batches().iter().map(|batch| batch.time).collect()
    };
    let full = Shard::index_of("only", 4);
    let empty: Vec<usize> = (0..4).filter(|shard| *shard != full).collect();
    let marked = times(&stores.0[empty[0]]);
    assert!(marked.len() > 5, "{marked:?}");
    assert!(stores.0[empty[0]].rows().is_empty());
    assert!(marked.is_subset(&times(&stores.0[full])));
    assert!(empty.iter().all(|shard| times(&stores.0[*shard]) == marked));
}

#[test]
fn a_shard_that_fails_is_named() {
    let script = vec![vec![format!("k {BASE} e u m")]];
    let stores = Stores::new(3);
    let index = Shard::index_of("k", 3);
    let pipeline = sayings(source(&script, 1), Words, &small_time());
    let pipeline = pipeline.sharded_sink(3, move |shard| Picky { fails: shard.index == index });
    let error = pipeline.start().unwrap().wait().unwrap_err();
    assert_eq!(error.to_string(), format!("could not write to the sink `picky, shard {index} of 3`"));
    let pipelines = pipelines(&script, &stores, None, (1, 1), None);
    let none = pipelines.into_iter().next().unwrap().sharded_sink(0, |_| MemorySink::new());
    assert!(none.start().unwrap_err().to_string().contains("`sharded_sink`: there is no shard"));
}

struct Picky {
    fails: bool,
}

impl Sink for Picky {
    fn name(&self) -> &str {
        "picky"
    }
    fn open(&mut self, _: &[Arc<Table>], _: Option<EventTime>) -> Result<Option<EventTime>, ExternalError> {
        Ok(None)
    }
    fn apply(&mut self, _: &[Batch]) -> Result<(), ExternalError> {
        if self.fails { Err(ExternalError::permanent("it does not like it")) } else { Ok(()) }
    }
}
