//! The first error of a pipeline: what stops it, and what its handle reports.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use telemetra_core::checkpoint::CodecError;
use telemetra_core::{ConfigError, EventTime, ExternalError, PartitionId};

use crate::support::restore_plan::RestorePlan;

/// The error for which a pipeline does not start, or ends: of [`Pipeline::start`](crate::Pipeline::start) and
/// [`Running::wait`](crate::Running::wait). It is the first error; later ones, which usually follow from it,
/// are dropped.
///
/// `Display` says what failed; [`source`](std::error::Error::source) gives the cause in the external system,
/// if there is one, so print the chain.
///
/// Transient errors of a running pipeline are retried without limit and do not end it; they are in the
/// [status](crate::PipelineStatus). At the start they are returned once the [startup
/// timeout](crate::Pipeline::startup_timeout) has passed.
///
/// After an error while the pipeline ran, a restart continues from the last complete checkpoint. Do not
/// restart it automatically if [`is_taken_over`](Self::is_taken_over), or after [`Config`](Self::Config) and
/// [`RestoreError::Refused`], which come again until something is changed.
///
/// ```
/// use telemetra_core::ExternalError;
/// use telemetra_ops::PipelineError;
///
/// let source = ExternalError::permanent("permission denied for table `readings`");
/// let error = PipelineError::Sink { sink: "postgres".to_owned(), source };
/// assert_eq!(error.to_string(), "could not write to the sink `postgres`");
/// let cause = std::error::Error::source(&error).expect("a sink's error has a cause");
/// assert!(cause.to_string().contains("permission denied"));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PipelineError {
    /// A setting cannot work; the text says how to change it. It is returned by `start` before anything is
    /// read, or by `wait` for a closure that builds operators wrongly, for example two of the same name.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The partitions of a source could not be listed or opened at the start.
    #[error("could not open a source")]
    Open(#[source] ExternalError),
    /// A partition could not be read, permanently: for example its file was replaced, or access was revoked.
    #[error("could not read the partition `{partition}`")]
    Source {
        /// The partition.
        partition: PartitionId,
        /// The cause.
        source: ExternalError,
    },
    /// A sink could not be opened in time, failed permanently while writing, or panicked: for example because
    /// a table has other columns, or because another process has taken the sink over.
    #[error("could not write to the sink `{sink}`")]
    Sink {
        /// The sink's name.
        sink: String,
        /// The cause.
        source: ExternalError,
    },
    /// A checkpoint could not be stored: the store failed permanently, was taken over by another process, or
    /// panicked. The checkpoints before stay valid.
    #[error("could not store a checkpoint")]
    Checkpoint(#[source] ExternalError),
    /// A savepoint could not be taken. It is returned by [`Running::savepoint`](crate::Running::savepoint);
    /// the pipeline continues.
    #[error("could not take the savepoint `{name}`")]
    Savepoint {
        /// The name.
        name: String,
        /// The cause.
        source: ExternalError,
    },
    /// The state of an operator could not be encoded for a checkpoint, as the `Serialize` implementation of a
    /// key or a state type returned an error.
    #[error("could not encode the state of `{operator}` for a checkpoint")]
    Encode {
        /// The operator.
        operator: String,
        /// The cause.
        source: CodecError,
    },
    /// The state of keys could not be written to, or read from, the files of the setting
    /// [`spill`](crate::Pipeline::spill): for example because the disk is full.
    #[error(
        "could not keep the state of keys in the folder `{}`: free space there, or change the folder or the memory limit of the setting `spill`",
        folder.display()
    )]
    Spill {
        /// The folder.
        folder: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The checkpoint store failed at the start, or its checkpoint cannot be used.
    #[error("{}", if matches!(.0, RestoreError::Store(_)) { "could not use the checkpoint store" } else { "could not restore from a checkpoint" })]
    Restore(#[from] RestoreError),
    /// The processes of a cluster were started with different settings, checkpoints or partitions. The text
    /// says which; start all of them alike. It is returned by `wait`, before anything is read.
    #[error("the processes of the cluster do not agree: {0}")]
    Disagreement(String),
    /// Another process of the cluster ended, by an error or by order. Start all processes again.
    #[error("process {process} of the cluster stopped: {}", why.as_deref().unwrap_or("it was ordered to"))]
    Peer {
        /// The process.
        process: usize,
        /// Its error, in words; `None` if it was ordered to stop.
        why: Option<String>,
    },
    /// The pipeline was stopped before it had started. From [`take_over`](crate::Running::take_over): it was
    /// stopped or failed before the sinks were taken over.
    #[error("the pipeline was stopped before it had started; nothing was read")]
    Stopped,
    /// A worker thread panicked, which is a defect of this library or of an operator, aggregate or decoder of
    /// yours; or a thread or the connections of a cluster could not be started. The text is the message of
    /// the panic or the error.
    #[error("a worker stopped: {0}")]
    Worker(String),
}

impl PipelineError {
    /// Returns whether the pipeline ended because another process has taken over its sinks or its checkpoint
    /// store. Do not start it again then, as it would take them back: a supervisor that restarts on failure
    /// needs an exit code of its own for this.
    ///
    /// ```
    /// use telemetra_core::ExternalError;
    /// use telemetra_ops::PipelineError;
    /// let source = ExternalError::taken_over("another process writes to it");
    /// assert!(PipelineError::Sink { sink: "postgres".to_owned(), source }.is_taken_over());
    /// assert!(!PipelineError::Stopped.is_taken_over());
    /// ```
    #[must_use]
    pub fn is_taken_over(&self) -> bool {
        match self {
            Self::Sink { source, .. } | Self::Checkpoint(source) => source.is_taken_over(),
            _ => false,
        }
    }

    pub(crate) fn encode(operator: &str, source: CodecError) -> Self {
        Self::Encode { operator: operator.to_owned(), source }
    }
}

impl RestoreError {
    /// A part of the checkpoint of `boundary` does not fit.
    pub(crate) fn damaged(boundary: EventTime, source: CodecError) -> Self {
        Self::Damaged { name: format!("{:020}/complete", boundary.0), source }
    }

    /// The state of an operator has keys that fall to another worker now.
    pub(crate) fn rerouted(boundary: EventTime, operator: &str) -> Self {
        Self::Rerouted { boundary, operator: operator.to_owned() }
    }
}

/// The reason for which a pipeline could not start from its checkpoint. It is returned before any row is
/// written, and the checkpoint stays as it is.
///
/// For most of them there are three ways on: start the version that fits the checkpoint, change this one so
/// that it fits, or start empty with another store. Messages of `Display` name what to do in each case.
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
/// use telemetra_ops::{Pipeline, PipelineError, RestoreError, minutes};
///
/// let folder = tempfile::tempdir()?;
/// let pipeline = Pipeline::<Reading>::new()
///     .source(Memory::default().partition("readings", [""; 0]), SerdeJson::new())
///     .checkpoints(Directory::new(folder.path()), minutes(1))
///     .from_savepoint("before-0.3");
/// let refused = pipeline.start().unwrap_err();
/// assert!(matches!(refused, PipelineError::Restore(RestoreError::NoSavepoint { .. })));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// The checkpoint store failed permanently, or for longer than the [startup
    /// timeout](crate::Pipeline::startup_timeout).
    #[error(transparent)]
    Store(#[from] ExternalError),
    /// A blob of the checkpoint is damaged: its header, format version, checksum or content is not what this
    /// library writes.
    #[error(
        "could not restore from the checkpoint `{name}`; remove it to start from an older one, or all of them to start afresh"
    )]
    Damaged {
        /// The blob's name in the store.
        name: String,
        /// The fault of its encoding.
        source: CodecError,
    },
    /// The store has no savepoint of that name.
    #[error("there is no savepoint `{name}`; list those that there are, or start from the newest checkpoint")]
    NoSavepoint {
        /// The name.
        name: String,
    },
    /// A sink has rows of event times after the checkpoint, and changed settings would give results other
    /// event times, so it is not known which of them the sink has already. Start the earlier version once
    /// more, drain it by [`Drain::KeepWindows`](crate::Drain::KeepWindows), then start this one.
    #[error(
        "the sink `{sink}` has everything up to {durable}, which is after the checkpoint of {boundary}, and results take effect at other times now ({change}); start the earlier version once more and drain it with its windows kept, then start this one"
    )]
    Ahead {
        /// The checkpoint's boundary.
        boundary: EventTime,
        /// The sink.
        sink: String,
        /// The last event time whose rows the sink has.
        durable: EventTime,
        /// The change of the definition.
        change: String,
    },
    /// A blob that the checkpoint's manifest lists is missing.
    #[error(
        "the checkpoint of {boundary} is not whole: `{name}` is missing; restore it, or remove the checkpoint's manifest to start from an older one"
    )]
    Missing {
        /// The checkpoint's boundary.
        boundary: EventTime,
        /// The blob's name in the store.
        name: String,
    },
    /// Keys of an operator's state belong to other workers than when the checkpoint was taken, although the
    /// number of workers is the same: the [`Hash`](std::hash::Hash) of the key type has changed. Start once
    /// with another number of workers.
    #[error(
        "the keys of `{operator}` fall to other workers than when the checkpoint of {boundary} was taken, as their hash has changed; hash them as before, or start once with another number of workers, which reads the state of all"
    )]
    Rerouted {
        /// The checkpoint's boundary.
        boundary: EventTime,
        /// The operator.
        operator: String,
    },
    /// A partition whose events the checkpoint counts is no longer listed by any source, although its end was
    /// not read.
    #[error(
        "the checkpoint of {boundary} counts the partition `{partition}`, which no source lists any more, before its end was read; bring it back, or start afresh with another store and without what was counted from it"
    )]
    Gone {
        /// The checkpoint's boundary.
        boundary: EventTime,
        /// The partition.
        partition: PartitionId,
    },
    /// Parts of the checkpoint's state do not fit the pipeline as it is now, for example because an aggregate
    /// changed without a migration. The plan says which, and what to do.
    #[error("the checkpoint of {} does not fit this pipeline: {}", .0.boundary, refused(.0))]
    Refused(Box<RestorePlan>),
    /// The checkpoint was written by an earlier version of the library, which compared settings as a whole,
    /// and was made with others.
    #[error(
        "the checkpoint of {boundary} was made with other settings ({found}; now {expected}) by an earlier version of the library, which could not keep state over a change; use those once, until the next checkpoint is taken, or start afresh with another store"
    )]
    Settings {
        /// The checkpoint's boundary.
        boundary: EventTime,
        /// The settings that differ, as they were when the checkpoint was taken.
        found: String,
        /// The same settings as they are now.
        expected: String,
    },
}

