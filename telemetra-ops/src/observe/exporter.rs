//! The metrics exporter: a thread that copies the state of a pipeline to the metrics recorder once a second.
//!
//! It reads counters that the parts maintain anyway, so metrics cost nothing per event. It raises counters by
//! their difference since the last export, so the next run of a pipeline in the same process continues where
//! this one ended.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use telemetra_core::{EventTime, Fate};

use crate::deliver::placement::SinkHandle;
use crate::observe::checkpoint_gauge::CheckpointGauge;
use crate::observe::comparison::MomentsGauge;
use crate::observe::metrics::{self as metric, Metric, Value};
use crate::observe::operator_times::OperatorTimesGauge;
use crate::observe::state_size::StateSizeGauge;
use crate::read::ingress::{PartitionStatus, Shared};
use crate::spill::{Spill, SpillCounts};
use crate::support::failure::Failure;
use crate::support::frontier::DurableFrontier;

/// The time between two exports.
const EVERY: Duration = Duration::from_secs(1);

/// The gauges of one worker.
#[derive(Debug, Default)]
pub(crate) struct Monitored {
    pub(crate) state_size: Arc<StateSizeGauge>,
    pub(crate) moments: Arc<MomentsGauge>,
    pub(crate) operator_times: Arc<OperatorTimesGauge>,
}

/// The sources of the exported values.
pub(crate) struct Readings {
    pub(crate) pipeline: Value,
    pub(crate) ingress: Arc<Shared>,
    pub(crate) frontier: Arc<DurableFrontier>,
    pub(crate) sinks: Vec<SinkHandle>,
    /// `None` without a checkpoint store.
    pub(crate) checkpoints: Option<Arc<CheckpointGauge>>,
    pub(crate) failure: Failure,
    /// `None` if all state is in memory.
    pub(crate) spill: Option<Arc<Spill>>,
    pub(crate) workers: Arc<[Monitored]>,
    /// The index of this process's first worker in the cluster.
    pub(crate) first_worker: usize,
}

/// The exporter's thread. Dropping it exports a last time, and waits for that.
pub(crate) struct Exporter {
    alive: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Exporter {
    /// Starts the thread. Counters are exported from their values at this moment on.
    pub(crate) fn start(readings: Readings) -> std::io::Result<Self> {
        Metric::describe_all();
        let (alive, over) = channel();
        // Values from before a restart are not exported again.
        let exported = Exported::begin(&readings);
        let thread = std::thread::Builder::new().name("metrics".to_owned()).spawn(move || {
            readings.run(exported, &over);
        })?;
        Ok(Self { alive: Some(alive), thread: Some(thread) })
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.alive = None;
        if let Some(thread) = self.thread.take() {
            // A panic, in a recorder of the host, must not affect the finished pipeline.
            let _ = thread.join();
        }
    }
}

/// The values that were exported so far.
struct Exported {
    counts: HashMap<(&'static str, Vec<Value>), u64>,
    checkpointed: (u64, Instant),
    /// True if the log already has the warning that many events are too late.
    reported_too_late: bool,
}

impl Exported {
    fn begin(readings: &Readings) -> Self {
        let mut exported =
            Self { counts: HashMap::new(), checkpointed: (0, Instant::now()), reported_too_late: false };
        let fates = readings.ingress.fates();
        for fate in Fate::ALL {
            let labels = vec![Arc::clone(&readings.pipeline), fate.as_str().into()];
            exported.counts.insert((metric::EVENTS.name, labels), fates.of(fate));
        }
        exported
    }

    /// Raises a counter to a value.
    fn raise(&mut self, metric: &Metric, labels: &[&Value], to: u64) {
        let key = (metric.name, labels.iter().map(|label| Arc::clone(label)).collect());
        let before = self.counts.entry(key).or_default();
        metric.add(labels, to.saturating_sub(*before));
        *before = to;
    }
}

impl Readings {
    /// Exports until the exporter is dropped.
    fn run(self, mut exported: Exported, over: &Receiver<()>) {
        self.export(&mut exported, true);
        while over.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
            self.export(&mut exported, true);
        }
        self.export(&mut exported, false);
    }

