//! A sink that writes rows to a Postgres database, and a checkpoint store in one.
//!
//! The rows of all waiting batches and the time they reach are written in one transaction, so the tables are
//! as of one event time at every instant. A batch needs one statement per table, whose parameters are whole
//! columns. All statements of a transaction are sent without waiting for each other's answers.

mod array;
mod batch_columns;
mod change_log;
mod config;
mod connect;
mod dead_letters;
mod define;
mod error;
mod fit;
mod names;
mod numeric;
mod opened;
mod progress;
mod retention;
mod schema;
mod session;
mod statements;
mod store;
mod tls;
mod truncate;
mod url;
mod writer;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use telemetra_core::{Batch, DeadLetter, EventTime, ExternalError, Shard, Sink, SinkProgress, Table};

pub use change_log::ChangeLog;
pub use config::PostgresConfig;
pub use store::PostgresStore;
pub use tls::TlsMode;

use crate::owner::{self, Owner};
use change_log::Trim;
use opened::Opened;
use progress::{Claimed, Start};
use retention::Retention;
use session::Session;
use statements::Plan;
use writer::Writer;

/// The most rows of several batches in one transaction. A single batch with more rows has a transaction of
/// its own.
const MOST_ROWS: usize = 65_536;

/// A sink that writes rows to the tables of a Postgres database, and dead letters to the table
/// `telemetra_dead_letters`. Rows and progress are one transaction, so after a crash each row is there exactly
/// once (in Flink's terms, an exactly-once sink; it needs no two-phase commit, as progress is stored with the rows).
///
/// # Tables
///
/// [`open`](Sink::open) creates and migrates the tables, in the first schema of the role's `search_path`. A
/// missing table is created with its key, columns and indexes. An existing table gets its new columns, which
/// must be nullable. [`open`](Sink::open) fails with a permanent error if telemetra did not create a table of
/// the same name, if a newer version of telemetra created it, or if its key differs.
///
/// Column types follow [`ColumnKind`](telemetra_core::ColumnKind): times are `timestamptz`, JSON is `jsonb`, lists are
/// arrays such as `bigint[]`, decimals `numeric`.
///
/// Values that Postgres cannot hold are replaced by the nearest one that it can hold: a NUL character in a
/// text by U+FFFD, integers beyond 2⁶³ − 1 by 2⁶³ − 1, times after the year 294276 by `infinity`. In a key
/// column such integers and times are an error, as two different rows would become one. The exception is
/// [`EventTime::MAX`], which is the only time that is written as `infinity` in a key.
///
/// # Guarantees
///
/// * **Atomic and durable.** All waiting batches, up to 65,536 rows, are one transaction. It locks the
///   shard's row in `telemetra_progress`, writes all rows and the time they reach, and commits. The commit is
///   durable even if the server's `synchronous_commit` is off.
/// * **Fenced.** Opening the sink takes the tables over from a process that wrote them before under the same
///   [pipeline name](Self::pipeline). Everything that the other process writes afterwards fails with a permanent
///   error and changes nothing.
/// * **Sharded.** Several sinks can write the tables in parallel, each the rows of its share of the
///   [subjects](telemetra_core::Row::subject): see [`shard`](Self::shard). Takeover and atomicity are then by
///   shard.
///
/// # Errors
///
/// These failures are transient, and the next attempt opens a new connection: no connection, a restart of the
/// server, a failover, a full disk of the server, a deadlock, a statement that takes longer than
/// [`statement_timeout`](PostgresConfig::statement_timeout). These are permanent: a wrong password, a missing
/// right, a row that the table rejects. The message names the rejected row.
///
/// A pooler in transaction mode must support prepared statements (PgBouncer from 1.21 on).
///
/// # Cost
///
/// The sink holds one connection for each shard. A transaction takes two round trips, however many rows and
/// tables it has, and sends statements of at most 16,384 rows each.
///
/// ```no_run
/// use telemetra_core::Sink;
/// use telemetra_sinks::{Postgres, PostgresConfig};
///
/// let config = PostgresConfig::from_url("postgres://telemetra:secret@localhost/telemetra")?;
/// let mut sink = Postgres::new(config);
/// let durable = sink.open(&[], None)?;
/// println!("the tables are as of {durable:?}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Postgres {
    config: PostgresConfig,
    pipeline: Option<String>,
    /// The name of the pipeline that this sink belongs to, as the pipeline gives it.
    part_of: Option<String>,
    shard: Shard,
    start_over: bool,
    retention: Option<u64>,
    change_log: Option<ChangeLog>,
    opened: Option<Opened>,
    /// The connection by which the progress of another process is read.
    watching: Option<Session>,
}

impl Postgres {
    /// Creates a sink for the database that `config` names. It connects when it is opened, not here.
    #[must_use]
    pub fn new(config: PostgresConfig) -> Self {
        Self {
            config,
            pipeline: None,
            part_of: None,
            shard: Shard::WHOLE,
            start_over: false,
            retention: None,
            change_log: None,
            opened: None,
            watching: None,
        }
    }

