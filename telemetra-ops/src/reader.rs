//! What one worker does with the bytes of partitions: it decodes a batch, has it sequenced, and folds it.

use std::sync::Arc;
use std::time::Duration;

use telemetra_core::{
    Arena, DeadLetter, DecodeError, Event, EventAccumulator, EventTime, Fact, Fate, Placement, Record,
    RecordBatch,
};
use timely::dataflow::operators::probe;

use crate::buckets::Buckets;
use crate::ingress::{Lane, Shared, Take};

/// How many batches are read before other operators get their turn.
const BATCHES_PER_TURN: usize = 4;
/// How long a worker waits that has nothing to do but is not told when there is.
pub(crate) const PAUSE: Duration = Duration::from_millis(1);

/// Reads batches for one worker and folds them.
pub(crate) struct Reader<A> {
    shared: Arc<Shared>,
    /// The partitions it knows of.
    lanes: Vec<Arc<Lane>>,
    /// What was folded and not yet sent.
    pub(crate) buckets: Buckets<A>,
    /// What was not counted and not yet sent.
    pub(crate) letters: Vec<DeadLetter>,
    /// The partition to begin with: each in turn.
    lane: usize,
    batch: RecordBatch,
    arena: Arena,
    /// Kept for their memory; empty between batches.
    events: Vec<Event<'static>>,
    records: Vec<Decoded>,
    placements: Vec<Placement>,
}

/// What decoding made of a record.
struct Decoded {
    /// The number of events up to and including this record's.
    end: usize,
    error: Option<DecodeError>,
}

impl<A: EventAccumulator> Reader<A> {
    pub(crate) fn new(shared: Arc<Shared>, worker: usize) -> Self {
        let slide = shared.config.time.windows.slide();
        Self {
            shared,
            lanes: Vec::new(),
            buckets: Buckets::new(slide),
            letters: Vec::new(),
            lane: worker,
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
        let bound = floor.minus(shared.config.lead);
        if floor == EventTime::MAX || durable.is_some_and(|durable| durable.less_than(&bound)) {
            return PAUSE;
        }
        shared.refresh(&mut self.lanes);
        let alone = self.lanes.len() == 1;
        for _ in 0..BATCHES_PER_TURN {
            let mut pause = Duration::MAX;
            let mut found = false;
            for _ in 0..self.lanes.len() {
                self.lane = (self.lane + 1) % self.lanes.len();
                let lane = &self.lanes[self.lane];
                match shared.take(lane, alone, floor, &mut self.batch) {
                    Take::Batch(number) => {
                        let lane = Arc::clone(lane);
                        self.fold(&lane, number);
                        found = true;
                        break;
                    }
                    Take::Nothing(this_long) => pause = pause.min(this_long),
                    Take::Ended => pause = pause.min(PAUSE),
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
    fn fold(&mut self, lane: &Lane, turn: u64) {
        let Self { batch, arena, records, placements, buckets, letters, .. } = self;
        let mut events: Vec<Event<'_>> = recycle(std::mem::take(&mut self.events));
        for record in batch.records() {
            let decoded = match record.oversize {
                Some(_) => Err(DecodeError::new(TOO_LONG)),
                None if record.tombstone => Err(DecodeError::new(NO_VALUE)),
                None => lane.decoder.decode(batch.bytes_of(record), arena, &mut events),
            };
            records.push(Decoded { end: events.len(), error: decoded.err() });
        }
        self.shared.sequence(lane, turn, |sequencer, now| {
            let mut greatest = EventTime::MIN;
            let mut start = 0;
            for Decoded { end, error } in records.iter() {
                if error.is_some() {
                    sequencer.malformed();
                }
                for event in &events[start..*end] {
                    let header = event.header();
                    let placement = sequencer.place(header.time, header.event_id, now);
                    if placement.fate.is_counted() {
                        greatest = greatest.max(placement.effective_end);
                    }
                    placements.push(placement);
                }
                start = *end;
            }
            greatest
        });
        // A pipeline that has failed does not sequence any more.
        let sentiment = self.shared.config.sentiment.as_deref();
        let mut placed = events.iter_mut().zip(placements.drain(..));
        let mut start = 0;
        for (record, Decoded { end, error }) in batch.records().iter().zip(records.drain(..)) {
            if let Some(error) = error {
                let reason = match record.oversize {
                    Some(length) => format!("{error}: {length} bytes"),
                    None => error.to_string(),
                };
                letters.push(letter(lane, batch, record, 0, Fate::Malformed, reason));
            }
            for (index, (event, placement)) in placed.by_ref().take(end - start).enumerate() {
                if !placement.fate.is_counted() {
                    let reason = reason(event, placement.fate);
                    letters.push(letter(lane, batch, record, index, placement.fate, reason));
                    continue;
                }
                if let (Some(sentiment), Event::Chat(chat)) = (sentiment, &mut *event) {
                    chat.sentiment = sentiment.score(chat.message, chat.emotes);
                }
                buckets.accumulator(event.header().stream_id, &placement).add(&*event);
                if let Some(fact) = Fact::of(event) {
                    buckets.bucket(placement.effective_end).facts.push(fact);
                }
            }
            start = end;
        }
        self.events = recycle(events);
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
fn recycle<'b>(mut events: Vec<Event<'_>>) -> Vec<Event<'b>> {
    events.clear();
    // Collecting in place: the types differ in a lifetime only.
    events.into_iter().filter_map(|_| None).collect()
}

fn letter(
    lane: &Lane,
    batch: &RecordBatch,
    record: &Record,
    index: usize,
    fate: Fate,
    reason: String,
) -> DeadLetter {
    DeadLetter {
        partition: lane.id.clone(),
        offset: record.offset,
        index: u32::try_from(index).unwrap_or(u32::MAX),
        fate,
        reason: reason.into(),
        bytes: batch.bytes_of(record).into(),
    }
}

fn reason(event: &Event<'_>, fate: Fate) -> String {
    let header = event.header();
    match fate {
        Fate::TooLate => format!("the pane of {} ended longer ago than the allowed lateness", header.time),
        Fate::FromFuture => format!("{} is too far ahead of processing time", header.time),
        Fate::Duplicate => format!("an event with the id {} has been counted", header.event_id),
        Fate::Malformed | Fate::OnTime | Fate::LateApplied => String::new(),
    }
}