    /// Exports all values once; `runs` says whether the pipeline is still running.
    fn export(&self, exported: &mut Exported, runs: bool) {
        let pipeline = &self.pipeline;
        let runs = runs && !self.failure.is_set() && self.frontier.get() != EventTime::MAX;
        metric::UP.set(&[pipeline], flag(runs));
        let fates = self.ingress.fates();
        if fates.are_often_too_late() && !std::mem::replace(&mut exported.reported_too_late, true) {
            let (too_late, read) = (fates.too_late, fates.read);
            tracing::warn!(
                too_late,
                read,
                "many events are too late: look for a wrong date or clock in what is read, or allow for more lateness"
            );
        }
        for fate in Fate::ALL {
            exported.raise(&metric::EVENTS, &[pipeline, &fate.as_str().into()], fates.of(fate));
        }
        let now = self.ingress.config.clock.now();
        let lag = |metric: &Metric, labels: &[&Value], time: EventTime| {
            // A lag is unknown before the first event, and zero at the end.
            if time > EventTime::MIN {
                metric.set(labels, Duration::from_millis(now - time).as_secs_f64());
            }
        };
        lag(&metric::FRONTIER_LAG, &[pipeline], self.frontier.get());
        for status in self.ingress.status() {
            let PartitionStatus { id, watermark, lag: records, lost, retries, failing, floor, idle, .. } =
                status;
            let labels = &[pipeline, &id.to_string().into()];
            lag(&metric::WATERMARK_LAG, labels, if floor == EventTime::MAX { floor } else { watermark });
            lag(&metric::FLOOR_LAG, labels, floor);
            if let Some(records) = records {
                metric::LAG.set(labels, records as f64);
            }
            metric::IDLE.set(labels, flag(idle));
            metric::READ_FAILING.set(labels, flag(failing.is_some()));
            exported.raise(&metric::READ_RETRIES, labels, retries);
            exported.raise(&metric::LOST, labels, lost);
        }
        for (index, Monitored { state_size, operator_times, .. }) in self.workers.iter().enumerate() {
            let worker = &(self.first_worker + index).to_string().into();
            let state = [&metric::KEYS, &metric::PANES, &metric::SUMMARIES, &metric::STATE_BYTES];
            for (metric, count) in state.into_iter().zip(state_size.get()) {
                metric.set(&[pipeline, worker], count as f64);
            }
            for (operator, time) in operator_times.get() {
                metric::BUSY.set(&[pipeline, worker, &operator.into()], time.as_secs_f64());
            }
        }
        for moments in self.workers.first().map(|worker| worker.moments.get()).unwrap_or_default() {
            let labels = &[pipeline, &moments.operator.into()];
            metric::MOMENTS_FOUND.set(labels, moments.found_per_hour.to_f64());
            metric::MOMENTS_EXPECTED.set(labels, moments.expected_per_hour.to_f64());
        }
        if let Some(SpillCounts { memory, bytes, keys, reads, writes, .. }) =
            self.spill.as_deref().map(Spill::counts)
        {
            metric::SPILL_MEMORY.set(&[pipeline], memory.load(Ordering::Relaxed) as f64);
            metric::SPILL_BYTES.set(&[pipeline], bytes.load(Ordering::Relaxed) as f64);
            metric::SPILL_KEYS.set(&[pipeline], keys.load(Ordering::Relaxed) as f64);
            exported.raise(&metric::SPILL_READS, &[pipeline], reads.load(Ordering::Relaxed));
            exported.raise(&metric::SPILL_WRITES, &[pipeline], writes.load(Ordering::Relaxed));
        }
        for SinkHandle { gauge, .. } in &self.sinks {
            let labels = &gauge.labels.each_ref();
            metric::SINK_QUEUE.set(labels, gauge.queued.load(Ordering::Relaxed) as f64);
            metric::SINK_FAILING.set(labels, flag(gauge.retry.failing().is_some()));
            exported.raise(&metric::SINK_CHANGES, labels, gauge.changes.load(Ordering::Relaxed));
            exported.raise(&metric::SINK_RETRIES, labels, gauge.retry.retries());
        }
        if let Some(checkpoints) = &self.checkpoints {
            let completed = checkpoints.completed.load(Ordering::Relaxed);
            if completed != exported.checkpointed.0 {
                exported.checkpointed = (completed, Instant::now());
            }
            metric::CHECKPOINT_AGE.set(&[pipeline], exported.checkpointed.1.elapsed().as_secs_f64());
            metric::CHECKPOINT_FAILING.set(&[pipeline], flag(checkpoints.retry.failing().is_some()));
            exported.raise(&metric::CHECKPOINTS, &[pipeline], completed);
            exported.raise(&metric::CHECKPOINT_RETRIES, &[pipeline], checkpoints.retry.retries());
        }
    }
}

fn flag(on: bool) -> f64 {
    f64::from(u8::from(on))
}
