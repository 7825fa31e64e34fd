//! The reader of one Kafka partition: it takes messages from the partition's queue and puts them into
//! batches, without waiting for any broker.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rdkafka::Message;
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{BorrowedHeaders, BorrowedMessage, Headers};
use telemetra_core::{EventTime, ExternalError, Partition, Polled, RecordBatch};

use super::consumer::SharedConsumer;
use super::context::Context;
use super::partition_state::{PartitionState, signed};
use crate::kafka::error::failed;

/// The pauses before an empty partition is polled again: the first one and the longest.
const PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(8);
/// The pause before the next poll while the consumer thread resolves an error.
const WAIT: Duration = Duration::from_millis(10);
/// The time for which an empty partition counts as being fetched, as long as its end is not known to be reached.
const FETCH: Duration = Duration::from_secs(30);

/// The reader of one partition, which takes messages from the partition's queue.
pub(super) struct Reader {
    // Dropped before the client that it belongs to.
    queue: PartitionQueue<Context>,
    partition: Arc<PartitionState>,
    /// Keeps the consumer and its thread alive.
    shared: Arc<SharedConsumer>,
    next: u64,
    /// The position that the lag is computed from. It is beyond transaction markers at the end, which are no
    /// records.
    seen_to: u64,
    /// The offset at which to stop.
    end: Option<u64>,
    pause: Duration,
    /// The instant since which it is being fetched without a result; `None` once its end is reached.
    fetching: Option<Instant>,
    polls: u64,
    state: State,
}

/// The state of a partition's reader.
enum State {
    /// Nothing is fetched yet.
    Opened,
    Reading,
    /// The consumer thread resolves an error.
    Asking,
    Failed(ExternalError),
    Done,
}

impl Reader {
    pub(super) fn new(
        shared: Arc<SharedConsumer>,
        partition: Arc<PartitionState>,
        queue: PartitionQueue<Context>,
        next: u64,
        end: Option<u64>,
    ) -> Self {
        let state = if end.is_some_and(|end| next >= end) { State::Done } else { State::Opened };
        let fetching = Some(Instant::now());
        Self { queue, partition, shared, next, seen_to: next, end, pause: PAUSE, fetching, polls: 0, state }
    }

    /// Takes messages until the batch is full or the queue is empty.
    fn take(&mut self, batch: &mut RecordBatch) -> Polled {
        let (mut taken, mut at_end) = (false, false);
        while !batch.is_full() {
            match self.queue.poll(Duration::ZERO) {
                None if taken => break,
                None => {
                    let pause = self.pause;
                    self.pause = (pause * 2).min(LONGEST_PAUSE);
                    // An empty queue does not mean an idle partition until the fetch is complete.
                    let fetching = self.fetching.is_some_and(|since| since.elapsed() < FETCH);
                    return if fetching { Polled::Pending(pause) } else { Polled::Idle(pause) };
                }
                Some(Ok(message)) => {
                    let offset = u64::try_from(message.offset()).unwrap_or(0);
                    if offset < self.next {
                        // This message was fetched again after a pause.
                        continue;
                    }
                    if self.end.is_some_and(|end| offset >= end) {
                        self.state = State::Done;
                        break;
                    }
                    match message.payload() {
                        Some(payload) => batch.push(payload, offset),
                        None => batch.push_tombstone(offset),
                    }
                    annotate(batch, &message, self.shared.settings.headers);
                    self.next = offset + 1;
                    self.seen_to = self.next;
                    (taken, at_end) = (true, false);
                }
                Some(Err(KafkaError::PartitionEOF(_))) => {
                    at_end = true;
                    self.fetching = None;
                    if self.end.is_some() {
                        self.state = State::Done;
                        break;
                    }
                    let end = self.partition.end.load(Ordering::Relaxed);
                    self.seen_to = self.seen_to.max(u64::try_from(end).unwrap_or(0));
                }
                Some(Err(error)) => {
                    if let Some(state) = self.trouble(error) {
                        self.state = state;
                        break;
                    }
                }
            }
            if self.end.is_some_and(|end| self.next >= end) {
                self.state = State::Done;
                break;
            }
        }
        self.pause = PAUSE;
        if taken && !at_end {
            self.fetching = Some(Instant::now());
        }
        Polled::Ready
    }

