//! Waiting without hanging: what does not come in time is a finding, not a test run without end.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use telemetra::ops::{PipelineError, Report, Running};

/// Longer than anything here takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Runs `work` on a thread of its own and panics if it takes longer than [`PATIENCE`].
pub fn in_time<T: Send + 'static>(what: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, result) = channel();
    let thread = std::thread::spawn(move || drop(done.send(work())));
    match result.recv_timeout(PATIENCE) {
        Ok(result) => result,
        Err(RecvTimeoutError::Timeout) => panic!("{what} took longer than {PATIENCE:?}"),
        Err(RecvTimeoutError::Disconnected) => match thread.join() {
            Err(panic) => std::panic::resume_unwind(panic),
            Ok(()) => unreachable!("it sends before it ends"),
        },
    }
}

/// Waits for the end of a pipeline, but not for ever, and checks the identity.
pub fn finish(running: Running) -> Result<Report, PipelineError> {
    let report = in_time("waiting for the end", move || running.wait())?;
    assert!(report.fates.is_balanced(), "{:?}", report.fates);
    Ok(report)
}

/// Waits until something is so.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "waited {PATIENCE:?} until {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// An error and what was underneath, in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let under = std::iter::successors(Some(error), |error| error.source());
    under.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
