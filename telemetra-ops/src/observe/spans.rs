//! The spans of a pipeline: their targets, names and fields in one place, as users filter by them.
//!
//! The table in docs/operations.md says what each means. There is one for a batch, an activation or a checkpoint, and
//! none for an event. A span that nobody listens to costs a look at a static and is not made.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use telemetra_core::{Batch, EventTime, PartitionId, RecordBatch};
use tracing::field::Empty;
use tracing::{Span, debug_span, info_span};

/// Reading: `poll`, and in it `decode`, `sequence` and `fold`.
const READ: &str = "telemetra::read";
/// Operators with state: `advance`.
const OPERATOR: &str = "telemetra::operator";
/// Checkpoints: `checkpoint`, and in it `snapshot`, `write`, `complete` and `commit`.
const CHECKPOINT: &str = "telemetra::checkpoint";
/// Sinks: `deliver`, and in it `apply`; and what is said of slow batches.
pub(crate) const SINK: &str = "telemetra::sink";

/// Operators of a group: their names are these words and the group's.
const OF_GROUPS: [&str; 4] = ["windows", "early", "moments", "chance"];

/// Returns whether there is a subscriber of `poll`, for values that are measured only for it.
pub(crate) fn has_polls() -> bool {
    tracing::enabled!(target: READ, tracing::Level::DEBUG)
}

/// A batch of a partition, from when the source handed it over until its events are folded.
pub(crate) fn poll(worker: usize, partition: &PartitionId, batch: &RecordBatch, took: Duration) -> Span {
    let bytes = || batch.records().iter().map(|place| batch.bytes_of(place).len()).sum::<usize>();
    debug_span!(
        target: READ, parent: None, "poll", worker = int(worker), partition = partition.as_str(),
        offset = batch.records().first().map(|place| int(place.offset)),
        records = int(batch.records().len()), bytes = int(bytes()), poll_us = micros(took)
    )
}

/// Decoding a batch.
pub(crate) fn decode() -> Span {
    debug_span!(target: READ, "decode", events = Empty)
}

/// Deciding the fates of a batch's events, waiting for its turn included.
pub(crate) fn sequence() -> Span {
    debug_span!(target: READ, "sequence")
}

/// Folding a batch into the aggregates of a group.
pub(crate) fn fold(group: &str) -> Span {
    debug_span!(target: READ, "fold", group)
}

/// An activation of an operator with state that had something to do.
pub(crate) fn advance(worker: usize, operator: &str) -> Span {
    debug_span!(
        target: OPERATOR, parent: None, "advance", worker = int(worker), operator, group = group_of(operator),
        times = Empty, rows = Empty, through = Empty
    )
}

/// The group of an operator, if it is of one.
fn group_of(operator: &str) -> Option<&str> {
    operator.split_once(' ').filter(|(kind, _)| OF_GROUPS.contains(kind)).map(|(_, group)| group)
}

/// The changes of one time for a shard of a sink, from when they are complete until they are durable.
pub(crate) fn deliver(worker: usize, [pipeline, sink, shard]: [&str; 3], batch: &Batch) -> Span {
    debug_span!(
        target: SINK, parent: None, "deliver", worker = int(worker), pipeline, sink, shard,
        rows = int(batch.changes.len()), through = %batch.time, queued_us = Empty
    )
}

/// A call of a sink, in the span of the first of its batches.
pub(crate) fn apply(parent: &Span, sink: &str, batches: &[Batch]) -> Span {
    let rows = || batches.iter().map(|batch| batch.changes.len()).sum::<usize>();
    debug_span!(
        target: SINK, parent: parent, "apply", sink, batches = int(batches.len()), rows = int(rows()),
        through = batches.last().map(|batch| tracing::field::display(batch.time))
    )
}

/// The spans of the checkpoints under way, by boundary.
#[derive(Debug, Default)]
pub(crate) struct CheckpointSpans(Mutex<BTreeMap<EventTime, Span>>);

impl CheckpointSpans {
    /// The span of a checkpoint, which begins with the first call.
    pub(crate) fn of(&self, boundary: EventTime) -> Span {
        let mut spans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let span = spans.entry(boundary).or_insert_with(
            || info_span!(target: CHECKPOINT, parent: None, "checkpoint", through = %boundary, bytes = Empty),
        );
        span.clone()
    }

    /// The span of a checkpoint that ends when this is dropped. Those of earlier ones, which will not be complete any
    /// more, end now.
    pub(crate) fn take(&self, boundary: EventTime) -> Span {
        let mut spans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let later = spans.split_off(&boundary.plus(1));
        let now = std::mem::replace(&mut *spans, later);
        now.into_iter().find(|(of, _)| *of == boundary).map_or_else(Span::none, |(_, span)| span)
    }

    /// Taking the part of an operator, encoding included.
    pub(crate) fn snapshot(&self, boundary: EventTime, worker: usize, operator: &str) -> Span {
        let checkpoint = self.of(boundary);
        debug_span!(target: CHECKPOINT, parent: &checkpoint, "snapshot", worker = int(worker), operator)
    }

    /// Writing the parts of a worker.
    pub(crate) fn write(&self, boundary: EventTime, worker: usize) -> Span {
        let checkpoint = self.of(boundary);
        debug_span!(target: CHECKPOINT, parent: &checkpoint, "write", worker = int(worker), bytes = Empty)
    }
}

/// Writing the manifest, and removing what no checkpoint needs any more.
pub(crate) fn complete(checkpoint: &Span) -> Span {
    debug_span!(target: CHECKPOINT, parent: checkpoint, "complete")
}

/// The notification of the partitions that a checkpoint is complete.
pub(crate) fn commit(checkpoint: &Span) -> Span {
    debug_span!(target: CHECKPOINT, parent: checkpoint, "commit")
}

/// Microseconds, as fields have them.
pub(crate) fn micros(duration: Duration) -> i64 {
    int(duration.as_micros())
}

/// A number, as fields have it: the attributes of OpenTelemetry have no others.
pub(crate) fn int(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}
