//! The memory source: lists of records, for tests, examples and small replays.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::error::{ExternalError, Retry};
use crate::read::batch::RecordBatch;
use crate::read::source::{Partition, PartitionId, Polled, Source};

/// The pause until the next poll of a partition that may get more records.
const PAUSE: Duration = Duration::from_millis(1);

/// A source whose partitions are lists of records in memory. The offset of a record is its index.
///
/// It is replayable from any offset. Clones share their records, so a test can restart a pipeline on the
/// source that the first one read. For tests, a partition can follow a script in which it is idle, fails or
/// ends early.
///
/// ```
/// use telemetra_core::source::{Memory, Polled, RecordBatch, Source};
/// let mut source = Memory::default().partition("numbers", ["one", "two", "three"]);
/// let numbers = &source.partitions()?[0];
/// let mut partition = source.open(numbers, Some(1))?;
/// let mut batch = RecordBatch::default();
/// while partition.poll(&mut batch)? != Polled::Done {}
/// assert_eq!(batch.records().len(), 2);
/// assert_eq!(batch.bytes_of(&batch.records()[0]), b"two");
/// # Ok::<(), telemetra_core::ExternalError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Memory {
    partitions: Vec<(PartitionId, Arc<Mutex<Log>>)>,
    records_per_poll: Option<usize>,
}

/// One step of a partition's script; see [`Memory::script`].
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum MemoryStep {
    /// The partition gives this number of records. If it has a [handle](Memory::handle), it waits for records
    /// that are not there yet.
    Records(usize),
    /// The partition returns [`Polled::Idle`] once.
    Idle(Duration),
    /// The partition returns [`Polled::Pending`] once.
    Pending(Duration),
    /// The partition fails once.
    Fail(Retry),
    /// The partition ends, also if records are left.
    Done,
}

#[derive(Debug, Default)]
struct Log {
    records: Vec<Vec<u8>>,
    script: Vec<MemoryStep>,
    /// True if a handle may still append.
    open: bool,
    committed: u64,
}

impl Memory {
    /// Adds a partition with these records, or adds the records to the partition with that name.
    #[must_use]
    pub fn partition<R: Into<Vec<u8>>>(mut self, name: &str, records: impl IntoIterator<Item = R>) -> Self {
        let log = self.log(name);
        lock(&log).records.extend(records.into_iter().map(Into::into));
        self
    }

    /// Sets the script of the partition with that name. Each poll runs one step. After the script the
    /// remaining records follow, then the end. A partition that is opened at an offset skips the steps before
    /// it.
    ///
    /// ```
    /// use telemetra_core::Retry;
    /// use telemetra_core::source::{Memory, MemoryStep::*, Polled, RecordBatch, Source};
    /// let script = [Records(1), Fail(Retry::Transient)];
    /// let mut source = Memory::default().partition("p", ["a", "b"]).script("p", script);
    /// let mut partition = source.open(&source.clone().partitions()?[0], None)?;
    /// let mut batch = RecordBatch::default();
    /// assert_eq!(partition.poll(&mut batch)?, Polled::Ready);
    /// assert!(partition.poll(&mut batch).is_err());
    /// assert_eq!(partition.poll(&mut batch)?, Polled::Ready);
    /// assert_eq!(partition.poll(&mut batch)?, Polled::Done);
    /// # Ok::<(), telemetra_core::ExternalError>(())
    /// ```
    #[must_use]
    pub fn script(mut self, name: &str, steps: impl IntoIterator<Item = MemoryStep>) -> Self {
        let log = self.log(name);
        lock(&log).script = steps.into_iter().collect();
        self
    }

    /// Sets the greatest number of records per poll of a partition; 0 counts as 1. By default a poll fills the
    /// batch.
    #[must_use]
    pub fn records_per_poll(mut self, records: usize) -> Self {
        self.records_per_poll = Some(records.max(1));
        self
    }

    /// A handle that appends to the partition with that name, which is added if there is none. The partition
    /// then does not end before [`MemoryHandle::end`].
    pub fn handle(&mut self, name: &str) -> MemoryHandle {
        let log = self.log(name);
        lock(&log).open = true;
        MemoryHandle { log }
    }

    /// The records of the partition with that name, which is added if there is none.
    fn log(&mut self, name: &str) -> Arc<Mutex<Log>> {
        if let Some((_, log)) = self.partitions.iter().find(|(id, _)| id.as_str() == name) {
            return Arc::clone(log);
        }
        let log = Arc::<Mutex<Log>>::default();
        self.partitions.push((PartitionId::new(name), Arc::clone(&log)));
        log
    }
}

impl Source for Memory {
    fn partitions(&mut self) -> Result<Vec<PartitionId>, ExternalError> {
        Ok(self.partitions.iter().map(|(id, _)| id.clone()).collect())
    }

