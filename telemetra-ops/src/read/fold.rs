//! Folding: one worker decodes a batch, has it sequenced, and gives its events to every plan.

use std::sync::Arc;
use std::time::{Duration, Instant};

use telemetra_core::engine::Placement;
use telemetra_core::{
    Arena, DeadLetter, DecodeError, Decoder, Event, EventTime, Events, Fate, RecordBatch, RecordPlace,
    TraceParent,
};
use timely::dataflow::operators::probe;

use crate::observe::spans;
use crate::observe::traces::MOST;
use crate::read::ingress::Shared;
use crate::read::partition::PartitionReader;
use crate::read::plan::Fold;
use crate::read::poll::PollResult;

/// The decoders of a pipeline, by the number of their source.
pub(crate) type Decoders<E> = Arc<[Arc<dyn Decoder<E>>]>;

/// The number of batches that are read before other operators get their turn.
const BATCHES_PER_TURN: usize = 4;
/// The time for which a worker waits that has nothing to do and is not woken when there is.
pub(crate) const PAUSE: Duration = Duration::from_millis(1);

/// Reads batches for one worker and folds them.
pub(crate) struct Reader<E: Events> {
    shared: Arc<Shared>,
    decoders: Decoders<E>,
    /// The partitions it knows of.
    partitions: Vec<Arc<PartitionReader>>,
    /// The worker's number.
    worker: usize,
    /// The names of plans.
    groups: Vec<Box<str>>,
    /// One for each plan.
    pub(crate) folds: Vec<Box<dyn Fold<E>>>,
    /// The records that were not counted, until they are sent.
    pub(crate) letters: Vec<DeadLetter>,
    /// The partition to begin with: each in turn.
    turn: usize,
    batch: RecordBatch,
    arena: Arena,
    /// Kept for their memory; empty between batches.
    events: Vec<E::Of<'static>>,
    records: Vec<Decoded>,
    placements: Vec<Placement>,
}

/// The result of decoding a record.
struct Decoded {
    /// The number of events up to and including this record's.
    end: usize,
    error: Option<DecodeError>,
}

impl<E: Events> Reader<E> {
    pub(crate) fn new(
        shared: Arc<Shared>,
        decoders: Decoders<E>,
        worker: usize,
        (groups, folds): (Vec<Box<str>>, Vec<Box<dyn Fold<E>>>),
    ) -> Self {
        Self {
            shared,
            decoders,
            partitions: Vec::new(),
            worker,
            groups,
            folds,
            letters: Vec::new(),
            turn: worker,
            batch: RecordBatch::default(),
            arena: Arena::default(),
            events: Vec::new(),
            records: Vec::new(),
            placements: Vec::new(),
        }
    }

    /// Reads a few batches, and says how long to wait before the next.
    pub(crate) fn read(&mut self, floor: EventTime, durable: Option<&probe::Handle<EventTime>>) -> Duration {
        let shared = Arc::clone(&self.shared);
        let bound = floor.minus(shared.config.drift());
        if floor == EventTime::MAX || durable.is_some_and(|durable| durable.less_than(&bound)) {
            self.partitions.iter().for_each(|partition| partition.not_asked());
            return PAUSE;
        }
        shared.refresh(&mut self.partitions);
        let alone = self.partitions.len() == 1;
        for _ in 0..BATCHES_PER_TURN {
            let mut pause = Duration::MAX;
            let mut found = false;
            for _ in 0..self.partitions.len() {
                self.turn = (self.turn + 1) % self.partitions.len();
                let partition = &self.partitions[self.turn];
                let begun = spans::has_polls().then(Instant::now);
                match shared.poll(partition, alone, floor, &mut self.batch) {
                    PollResult::Batch(number) => {
                        let partition = Arc::clone(partition);
                        let took = begun.map(|begun| begun.elapsed()).unwrap_or_default();
                        let _span = spans::poll(self.worker, &partition.id, &self.batch, took).entered();
                        self.fold(&partition, number);
                        found = true;
                        break;
                    }
                    PollResult::Nothing(this_long) => pause = pause.min(this_long),
                    PollResult::Ended => pause = pause.min(PAUSE),
                }
            }
            if !found {
                // Sources are asked, they do not call: look again soon.
                return pause.min(10 * PAUSE);
            }
        }
        Duration::ZERO
    }

