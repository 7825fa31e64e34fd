//! A sink that keeps rows in an SQLite database: one file, one writer, any number of readers.
//!
//! The rows of all waiting batches and the time they reach are written in one transaction. So the database is
//! as of one event time at every instant, and a restart continues from the time that it finds there.

mod error;
mod migrate;
mod progress;
mod schema;
mod statements;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};
use telemetra_core::{
    AnyRow, Batch, Change, DeadLetter, EventTime, ExternalError, RowKey, Sink, SinkProgress, Table,
};

use crate::owner::{self, Lock, Owner};
use error::{failed, refused};
use progress::Progress;
use schema::Rows;
use statements::{Scratch, Sql, Writer};

/// A sink that writes rows to the tables of an SQLite database, a single file, and dead letters to the table
/// `telemetra_dead_letters`. Rows and progress are one transaction, so after a crash each row is there exactly
/// once.
///
/// It needs no server: choose it if the readers are on the same machine and one process writes, and
/// `Postgres` otherwise.
///
/// * **Tables.** Each [`Table`] of the pipeline is an SQL table with the same name, columns and indexes,
///   which is created if it is missing. [`ColumnKind`](telemetra_core::ColumnKind) lists the column types:
///   times are milliseconds since the epoch, arrays are JSON, decimals are text without loss of digits, and
///   bytes are blobs.
/// * **Large integers.** SQLite cannot hold integers beyond 2⁶³ − 1. They are written as 2⁶³ − 1; in a key
///   column they are a permanent error, as two different rows would become one.
/// * **Transactions.** Each [`apply`](Sink::apply) is one transaction, which is synced before it returns and
///   contains the progress in `telemetra_progress`. The journal is a write-ahead log, so readers and the
///   writer do not wait for each other.
/// * **Cost.** Rows are stored in the order of their key, columns of time first, so a batch of windows is
///   written to neighbouring pages. Add an [index](Table::index) to find the windows of a key. Several
///   batches at once, as after a pause, cost little more than one, as the pages of indexes are written once
///   for all.
/// * **Dead letters** are written in transactions of their own. Their place identifies them, so writing one
///   again changes nothing.
/// * **One writer.** Opening the sink locks the file `{database}-{pipeline}.lock`. While another process holds the
///   lock, opening fails with a transient error, so a pipeline can wait for its predecessor to end. Other
///   pipelines may write other tables of the database.
/// * **Errors.** A busy database is a transient error. A full disk, and a damaged or read-only database, are
///   permanent errors.
///
/// # Migration
///
/// Opening the sink adds columns and indexes that a [`Table`] has gained since the last run. Existing rows have
/// null in a new column, so the column must be [nullable](telemetra_core::Column::nullable) unless the table is
/// empty. A new table receives only the rows after the time found in the database; to fill it,
/// [start over](Self::start_over). Columns that the [`Table`] no longer has stay in the database, and are null
/// in new rows.
///
/// Opening fails with a permanent error if a table has another key, a column has another type, telemetra did not
/// create the table, or a newer version of telemetra wrote the database.
///
/// ```
/// use telemetra_core::{Batch, Column, ColumnKind, EventTime, Layout, Sink, Table, Value};
/// use telemetra_sinks::Sqlite;
///
/// let table = Table::new("devices")
///     .key(Column::new("device", ColumnKind::Text))
///     .column(Column::nullable("celsius", ColumnKind::Float));
/// let devices = Layout::new(table, |(device, celsius): &(String, i64), put| {
///     put(Value::Text(device));
///     put(Value::Float(*celsius as f64));
/// });
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("telemetra.db");
/// let mut sink = Sqlite::new(&path);
/// assert_eq!(sink.open(&[devices.table().clone()], None)?, None);
/// sink.apply(&[Batch { time: EventTime(59_999), changes: vec![devices.upsert(("d1".to_owned(), 20), 0)] }])?;
///
/// // Readers need nothing of telemetra.
/// let reader = rusqlite::Connection::open(&path)?;
/// let celsius: f64 = reader.query_row("SELECT celsius FROM devices WHERE device = 'd1'", [], |row| row.get(0))?;
/// assert_eq!(celsius, 20.0);
///
/// // A restart goes on after that time.
/// drop(sink);
/// assert_eq!(Sqlite::new(&path).open(&[devices.table().clone()], None)?, Some(EventTime(59_999)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Sqlite {
    path: PathBuf,
    pipeline: Option<String>,
    /// The name of the pipeline that this sink belongs to, as the pipeline gives it.
    part_of: Option<String>,
    busy_timeout: Duration,
    max_pages: Option<u32>,
    start_over: bool,
    opened: Option<Opened>,
}