/// The operators that are refused, and why.
fn refused(plan: &RestorePlan) -> String {
    plan.refusals().map(|step| format!("{}: {}", step.part, step.detail)).collect::<Vec<_>>().join("; ")
}

/// Keeps the first error, and lets every thread see that there is one, or that they are ordered to stop.
#[derive(Clone, Debug, Default)]
pub(crate) struct Failure(Arc<FailureState>);

#[derive(Debug, Default)]
struct FailureState {
    set: AtomicBool,
    halted: AtomicBool,
    first: Mutex<Option<PipelineError>>,
    /// Wakes those who pause when either is set.
    down: Condvar,
}

impl Failure {
    pub(crate) fn set(&self, error: PipelineError) {
        let mut first = self.lock();
        if !self.is_set() {
            tracing::error!(error = chain(&error), "the pipeline stops");
            *first = Some(error);
            self.0.set.store(true, Ordering::Release);
            self.0.down.notify_all();
        }
    }

    /// Returns whether there was an error.
    pub(crate) fn is_set(&self) -> bool {
        self.0.set.load(Ordering::Acquire)
    }

    /// Stops all without an error.
    pub(crate) fn halt(&self) {
        let _first = self.lock();
        self.0.halted.store(true, Ordering::Release);
        self.0.down.notify_all();
    }

