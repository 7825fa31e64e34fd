//! A sink in memory: the tables as they are now, for tests and small hosts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use telemetra_core::{
    Action, Batch, Change, DeadLetter, EventTime, ExternalError, Moment, Row, Sink, StreamId, StreamRow,
    Summary, TransactionRow, ViewerRow,
};

use crate::RowKey;

/// The most dead letters that a handle [bounded](Memory::keep_for) in time keeps.
const BOUNDED_LETTERS: usize = 10_000;

/// Keeps rows in memory, current and by key. Clones are handles on the same rows.
///
/// Within a process it is a durable store: a pipeline that is restarted with the same handle is notified of what is there and
/// goes on from it. A new process starts with nothing.
///
/// ```
/// use telemetra_core::{Action, Batch, Change, EventTime, Row, Sink, StreamId, Summary, Window};
/// use telemetra_sinks::Memory;
///
/// let memory = Memory::<u64>::new();
/// let mut sink = memory.clone();
/// sink.open(None)?;
/// let window = Window { start: EventTime(0), end: EventTime(60_000) };
/// let row = Row::Summary(StreamId::new("s1"), Summary { window, value: 7.into() });
/// let changes = vec![Change { row, revision: 0, action: Action::Upsert }];
/// sink.apply(&[Batch { time: EventTime(59_999), changes }])?;
/// assert_eq!(*memory.summaries()[0].1.value, 7);
/// assert_eq!(memory.durable(), Some(EventTime(59_999)));
/// # Ok::<(), telemetra_core::ExternalError>(())
/// ```
#[derive(Debug)]
pub struct Memory<S> {
    state: Arc<Mutex<State<S>>>,
    log: bool,
    keep_for: Option<u64>,
}

#[derive(Debug)]
struct State<S> {
    rows: BTreeMap<RowKey, Change<S>>,
    letters: BTreeMap<(String, u64, u32), DeadLetter>,
    log: Vec<Batch<S>>,
    durable: Option<EventTime>,
}

impl<S> Clone for Memory<S> {
    fn clone(&self) -> Self {
        Self { state: Arc::clone(&self.state), ..*self }
    }
}

impl<S> Default for Memory<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Memory<S> {
    /// Keeps all rows and letters, and no log.
    #[must_use]
    pub fn new() -> Self {
        let (rows, letters) = (BTreeMap::new(), BTreeMap::new());
        let state = State { rows, letters, log: Vec::new(), durable: None };
        Self { state: Arc::new(Mutex::new(state)), log: false, keep_for: None }
    }

    /// Also keeps the batches as they were applied, without bound.
    #[must_use]
    pub fn with_log(mut self) -> Self {
        self.log = true;
        self
    }

    /// Forgets rows `millis` of event time after the time they are about, and all but 10 000 dead letters,
    /// so that a long run does not grow. Rows of `streams` and open moments stay.
    #[must_use]
    pub fn keep_for(mut self, millis: u64) -> Self {
        self.keep_for = Some(millis);
        self
    }

    fn state(&self) -> MutexGuard<'_, State<S>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Clone> Memory<S> {
    /// The rows of all tables, by table and key, as they were last published.
    #[must_use]
    pub fn rows(&self) -> Vec<Change<S>> {
        self.collect(|change| Some(change.clone()))
    }

    /// The rows of `chat_summary_minute`, by stream and window.
    #[must_use]
    pub fn summaries(&self) -> Vec<(StreamId, Summary<S>)> {
        self.collect(|change| match &change.row {
            Row::Summary(stream, summary) => {
                let value = Arc::clone(&summary.value);
                Some((stream.clone(), Summary { window: summary.window, value }))
            }
            _ => None,
        })
    }

    /// The rows of `moments`, by stream, type and start.
    #[must_use]
    pub fn moments(&self) -> Vec<Moment> {
        let mut moments = self.collect(|change| match &change.row {
            Row::Moment(moment) => Some(moment.clone()),
            _ => None,
        });
        moments.sort();
        moments
    }

    /// The rows of `streams`, by id.
    #[must_use]
    pub fn streams(&self) -> Vec<StreamRow> {
        self.collect(|change| match &change.row {
            Row::Stream(row) => Some(row.clone()),
            _ => None,
        })
    }

    /// The rows of `viewer_timeseries`, by id.
    #[must_use]
    pub fn viewers(&self) -> Vec<ViewerRow> {
        self.collect(|change| match &change.row {
            Row::Viewer(row) => Some(row.clone()),
            _ => None,
        })
    }

    /// The rows of `transactions`, by id.
    #[must_use]
    pub fn transactions(&self) -> Vec<TransactionRow> {
        self.collect(|change| match &change.row {
            Row::Transaction(row) => Some(row.clone()),
            _ => None,
        })
    }

    /// The dead letters, by place.
    #[must_use]
    pub fn dead_letters(&self) -> Vec<DeadLetter> {
        self.state().letters.values().cloned().collect()
    }

    /// The batches as they were applied; none without [`with_log`](Self::with_log).
    #[must_use]
    pub fn batches(&self) -> Vec<Batch<S>> {
        self.state().log.clone()
    }

    /// The time of the last batch.
    #[must_use]
    pub fn durable(&self) -> Option<EventTime> {
        self.state().durable
    }

    fn collect<T>(&self, pick: impl Fn(&Change<S>) -> Option<T>) -> Vec<T> {
        self.state().rows.values().filter_map(pick).collect()
    }
}

/// The event time that a row is about, `None` if it is current state.
fn time_of<S>(row: &Row<S>) -> Option<EventTime> {
    match row {
        Row::Stream(_) => None,
        Row::Summary(_, summary) => Some(summary.window.end),
        Row::Moment(moment) => moment.ended_at(),
        Row::Viewer(row) => Some(row.timestamp),
        Row::Transaction(row) => Some(row.timestamp),
    }
}

impl<S: Clone + Send + Sync> Sink<S> for Memory<S> {
    fn name(&self) -> &str {
        "memory"
    }

    fn open(&mut self, _resume: Option<EventTime>) -> Result<Option<EventTime>, ExternalError> {
        Ok(self.state().durable)
    }

    fn apply(&mut self, batches: &[Batch<S>]) -> Result<(), ExternalError> {
        let mut state = self.state();
        for batch in batches {
            if state.durable.is_some_and(|durable| batch.time <= durable) {
                continue;
            }
            for change in &batch.changes {
                let key = RowKey::of(&change.row);
                match change.action {
                    Action::Upsert => drop(state.rows.insert(key, change.clone())),
                    Action::Withdraw => drop(state.rows.remove(&key)),
                }
            }
            if self.log {
                state.log.push(batch.clone());
            }
            state.durable = Some(batch.time);
        }
        if let (Some(millis), Some(now)) = (self.keep_for, state.durable) {
            let since = now.minus(millis);
            state.rows.retain(|_, change| time_of(&change.row).is_none_or(|time| time >= since));
        }
        Ok(())
    }

    fn dead_letters(&mut self, letters: &[DeadLetter]) -> Result<(), ExternalError> {
        let mut state = self.state();
        for letter in letters {
            let place = (letter.partition.as_str().to_owned(), letter.offset, letter.index);
            state.letters.insert(place, letter.clone());
            if self.keep_for.is_some() && state.letters.len() > BOUNDED_LETTERS {
                state.letters.pop_first();
            }
        }
        Ok(())
    }
}