    /// Decodes a batch, has it sequenced, and folds it.
    fn fold(&mut self, partition: &PartitionReader, turn: u64) {
        let Self { batch, arena, records, placements, groups, folds, letters, decoders, .. } = self;
        let decoder = &*decoders[partition.decoder];
        let mut events: Vec<E::Of<'_>> = recycle::<E>(std::mem::take(&mut self.events));
        let span = spans::decode().entered();
        for place in batch.records() {
            let decoded = match place.oversize {
                Some(_) => Err(DecodeError::new(TOO_LONG)),
                None if place.tombstone => Err(DecodeError::new(NO_VALUE)),
                None => decoder.decode(batch.record(place, &partition.topic), arena, &mut events),
            };
            records.push(Decoded { end: events.len(), error: decoded.err() });
        }
        span.record("events", spans::int(events.len()));
        drop(span);
        let span = spans::sequence().entered();
        self.shared.sequence(partition, turn, |sequencer, floors, now| {
            let mut start = 0;
            for (place, Decoded { end, error }) in batch.records().iter().zip(records.iter()) {
                floors.replay(place.offset, sequencer);
                if error.is_some() {
                    sequencer.malformed();
                }
                for event in &events[start..*end] {
                    placements.push(sequencer.place(event.time(), || event.id(), now));
                }
                start = *end;
            }
        });
        drop(span);
        // Most records have no header, and few a trace.
        if batch.has_headers() && placements.len() == events.len() {
            self.shared.traces.note(traces(batch, records, placements, &partition.topic));
        }
        if events.is_empty()
            && let Some((place, error)) = batch
                .records()
                .iter()
                .zip(records.iter())
                .find_map(|(place, decoded)| Some((place, decoded.error.as_ref()?)))
        {
            partition.log_malformed(batch.bytes_of(place), error);
        }
        // A pipeline that has failed does not sequence any more: then there are no placements, and nothing is folded.
        let mut placed = events.iter().zip(placements.iter());
        let mut start = 0;
        for (place, Decoded { end, error }) in batch.records().iter().zip(records.drain(..)) {
            if let Some(error) = error {
                let reason = match place.oversize {
                    Some(length) => format!("{error}: {length} bytes"),
                    None => error.to_string(),
                };
                letters.push(DeadLetter {
                    traceparent: TraceParent::of(&batch.record(place, &partition.topic)),
                    ..letter(partition, place, Fate::Malformed, reason, batch.bytes_of(place).into())
                });
            }
            for (index, (event, placement)) in placed.by_ref().take(end - start).enumerate() {
                if !placement.fate.is_counted() {
                    let record = batch.record(place, &partition.topic);
                    let traceparent = TraceParent::of(&record);
                    let bytes = decoder.letter_bytes(record, event);
                    let reason = reason::<E>(event, placement.fate);
                    letters.push(DeadLetter {
                        index: u32::try_from(index).unwrap_or(u32::MAX),
                        time: Some(event.time()),
                        traceparent,
                        ..letter(partition, place, placement.fate, reason, bytes)
                    });
                }
            }
            start = end;
        }
        if placements.len() == events.len() {
            for (fold, group) in folds.iter_mut().zip(groups) {
                spans::fold(group).in_scope(|| fold.add(&events, placements));
            }
        }
        placements.clear();
        self.events = recycle::<E>(events);
        arena.reset();
        batch.clear();
    }
}

/// The reason why a record was not decoded that is longer than records may be.
const TOO_LONG: &str = "the record is longer than a record may be";

/// The reason why a tombstone was not decoded.
const NO_VALUE: &str = "the record has no value (a tombstone)";

/// Empties a vector and keeps its memory for events of another batch.
#[expect(clippy::unnecessary_filter_map, reason = "`filter` would keep the lifetime")]
fn recycle<'b, E: Events>(mut events: Vec<E::Of<'_>>) -> Vec<E::Of<'b>> {
    events.clear();
    // Collecting in place: the types differ in a lifetime only.
    events.into_iter().filter_map(|_| None).collect()
}

/// The first few traces of a batch's records that count, with the times at which they take effect.
fn traces(
    batch: &RecordBatch,
    records: &[Decoded],
    placements: &[Placement],
    topic: &str,
) -> impl Iterator<Item = (EventTime, TraceParent)> {
    let starts = std::iter::once(0).chain(records.iter().map(|decoded| decoded.end));
    let found =
        batch.records().iter().zip(records).zip(starts).filter_map(move |((place, decoded), start)| {
            let placement =
                placements[start..decoded.end].iter().find(|placement| placement.fate.is_counted())?;
            let parent = TraceParent::of(&batch.record(place, topic))?;
            Some((placement.effective_end.minus(1), parent))
        });
    found.take(MOST)
}

fn letter(
    partition: &PartitionReader,
    place: &RecordPlace,
    fate: Fate,
    reason: String,
    bytes: Box<[u8]>,
) -> DeadLetter {
    DeadLetter {
        partition: partition.id.clone(),
        offset: place.offset,
        index: 0,
        time: None,
        fate,
        reason: reason.into(),
        bytes,
        traceparent: None,
    }
}

fn reason<E: Events>(event: &E::Of<'_>, fate: Fate) -> String {
    match fate {
        Fate::TooLate => format!("the pane of {} ended longer ago than the allowed lateness", event.time()),
        Fate::FromFuture => {
            format!("{} is too far ahead of processing time, or of all events before it", event.time())
        }
        Fate::Duplicate => match event.id() {
            Some(id) => format!("an event with the id {id} has been counted"),
            None => "an event of the same id has been counted".to_owned(),
        },
        Fate::Malformed | Fate::OnTime | Fate::LateApplied => String::new(),
    }
}
