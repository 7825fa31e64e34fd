//! Sink placement: the worker on which each shard of a sink runs, and the opening of this process's shards.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::thread::JoinHandle;

use telemetra_core::{EventTime, Shard, Sink, SinkProgress, Table};

use crate::deliver::missed::Missed;
use crate::deliver::sink_thread::{SinkGauge, SinkQueue};
use crate::deliver::slow::SlowBatches;
use crate::deliver::standby::Standby;
use crate::deliver::to_sinks::OpenShard;
use crate::observe::metrics::Value;
use crate::support::failure::{Failure, PipelineError};
use crate::support::retry::RetryDeadline;

/// Creates the sink of a shard; `None` if it was created before.
type Make = Box<dyn FnMut(Shard) -> Option<Box<dyn Sink>> + Send>;

/// A sink that is not created yet.
pub(crate) struct SinkPlan {
    pub(crate) shards: usize,
    make: Make,
}

impl SinkPlan {
    /// A plan for an existing sink, as one shard.
    pub(crate) fn whole(sink: Box<dyn Sink>) -> Self {
        let mut sink = Some(sink);
        Self { shards: 1, make: Box::new(move |_| sink.take()) }
    }

    /// A plan for a sink that is created shard by shard.
    pub(crate) fn sharded<K: Sink + 'static>(
        shards: usize,
        mut make: impl FnMut(Shard) -> K + Send + 'static,
    ) -> Self {
        Self { shards, make: Box::new(move |shard| Some(Box::new(make(shard)))) }
    }
}

/// The worker of each shard of a sink. All processes compute the same.
#[derive(Clone, Debug)]
pub(crate) struct ShardHomes(pub(crate) Arc<[usize]>);

impl ShardHomes {
    /// Returns the number of shards.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns the worker of the only shard, for timely's exchange; `None` if there are several.
    pub(crate) fn only_home(&self) -> Option<u64> {
        match self.0[..] {
            [only] => Some(only as u64),
            _ => None,
        }
    }

    /// Returns the shard of a subject with this hash.
    pub(crate) fn shard_of(&self, hash: u64) -> usize {
        Shard::index_of_hash(hash, self.len())
    }

    /// Returns the worker of that shard, for timely's exchange.
    pub(crate) fn home_of(&self, hash: u64) -> u64 {
        self.0[self.shard_of(hash)] as u64
    }
}

/// Assigns the shards of sinks, whose numbers are given, evenly to the workers of a cluster. A sink of one
/// shard runs in the first process, where a user expects it.
pub(crate) fn assign(shards: &[usize], processes: usize, workers: usize) -> Vec<ShardHomes> {
    let mut load = vec![0_usize; processes * workers];
    let mut homes = vec![Vec::new(); shards.len()];
    let (whole, several): (Vec<_>, Vec<_>) = (0..shards.len()).partition(|sink| shards[*sink] == 1);
    for sink in whole.into_iter().chain(several) {
        let span = if shards[sink] == 1 { 1 } else { processes };
        for _ in 0..shards[sink] {
            // Among workers with equal load, processes take turns.
            let free = |worker: &usize| (load[*worker], worker % workers, worker / workers);
            let Some(home) = (0..span * workers).min_by_key(free) else { continue };
            load[home] += 1;
            homes[sink].push(home);
        }
    }
    homes.into_iter().map(|homes| ShardHomes(homes.into())).collect()
}

/// The shards of a sink, as a process builds them into its graph.
pub(crate) struct SinkPlacement {
    pub(crate) homes: ShardHomes,
    /// The shards that run in this process; each is taken by its worker.
    pub(crate) shards: Vec<OpenShard>,
}

/// The name and state of a shard, for status and metrics.
#[derive(Clone, Debug)]
pub(crate) struct SinkHandle {
    pub(crate) name: String,
    pub(crate) shard: Shard,
    pub(crate) gauge: Arc<SinkGauge>,
}

/// The result of opening the sinks.
pub(crate) struct OpenSinks {
    pub(crate) placements: Vec<SinkPlacement>,
    pub(crate) handles: Vec<SinkHandle>,
    pub(crate) threads: Vec<JoinHandle<()>>,
}

/// The arguments that sinks are opened with.
pub(crate) struct SinkStart<'a> {
    pub(crate) tables: &'a [Arc<Table>],
    /// The last time before the checkpoint.
    pub(crate) resume: Option<EventTime>,
    /// The tables whose rows come out otherwise than before.
    pub(crate) changed: &'a Arc<BTreeSet<String>>,
    /// True if sinks that another pipeline writes to are watched until they are to be taken over.
    pub(crate) stands_by: bool,
    pub(crate) slow: &'a SlowBatches,
}

