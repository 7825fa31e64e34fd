//! The sinks of a pipeline: which worker each shard lives on, and opening those of this process.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;

use telemetra_core::{Data, EventTime, Shard, Sink};

use crate::courier::{Courier, SinkGauge};
use crate::deliver::{Homes, OpenShard};
use crate::failure::{Failure, PipelineError};
use crate::metric::Value;
use crate::trouble::Patience;

/// Makes the sink of a shard; `None` if it was made before.
type Make<S> = Box<dyn FnMut(Shard) -> Option<Box<dyn Sink<S>>> + Send>;

/// A sink that is not made yet.
pub(crate) struct SinkPlan<S> {
    pub(crate) shards: usize,
    make: Make<S>,
}

impl<S> SinkPlan<S> {
    /// One that is there.
    pub(crate) fn whole(sink: Box<dyn Sink<S>>) -> Self
    where
        S: 'static,
    {
        let mut sink = Some(sink);
        Self { shards: 1, make: Box::new(move |_| sink.take()) }
    }

    /// One that is made by shard.
    pub(crate) fn sharded<K: Sink<S> + 'static>(
        shards: usize,
        mut make: impl FnMut(Shard) -> K + Send + 'static,
    ) -> Self {
        Self { shards, make: Box::new(move |shard| Some(Box::new(make(shard)))) }
    }
}

/// Deals the shards of sinks, whose numbers are given, to the workers of a cluster, evenly. A sink of one shard stays in
/// the first process, which is where a user expects the only one.
pub(crate) fn deal(shards: &[usize], processes: usize, workers: usize) -> Vec<Homes> {
    let mut load = vec![0_usize; processes * workers];
    let mut homes = vec![Vec::new(); shards.len()];
    let (whole, several): (Vec<_>, Vec<_>) = (0..shards.len()).partition(|sink| shards[*sink] == 1);
    for sink in whole.into_iter().chain(several) {
        let span = if shards[sink] == 1 { 1 } else { processes };
        for _ in 0..shards[sink] {
            // Among workers of one load, processes take turns.
            let free = |worker: &usize| (load[*worker], worker % workers, worker / workers);
            let Some(home) = (0..span * workers).min_by_key(free) else { continue };
            load[home] += 1;
            homes[sink].push(home);
        }
    }
    homes.into_iter().map(|homes| Homes(homes.into())).collect()
}

/// A sink's place in the graph of a process.
pub(crate) struct Outlet<S> {
    pub(crate) homes: Homes,
    /// The shards that live in this process; each is taken by its worker.
    pub(crate) shards: Vec<OpenShard<S>>,
}

/// A shard's name and state, for reports.
#[derive(Clone, Debug)]
pub(crate) struct SinkHandle {
    pub(crate) name: String,
    pub(crate) shard: Shard,
    pub(crate) gauge: Arc<SinkGauge>,
}

/// What opening sinks makes.
pub(crate) struct Outlets<S> {
    pub(crate) outlets: Vec<Outlet<S>>,
    pub(crate) handles: Vec<SinkHandle>,
    pub(crate) threads: Vec<JoinHandle<()>>,
}

/// Opens the shards that live in process `process` of `processes`, each of `workers` workers, and starts their threads.
pub(crate) fn open<S: Data>(
    mut plans: Vec<SinkPlan<S>>,
    pipeline: &Value,
    (process, processes, workers): (usize, usize, usize),
    resume: Option<EventTime>,
    patience: Patience,
    failure: &Failure,
) -> Result<Outlets<S>, PipelineError> {
    let numbers: Vec<usize> = plans.iter().map(|plan| plan.shards).collect();
    let mut opened = Outlets { outlets: Vec::new(), handles: Vec::new(), threads: Vec::new() };
    let mut alike: BTreeMap<String, usize> = BTreeMap::new();
    for (plan, homes) in plans.iter_mut().zip(deal(&numbers, processes, workers)) {
        let mut called: Option<Value> = None;
        let mut shards = Vec::new();
        for (index, &home) in homes.0.iter().enumerate().filter(|(_, home)| *home / workers == process) {
            let shard = Shard { index, of: plan.shards };
            let Some(mut sink) = (plan.make)(shard) else { continue };
            let name = sink.name().to_owned();
            let label = if shard == Shard::WHOLE { name.clone() } else { format!("{name}, {shard}") };
            let failed = |source| PipelineError::Sink { sink: label.clone(), source };
            let durable = patience
                .wait(&format!("opening the sink `{label}`"), || sink.open(resume))
                .map_err(failed)?;
            // Metrics tell sinks of one name apart by a number.
            let called = called.get_or_insert_with(|| {
                let number = alike.entry(name.clone()).or_default();
                *number += 1;
                if *number == 1 { name.as_str().into() } else { format!("{name} {number}").into() }
            });
            let labels = [Arc::clone(pipeline), Arc::clone(called), index.to_string().into()];
            let gauge = Arc::new(SinkGauge::new(&label, labels, durable));
            let started = Courier::start(sink, label, Arc::clone(&gauge), failure.clone());
            let (courier, thread) = started.map_err(|error| PipelineError::Worker(error.to_string()))?;
            shards.push(OpenShard { index, home, courier, durable });
            opened.handles.push(SinkHandle { name, shard, gauge });
            opened.threads.push(thread);
        }
        opened.outlets.push(Outlet { homes, shards });
    }
    Ok(opened)
}

#[cfg(test)]
mod tests {
    use super::deal;

    fn dealt(shards: &[usize], processes: usize, workers: usize) -> Vec<Vec<usize>> {
        deal(shards, processes, workers).iter().map(|homes| homes.0.to_vec()).collect()
    }

    #[test]
    fn shards_are_dealt_evenly_and_whole_sinks_to_the_first_process() {
        assert_eq!(dealt(&[1, 1, 1], 2, 2), [[0], [1], [0]]);
        // One a worker, processes in turn.
        assert_eq!(dealt(&[4], 2, 2), [[0, 2, 1, 3]]);
        assert_eq!(dealt(&[2], 2, 2), [[0, 2]]);
        // What the whole ones take is made good.
        assert_eq!(dealt(&[2, 1, 1], 2, 2), [vec![2, 3], vec![0], vec![1]]);
        for (shards, processes, workers) in [(7, 3, 2), (16, 2, 3), (5, 1, 4), (3, 5, 1)] {
            let homes = dealt(&[shards, 1], processes, workers).concat();
            let at = |worker: usize| homes.iter().filter(|home| **home == worker).count();
            let loads: Vec<usize> = (0..processes * workers).map(at).collect();
            assert!(loads.iter().max() <= loads.iter().min().map(|least| least + 1).as_ref(), "{loads:?}");
        }
    }
}
