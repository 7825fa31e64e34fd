//! The methods of a running pipeline for upgrades: taking savepoints, and taking over the sinks of another
//! pipeline.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use telemetra_core::{EventTime, ExternalError};

use crate::checkpoint::savepoint::Savepoint;
use crate::checkpoint::state::Message;
use crate::pipeline::handle::Running;
use crate::support::failure::PipelineError;

/// The interval of checking whether all sinks have been taken over.
const LOOK: Duration = Duration::from_millis(1);

impl Running {
    /// Copies the newest complete checkpoint under a name: a [savepoint](crate::Savepoints), which stays in
    /// the store until it is removed. No new checkpoint is taken for it, so the savepoint may be as old as
    /// the time between two checkpoints. `name` consists of `a-z`, `0-9`, `-` and `.`, and does not begin
    /// with a dot.
    ///
    /// It blocks until the copy is stored; the workers go on meanwhile. If the store has no complete
    /// checkpoint yet, it waits for the first, without limit; once
    /// [`PipelineStatus::checkpoint`](crate::PipelineStatus::checkpoint) is `Some` it does not wait. In
    /// asynchronous code call it on a thread for blocking work.
    ///
    /// # Errors
    ///
    /// [`PipelineError::Savepoint`], after which the pipeline goes on: if the name is not valid or in use,
    /// if the store fails, if the pipeline has no checkpoint store, or if this is not process 0 of a
    /// cluster. The same error is returned if the pipeline ends while this waits for the first checkpoint.
    ///
    /// ```
    /// # #[derive(serde::Deserialize)] struct Reading { device: String, time: telemetra_core::EventTime }
    /// # impl telemetra_core::Event for Reading {
    /// #     type Key = String;
    /// #     fn time(&self) -> telemetra_core::EventTime { self.time }
    /// #     fn key(&self) -> &str { &self.device }
    /// # }
    ///
    /// use telemetra_core::checkpoint::Directory;
    /// use telemetra_core::{SerdeJson, source::Memory};
    /// use telemetra_ops::{Pipeline, Savepoints, minutes, tumbling};
    ///
    /// let folder = tempfile::tempdir()?;
    /// let mut source = Memory::default();
    /// let readings = source.handle("readings");
    /// let running = Pipeline::<Reading>::new()
    ///     .source(source, SerdeJson::new())
    ///     .checkpoints(Directory::new(folder.path()), minutes(1))
    ///     .group("device_minute", tumbling(minutes(1)), |a| a.count("readings"))
    ///     .start()?;
    /// readings.append(r#"{"device": "d1", "time": 1000}"#);
    /// readings.append(r#"{"device": "d1", "time": 200000}"#);
    /// let savepoint = running.savepoint("before-0.3")?;
    /// assert!(running.savepoint("before-0.3").is_err(), "the name is in use");
    /// running.stop()?;
    /// assert_eq!(Savepoints::new(Directory::new(folder.path())).list()?, [savepoint]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn savepoint(&self, name: &str) -> Result<Savepoint, PipelineError> {
        let failed = |source| PipelineError::Savepoint { name: name.to_owned(), source };
        let none = || failed(ExternalError::permanent("no checkpoints are taken in this process"));
        let messages = self.messages.as_ref().ok_or_else(none)?;
        let (reply, savepoint) = channel();
        let ended = |_| failed(ExternalError::permanent("the pipeline ended before there was a checkpoint"));
        let asked = Message::Savepoint { name: name.to_owned(), reply };
        messages.send(asked).map_err(|_| ended(RecvTimeoutError::Disconnected))?;
        loop {
            match savepoint.recv_timeout(Duration::from_millis(20)) {
                Ok(taken) => return taken.map_err(failed),
                Err(RecvTimeoutError::Timeout) if !self.failure.is_down() && !self.stop.has_ended() => {}
                Err(error) => return Err(ended(error)),
            }
        }
    }

    /// Returns whether another pipeline still writes to any of the sinks, because this one was started as a
    /// [standby](crate::Pipeline::standby) and has not taken all of them over.
    #[must_use]
    pub fn stands_by(&self) -> bool {
        self.sinks.iter().any(|sink| sink.gauge.standby.stands_by())
    }

    /// Returns whether a [standby](crate::Pipeline::standby) has computed everything that the other pipeline
    /// has written. [Taking over](Self::take_over) then takes no longer than opening the sinks. Always true
    /// if the pipeline does not stand by.
    #[must_use]
    pub fn has_caught_up(&self) -> bool {
        let mut standing = self.sinks.iter().filter(|sink| sink.gauge.standby.stands_by());
        // Where the other pipeline wrote at a time at which there is nothing to write here, the frontier decides.
        let frontier = self.frontier.get();
        standing.all(|sink| {
            let standby = &sink.gauge.standby;
            let other = standby.other();
            if standby.holds() {
                return sink.gauge.durable() >= other;
            }
            standby.ready() >= other.max(EventTime(1)) || frontier > other
        })
    }

    /// Orders a standby to [take the sinks over](Self::take_over), and returns at once, for code that must
    /// not block. The sinks are taken over when [`stands_by`](Self::stands_by) is false. It has no effect on
    /// a pipeline that does not stand by.
    pub fn begin_take_over(&self) {
        self.sinks.iter().for_each(|sink| sink.gauge.standby.take_over());
    }

    /// Takes the sinks over from the pipeline that writes to them, and blocks until that is done. Everything
    /// after the last batch that each sink has is written by this pipeline.
    ///
    /// Sinks that can revoke a claim, such as Postgres, are taken over at once, and the other pipeline fails
    /// with its next write. Sinks that cannot, such as SQLite and files, are opened as soon as the other
    /// pipeline has closed them: stop it, or drain it with its windows kept. If the other one has written
    /// everything up to the end of the input, nothing is left to take over. Do not restart the other
    /// pipeline, as it would take the sinks back; its error answers
    /// [`is_taken_over`](PipelineError::is_taken_over) with true.
    ///
    /// # Errors
    ///
    /// [`PipelineError::Stopped`] if this pipeline fails or is stopped before; [`wait`](Self::wait) returns
    /// the reason.
    pub fn take_over(&self) -> Result<(), PipelineError> {
        self.begin_take_over();
        while self.stands_by() {
            // It may have taken over since the last look, before it failed.
            if self.failure.pause(LOOK) && self.stands_by() {
                return Err(PipelineError::Stopped);
            }
            if self.stop.has_ended() {
                break;
            }
        }
        Ok(())
    }
}