    /// Returns whether there was the order to stop.
    pub(crate) fn is_halted(&self) -> bool {
        self.0.halted.load(Ordering::Acquire)
    }

    /// Returns whether all are to stop, by an error or by order.
    pub(crate) fn is_down(&self) -> bool {
        self.is_set() || self.is_halted()
    }

    /// Returns whether the first error is known to the other processes.
    pub(crate) fn is_shared(&self) -> bool {
        matches!(&*self.lock(), Some(PipelineError::Disagreement(_) | PipelineError::Peer { .. }))
    }

    /// Sleeps that long, or until all are to stop. Says whether they are.
    pub(crate) fn pause(&self, pause: Duration) -> bool {
        let waited = self.0.down.wait_timeout_while(self.lock(), pause, |_| !self.is_down());
        drop(waited);
        self.is_down()
    }

    fn lock(&self) -> MutexGuard<'_, Option<PipelineError>> {
        self.0.first.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn take(&self) -> Option<PipelineError> {
        self.lock().take()
    }

    /// The first error in words, with what was underneath.
    pub(crate) fn describe(&self) -> Option<String> {
        self.lock().as_ref().map(|error| chain(error))
    }
}

/// An error and what was underneath, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        text = format!("{text}: {error}");
        next = error.source();
    }
    text
}

/// The message of a panic.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message")
}
