//! The names, types, labels and meanings of a pipeline's metrics.
//!
//! They are recorded with the `metrics` crate, through the recorder that the process has installed, such as
//! the Prometheus exporter; without one they are discarded. Install the recorder before the pipeline starts.
//! Gauges and most counters are exported once a second by a thread of its own, so they cost nothing per
//! event. Names and labels are a stable interface, as dashboards and alerts depend on them.
//!
//! The constants describe the metrics; values are in the recorder. To read values in the process, use
//! [`Running::status`](crate::Running::status).
//!
//! ```
//! use telemetra_ops::metric::{ALL, EVENTS, Kind};
//!
//! assert_eq!((EVENTS.name, EVENTS.kind), ("telemetra_events_total", Kind::Counter));
//! assert_eq!(EVENTS.labels, ["pipeline", "fate"]);
//! assert!(ALL.iter().all(|metric| metric.name.starts_with("telemetra_")));
//! ```

use std::sync::Arc;

use metrics::{Key, Label, Level, Metadata, SharedString, Unit, with_recorder};

/// The type of a metric, in the sense of Prometheus.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A number that only rises, from 0 at the start of a pipeline's process.
    Counter,
    /// A number that rises and falls.
    Gauge,
    /// A distribution of values.
    Histogram,
}

/// The description of a metric: a name, a type, labels and a meaning. [`ALL`] lists all of them, for
/// dashboards and documents that are generated; recording is the pipeline's.
#[derive(Copy, Clone, Debug)]
pub struct Metric {
    /// The name, with its unit where it has one. Names of counters end in `_total`.
    pub name: &'static str,
    /// The type, which decides how it is recorded and queried.
    pub kind: Kind,
    /// The names of the labels, in order. The first is always `pipeline`, whose value is
    /// [`Pipeline::name`](crate::Pipeline::name).
    pub labels: &'static [&'static str],
    /// The meaning, in one line, as the recorder publishes it.
    pub help: &'static str,
}

const PIPELINE: &[&str] = &["pipeline"];
const PARTITION: &[&str] = &["pipeline", "partition"];
const WORKER: &[&str] = &["pipeline", "worker"];
const SINK: &[&str] = &["pipeline", "sink", "shard"];

const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Counter, labels, help }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Gauge, labels, help }
}

const fn histogram(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Histogram, labels, help }
}

