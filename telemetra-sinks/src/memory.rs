//! A sink in memory: the tables as they are now, for tests and small hosts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use telemetra_core::{Action, Batch, Change, DeadLetter, EventTime, ExternalError, RowKey, Sink, Table};

/// The most dead letters that a handle [bounded](MemorySink::keep_for) in time keeps.
const BOUNDED_LETTERS: usize = 10_000;

/// A sink that keeps rows in memory, current and by key. Clones are handles on the same rows.
///
/// Within a process it is a durable store: a pipeline that is restarted with the same handle is told what is there and
/// goes on from it. A new process starts with nothing.
///
/// ```
/// # use telemetra_core::{Column, ColumnKind, Row, Table, Value};
/// # #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
/// # struct Alert(String);
/// # impl Row for Alert {
/// #     fn table() -> Table { Table::new("alerts").key(Column::new("device", ColumnKind::Text)) }
/// #     fn values(&self, put: &mut dyn FnMut(Value<'_>)) { put(Value::Text(&self.0)) }
/// # }
/// use telemetra_core::{Batch, EventTime, Layout, Sink};
/// use telemetra_sinks::MemorySink;
///
/// let layout = Layout::<Alert>::of_row();
/// let memory = MemorySink::new();
/// let mut sink = memory.clone();
/// sink.open(&[layout.table().clone()], None)?;
/// sink.apply(&[Batch { time: EventTime(59_999), changes: vec![layout.upsert(Alert("d1".into()), 0)] }])?;
/// assert_eq!(memory.rows_of::<Alert>(), [Alert("d1".into())]);
/// assert_eq!(memory.table("alerts").len(), 1);
/// assert_eq!(memory.durable(), Some(EventTime(59_999)));
/// # Ok::<(), telemetra_core::ExternalError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct MemorySink {
    state: Arc<Mutex<State>>,
    log: bool,
    keep_for: Option<Duration>,
}

#[derive(Debug, Default)]
struct State {
    rows: BTreeMap<RowKey, Change>,
    letters: BTreeMap<(String, u64, u32), DeadLetter>,
    log: Vec<Batch>,
    durable: Option<EventTime>,
}

impl MemorySink {
    /// A sink that keeps all rows and letters, and no log.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Also keeps the batches as they were applied, without bound.
    #[must_use]
    pub fn with_log(mut self) -> Self {
        self.log = true;
        self
    }

    /// Forgets rows when that much event time has passed since the time that they tell of, and all but 10 000 dead letters,
    /// so that a long run does not grow. Rows about now stay.
    #[must_use]
    pub fn keep_for(mut self, span: Duration) -> Self {
        self.keep_for = Some(span);
        self
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rows of all tables, by table and key, as they were last published.
    #[must_use]
    pub fn rows(&self) -> Vec<Change> {
        self.state().rows.values().cloned().collect()
    }

    /// The rows of one table, by key, as they were last published.
    #[must_use]
    pub fn table(&self, table: &str) -> Vec<Change> {
        self.state().rows.values().filter(|change| change.table() == table).cloned().collect()
    }

    /// The rows of one type, by table and key.
    #[must_use]
    pub fn rows_of<R: Clone + 'static>(&self) -> Vec<R> {
        self.state().rows.values().filter_map(|change| change.row::<R>().cloned()).collect()
    }

    /// The dead letters, by place.
    #[must_use]
    pub fn dead_letters(&self) -> Vec<DeadLetter> {
        self.state().letters.values().cloned().collect()
    }

    /// The batches as they were applied; none without [`with_log`](Self::with_log).
    #[must_use]
    pub fn batches(&self) -> Vec<Batch> {
        self.state().log.clone()
    }

    /// The time of the last batch.
    #[must_use]
    pub fn durable(&self) -> Option<EventTime> {
        self.state().durable
    }
}

impl Sink for MemorySink {
    fn name(&self) -> &str {
        "memory"
    }

    fn open(
        &mut self,
        _tables: &[Arc<Table>],
        _resume: Option<EventTime>,
    ) -> Result<Option<EventTime>, ExternalError> {
        Ok(self.state().durable)
    }

    fn apply(&mut self, batches: &[Batch]) -> Result<(), ExternalError> {
        let mut state = self.state();
        for batch in batches {
            if state.durable.is_some_and(|durable| batch.time <= durable) {
                continue;
            }
            for change in &batch.changes {
                let key = RowKey::of(&*change.row);
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
        if let (Some(span), Some(now)) = (self.keep_for, state.durable) {
            let since = now.minus(u64::try_from(span.as_millis()).unwrap_or(u64::MAX));
            state.rows.retain(|_, change| change.row.time().is_none_or(|time| time >= since));
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