    /// Sets the name under which progress is stored. A restart finds its progress by this name. Two processes
    /// that use the same name count as the same pipeline, and the one that opens the sink later takes over.
    /// Default: the name of the pipeline that the sink is added to.
    ///
    /// Pipelines with different names may write to the same tables if no subject occurs in both. If
    /// two pipelines have the same name and no table in common, opening the second one fails with a permanent error.
    #[must_use]
    pub fn pipeline(mut self, name: &str) -> Self {
        self.pipeline = Some(name.to_owned());
        self
    }

    /// Makes this the sink of one shard: it writes the rows of a share of the subjects, by a connection of its
    /// own. All shards write to the same tables. Use several, by `Pipeline::sharded_sink`, if one connection
    /// cannot write fast enough. If the tables were last written with another number of shards, each shard
    /// starts from the least time that those shards had reached. Default: [`Shard::WHOLE`], one shard for all
    /// rows.
    ///
    /// ```
    /// use telemetra_core::Shard;
    /// use telemetra_sinks::{Postgres, PostgresConfig};
    ///
    /// let config = PostgresConfig::new("db.example.org");
    /// // For `pipeline.sharded_sink(4, make)`.
    /// let make = move |shard: Shard| Postgres::new(config.clone()).shard(shard);
    /// let only = make(Shard::WHOLE);
    /// ```
    #[must_use]
    pub fn shard(mut self, shard: Shard) -> Self {
        self.shard = shard;
        self
    }

    /// Empties the tables when the pipeline starts without a checkpoint, and so from the beginning of its input.
    /// Default: off, so the pipeline skips all batches up to the time that it finds in the database. That is
    /// right if the input is the same as before; if it is another one, rows of both runs are mixed.
    ///
    /// A sink of several shards deletes only the rows of its shard's subjects. A pipeline that starts from a
    /// checkpoint keeps all rows. The tables are emptied by the first change, so a run without any change,
    /// because its input is empty or unreadable, leaves the rows of the earlier run in place. A table that
    /// another pipeline writes to as well is never emptied.
    ///
    /// [`open`](Sink::open) fails with a permanent error if there are several shards and a column of the
    /// subject is JSON or a list.
    #[must_use]
    pub fn start_over(mut self) -> Self {
        self.start_over = true;
        self
    }

    /// Sets for how long rows are kept in tables that have a [day column](telemetra_core::Table::by_day), in
    /// event time. Older rows are dropped by whole days (UTC). Other tables and dead letters are not affected.
    /// Default: everything is kept.
    ///
    /// * These tables are partitioned by day. Partitions are created as they are needed, so the role needs
    ///   the right to create tables at all times.
    /// * If the time is not part of a table's key, it is added as the last key column. Two rows with the same
    ///   id and different times are then two rows.
    /// * [`open`](Sink::open) fails with a permanent error if a table with a day column was created without a
    ///   retention and one is set now, or the reverse.
    /// * Rows that are already older than the retention are not written.
    /// * The name of such a table may have at most 54 characters, as the names of its partitions have nine
    ///   more.
    /// * Dropping a day waits at most one second for its readers, and is otherwise tried again after an hour of
    ///   event time.
    ///
    /// ```
    /// use std::time::Duration;
    /// use telemetra_sinks::{Postgres, PostgresConfig};
    /// let month = Duration::from_secs(30 * 86_400);
    /// let sink = Postgres::new(PostgresConfig::new("localhost")).retention(month);
    /// ```
    #[must_use]
    pub fn retention(mut self, keep: Duration) -> Self {
        self.retention = Some(u64::try_from(keep.as_millis()).unwrap_or(u64::MAX));
        self
    }
}

impl Postgres {
    /// Keeps a log of changes in the table `telemetra_changes`, so that a service that polls the tables can
    /// query what changed after an event time, withdrawals included. Default: off. `bounds` limits its age and
    /// size.
    ///
    /// * An *upserted* row is found by its [`published_at`](telemetra_core::Table::published_at) column, for which
    ///   each table gets an index. In a table without that column it is found by the
    ///   [day column](telemetra_core::Table::by_day); in a table with neither it is recorded in the log.
    /// * A *withdrawn* row is recorded in the log as it was, with its subject, revision and event time, in the
    ///   transaction that deletes it.
    /// * Rows of days that a [retention](Self::retention) drops are not withdrawn, and are not in the log.
    ///
    /// `telemetra_progress` has two columns for readers, for each shard. The log is complete for all times after
    /// `changes_since`. `history` is the id of the run that the times belong to: it changes when a pipeline
    /// starts over or gets another number of shards, and a reader that knows another id must read the tables
    /// anew.
    ///
    /// # Cost
    ///
    /// The log costs an entry in an index for each upsert, and a record of the row for each withdrawal. The first
    /// shard trims the log in transactions of at most 10,000 records. Opening the sink builds the index of an
    /// existing table, which blocks its writers meanwhile. [`open`](Sink::open) fails with a permanent error if
    /// the name of an index, `{table}_by_{column}`, would be longer than 63 bytes.
    ///
    /// ```
    /// use telemetra_sinks::{ChangeLog, Postgres, PostgresConfig};
    /// let sink = Postgres::new(PostgresConfig::new("localhost")).change_log(ChangeLog::default());
    /// ```
    #[must_use]
    pub fn change_log(mut self, bounds: ChangeLog) -> Self {
        self.change_log = Some(bounds);
        self
    }
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres")
            .field("config", &self.config)
            .field("pipeline", &self.pipeline)
            .field("shard", &self.shard)
            .finish_non_exhaustive()
    }
}