    /// Returns the state that follows an error in the queue; `None` if librdkafka recovers by itself.
    fn trouble(&self, error: KafkaError) -> Option<State> {
        let code = error.rdkafka_error_code()?;
        match code {
            Code::AutoOffsetReset
            | Code::OffsetOutOfRange
            | Code::NoOffset
            | Code::LogTruncation
            | Code::UnknownTopicOrPartition
            | Code::UnknownTopic
            | Code::UnknownTopicId
            | Code::UnknownPartition => {
                self.partition.ask(code, self.next);
                Some(State::Asking)
            }
            _ => {
                let fatal = matches!(error, KafkaError::MessageConsumptionFatal(_));
                let error = self.failed(error);
                if fatal || error.retry() == telemetra_core::Retry::Permanent {
                    return Some(State::Failed(error));
                }
                None
            }
        }
    }

    /// Applies the answer of the consumer thread.
    fn answered(&mut self) -> Option<ExternalError> {
        match self.partition.answered()? {
            Ok(next) => {
                self.next = next;
                self.seen_to = next;
                self.state = State::Reading;
                None
            }
            Err(error) => Some(error),
        }
    }

    fn failed(&self, error: KafkaError) -> ExternalError {
        let what = format!("cannot read the partition `{}` at offset {}", self.partition.id, self.next);
        failed(what, error)
    }

    /// Builds the error of a partition whose broker cannot be reached.
    fn unreachable(&self) -> ExternalError {
        ExternalError::transient(format!(
            "cannot read the partition `{}` at offset {}: its broker cannot be reached; reading goes on when it is back",
            self.partition.id, self.next
        ))
    }
}

/// Adds the key and timestamp of a message, and its headers if they are read.
fn annotate(batch: &mut RecordBatch, message: &BorrowedMessage<'_>, with_headers: bool) {
    let timestamp = message.timestamp().to_millis().and_then(|millis| u64::try_from(millis).ok());
    let (key, headers) = (message.key(), with_headers.then(|| message.headers()).flatten());
    if key.is_none() && headers.is_none() && timestamp.is_none() {
        return;
    }
    let count = headers.map_or(0, Headers::count);
    let headers = (0..count).filter_map(|index| header(headers?, index));
    batch.annotate(key, timestamp.map(EventTime), headers);
}

/// Returns a header, unless its name is not UTF-8: `rdkafka` panics on such a name, so any writer to the
/// topic could stop the pipeline.
fn header(headers: &BorrowedHeaders, index: usize) -> Option<(&str, Option<&[u8]>)> {
    let header = catch_unwind(AssertUnwindSafe(|| headers.try_get(index))).ok()??;
    Some((header.key, header.value))
}

impl Partition for Reader {
    fn poll(&mut self, batch: &mut RecordBatch) -> Result<Polled, ExternalError> {
        self.polls += 1;
        self.partition.polls.store(self.polls, Ordering::Relaxed);
        if matches!(self.state, State::Asking)
            && let Some(error) = self.answered()
        {
            return Err(error);
        }
        if matches!(self.state, State::Opened) {
            self.shared.assign_opened().map_err(|error| self.failed(error))?;
            (self.state, self.fetching) = (State::Reading, Some(Instant::now()));
        }
        let before = batch.records().len();
        let mut polled = match &self.state {
            State::Reading if self.partition.paused.load(Ordering::Acquire) => {
                self.partition.wanted.store(true, Ordering::Release);
                self.fetching = Some(Instant::now());
                Polled::Pending(WAIT)
            }
            State::Reading => self.take(batch),
            State::Asking => {
                self.fetching = Some(Instant::now());
                Polled::Pending(WAIT)
            }
            State::Opened | State::Failed(_) => Polled::Ready,
            State::Done => Polled::Done,
        };
        self.partition.next.store(signed(self.seen_to), Ordering::Relaxed);
        let nothing = batch.records().len() == before;
        match &self.state {
            State::Done => {
                self.partition.closed.store(true, Ordering::Release);
                polled = Polled::Done;
            }
            // Records that were taken before an error are returned first.
            State::Failed(_) if nothing => {
                if let State::Failed(error) = std::mem::replace(&mut self.state, State::Reading) {
                    return Err(error);
                }
            }
            State::Reading if nothing && self.partition.unreachable.load(Ordering::Relaxed) => {
                return Err(self.unreachable());
            }
            State::Opened | State::Reading | State::Asking | State::Failed(_) => {}
        }
        Ok(polled)
    }

    fn offset(&self) -> u64 {
        self.next
    }

    fn topic(&self) -> &str {
        &self.partition.topic
    }

    fn lag(&self) -> Option<u64> {
        self.partition.lag()
    }

    fn lost(&self) -> u64 {
        self.partition.lost.load(Ordering::Relaxed)
    }

    fn committed(&mut self, offset: u64) {
        self.partition.commit.store(signed(offset), Ordering::Release);
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.partition.closed.store(true, Ordering::Release);
    }
}