struct Opened {
    connection: Connection,
    progress: Progress,
    /// True if the dead letters are those of an earlier run, which the first letter or change of this run
    /// deletes.
    letters_are_old: bool,
    /// Prevents a second process from writing the rows of this pipeline.
    _lock: Option<Lock>,
    sql: Vec<Sql>,
    scratch: Scratch,
}

impl Sqlite {
    /// Creates a sink for the database file at `path`, which is created when the sink is opened if it is
    /// missing. Its folder must exist. `:memory:` keeps the database in memory until the sink is closed.
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self {
            path: path.as_ref().to_owned(),
            pipeline: None,
            part_of: None,
            busy_timeout: Duration::from_secs(5),
            max_pages: None,
            start_over: false,
            opened: None,
        }
    }

    /// Sets how long to wait while another process writes to the database, before the call fails with a
    /// transient error. Default: 5 s; at most one hour.
    #[must_use]
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = timeout.min(Duration::from_secs(3600));
        self
    }

    /// Limits the size of the database to this number of pages of 4096 bytes. A write that needs more fails
    /// with a permanent error, as does opening the sink if the tables that it creates need more. A limit below the
    /// present size counts as the present size. Default: SQLite's own limit.
    #[must_use]
    pub fn max_pages(mut self, pages: u32) -> Self {
        self.max_pages = Some(pages);
        self
    }

    /// Sets the name under which progress is stored. Default: the name of the pipeline that the sink is added
    /// to. Several pipelines may write to one database if each has its own name and its own tables;
    /// [`open`](Sink::open) fails with a permanent error if another pipeline writes to one of the tables.
    ///
    /// ```
    /// use telemetra_sinks::Sqlite;
    /// # use std::sync::Arc;
    /// # use telemetra_core::{Column, ColumnKind, Sink, Table};
    /// # let table = |name| Arc::new(Table::new(name).key(Column::new("device", ColumnKind::Text)));
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("plant.db");
    /// let mut readings = Sqlite::new(&path).pipeline("readings");
    /// let mut alarms = Sqlite::new(&path).pipeline("alarms");
    /// readings.open(&[table("readings")], None)?;
    /// assert!(alarms.open(&[table("readings")], None).is_err(), "the table is the other pipeline's");
    /// alarms.open(&[table("alarms")], None)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn pipeline(mut self, name: &str) -> Self {
        self.pipeline = Some(name.to_owned());
        self
    }

    /// Empties the pipeline's tables when it starts without a checkpoint, and so from the beginning of its input.
    /// Default: off, so all batches up to the time found in the database are skipped. That is right if the input
    /// is the same as before; if it is another one, rows of both runs are mixed.
    ///
    /// A pipeline that starts from a checkpoint keeps all rows. The tables are emptied by the first change,
    /// so a run without any change leaves the rows of the earlier run in place.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use telemetra_core::{Batch, Column, ColumnKind, EventTime, Sink, Table};
    /// # use telemetra_sinks::Sqlite;
    /// # let tables = [Arc::new(Table::new("devices").key(Column::new("device", ColumnKind::Text)))];
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("plant.db");
    /// # let mut sink = Sqlite::new(&path);
    /// # sink.open(&tables, None)?;
    /// # sink.apply(&[Batch { time: EventTime(59_999), changes: vec![] }])?;
    /// # drop(sink);
    /// // An earlier run has reached this time.
    /// assert_eq!(Sqlite::new(&path).open(&tables, None)?, Some(EventTime(59_999)));
    /// assert_eq!(Sqlite::new(&path).start_over().open(&tables, None)?, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn start_over(mut self) -> Self {
        self.start_over = true;
        self
    }

    fn owner(&self, tables: &[Arc<Table>]) -> Owner {
        let name = self.pipeline.as_deref().or(self.part_of.as_deref());
        Owner::new(name.unwrap_or(owner::UNNAMED), tables)
    }

    /// Locks the pipeline's name, so that no second process with this name writes to the same tables.
    fn lock(&self, owner: &Owner) -> Result<Option<Lock>, ExternalError> {
        if self.path.as_os_str().is_empty() || self.path.as_os_str() == ":memory:" {
            return Ok(None);
        }
        let name: String =
            owner.pipeline.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        let mut file = self.path.clone().into_os_string();
        file.push(format!("-{name}.lock"));
        Lock::claim(file.into(), &self.path).map(Some)
    }

    /// Opens the database file.
    fn connect(&self) -> Result<Connection, ExternalError> {
        let failed = |error| failed(&self.path, &"could not open it", error);
        let connection = Connection::open(&self.path).map_err(failed)?;
        connection.busy_timeout(self.busy_timeout).map_err(failed)?;
        Ok(connection)
    }

    /// Sets the pragmas of the connection.
    fn tune(&self, connection: &Connection) -> Result<(), ExternalError> {
        let failed = |error| failed(&self.path, &"could not open it", error);
        // Only `FULL` makes a commit durable when it returns; with less, the log is synced only now and then.
        connection
            .execute_batch(
                "PRAGMA synchronous = FULL; PRAGMA cache_size = -65536; PRAGMA wal_autocheckpoint = 16384",
            )
            .map_err(failed)?;
        if let Some(pages) = self.max_pages {
            // SQLite takes 0 for a question.
            connection
                .pragma_update_and_check(None, "max_page_count", pages.max(1), |row| row.get::<_, i64>(0))
                .map_err(failed)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sqlite").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Opened {
    /// Deletes the rows of an earlier run. Called when the first change of this run arrives.
    fn begin_over(&mut self, path: &Path) -> Result<(), ExternalError> {
        if self.progress.starts_over {
            let tables: Vec<_> = self.sql.iter().map(|sql| Arc::clone(&sql.table)).collect();
            schema::prepare(&self.connection, path, &tables, Rows::Delete)?;
            self.progress.starts_over = false;
        }
        self.delete_old_letters(path)
    }

    fn delete_old_letters(&mut self, path: &Path) -> Result<(), ExternalError> {
        // Dead letters of several pipelines cannot be told apart.
        if self.letters_are_old && !self.progress.is_shared {
            self.connection
                .execute("DELETE FROM telemetra_dead_letters", [])
                .map_err(|error| failed(path, &"could not empty telemetra_dead_letters", error))?;
        }
        self.letters_are_old = false;
        Ok(())
    }

    fn write(&mut self, batches: &[Batch], path: &Path) -> Result<(), ExternalError> {
        let Some(last) = batches.last() else { return Ok(()) };
        if batches.iter().any(|batch| !batch.changes.is_empty()) {
            self.begin_over(path)?;
        }
        let begin = |error| failed(path, &"could not begin a transaction", error);
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(begin)?;
        {
            let mut writers = Vec::with_capacity(self.sql.len());
            for sql in &self.sql {
                writers.push(Writer::new(&transaction, sql).map_err(begin)?);
            }
            let mut place = 0;
            for batch in batches {
                for change in &batch.changes {
                    place = place_of(&self.sql, place, &*change.row).ok_or_else(|| unknown(path, change))?;
                    writers[place].write(change, batch.time, &mut self.scratch).map_err(|error| {
                        let what = format!("could not write the row {}", RowKey::of(&*change.row));
                        failed(path, &what, error)
                    })?;
                }
            }
            self.progress
                .advance(&transaction, last.time)
                .map_err(|error| failed(path, &"could not write to telemetra_progress", error))?;
        }
        transaction.commit().map_err(|error| {
            failed(path, &format!("could not commit the rows as of {}", last.time), error)
        })?;
        self.progress.time = Some(last.time);
        Ok(())
    }
}

/// Returns the index of a row's table among those that the sink was opened with. Changes come table by table,
/// so it usually is the index of the previous row.
fn place_of(sql: &[Sql], before: usize, row: &dyn AnyRow) -> Option<usize> {
    let table = row.table();
    match sql.get(before) {
        Some(sql) if Arc::ptr_eq(&sql.table, table) => Some(before),
        _ => sql.iter().position(|sql| sql.table.name() == table.name()),
    }
}

/// Builds the error of a row whose table the sink was not opened with.
fn unknown(path: &Path, change: &Change) -> ExternalError {
    let row = RowKey::of(&*change.row);
    refused(path, format!("the row {row} is of a table that the sink was not opened with"))
}

impl Sink for Sqlite {
    fn name(&self) -> &str {
        "sqlite"
    }

    fn part_of(&mut self, pipeline: &str) {
        self.part_of = Some(pipeline.to_owned());
    }

    fn progress(&mut self) -> Result<SinkProgress, ExternalError> {
        if self.path.as_os_str().is_empty() || self.path.as_os_str() == ":memory:" {
            return Ok(SinkProgress::NotShared);
        }
        if !self.path.exists() {
            return Ok(SinkProgress::Until(None));
        }
        let owner = self.owner(&[]);
        Ok(SinkProgress::Until(progress::reached(&self.connect()?, &self.path, &owner.pipeline)?))
    }

    fn open(
        &mut self,
        tables: &[Arc<Table>],
        resume: Option<EventTime>,
    ) -> Result<Option<EventTime>, ExternalError> {
        self.opened = None;
        let owner = self.owner(tables);
        let connection = self.connect()?;
        // The lock comes before any change, and after the check that the file is a database.
        let over = self.start_over && resume.is_none() && schema::has_rows(&connection, &self.path, tables)?;
        let lock = self.lock(&owner)?;
        // The tables that are made count towards the limit too.
        self.tune(&connection)?;
        let later = if over { Rows::DeleteLater } else { Rows::Keep };
        schema::prepare(&connection, &self.path, tables, later)?;
        let resumes = resume.is_some();
        let mut progress =
            progress::enter(&connection, &self.path, owner, (self.start_over && !resumes, resumes))?;
        if progress.starts_over && !over && !resumes {
            // There is nothing to delete.
            progress.starts_over = false;
        }
        let durable = progress.time;
        let letters_are_old = self.start_over && !resumes;
        let sql = tables.iter().map(Sql::new).collect();
        let scratch = Scratch::default();
        self.opened = Some(Opened { connection, progress, letters_are_old, _lock: lock, sql, scratch });
        Ok(durable)
    }

    fn apply(&mut self, batches: &[Batch]) -> Result<(), ExternalError> {
        let Some(opened) = &mut self.opened else { return Err(error::not_open(&self.path)) };
        // Batches up to the durable time are written already, and would overwrite newer rows.
        let known = batches.partition_point(|batch| Some(batch.time) <= opened.progress.time);
        opened.write(&batches[known..], &self.path)
    }

    fn dead_letters(&mut self, letters: &[DeadLetter]) -> Result<(), ExternalError> {
        let Some(opened) = &mut self.opened else { return Err(error::not_open(&self.path)) };
        if letters.is_empty() {
            return Ok(());
        }
        opened.delete_old_letters(&self.path)?;
        statements::write_letters(&mut opened.connection, letters)
            .map_err(|error| failed(&self.path, &"could not write to telemetra_dead_letters", error))
    }

    fn close(&mut self) -> Result<(), ExternalError> {
        match self.opened.take() {
            None => Ok(()),
            Some(opened) => opened
                .connection
                .close()
                .map_err(|(_, error)| failed(&self.path, &"could not close it", error)),
        }
    }
}