impl Sink for Postgres {
    fn name(&self) -> &str {
        "postgres"
    }

    fn part_of(&mut self, pipeline: &str) {
        self.part_of = Some(pipeline.to_owned());
    }

    fn progress(&mut self) -> Result<SinkProgress, ExternalError> {
        let name = self.pipeline.as_deref().or(self.part_of.as_deref()).unwrap_or(owner::UNNAMED);
        let session = match self.watching.take() {
            Some(session) => session,
            None => Session::connect(&self.config)?,
        };
        let reached = progress::reached(&session, name, self.shard)?;
        // After an error the next call opens a new connection.
        self.watching = Some(session);
        Ok(SinkProgress::Until(reached))
    }

    fn open(
        &mut self,
        tables: &[Arc<Table>],
        resume: Option<EventTime>,
    ) -> Result<Option<EventTime>, ExternalError> {
        (self.opened, self.watching) = (None, None);
        let (partitioned, logged) = (self.retention.is_some(), self.change_log.is_some());
        let empty = (self.start_over && resume.is_none()).then_some(tables);
        names::check(tables, partitioned)
            .and_then(|()| tables.iter().filter(|_| logged).try_for_each(|table| change_log::check(table)))
            .and_then(|()| truncate::check(empty.unwrap_or_default(), self.shard))
            .map_err(|why| error::refused(&self.config.place(), why))?;
        let session = Session::connect(&self.config)?;
        schema::prepare_rows(&session, tables, partitioned, logged)?;
        let start = match (empty, resume) {
            (Some(_), _) => Start::Over,
            (None, Some(_)) => Start::Resume,
            (None, None) => Start::GoOn,
        };
        let name = self.pipeline.as_deref().or(self.part_of.as_deref());
        let owner = Owner::new(name.unwrap_or(owner::UNNAMED), tables);
        let Claimed { fence, time: durable, starts_over: rows_are_old } =
            progress::acquire_fence(&session, &owner, self.shard, start, logged)?;
        let letters_are_old = start == Start::Over;
        let log = logged.then_some(&*owner.pipeline);
        let plans: Vec<_> = tables.iter().map(|table| Plan::new(table, partitioned, log)).collect();
        let writer = Some(Writer::new(session, &plans));
        let retention = self.retention.map(|keep| Retention::new(keep, tables));
        let trim = self.change_log.map(Trim::new);
        self.opened =
            Some(Opened { fence, durable, rows_are_old, letters_are_old, plans, retention, trim, writer });
        Ok(durable)
    }

    fn apply(&mut self, batches: &[Batch]) -> Result<(), ExternalError> {
        let Some(opened) = &mut self.opened else { return Err(not_open(&self.config)) };
        // Batches up to the durable time are written already, and would overwrite newer rows.
        let known = batches.partition_point(|batch| Some(batch.time) <= opened.durable);
        let mut rest = &batches[known..];
        while !rest.is_empty() {
            let (now, later) = rest.split_at(in_one_go(rest.iter().map(|batch| batch.changes.len())));
            opened.with_writer(&self.config, |writer, opened| opened.apply(writer, now))?;
            opened.durable = now.last().map(|batch| batch.time);
            rest = later;
        }
        Ok(())
    }

    fn dead_letters(&mut self, letters: &[DeadLetter]) -> Result<(), ExternalError> {
        let Some(opened) = &mut self.opened else { return Err(not_open(&self.config)) };
        if letters.is_empty() {
            return Ok(());
        }
        opened.with_writer(&self.config, |writer, opened| {
            opened.delete_old(writer, false)?;
            writer.write_letters(letters, &opened.fence)
        })
    }

    fn close(&mut self) -> Result<(), ExternalError> {
        self.opened = None;
        Ok(())
    }
}

/// The number of batches, counted from the first, to write in one transaction. All that wait, unless the
/// transaction would take so long that a failure near its end could repeat endlessly.
fn in_one_go(rows_of_batches: impl Iterator<Item = usize>) -> usize {
    let mut sum = 0;
    let fits = rows_of_batches.take_while(|rows| {
        sum += rows;
        sum <= MOST_ROWS
    });
    fits.count().max(1)
}

/// Builds the error of a call before the sink is open.
fn not_open(config: &PostgresConfig) -> ExternalError {
    error::refused(&config.place(), "the sink is not open; call `open` first")
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_transaction_has_so_many_rows_or_one_batch() {
        for (rows, batches) in
            [(&[1, 2, 3][..], 3), (&[40_000, 25_536, 1], 2), (&[40_000, 30_000], 1), (&[70_000, 1], 1)]
        {
            assert_eq!(super::in_one_go(rows.iter().copied()), batches, "{rows:?}");
        }
    }
}
