//! Scripted sources and partitions, for the tests of reading.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use telemetra_core::{
    Arena, Clock, DecodeError, Decoder, Event, EventId, EventTime, ExternalError, Partition, PartitionId,
    Polled, Record, RecordBatch, Source, TimeConfig, WindowSpec,
};

use crate::checkpoint::trigger::CheckpointTrigger;
use crate::cluster::progress::SourceProgress;
use crate::read::ingress::{Floors, IngressConfig, Shared};
use crate::read::partition::OpenPartition;
use crate::support::failure::Failure;

/// The behaviour of one poll. Values of records are parsed by [`Words`].
pub(super) enum Step {
    /// Gives records, and says this.
    Records(Vec<&'static str>, Polled),
    /// Puts into the batch what it likes; the number is that of the records.
    Batch(u64, Box<dyn FnOnce(&mut RecordBatch) + Send>),
    /// Gives nothing, and says this.
    Nothing(Polled),
    Fails(ExternalError),
}

/// A batch of records after which there are more.
pub(super) fn records(values: &[&'static str]) -> Step {
    Step::Records(values.to_vec(), Polled::Ready)
}

/// A partition that takes a step with each poll, and has come to its end after the last one. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Script(Arc<Mutex<State>>);

#[derive(Default)]
pub(super) struct State {
    steps: VecDeque<Step>,
    /// The number of polls.
    pub(super) polls: usize,
    pub(super) offset: u64,
    pub(super) identity: Option<u64>,
    pub(super) lag: Option<u64>,
    pub(super) lost: u64,
    pub(super) committed: Vec<u64>,
}

impl Script {
    pub(super) fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        let script = Self::default();
        script.lock().steps = steps.into_iter().collect();
        script
    }

    /// A partition that has no records and asks to be left alone for this long, for ever.
    pub(super) fn idle(pause: Duration) -> Self {
        Self::new((0..10_000).map(|_| Step::Nothing(Polled::Idle(pause))))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The partition, as a source opens it.
    pub(super) fn open(&self, name: &str) -> OpenPartition {
        let (id, partition) = (PartitionId::new(name), Box::new(self.clone()));
        OpenPartition { id, decoder: 0, partition, sequencer: None, ended: false }
    }
}

impl Partition for Script {
    fn poll(&mut self, batch: &mut RecordBatch) -> Result<Polled, ExternalError> {
        let mut state = self.lock();
        state.polls += 1;
        let offset = state.offset;
        match state.steps.pop_front() {
            None => Ok(Polled::Done),
            Some(Step::Nothing(polled)) => Ok(polled),
            Some(Step::Fails(error)) => Err(error),
            Some(Step::Records(values, polled)) => {
                state.offset += values.len() as u64;
                (offset..).zip(&values).for_each(|(offset, value)| batch.push(value.as_bytes(), offset));
                Ok(polled)
            }
            Some(Step::Batch(count, fill)) => {
                state.offset += count;
                fill(batch);
                Ok(Polled::Ready)
            }
        }
    }

    fn offset(&self) -> u64 {
        self.lock().offset
    }

    fn identity(&mut self, _: u64) -> Option<u64> {
        self.lock().identity
    }

    fn topic(&self) -> &str {
        "topic"
    }

    fn lag(&self) -> Option<u64> {
        self.lock().lag
    }

    fn lost(&self) -> u64 {
        self.lock().lost
    }

    fn committed(&mut self, offset: u64) {
        self.lock().committed.push(offset);
    }
}

/// A source of scripted partitions. Clones share it.
#[derive(Clone, Default)]
pub(super) struct ScriptedSource(Arc<Mutex<Scripts>>);

#[derive(Default)]
pub(super) struct Scripts {
    pub(super) partitions: BTreeMap<&'static str, Script>,
    /// The calls that open a partition, in words.
    pub(super) opened: Vec<String>,
    /// The errors of the next calls that list or open partitions.
    pub(super) failures: VecDeque<ExternalError>,
    pub(super) panics: bool,
    /// The partitions that are listed after all others.
    pub(super) also_lists: Vec<&'static str>,
    pub(super) refresh_every: Option<Duration>,
    pub(super) may_be_gone: bool,
}

impl ScriptedSource {
    pub(super) fn new<const N: usize>(partitions: [(&'static str, Script); N]) -> Self {
        let source = Self::default();
        source.lock().partitions = partitions.into_iter().collect();
        source
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Scripts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of clones, this one included.
    pub(super) fn clones(&self) -> usize {
        Arc::strong_count(&self.0)
    }

    /// The ways in which partitions were opened so far.
    pub(super) fn opened(&self) -> Vec<String> {
        self.lock().opened.clone()
    }

    fn opens(&self, how: String, id: &PartitionId) -> Result<Box<dyn Partition>, ExternalError> {
        let mut scripts = self.lock();
        if let Some(error) = scripts.failures.pop_front() {
            return Err(error);
        }
        scripts.opened.push(how);
        let script = scripts.partitions.get(id.as_str());
        let script = script.ok_or_else(|| ExternalError::permanent("there is no such partition"))?;
        Ok(Box::new(script.clone()))
    }
}

impl Source for ScriptedSource {
    fn partitions(&mut self) -> Result<Vec<PartitionId>, ExternalError> {
        let mut scripts = self.lock();
        if std::mem::take(&mut scripts.panics) {
            drop(scripts);
            panic!("as the script says");
        }
        let names = scripts.partitions.keys().chain(&scripts.also_lists);
        Ok(names.map(|name| PartitionId::new(name)).collect())
    }

    fn open(&mut self, id: &PartitionId, from: Option<u64>) -> Result<Box<dyn Partition>, ExternalError> {
        self.opens(format!("{id} from {from:?}"), id)
    }

    fn resume(
        &mut self,
        id: &PartitionId,
        from: u64,
        identity: Option<u64>,
    ) -> Result<Box<dyn Partition>, ExternalError> {
        self.opens(format!("{id} at {from} of {identity:?}"), id)
    }

    fn open_new(&mut self, id: &PartitionId) -> Result<Box<dyn Partition>, ExternalError> {
        self.opens(format!("{id} new"), id)
    }

    fn refresh_every(&self) -> Option<Duration> {
        self.lock().refresh_every
    }

    fn may_be_gone(&mut self, _: &PartitionId, _: u64) -> bool {
        self.lock().may_be_gone
    }
}

/// An event: a key, a time, and an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) key: String,
    pub(super) time: EventTime,
    pub(super) id: Option<EventId>,
}

impl Event for Word {
    type Key = String;

    fn time(&self) -> EventTime {
        self.time
    }

    fn key(&self) -> &str {
        &self.key
    }

    fn id(&self) -> Option<EventId> {
        self.id
    }
}

/// Decodes `a 10, b 20 id`: events of keys at times, with ids or without.
pub(super) struct Words;

impl Decoder<Word> for Words {
    fn decode(&self, record: Record<'_>, _: &Arena, events: &mut Vec<Word>) -> Result<(), DecodeError> {
        let text = std::str::from_utf8(record.value).map_err(DecodeError::because)?;
        for event in text.split(", ").filter(|event| !event.is_empty()) {
            let mut words = event.split(' ');
            let (Some(key), Some(time)) = (words.next(), words.next()) else {
                return Err(DecodeError::new("there is no time"));
            };
            let time = EventTime(time.parse().map_err(DecodeError::because)?);
            events.push(Word { key: key.to_owned(), time, id: words.next().map(EventId::of) });
        }
        Ok(())
    }
}

/// Panes of 10 ms, nothing out of order, and a lateness of 20 ms. The clock stands still.
pub(super) fn config() -> IngressConfig {
    let time = TimeConfig {
        windows: WindowSpec::tumbling(Duration::from_millis(10)).unwrap_or_default(),
        out_of_orderness: Duration::ZERO,
        allowed_lateness: Duration::from_millis(20),
        max_future_skew: None,
        max_jump: None,
        idle_after: None,
        ..TimeConfig::default()
    };
    IngressConfig { time, clock: Clock::fixed(EventTime(1_000_000)), ..IngressConfig::default() }
}

/// A trigger that takes no checkpoints.
pub(super) fn no_checkpoints() -> CheckpointTrigger {
    CheckpointTrigger::new(None, Duration::ZERO, 1, 10, None)
}

/// Partitions of a run that begins anew.
pub(super) fn shared(config: IngressConfig, partitions: Vec<OpenPartition>) -> Arc<Shared> {
    resumed(config, partitions, None, None)
}

/// Partitions of a run that goes on from a checkpoint, and whose floors are logged.
pub(super) fn resumed(
    config: IngressConfig,
    partitions: Vec<OpenPartition>,
    resume: Option<u64>,
    floors: Option<Floors>,
) -> Arc<Shared> {
    let bounds = (resume.map(EventTime), EventTime::MIN);
    let (trigger, failure) = (no_checkpoints(), Failure::default());
    Shared::new(config, partitions, trigger, failure, bounds, SourceProgress::NONE, floors)
}
