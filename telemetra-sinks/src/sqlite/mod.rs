//! Rows in an SQLite database: one file, one writer, any number of readers.
//!
//! The rows of all waiting batches and the time they reach go into one transaction, so that the database is
//! as of an event time at every instant, and a restart goes on from the time it finds there.

mod error;
mod migrate;
mod schema;
mod statements;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};
use telemetra_core::{AnyRow, Batch, Change, DeadLetter, EventTime, ExternalError, RowKey, Sink, Table};

use error::{failed, refused};
use statements::{Scratch, Sql, Writer, millis};

/// A sink that keeps rows in the tables of an SQLite database, and dead letters in `telemetra_dead_letters`.
///
/// * Each [`Table`] of the pipeline is an SQL table of the same name, columns and indexes, made if it is
///   missing. [`ColumnKind`](telemetra_core::ColumnKind) lists the types: times are milliseconds since the
///   epoch, arrays are JSON, decimals are exact and text, bytes are blobs.
/// * Whole numbers beyond 2⁶³ − 1, which SQLite cannot hold, are written as 2⁶³ − 1: no counter gets there.
///   In a key they are refused, as rows that differ would be one.
/// * The journal is a write-ahead log, so readers and the writer do not wait for each other. Each
///   [`apply`](Sink::apply) is one transaction, synced before it returns; `telemetra_progress` is part of it.
/// * Rows lie in the order of their key, columns of time first, so that a batch of windows is written in one
///   piece; add an [index](Table::index) to find the windows of a key. Several batches at once, as after a
///   pause, cost little more than one: the index's pages are then written once for all.
/// * Dead letters have transactions of their own. They are known by their place, so seeing one again changes
///   nothing.
/// * A busy database is a transient error; a full, damaged or read-only one is permanent.
///
/// # Migration
///
/// Columns and indexes that a table has gained are added when the sink is opened. Rows that are there already
/// have null in a new column, so it must be [nullable](telemetra_core::Column::nullable) unless the table is
/// empty. A new table holds what is published after the time found in the database; to fill it, [start
/// over](Self::start_over). Columns that a table has lost stay, and are null in rows that are written from
/// then on. A table that has another key, or a column of another type, is refused, and so is a database of a
/// newer version or with tables that are not ours.
///
/// ```
/// use std::sync::Arc;
/// use telemetra_core::{Column, ColumnKind, Sink, Table};
/// use telemetra_sinks::Sqlite;
///
/// let devices = Table::new("devices")
///     .key(Column::new("device", ColumnKind::Text))
///     .column(Column::nullable("celsius", ColumnKind::Float));
/// let folder = tempfile::tempdir()?;
/// let mut sink = Sqlite::new(folder.path().join("telemetra.db"));
/// assert_eq!(sink.open(&[Arc::new(devices)], None)?, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Sqlite {
    path: PathBuf,
    busy_timeout: Duration,
    max_pages: Option<u32>,
    start_over: bool,
    opened: Option<Opened>,
}

struct Opened {
    connection: Connection,
    durable: Option<EventTime>,
    sql: Vec<Sql>,
    scratch: Scratch,
}

impl Sqlite {
    /// The database at `path`, made if there is none.
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self {
            path: path.as_ref().to_owned(),
            busy_timeout: Duration::from_secs(5),
            max_pages: None,
            start_over: false,
            opened: None,
        }
    }

    /// How long to wait for a database that another process writes to, before the error is transient.
    /// Default: 5 s.
    #[must_use]
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = timeout.min(Duration::from_secs(3600));
        self
    }

    /// The most pages of 4096 bytes that the database may have; writing more is a permanent error.
    #[must_use]
    pub fn max_pages(mut self, pages: u32) -> Self {
        self.max_pages = Some(pages);
        self
    }

    /// Empties the pipeline's tables when it starts from the beginning. Without this it goes on from the time
    /// found in the database, which is right where the input is the same as before. A pipeline that starts
    /// from a checkpoint keeps them in any case.
    #[must_use]
    pub fn start_over(mut self) -> Self {
        self.start_over = true;
        self
    }

    fn connect(&self, tables: &[Arc<Table>], clear: bool) -> Result<Connection, ExternalError> {
        let failed = |error| failed(&self.path, &"could not open it", error);
        let connection = Connection::open(&self.path).map_err(failed)?;
        connection.busy_timeout(self.busy_timeout).map_err(failed)?;
        schema::prepare(&connection, &self.path, tables, clear)?;
        // Durable on return needs `FULL`: with less, the log is synced only now and then.
        connection
            .execute_batch(
                "PRAGMA synchronous = FULL; PRAGMA cache_size = -65536; PRAGMA wal_autocheckpoint = 16384",
            )
            .map_err(failed)?;
        if let Some(pages) = self.max_pages {
            connection
                .pragma_update_and_check(None, "max_page_count", pages, |row| row.get::<_, i64>(0))
                .map_err(failed)?;
        }
        Ok(connection)
    }
}

impl fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sqlite").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Opened {
    fn write(&mut self, batches: &[Batch], path: &Path) -> Result<(), ExternalError> {
        let Some(last) = batches.last() else { return Ok(()) };
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
            transaction
                .prepare_cached("INSERT OR REPLACE INTO telemetra_progress (id, time) VALUES (1, ?1)")
                .and_then(|mut statement| statement.execute([millis(last.time)]))
                .map_err(|error| failed(path, &"could not write to telemetra_progress", error))?;
        }
        transaction.commit().map_err(|error| {
            failed(path, &format!("could not commit the rows as of {}", last.time), error)
        })?;
        self.durable = Some(last.time);
        Ok(())
    }
}

/// The place of a row's table among those that the sink was opened with. Changes come table by table, so it
/// mostly is that of the row before.
fn place_of(sql: &[Sql], before: usize, row: &dyn AnyRow) -> Option<usize> {
    let table = row.table();
    match sql.get(before) {
        Some(sql) if Arc::ptr_eq(&sql.table, table) => Some(before),
        _ => sql.iter().position(|sql| sql.table.name() == table.name()),
    }
}

fn unknown(path: &Path, change: &Change) -> ExternalError {
    let row = RowKey::of(&*change.row);
    refused(path, format!("the row {row} is of a table that the sink was not opened with"))
}

impl Sink for Sqlite {
    fn name(&self) -> &str {
        "sqlite"
    }

    fn open(
        &mut self,
        tables: &[Arc<Table>],
        resume: Option<EventTime>,
    ) -> Result<Option<EventTime>, ExternalError> {
        self.opened = None;
        let connection = self.connect(tables, self.start_over && resume.is_none())?;
        let durable = connection
            .query_row("SELECT time FROM telemetra_progress", [], |row| row.get::<_, i64>(0))
            .optional()
            .map_err(|error| failed(&self.path, &"could not read telemetra_progress", error))?
            .map(|time| EventTime(u64::try_from(time).unwrap_or(0)));
        let sql = tables.iter().map(Sql::new).collect();
        self.opened = Some(Opened { connection, durable, sql, scratch: Scratch::default() });
        Ok(durable)
    }

    fn apply(&mut self, batches: &[Batch]) -> Result<(), ExternalError> {
        let Some(opened) = &mut self.opened else { return Err(error::not_open(&self.path)) };
        // What is known already would overwrite what is newer.
        let known = batches.partition_point(|batch| Some(batch.time) <= opened.durable);
        opened.write(&batches[known..], &self.path)
    }

    fn dead_letters(&mut self, letters: &[DeadLetter]) -> Result<(), ExternalError> {
        let Some(opened) = &mut self.opened else { return Err(error::not_open(&self.path)) };
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