    fn open(&mut self, id: &PartitionId, from: Option<u64>) -> Result<Box<dyn Partition>, ExternalError> {
        let Some((_, log)) = self.partitions.iter().find(|(known, _)| known == id) else {
            return Err(ExternalError::permanent(format!(
                "cannot open the partition `{id}`: the memory source has none of that name; \
                 add it with `partition`"
            )));
        };
        let (next, held) = (from.unwrap_or(0), lock(log).records.len() as u64);
        if next > held {
            return Err(ExternalError::permanent(format!(
                "cannot open the partition `{id}` at offset {next}: it holds {held} records; \
                 give it those of the first run"
            )));
        }
        let next = usize::try_from(next).unwrap_or(usize::MAX);
        let mut reader = Reader {
            id: id.clone(),
            log: Arc::clone(log),
            next,
            step: 0,
            given: 0,
            per_poll: self.records_per_poll.unwrap_or(usize::MAX),
        };
        reader.skip_script();
        Ok(Box::new(reader))
    }
}

/// A handle that appends records to a partition of a [`Memory`] source while it is read.
///
/// ```
/// use telemetra_core::source::{Memory, Polled, RecordBatch, Source};
/// let mut source = Memory::default();
/// let numbers = source.handle("numbers");
/// let mut partition = source.open(&source.clone().partitions()?[0], None)?;
/// let mut batch = RecordBatch::default();
/// assert!(matches!(partition.poll(&mut batch)?, Polled::Idle(_)));
/// numbers.append("one");
/// assert_eq!(partition.poll(&mut batch)?, Polled::Ready);
/// numbers.end();
/// assert_eq!(partition.poll(&mut batch)?, Polled::Done);
/// # Ok::<(), telemetra_core::ExternalError>(())
/// ```
#[derive(Clone, Debug)]
pub struct MemoryHandle {
    log: Arc<Mutex<Log>>,
}

impl MemoryHandle {
    /// Appends a record.
    pub fn append(&self, record: impl Into<Vec<u8>>) {
        lock(&self.log).records.push(record.into());
    }

    /// Ends the partition after its last record.
    pub fn end(&self) {
        lock(&self.log).open = false;
    }

    /// The offset before which all records are in a checkpoint; 0 before the first checkpoint.
    #[must_use]
    pub fn committed(&self) -> u64 {
        lock(&self.log).committed
    }
}

struct Reader {
    id: PartitionId,
    log: Arc<Mutex<Log>>,
    next: usize,
    /// The current step of the script, and the number of records that it has given.
    step: usize,
    given: usize,
    per_poll: usize,
}

impl Reader {
    /// Skips the steps that led to the offset at which the partition was opened.
    fn skip_script(&mut self) {
        let log = lock(&self.log);
        let mut left = self.next;
        for step in &log.script {
            if let MemoryStep::Records(n) = *step {
                if left < n {
                    self.given = left;
                    break;
                }
                left -= n;
            }
            if left == 0 && !matches!(step, MemoryStep::Records(_)) {
                break;
            }
            self.step += 1;
        }
    }

    /// Appends up to `most` records and returns their number.
    fn give(&mut self, log: &Log, most: usize, batch: &mut RecordBatch) -> usize {
        let before = self.next;
        for record in log.records[before..].iter().take(most.min(self.per_poll)) {
            batch.push(record, self.next as u64);
            self.next += 1;
            if batch.is_full() {
                break;
            }
        }
        self.next - before
    }
}

impl Partition for Reader {
    fn poll(&mut self, batch: &mut RecordBatch) -> Result<Polled, ExternalError> {
        let shared = Arc::clone(&self.log);
        let log = lock(&shared);
        loop {
            let wanted = match log.script.get(self.step) {
                Some(MemoryStep::Records(n)) => n - self.given,
                Some(MemoryStep::Done) => return Ok(Polled::Done),
                Some(MemoryStep::Idle(pause)) => {
                    self.step += 1;
                    return Ok(Polled::Idle(*pause));
                }
                Some(MemoryStep::Pending(pause)) => {
                    self.step += 1;
                    return Ok(Polled::Pending(*pause));
                }
                Some(MemoryStep::Fail(retry)) => {
                    self.step += 1;
                    let what = format!(
                        "cannot read the partition `{}` at offset {}: its script says that it fails here",
                        self.id, self.next
                    );
                    return Err(match retry {
                        Retry::Transient => ExternalError::transient(what),
                        Retry::Permanent => ExternalError::permanent(what),
                    });
                }
                None => usize::MAX,
            };
            let given = self.give(&log, wanted, batch);
            self.given += given;
            let scripted = self.step < log.script.len();
            let exhausted = self.next == log.records.len() && !log.open;
            if scripted && (given == wanted || (given == 0 && exhausted)) {
                self.step += 1;
                self.given = 0;
            }
            return match (given, exhausted) {
                (1.., _) => Ok(Polled::Ready),
                (0, true) if scripted => continue,
                (0, true) => Ok(Polled::Done),
                (0, false) if scripted && wanted == 0 => continue,
                (0, false) => Ok(Polled::Idle(PAUSE)),
            };
        }
    }

    fn offset(&self) -> u64 {
        self.next as u64
    }

    fn lag(&self) -> Option<u64> {
        Some(lock(&self.log).records.len().saturating_sub(self.next) as u64)
    }

    fn committed(&mut self, offset: u64) {
        let mut log = lock(&self.log);
        log.committed = log.committed.max(offset);
    }
}

/// Locks a log, also after a panic of another thread: no panic leaves a log inconsistent.
fn lock(log: &Mutex<Log>) -> MutexGuard<'_, Log> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}
