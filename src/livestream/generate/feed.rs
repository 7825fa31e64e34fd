use std::sync::Arc;

use super::content::Writer;
use super::cursor::Cursor;
use super::plan::{Plan, TICK};
use super::truth::{Floor, GroundTruth, kind_of};
use crate::core::EventTime;
use crate::livestream::EventKind;

/// A record of a [`Feed`], apart from its bytes.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct GeneratedRecord<'f> {
    /// The kind of its event, also where the bytes are damaged.
    pub kind: EventKind,
    /// The stream of its event, also where the bytes are damaged.
    pub stream_id: &'f str,
    /// The time at which the event happened. The bytes of an event from the future have another time.
    pub time: EventTime,
    /// The time at which the record arrives; it never decreases from record to record.
    pub arrives_at: EventTime,
}

/// The records of one partition of a [`Generator`](super::Generator), one at a time, for a program that sends
/// them. A program that sends each at its `arrives_at` reproduces the order and the delays.
///
/// ```
/// use telemetra::livestream::generate::{Generator, GeneratorConfig, Planting};
/// let config = GeneratorConfig {
///     streams: 2,
///     stream_ids: vec!["ada".into()],
///     partitions: 1,
///     endless: true,
///     planted: Planting::none(),
///     ..GeneratorConfig::default()
/// };
/// let mut feed = Generator::new(config)?.feed(0).ok_or("there is a first partition")?;
/// let mut bytes = Vec::new();
/// for _ in 0..1000 {
///     bytes.clear();
///     let record = feed.next(&mut bytes).ok_or("it is endless")?;
///     assert!(["ada", "stream_0002"].contains(&record.stream_id));
/// }
/// assert_eq!(feed.truth().fates.read, 1000);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Feed {
    cursor: Cursor,
    partition: usize,
    writer: Writer,
    truth: GroundTruth,
    floor: Floor,
    /// The time of the newest event returned, in milliseconds since the start.
    reached: u64,
}

impl std::fmt::Debug for Feed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Feed").field("partition", &self.partition).finish_non_exhaustive()
    }
}

impl Feed {
    pub(super) fn new(plan: &Arc<Plan>, partition: usize) -> Self {
        Self {
            cursor: Cursor::new(plan, partition),
            partition,
            writer: Writer::new(Arc::clone(plan)),
            truth: GroundTruth::default(),
            floor: Floor::new(plan),
            reached: 0,
        }
    }

    /// Returns the time at which the next record arrives; `None` if there are no more records.
    pub fn next_arrival(&mut self) -> Option<EventTime> {
        let at = self.cursor.peek()?.at;
        Some(self.cursor.plan.config.start.plus(at))
    }

    /// Appends the bytes of the next record to `out`; `None` if there are no more.
    pub fn next(&mut self, out: &mut Vec<u8>) -> Option<GeneratedRecord<'_>> {
        let arrival = *self.cursor.next()?;
        self.writer.write(&arrival, out);
        self.truth.count(&arrival, &mut self.floor);
        self.reached = self.reached.max(arrival.time);
        let plan = &self.cursor.plan;
        Some(GeneratedRecord {
            kind: kind_of(&arrival),
            stream_id: &plan.streams[arrival.stream as usize],
            time: plan.config.start.plus(arrival.time),
            arrives_at: plan.config.start.plus(arrival.at),
        })
    }

    /// Returns the counts of the records returned so far, and the moments planted so far.
    #[must_use]
    pub fn truth(&self) -> GroundTruth {
        let plan = &self.cursor.plan;
        let begun = if self.truth.fates.read == 0 { 0 } else { self.reached / TICK + 1 };
        GroundTruth { planted: plan.planted_before(begun, self.partition), ..self.truth.clone() }
    }
}
