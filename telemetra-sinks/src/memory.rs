//! A sink that keeps the current rows in memory, for tests and small hosts.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use telemetra_core::{
    Action, Batch, Change, DeadLetter, EventTime, ExternalError, PartitionId, Sink, SinkProgress, Table,
};

/// A sink that keeps the current rows and dead letters of all tables in memory, for tests: give a clone to the
/// pipeline, and inspect the rows by another. Clones are handles on the same rows. Nothing is ever removed except by a
/// withdrawal, so memory grows with the number of rows; in a service use [`LiveView`](crate::LiveView), which has a
/// horizon and does not lock all rows for a query.
///
/// Within one process it acts as a durable store: if a pipeline is restarted with a clone of the same sink,
/// [`open`](Sink::open) returns the time of the last batch, and the pipeline goes on from there. A new
/// process starts with an empty sink.
///
/// No call fails. Every method takes one lock and copies what it returns, so a call costs time proportional to the
/// number of rows of all tables. Rows are shared with the other sinks and are not copied.
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
/// assert_eq!((memory.rows().len(), memory.table("totals").len(), memory.table("sites").len()), (2, 2, 0));
/// assert_eq!(memory.durable(), Some(EventTime(59_999)));
///
/// // A pipeline that is restarted in the same process goes on after that time.
/// assert_eq!(memory.clone().open(&[totals.table().clone()], None)?, Some(EventTime(59_999)));
/// # Ok::<(), telemetra_core::ExternalError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct MemorySink {
    state: Arc<Mutex<State>>,
    log: bool,
}

/// The rows, dead letters and progress that all handles share.
#[derive(Debug, Default)]
struct State {
    rows: BTreeSet<Held>,
    letters: BTreeMap<(PartitionId, u64, u32), DeadLetter>,
    log: Vec<Batch>,
    durable: Option<EventTime>,
}

/// The last published change of a row, ordered by table and key.
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
    /// Creates an empty sink, which keeps all rows and dead letters, and no log of batches.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Also keeps every batch as it was applied, for [`batches`](Self::batches). The log grows without bound,
    /// so it is meant for tests.
    ///
    /// ```
    /// use telemetra_core::{Batch, EventTime, Sink};
    /// use telemetra_sinks::MemorySink;
    ///
    /// let memory = MemorySink::new().with_log();
    /// memory.clone().apply(&[Batch { time: EventTime(999), changes: vec![] }])?;
    /// assert_eq!(memory.batches().len(), 1);
    /// # Ok::<(), telemetra_core::ExternalError>(())
    /// ```
    #[must_use]
    pub fn with_log(mut self) -> Self {
        self.log = true;
        self
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the current rows of all tables, sorted by table and key, each as an upsert with its revision.
    #[must_use]
    pub fn rows(&self) -> Vec<Change> {
        self.collect(|change| Some(change.clone()))
    }

    /// Returns the current rows of one table, sorted by key, each as an upsert with its revision. Empty if there is
    /// no table of that name.
    #[must_use]
    pub fn table(&self, name: &str) -> Vec<Change> {
        self.collect(|change| (change.table() == name).then(|| change.clone()))
    }

    /// Returns the current rows of one Rust type, sorted by table and key: for example
    /// `rows_of::<SummaryRow<String, u64>>()`, `rows_of::<Moment<String>>()`, or a type of your own.
    #[must_use]
    pub fn rows_of<R: Clone + 'static>(&self) -> Vec<R> {
        self.collect(|change| change.row::<R>().cloned())
    }

    /// Returns the dead letters, which are the records that were not counted, sorted by partition, offset and index,
    /// which identify them: a dead letter that comes again after a restart is held once.
    ///
    /// ```
    /// use telemetra_core::{DeadLetter, Fate, PartitionId, Sink};
    /// use telemetra_sinks::MemorySink;
    ///
    /// let memory = MemorySink::new();
    /// let letter = DeadLetter {
    ///     partition: PartitionId::new("readings/0"),
    ///     offset: 7,
    ///     index: 0,
    ///     time: None,
    ///     fate: Fate::Malformed,
    ///     reason: "it is not JSON".into(),
    ///     bytes: b"hello".as_slice().into(),
    ///     traceparent: None,
    /// };
    /// Sink::dead_letters(&mut memory.clone(), &[letter.clone(), letter.clone()])?;
    /// assert_eq!(memory.dead_letters(), [letter]);
    /// # Ok::<(), telemetra_core::ExternalError>(())
    /// ```
    #[must_use]
    pub fn dead_letters(&self) -> Vec<DeadLetter> {
        self.state().letters.values().cloned().collect()
    }

    /// Returns the batches as they were applied. Empty unless the sink was made [with a log](Self::with_log).
    #[must_use]
    pub fn batches(&self) -> Vec<Batch> {
        self.state().log.clone()
    }

    /// Returns the event time of the last applied batch; `None` before the first one.
    #[must_use]
    pub fn durable(&self) -> Option<EventTime> {
        self.state().durable
    }

    /// Returns what `pick` selects of the current rows.
    fn collect<T>(&self, pick: impl Fn(&Change) -> Option<T>) -> Vec<T> {
        self.state().rows.iter().filter_map(|held| pick(&held.0)).collect()
    }
}

impl Sink for MemorySink {
    fn name(&self) -> &str {
        "memory"
    }

    fn progress(&mut self) -> Result<SinkProgress, ExternalError> {
        Ok(SinkProgress::Until(self.state().durable))
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