macro_rules! metrics {
    ($($constant:ident = $kind:ident($name:literal, $labels:expr, $help:literal);)*) => {
        $(#[doc = $help] pub const $constant: Metric = $kind($name, $labels, $help);)*
        /// All metrics, in the order of the data flow.
        pub const ALL: &[Metric] = &[$($constant),*];
    };
}

metrics! {
    UP = gauge("telemetra_pipeline_up", PIPELINE, "1 while the pipeline runs, 0 once it has ended or failed.");
    EVENTS = counter("telemetra_events_total", &["pipeline", "fate"], "Events read since the start, by what became of them.");
    FRONTIER_LAG = gauge("telemetra_frontier_lag_seconds", PIPELINE, "Processing time less the event time up to which everything is durable in all sinks.");
    WATERMARK_LAG = gauge("telemetra_partition_watermark_lag_seconds", PARTITION, "Processing time less the watermark of the partition.");
    FLOOR_LAG = gauge("telemetra_partition_floor_lag_seconds", PARTITION, "Processing time less the floor of the partition: how far it holds the frontier back.");
    LAG = gauge("telemetra_partition_lag_records", PARTITION, "Records that are there and were not read, where the source knows.");
    IDLE = gauge("telemetra_partition_idle", PARTITION, "1 while the partition has nothing to read and does not hold back the others.");
    READ_FAILING = gauge("telemetra_partition_failing", PARTITION, "1 while reading the partition fails and is tried again.");
    READ_RETRIES = counter("telemetra_partition_retries_total", PARTITION, "Reads of the partition that failed and were tried again.");
    LOST = counter("telemetra_partition_lost_records_total", PARTITION, "Records that were gone before they could be read, and were passed over.");
    KEYS = gauge("telemetra_state_keys", WORKER, "Keys of which the windows of the worker know something.");
    PANES = gauge("telemetra_state_panes", WORKER, "Panes that the windows of the worker keep, as they are open or may be revised.");
    SUMMARIES = gauge("telemetra_state_summaries", WORKER, "Summaries that the windows of the worker keep, within the horizon.");
    STATE_BYTES = gauge("telemetra_state_bytes", WORKER, "Estimated size of these panes and summaries, encoded, from a sample.");
    SPILL_MEMORY = gauge("telemetra_spill_memory_bytes", PIPELINE, "What the keys in memory take, by an estimate, where keys may be kept on disk.");
    SPILL_BYTES = gauge("telemetra_spill_disk_bytes", PIPELINE, "What the keys on disk take.");
    SPILL_KEYS = gauge("telemetra_spill_disk_keys", PIPELINE, "Keys on disk: a key of windows and moments counts once for each.");
    SPILL_READS = counter("telemetra_spill_reads_total", PIPELINE, "Keys that were read from disk.");
    SPILL_WRITES = counter("telemetra_spill_writes_total", PIPELINE, "Keys that were written to disk.");
    BUSY = gauge("telemetra_operator_busy_seconds_total", &["pipeline", "worker", "operator"], "Time spent in the operators of that name, without those nested in them.");
    MOMENTS_FOUND = gauge("telemetra_moments_found_per_hour", &["pipeline", "operator"], "Moments that were found per hour of event time, in the period that was settled last.");
    MOMENTS_EXPECTED = gauge("telemetra_moments_expected_per_hour", &["pipeline", "operator"], "Moments that chance alone would make per hour of event time, in the same period.");
    SINK_QUEUE = gauge("telemetra_sink_queue_batches", SINK, "Batches that wait for the sink.");
    SINK_CHANGES = counter("telemetra_sink_changes_total", SINK, "Changes of rows that the sink has applied.");
    SINK_ROWS = histogram("telemetra_sink_apply_rows", SINK, "Changes of rows that the sink was given at once.");
    SINK_SECONDS = histogram("telemetra_sink_apply_duration_seconds", SINK, "Time that the sink took to make them durable, without tries that failed.");
    SINK_RETRIES = counter("telemetra_sink_retries_total", SINK, "Calls of the sink that failed and were tried again.");
    SINK_FAILING = gauge("telemetra_sink_failing", SINK, "1 while the sink fails and is tried again.");
    CHECKPOINTS = counter("telemetra_checkpoints_total", PIPELINE, "Checkpoints that were completed.");
    CHECKPOINT_AGE = gauge("telemetra_checkpoint_age_seconds", PIPELINE, "Time since a checkpoint was completed, or since the start, where there is a store.");
    CHECKPOINT_SECONDS = histogram("telemetra_checkpoint_duration_seconds", PIPELINE, "Time from the first part of a checkpoint to its completion.");
    CHECKPOINT_BYTES = histogram("telemetra_checkpoint_bytes", PIPELINE, "Bytes that this process wrote for a checkpoint.");
    CHECKPOINT_RETRIES = counter("telemetra_checkpoint_retries_total", PIPELINE, "Calls of the checkpoint store that failed and were tried again.");
    CHECKPOINT_FAILING = gauge("telemetra_checkpoint_failing", PIPELINE, "1 while the checkpoint store fails and is tried again.");
}

/// The value of a label.
pub(crate) type Value = Arc<str>;

const METADATA: Metadata<'static> = Metadata::new("telemetra", Level::INFO, Some(module_path!()));

impl Metric {
    /// Registers the meaning of each metric with the recorder.
    pub(crate) fn describe_all() {
        with_recorder(|recorder| {
            for Self { name, kind, help, .. } in ALL {
                let unit = [("_seconds", Unit::Seconds), ("_bytes", Unit::Bytes)];
                let unit = unit.into_iter().find_map(|(end, unit)| name.ends_with(end).then_some(unit));
                let (name, help) = ((*name).into(), SharedString::const_str(help));
                match kind {
                    Kind::Counter => recorder.describe_counter(name, unit, help),
                    Kind::Gauge => recorder.describe_gauge(name, unit, help),
                    Kind::Histogram => recorder.describe_histogram(name, unit, help),
                }
            }
        });
    }

    fn key(&self, values: &[&Value]) -> Key {
        debug_assert_eq!(values.len(), self.labels.len(), "the labels of {}", self.name);
        let labels = self.labels.iter().zip(values);
        let labels =
            labels.map(|(name, value)| Label::new(*name, SharedString::from_shared(Arc::clone(value))));
        Key::from_parts(self.name, labels.collect::<Vec<_>>())
    }

    /// Sets a gauge.
    pub(crate) fn set(&self, values: &[&Value], to: f64) {
        with_recorder(|recorder| recorder.register_gauge(&self.key(values), &METADATA).set(to));
    }

    /// Raises a counter. Raising it by 0 makes it appear with an initial value.
    pub(crate) fn add(&self, values: &[&Value], count: u64) {
        with_recorder(|recorder| recorder.register_counter(&self.key(values), &METADATA).increment(count));
    }

    /// Records a value in a histogram.
    pub(crate) fn record(&self, values: &[&Value], value: f64) {
        with_recorder(|recorder| recorder.register_histogram(&self.key(values), &METADATA).record(value));
    }
}
