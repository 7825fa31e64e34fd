//! Clusters: as many pipelines as there are processes, each on a thread, over loopback. Nothing is shared but what the test shares.

use telemetra::core::Events;
use telemetra::ops::{LastPlan, Pipeline, PipelineError, Report, Running, free_addresses};

use super::watch::in_time;

/// Starts a pipeline per process of a cluster and gives each running one to `live`; what comes of it, by process.
pub fn cluster<E: Events, L: LastPlan<E> + Send + 'static, T: Send + 'static>(
    pipelines: Vec<Pipeline<E, L>>,
    live: impl Fn(usize, Running) -> T + Clone + Send + 'static,
) -> Vec<Result<T, PipelineError>> {
    let addresses = if pipelines.len() > 1 { free_addresses(pipelines.len()).unwrap() } else { Vec::new() };
    let processes: Vec<_> = pipelines
        .into_iter()
        .enumerate()
        .map(|(process, pipeline)| {
            let (pipeline, live) = (pipeline.cluster(process, addresses.clone()), live.clone());
            std::thread::spawn(move || {
                in_time("a process of a cluster", move || Ok(live(process, pipeline.start()?)))
            })
        })
        .collect();
    processes.into_iter().map(|process| process.join().unwrap()).collect()
}

/// The same to the end of all input.
pub fn wait<E: Events, L: LastPlan<E> + Send + 'static>(
    pipelines: Vec<Pipeline<E, L>>,
) -> Vec<Result<Report, PipelineError>> {
    let ended = cluster(pipelines, |_, running| running.wait());
    ended.into_iter().map(|ended| ended.and_then(|ended| ended)).collect()
}
