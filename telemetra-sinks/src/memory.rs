//! A sink in memory: the tables as they are now, for tests and small hosts.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use telemetra_core::{Action, Batch, Change, DeadLetter, EventTime, ExternalError, PartitionId, Sink, Table};

/// A sink that keeps rows in memory, current and by key. Clones are handles on the same rows.
///
/// Within a process it is a durable store: a pipeline that is restarted with the same handle is told what is there and
/// goes on from it. A new process starts with nothing.
///
/// ```
/// use telemetra_core::{Batch, Column, ColumnKind, EventTime, Layout, Sink, Table, Value};
/// use telemetra_sinks::MemorySink;
///
/// let table = Table::new("totals").key(Column::new("site", ColumnKind::Integer)).column(Column::new("total", ColumnKind::Integer));
/// let totals = Layout::new(table, |(site, total): &(u32, i64), put| {
///     put(Value::Unsigned((*site).into()));
///     put(Value::Signed(*total));
/// });
///
/// let memory = MemorySink::new();
/// let mut sink = memory.clone();
/// sink.open(&[totals.table().clone()], None)?;
/// let changes = vec![totals.upsert((1, -5), 0), totals.upsert((2, 7), 0)];
/// sink.apply(&[Batch { time: EventTime(59_999), changes }])?;
/// assert_eq!(memory.rows_of::<(u32, i64)>(), [(1, -5), (2, 7)]);
/// assert_eq!(memory.table("totals").len(), 2);
/// assert_eq!(memory.durable(), Some(EventTime(59_999)));
/// # Ok::<(), telemetra_core::ExternalError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct MemorySink {
    state: Arc<Mutex<State>>,
    log: bool,
}

#[derive(Debug, Default)]
struct State {
    rows: BTreeSet<Held>,
    letters: BTreeMap<(PartitionId, u64, u32), DeadLetter>,
    log: Vec<Batch>,
    durable: Option<EventTime>,
}

/// A row as last published, ordered by its table and key.
#[derive(Debug)]
struct Held(Change);

impl Ord for Held {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.row.compare_key(&*other.0.row)
    }
}

impl PartialOrd for Held {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Held {}

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

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rows of all tables as they were last published, by table and key.
    #[must_use]
    pub fn rows(&self) -> Vec<Change> {
        self.collect(|change| Some(change.clone()))
    }

    /// The rows of one table as they were last published, by key.
    #[must_use]
    pub fn table(&self, name: &str) -> Vec<Change> {
        self.collect(|change| (change.table() == name).then(|| change.clone()))
    }

    /// The rows of one type, by table and key: `rows_of::<SummaryRow<String, u64>>()`, `rows_of::<Moment<String>>()`, or a type of
    /// your own.
    #[must_use]
    pub fn rows_of<R: Clone + 'static>(&self) -> Vec<R> {
        self.collect(|change| change.row::<R>().cloned())
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

    fn collect<T>(&self, pick: impl Fn(&Change) -> Option<T>) -> Vec<T> {
        self.state().rows.iter().filter_map(|held| pick(&held.0)).collect()
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
                let held = Held(change.clone());
                match change.action {
                    Action::Upsert => drop(state.rows.replace(held)),
                    Action::Withdraw => drop(state.rows.remove(&held)),
                }
            }
            if self.log {
                state.log.push(batch.clone());
            }
            state.durable = Some(batch.time);
        }
        Ok(())
    }

    fn dead_letters(&mut self, letters: &[DeadLetter]) -> Result<(), ExternalError> {
        let mut state = self.state();
        for letter in letters {
            let place = (letter.partition.clone(), letter.offset, letter.index);
            state.letters.insert(place, letter.clone());
        }
        Ok(())
    }
}
