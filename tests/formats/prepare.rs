//! Records wait for what their decoder needs from outside, and neither records nor workers suffer from that.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use telemetra::core::source::RecordBatch;
use telemetra::core::{Arena, DecodeError, Preparation, Prepared};
use telemetra::prelude::*;

use crate::watch::{finish, until};
use crate::{Reading, counts, line};

/// What the world outside says when it is asked; the last answer stays.
#[derive(Clone, Default)]
pub(crate) struct Outside(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    answer: Answer,
    /// How often it has been given.
    asked: u64,
    /// The records of batches that were ready, and are not decoded yet: also after the answer has changed.
    ready: usize,
}

#[derive(Copy, Clone, Default, PartialEq)]
pub(crate) enum Answer {
    #[default]
    Pending,
    Away,
    Refuses,
    Ready,
}

impl Outside {
    pub(crate) fn says(&self, answer: Answer) {
        let mut state = self.0.lock().unwrap();
        (state.answer, state.asked) = (answer, 0);
    }

    fn asked(&self) -> u64 {
        self.0.lock().unwrap().asked
    }
}

impl Preparation for Outside {
    fn prepare(&self, batch: &RecordBatch, _: &str) -> Result<Prepared, ExternalError> {
        assert!(!batch.is_empty());
        let mut state = self.0.lock().unwrap();
        state.asked += 1;
        match state.answer {
            Answer::Pending => Ok(Prepared::Pending(Duration::from_millis(1))),
            Answer::Away => Err(ExternalError::transient("the registry is away")),
            Answer::Refuses => Err(ExternalError::permanent("the registry refuses")),
            Answer::Ready => {
                state.ready += batch.records().len();
                Ok(Prepared::Ready)
            }
        }
    }
}

/// Reads JSON of batches that were ready.
pub(crate) struct Waiting(pub(crate) Outside);

impl<E: Event + serde::de::DeserializeOwned + 'static> Decoder<E> for Waiting {
    fn decode<'a>(
        &self,
        record: Record<'a>,
        arena: &'a Arena,
        events: &mut Vec<E>,
    ) -> Result<(), DecodeError> {
        let ready = &mut self.0.0.lock().unwrap().ready;
        *ready = ready.checked_sub(1).ok_or(DecodeError::new("decoded too early"))?;
        Decoder::<E>::decode(&SerdeJson::<E>::new(), record, arena, events)
    }

    fn preparation(&self) -> Option<Arc<dyn Preparation>> {
        Some(Arc::new(self.0.clone()))
    }
}

fn lines(device: &str, seconds: std::ops::Range<u64>) -> Vec<String> {
    seconds.map(|second| line(device, second * 1000)).collect()
}

fn pipeline(outside: &Outside, waiting: MemorySource, tables: &MemorySink) -> Pipeline<Reading> {
    // A decoder that is shared keeps its preparation.
    let decoder = Arc::new(Waiting(outside.clone()));
    Pipeline::<Reading>::new().source(waiting, decoder).sink(tables.clone())
}

#[test]
fn records_wait_for_their_schema_and_others_are_read() {
    let (outside, tables) = (Outside::default(), MemorySink::new());
    let waiting = MemorySource::default().partition("waits", lines("w", 0..100));
    let other = MemorySource::default().partition("other", lines("o", 0..50));
    let running = pipeline(&outside, waiting, &tables)
        .source(other, SerdeJson::new())
        .workers(2)
        .group("device_second", tumbling(seconds(1)), |a| a.count("readings"))
        .key_columns(["device"])
        .start()
        .unwrap();
    until("the others have been read", || running.status().fates.read == 50);
    let asked = outside.asked();
    until("it is asked again", || outside.asked() > asked + 3);
    let status = running.status();
    let waits = status.partitions.iter().find(|partition| partition.id.as_str() == "waits").unwrap();
    assert_eq!((waits.offset, waits.idle, waits.silent, waits.fates.read), (0, false, None, 0), "{waits:?}");
    outside.says(Answer::Away);
    until("the status says so", || {
        let status = running.status();
        let failing = status.partitions.iter().find_map(|partition| partition.failing.clone());
        failing.is_some_and(|failing| failing.error.contains("the registry is away") && failing.tries > 1)
    });
    outside.says(Answer::Ready);
    let fates = finish(running).unwrap().fates;
    assert_eq!((fates.on_time, fates.malformed), (150, 0));
    assert_eq!(counts(&tables), [("o".to_owned(), 50), ("w".to_owned(), 100)].into());
}

#[test]
fn what_cannot_be_had_stops_the_pipeline() {
    let (outside, tables) = (Outside::default(), MemorySink::new());
    outside.says(Answer::Refuses);
    let waiting = MemorySource::default().partition("waits", lines("w", 0..10));
    let running = pipeline(&outside, waiting, &tables)
        .group("device_second", tumbling(seconds(1)), |a| a.count("readings"))
        .key_columns(["device"])
        .start()
        .unwrap();
    let error = crate::watch::chain(&finish(running).unwrap_err());
    assert!(error.contains("waits") && error.contains("the registry refuses"), "{error}");
    assert!(tables.dead_letters().is_empty());
}

/// A batch that is held back is not a part of a checkpoint: it is read again by the next run.
#[test]
fn a_restart_reads_again_what_was_held_back() {
    let (outside, tables) = (Outside::default(), MemorySink::new());
    let folder = tempfile::tempdir().unwrap();
    let source = || MemorySource::default().partition("waits", lines("w", 0..20_000));
    let start = |outside: &Outside, tables: &MemorySink| {
        pipeline(outside, source(), tables)
            .checkpoints(Directory::new(folder.path()), minutes(1))
            .group("device_second", tumbling(seconds(1)), |a| a.count("readings"))
            .key_columns(["device"])
            .start()
            .unwrap()
    };
    outside.says(Answer::Ready);
    let running = start(&outside, &tables);
    // Somewhere in the middle; a faster machine may be through.
    until("a checkpoint", || running.status().checkpoint.is_some());
    outside.says(Answer::Pending);
    let asked = outside.asked();
    until("a batch is held, or all is read", || {
        outside.asked() > asked || running.status().fates.read == 20_000
    });
    running.stop().unwrap();
    outside.says(Answer::Ready);
    let fates = finish(start(&outside, &tables)).unwrap().fates;
    assert_eq!((fates.read, fates.malformed), (20_000, 0));
    assert_eq!(counts(&tables), [("w".to_owned(), 20_000)].into());
}
