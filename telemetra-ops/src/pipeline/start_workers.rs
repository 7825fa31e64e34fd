//! The start of the worker threads, which in a cluster waits for the other processes.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use telemetra_core::Events;
use timely::communication::WorkerGuards;
use timely::worker::Worker;

use crate::pipeline::worker::Blueprint;
use crate::support::failure::{Failure, PipelineError, panic_text};

/// The interval at which a process that waits for the others checks whether its pipeline is stopped.
const LOOK: Duration = Duration::from_millis(20);

/// Starts the workers. In a cluster it waits until all processes are connected, or the pipeline is stopped.
pub(super) fn start_workers<E: Events>(
    blueprint: Blueprint<E>,
    config: timely::Config,
    failure: &Failure,
) -> Result<WorkerGuards<()>, PipelineError> {
    let is_alone = blueprint.processes == 1;
    // Emptied when nobody waits any more: workers that are started after all find nothing to do.
    let blueprint = Arc::new(Mutex::new(Some(Arc::new(blueprint))));
    let (of_workers, of_all) = (Arc::clone(&blueprint), failure.clone());
    let execute = move || {
        timely::execute(config, move |worker| {
            let blueprint = of_workers.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some(blueprint) = blueprint {
                work(&blueprint, worker, &of_all);
            }
        })
    };
    if is_alone {
        return execute().map_err(PipelineError::Worker);
    }
    // timely waits for the connections without an end.
    let (sender, connected) = channel();
    let connect = std::thread::Builder::new().name("cluster".to_owned()).spawn(move || {
        // It fails only if nobody waits any more.
        let _ = sender.send(execute());
    });
    connect.map_err(|error| PipelineError::Worker(error.to_string()))?;
    loop {
        match connected.recv_timeout(LOOK) {
            Ok(workers) => return workers.map_err(PipelineError::Worker),
            Err(RecvTimeoutError::Timeout) if !failure.is_down() => {}
            Err(RecvTimeoutError::Timeout) => {
                blueprint.lock().unwrap_or_else(PoisonError::into_inner).take();
                return Err(failure.take().unwrap_or(PipelineError::Stopped));
            }
            Err(RecvTimeoutError::Disconnected) => {
                return Err(PipelineError::Worker("the processes could not be connected".to_owned()));
            }
        }
    }
}

/// Runs a worker, and has the others know if it panics.
fn work<E: Events>(blueprint: &Blueprint<E>, worker: &mut Worker, failure: &Failure) {
    let work = std::panic::AssertUnwindSafe(|| blueprint.work(worker));
    let worked = std::panic::catch_unwind(work);
    blueprint.finish.worker_ended();
    if let Err(panic) = worked {
        // The other workers must know before the panic continues, as they would wait for this worker for
        // ever.
        failure.set(PipelineError::Worker(format!("it panicked: {}", panic_text(&*panic))));
        std::panic::resume_unwind(panic);
    }
}