/// Opens the shards that run in process `process` of `processes`, each with `workers` workers, and starts
/// their threads.
pub(crate) fn open(
    mut plans: Vec<SinkPlan>,
    pipeline: &Value,
    (process, processes, workers): (usize, usize, usize),
    start: &SinkStart<'_>,
    deadline: &RetryDeadline,
    failure: &Failure,
) -> Result<OpenSinks, PipelineError> {
    let numbers: Vec<usize> = plans.iter().map(|plan| plan.shards).collect();
    let mut opened = OpenSinks { placements: Vec::new(), handles: Vec::new(), threads: Vec::new() };
    let mut alike: BTreeMap<String, usize> = BTreeMap::new();
    for (plan, homes) in plans.iter_mut().zip(assign(&numbers, processes, workers)) {
        let mut called: Option<Value> = None;
        let mut shards = Vec::new();
        for (index, &home) in homes.0.iter().enumerate().filter(|(_, home)| *home / workers == process) {
            let shard = Shard { index, of: plan.shards };
            let Some(mut sink) = (plan.make)(shard) else { continue };
            sink.part_of(pipeline);
            let name = sink.name().to_owned();
            let label = if shard == Shard::WHOLE { name.clone() } else { format!("{name}, {shard}") };
            let failed = |source| PipelineError::Sink { sink: label.clone(), source };
            let SinkStart { tables, resume, changed, stands_by, slow } = *start;
            let missed =
                || Missed::new(Arc::clone(changed), resume.map_or(EventTime::MIN, |last| last.plus(1)));
            let opening = format!("opening the sink `{label}`");
            let progress = if stands_by {
                deadline.wait(&opening, || sink.progress()).map_err(failed)?
            } else {
                SinkProgress::NotShared
            };
            let (durable, standby) = if let SinkProgress::Until(seen) = progress {
                (seen, Some(Standby::new(tables, resume, seen, missed())))
            } else {
                if matches!(progress, SinkProgress::Rewritten(_)) {
                    sink.hold(true);
                }
                (deadline.wait(&opening, || sink.open(tables, resume)).map_err(failed)?, None)
            };
            // Metrics distinguish sinks with the same name by a number.
            let called = called.get_or_insert_with(|| {
                let number = alike.entry(name.clone()).or_default();
                *number += 1;
                if *number == 1 { name.as_str().into() } else { format!("{name} {number}").into() }
            });
            let labels = [Arc::clone(pipeline), Arc::clone(called), index.to_string().into()];
            let gauge = Arc::new(SinkGauge::new(&label, labels, durable));
            match progress {
                SinkProgress::Until(other) => gauge.standby.begin(other),
                SinkProgress::Rewritten(other) => gauge.standby.begin_holding(other),
                SinkProgress::NotShared => {}
            }
            let started =
                SinkQueue::start(sink, label, Arc::clone(&gauge), failure.clone(), standby, slow.clone());
            let (queue, thread) = started.map_err(|error| PipelineError::Worker(error.to_string()))?;
            shards.push(OpenShard { index, home, queue, durable, missed: missed() });
            opened.handles.push(SinkHandle { name, shard, gauge });
            opened.threads.push(thread);
        }
        opened.placements.push(SinkPlacement { homes, shards });
    }
    Ok(opened)
}

#[cfg(test)]
mod tests {
    use super::{ShardHomes, assign};

    fn assigned(shards: &[usize], processes: usize, workers: usize) -> Vec<Vec<usize>> {
        assign(shards, processes, workers).iter().map(|homes| homes.0.to_vec()).collect()
    }

    #[test]
    fn shards_are_dealt_evenly_and_whole_sinks_to_the_first_process() {
        assert_eq!(assigned(&[1, 1, 1], 2, 2), [[0], [1], [0]]);
        // One a worker, processes in turn.
        assert_eq!(assigned(&[4], 2, 2), [[0, 2, 1, 3]]);
        assert_eq!(assigned(&[2], 2, 2), [[0, 2]]);
        // What the whole ones take is made good.
        assert_eq!(assigned(&[2, 1, 1], 2, 2), [vec![2, 3], vec![0], vec![1]]);
        for (shards, processes, workers) in [(7, 3, 2), (16, 2, 3), (5, 1, 4), (3, 5, 1)] {
            let homes = assigned(&[shards, 1], processes, workers).concat();
            let at = |worker: usize| homes.iter().filter(|home| **home == worker).count();
            let loads: Vec<usize> = (0..processes * workers).map(at).collect();
            assert!(loads.iter().max() <= loads.iter().min().map(|least| least + 1).as_ref(), "{loads:?}");
        }
    }

    #[test]
    fn a_subject_goes_to_the_worker_of_its_shard() {
        let homes = ShardHomes([7, 5, 6].into());
        assert_eq!((homes.len(), homes.only_home()), (3, None));
        let at = |hash| (homes.shard_of(hash), homes.home_of(hash));
        assert_eq!((at(0), at(u64::MAX / 2), at(u64::MAX)), ((0, 7), (1, 5), (2, 6)));
        assert_eq!(ShardHomes([4].into()).only_home(), Some(4));
    }
}
