//! The status of a running pipeline, for health checks and monitoring.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use telemetra_core::{EventTime, Fates, Shard};

use crate::deliver::placement::SinkHandle;
use crate::deliver::sink_thread::Applied;
use crate::observe::comparison::MomentsStatus;
use crate::read::ingress::PartitionStatus;
use crate::support::retry::Failing;

/// The status of a pipeline, as [`Running::status`](crate::Running::status) returns it. In a cluster it
/// covers this process; each process has its own. Its parts are read one after another while the pipeline
/// runs, so a count may be a little newer than another.
///
/// For a health check: the pipeline has failed if [`failure`](Self::failure) is set. It is degraded while
/// [`store_failing`](Self::store_failing), a [sink](SinkStatus::failing) or a
/// [partition](crate::PartitionStatus::failing) is failing, which is retried. It is behind if
/// [`durable`](Self::durable) is much older than the out-of-orderness and a pane.
///
/// ```
/// # #[derive(serde::Deserialize)] struct Reading { device: String, time: telemetra_core::EventTime }
/// # impl telemetra_core::Event for Reading {
/// #     type Key = String;
/// #     fn time(&self) -> telemetra_core::EventTime { self.time }
/// #     fn key(&self) -> &str { &self.device }
/// # }
///
/// use telemetra_core::{Retry, SerdeJson, source::{Memory, MemoryStep}};
/// use telemetra_ops::{Pipeline, PipelineStatus, minutes, tumbling};
///
/// /// The answer of a health check.
/// fn health(status: &PipelineStatus) -> &'static str {
///     let is_degraded = status.store_failing.is_some()
///         || status.sinks.iter().any(|sink| sink.failing.is_some())
///         || status.partitions.iter().any(|partition| partition.failing.is_some());
///     match &status.failure {
///         Some(_) => "failed",
///         None if is_degraded => "degraded",
///         None => "healthy",
///     }
/// }
///
/// // The first read fails and is tried again.
/// let mut source = Memory::default().script("readings", [MemoryStep::Fail(Retry::Transient)]);
/// let readings = source.handle("readings");
/// let running = Pipeline::<Reading>::new()
///     .source(source, SerdeJson::new())
///     .group("device_minute", tumbling(minutes(1)), |a| a.count("readings"))
///     .start()?;
/// readings.append(r#"{"device": "d1", "time": 1000}"#);
/// while running.status().fates.read < 1 {
///     std::thread::yield_now();
/// }
/// let status = running.status();
/// assert_eq!((health(&status), status.partitions[0].retries), ("healthy", 1));
/// # running.stop()?;
/// # Ok::<(), telemetra_ops::PipelineError>(())
/// ```
#[derive(Clone, Debug)]
pub struct PipelineStatus {
    /// The number of events by fate, over all partitions that this process reads. Events read before a
    /// restart from a checkpoint are included.
    pub fates: Fates,
    /// The event time up to which everything is durable in all sinks: [`EventTime::MIN`] at first,
    /// [`EventTime::MAX`] at the end of the input. Its distance from now is the latency of the pipeline.
    pub durable: EventTime,
    /// The status of each partition that this process reads.
    pub partitions: Vec<PartitionStatus>,
    /// The status of each shard of each sink that runs in this process.
    pub sinks: Vec<SinkStatus>,
    /// The boundary, in event time, of the last checkpoint that this run has completed: a restart continues
    /// from there. `None` if it has completed none yet; a restart then continues where this run began, see
    /// [`Running::restored`](crate::Running::restored).
    pub checkpoint: Option<EventTime>,
    /// Three totals of this run: the number of complete checkpoints, the bytes that this process wrote to the
    /// store, and the time that it spent on encoding and writing them, retries included.
    pub checkpoints: (u64, u64, Duration),
    /// The current failure of the checkpoint store, which is being retried; `None` if it works.
    pub store_failing: Option<Failing>,
    /// The numbers of moments found and expected by chance, for each grouping with rules. Empty until the
    /// first period is settled.
    pub moments: Vec<MomentsStatus>,
    /// The current failures of looking for new partitions, one for each source that fails, which are being
    /// retried: a source that does not answer, or a new partition that cannot be opened. The partitions that
    /// are already open are read on. Empty if there is no such failure.
    pub discovery_failing: Vec<Failing>,
    /// The time that the workers of this process spent in the operators of each name, without operators
    /// nested in them. Empty unless [`operator_times`](crate::Pipeline::operator_times) are measured.
    pub operator_times: BTreeMap<String, Duration>,
    /// The estimated size of the window state of this process, in bytes as encoded in a checkpoint. In memory
    /// it takes about as much or more, depending on the allocator and on the key type.
    pub state_bytes: u64,
    /// The first error of the pipeline with its causes, in one line; `None` if it has not failed.
    pub failure: Option<String>,
}

/// The status of one shard of a sink.
#[derive(Clone, Debug)]
pub struct SinkStatus {
    /// The name of the sink, from [`Sink::name`](telemetra_core::Sink::name).
    pub name: String,
    /// The shard; for a sink that is not sharded the only one.
    pub shard: Shard,
    /// The last event time whose rows are durable in the sink; `None` if there is none.
    pub durable: Option<EventTime>,
    /// The number of batches in its queue, which holds 64. A number that stays high means that the sink is
    /// the bottleneck.
    pub queued: usize,
    /// The number of changes of rows (upserts and withdrawals) that the sink has applied in this run.
    pub changes: u64,
    /// The size and duration of the last successful call in this run; `None` before the first.
    pub last: Option<Applied>,
    /// The number of failed calls that were retried, in this run.
    pub retries: u64,
    /// The current failure, which is being retried; `None` if the sink works.
    pub failing: Option<Failing>,
}

impl SinkStatus {
    pub(crate) fn of(SinkHandle { name, shard, gauge }: &SinkHandle) -> Self {
        let durable = gauge.durable();
        Self {
            name: name.clone(),
            shard: *shard,
            durable: (durable > EventTime::MIN).then_some(durable),
            queued: gauge.queued.load(Ordering::Relaxed),
            changes: gauge.changes.load(Ordering::Relaxed),
            last: gauge.last(),
            retries: gauge.retry.retries(),
            failing: gauge.retry.failing(),
        }
    }
}
