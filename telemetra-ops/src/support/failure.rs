//! The first error of a pipeline: what stops it, and what its handle reports.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use telemetra_core::checkpoint::CodecError;
use telemetra_core::{ConfigError, EventTime, ExternalError, PartitionId};

use crate::support::restore_plan::RestorePlan;

/// Why a pipeline could not be built, or stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PipelineError {
    /// A setting cannot work.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A source could not be opened.
    #[error("could not open a source")]
    Open(#[source] ExternalError),
    /// A partition could not be read.
    #[error("could not read the partition `{partition}`")]
    Source {
        /// The partition.
        partition: PartitionId,
        /// What failed.
        source: ExternalError,
    },
    /// A sink could not be opened or written.
    #[error("could not write to the sink `{sink}`")]
    Sink {
        /// The sink's name.
        sink: String,
        /// What failed.
        source: ExternalError,
    },
    /// A checkpoint could not be stored.
    #[error("could not store a checkpoint")]
    Checkpoint(#[source] ExternalError),
    /// A savepoint could not be taken. The pipeline goes on.
    #[error("could not take the savepoint `{name}`")]
    Savepoint {
        /// The name.
        name: String,
        /// What failed.
        source: ExternalError,
    },
    /// A part of a checkpoint could not be encoded.
    #[error("could not encode the state of `{operator}` for a checkpoint")]
    Encode {
        /// The operator.
        operator: String,
        /// What failed.
        source: CodecError,
    },
    /// The store of checkpoints failed at the start, or a checkpoint could not be used.
    #[error("{}", if matches!(.0, RestoreError::Store(_)) { "could not use the checkpoint store" } else { "could not restore from a checkpoint" })]
    Restore(#[from] RestoreError),
    /// The processes of a cluster did not begin alike.
    #[error("the processes of the cluster do not agree: {0}")]
    Disagreement(String),
    /// Another process of the cluster stopped.
    #[error("process {process} of the cluster stopped: {}", why.as_deref().unwrap_or("it was told to"))]
    Peer {
        /// The process.
        process: usize,
        /// Its error, in words; `None` if it was told to stop.
        why: Option<String>,
    },
    /// The order to stop came before it had started.
    #[error("the pipeline was told to stop before it had started; nothing was read")]
    Stopped,
    /// A worker thread panicked: a defect of this library or of an operator of one's own.
    #[error("a worker stopped: {0}")]
    Worker(String),
}

impl PipelineError {
    /// Whether the pipeline ended because another process has taken over its sinks or its checkpoint store. It must not be
    /// started again then, as it would take them back.
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
}

/// Why a checkpoint could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] ExternalError),
    /// A blob is not what was written.
    #[error(
        "could not restore from the checkpoint `{name}`; remove it to start from an older one, or all of them to start afresh"
    )]
    Damaged {
        /// The blob's name in the store.
        name: String,
        /// What is wrong with it.
        source: CodecError,
    },
    /// There is no savepoint of that name.
    #[error("there is no savepoint `{name}`; list those that there are, or start from the newest checkpoint")]
    NoSavepoint {
        /// The name.
        name: String,
    },
    /// A sink has more than the checkpoint, and what it has would come about at other times now.
    #[error(
        "the sink `{sink}` has everything up to {durable}, which is after the checkpoint of {boundary}, and results take effect at other times now ({change}); start the earlier version once more and drain it with its windows kept, then start this one"
    )]
    Ahead {
        /// The checkpoint's boundary.
        boundary: EventTime,
        /// The sink.
        sink: String,
        /// The last time that it has.
        durable: EventTime,
        /// What was changed.
        change: String,
    },
    /// A blob is gone.
    #[error(
        "the checkpoint of {boundary} is not whole: `{name}` is missing; restore it, or remove the checkpoint's manifest to start from an older one"
    )]
    Missing {
        /// The checkpoint's boundary.
        boundary: EventTime,
        /// The blob's name in the store.
        name: String,
    },
    /// A partition that it counts is not there any more.
    #[error(
        "the checkpoint of {boundary} counts the partition `{partition}`, which no source lists any more, before its end was read; bring it back, or start afresh with another store and without what was counted from it"
    )]
    Gone {
        /// The checkpoint's boundary.
        boundary: EventTime,
        /// The partition.
        partition: PartitionId,
    },
    /// It cannot be used by the pipeline as it is now.
    #[error("the checkpoint of {} does not fit this pipeline: {}", .0.boundary, refused(.0))]
    Refused(Box<RestorePlan>),
    /// It is of a version that compared settings as a whole, and was made with others.
    #[error(
        "the checkpoint of {boundary} was made with other settings ({found}; now {expected}) by an earlier version of the library, which could not keep state over a change; use those once, until the next checkpoint is taken, or start afresh with another store"
    )]
    Settings {
        /// The checkpoint's boundary.
        boundary: EventTime,
        /// Those that differ, as it was made with.
        found: String,
        /// The same as they are now.
        expected: String,
    },
}

/// What is refused, and why.
fn refused(plan: &RestorePlan) -> String {
    plan.refusals().map(|step| format!("{}: {}", step.part, step.detail)).collect::<Vec<_>>().join("; ")
}

/// Keeps the first error, and lets everybody see that there is one, or that they are exported to stop.
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

    /// Whether there was an error.
    pub(crate) fn is_set(&self) -> bool {
        self.0.set.load(Ordering::Acquire)
    }

    /// Has all stop without an error.
    pub(crate) fn halt(&self) {
        let _first = self.lock();
        self.0.halted.store(true, Ordering::Release);
        self.0.down.notify_all();
    }

    /// Whether there was the order to stop.
    pub(crate) fn is_halted(&self) -> bool {
        self.0.halted.load(Ordering::Acquire)
    }

    /// Whether all are to stop, by an error or by order.
    pub(crate) fn is_down(&self) -> bool {
        self.is_set() || self.is_halted()
    }

    /// Whether the first error is known to the other processes.
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
    pub(crate) fn enrich(&self) -> Option<String> {
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

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message")
}
