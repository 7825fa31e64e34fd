//! Rows in an SQLite database: one file, one writer, any number of readers.
//!
//! The idea: the rows of all waiting batches and the time they reach go into one transaction, so that the database is as
//! of an event time at every instant, and a restart goes on from the time it finds there.

mod error;
mod schema;
mod statements;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};
use telemetra_core::{Batch, DeadLetter, EventTime, ExternalError, RowKey, Sink, Table};

use error::failed;
use statements::{Scratch, Sql, Writer, millis};

/// A sink that writes rows to the tables of an SQLite database, and dead letters to `telemetra_dead_letters`.
///
/// * A table that is missing is made, with its key, columns and indexes. A table that is there gets the columns that are new, if they may be
///   null; one whose key differs is an error.
/// * Times are milliseconds since the epoch. Lists and maps are JSON; decimals are exact, as text; the types of columns are those of
///   [`ColumnKind`](telemetra_core::ColumnKind).
/// * Whole numbers beyond 2⁶³ − 1, which SQLite cannot hold, are written as 2⁶³ − 1: no counter gets there.
/// * The journal is a write-ahead log, so readers and the writer do not wait for each other. Each
///   [`apply`](Sink::apply) is one transaction, synced before it returns; `telemetra_progress` is part of it.
/// * Rows lie in the order of the times in their key, so that a batch is written in one piece; narrow indexes find those of a subject.
///   Several batches at once, as after a pause, cost little more than one: the index's pages are then written once for all.
/// * Dead letters have transactions of their own. They are known by their place, so seeing one again changes nothing.
/// * A busy database is a transient error; a full, damaged or read-only one is permanent.
///
/// The schema has a version. A database of a newer one is refused, and so is one whose tables are not ours.
///
/// ```
/// use telemetra_core::Sink;
/// use telemetra_sinks::Sqlite;
///
/// let folder = tempfile::tempdir()?;
/// let mut sink = Sqlite::new(folder.path().join("telemetra.db"));
/// assert_eq!(sink.open(&[], None)?, None);
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
    tables: Vec<(Arc<Table>, Sql)>,
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

    /// How long to wait for a database that another process writes to, before the error is transient. Default: 5 s.
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

    /// Empties the tables when a pipeline starts from the beginning. Without this it goes on from the time found in them, which is
    /// right where the input is the same as before. A pipeline that starts from a checkpoint keeps them in any case.
    #[must_use]
    pub fn start_over(mut self) -> Self {
        self.start_over = true;
        self
    }

    fn connect(&self, tables: &[Arc<Table>]) -> Result<Connection, ExternalError> {
        let failed = |error| failed(&self.path, &"could not open it", error);
        let connection = Connection::open(&self.path).map_err(failed)?;
        connection.busy_timeout(self.busy_timeout).map_err(failed)?;
        schema::prepare(&connection, &self.path, tables)?;
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
            let mut writers = Vec::with_capacity(self.tables.len());
            for (table, sql) in &self.tables {
                writers.push((table.name(), Writer::new(&transaction, sql).map_err(begin)?));
            }
            let mut place = 0;
            for batch in batches {
                for change in &batch.changes {
                    // The changes of a batch come table by table.
                    if writers.get(place).is_none_or(|(name, _)| *name != change.table()) {
                        place = writers
                            .iter()
                            .position(|(name, _)| *name == change.table())
                            .unwrap_or(usize::MAX);
                    }
                    let Some((_, writer)) = writers.get_mut(place) else {
                        return Err(unknown_table(path, change));
                    };
                    writer.write(change, batch.time, &mut self.scratch).map_err(|error| {
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

fn unknown_table(path: &Path, change: &telemetra_core::Change) -> ExternalError {
    let row = RowKey::of(&*change.row);
    error::refused(path, format!("the row {row} is of a table that the sink was not opened with"))
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
        let connection = self.connect(tables)?;
        if self.start_over && resume.is_none() {
            schema::clear(&connection, tables)
                .map_err(|error| failed(&self.path, &"could not empty the tables", error))?;
        }
        let durable = connection
            .query_row("SELECT time FROM telemetra_progress", [], |row| row.get::<_, i64>(0))
            .optional()
            .map_err(|error| failed(&self.path, &"could not read telemetra_progress", error))?
            .map(|time| EventTime(u64::try_from(time).unwrap_or(0)));
        let tables = tables.iter().map(|table| (Arc::clone(table), Sql::new(table))).collect();
        self.opened = Some(Opened { connection, durable, tables, scratch: Scratch::default() });
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
