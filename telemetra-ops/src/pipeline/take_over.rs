//! The methods of a handle by which a pipeline that stands by takes the place of another.

use std::time::Duration;

use telemetra_core::EventTime;

use crate::pipeline::handle::Running;
use crate::support::failure::PipelineError;

/// How often to check whether all sinks have been taken over.
const LOOK: Duration = Duration::from_millis(1);

impl Running {
    /// Whether any sink is left to another pipeline still: see [`Pipeline::standby`](crate::Pipeline::standby).
    #[must_use]
    pub fn stands_by(&self) -> bool {
        self.sinks.iter().any(|sink| sink.gauge.standby.stands_by())
    }

    /// Whether the pipeline has computed all that the sinks which it stands by for have been given by the other. From then on
    /// [taking over](Self::take_over) takes no longer than the sinks take to be opened. Always true if it does not stand by.
    #[must_use]
    pub fn has_caught_up(&self) -> bool {
        let mut standing = self.sinks.iter().filter(|sink| sink.gauge.standby.stands_by());
        // What a sink had at the start is not made ready for it, but has to be computed too.
        let frontier = self.frontier.get();
        standing.all(|sink| {
            let durable = sink.gauge.durable();
            sink.gauge.standby.ready() >= durable.max(EventTime(1)) || frontier > durable
        })
    }

    /// Takes the sinks over from the pipeline that writes to them, and waits until that is done. Everything after the last
    /// batch that each of them has is written by this pipeline.
    ///
    /// Sinks that can revoke a claim, as Postgres, are taken over at once, and the other pipeline fails with its next write.
    /// Sinks that cannot, as SQLite and files, are opened as soon as the other pipeline has closed them: stop it, or drain it
    /// with windows kept. Do not restart the other pipeline, as it would take the sinks back.
    ///
    /// # Errors
    ///
    /// [`PipelineError::Stopped`] if the pipeline ends before; [`wait`](Self::wait) returns why.
    pub fn take_over(&self) -> Result<(), PipelineError> {
        self.sinks.iter().for_each(|sink| sink.gauge.standby.take_over());
        while self.stands_by() {
            if self.failure.pause(LOOK) || self.stop.has_ended() {
                return Err(PipelineError::Stopped);
            }
        }
        Ok(())
    }
}
