//! A sink that writes rows to a Postgres database, and a checkpoint store in one.
//!
//! The rows of all waiting batches and the time they reach are written in one transaction, so the tables are
//! as of one event time at every instant. A batch needs one statement per table, whose parameters are whole
//! columns. All statements of a transaction are sent without waiting for each other's answers.

mod array;
mod batch_columns;
mod config;
mod connect;
mod dead_letters;
mod define;
mod error;
mod fit;
mod names;
mod numeric;
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

use telemetra_core::{AnyRow, Batch, DeadLetter, EventTime, ExternalError, Shard, Sink, SinkProgress, Table};

pub use config::PostgresConfig;
pub use store::PostgresStore;
pub use tls::TlsMode;

use crate::owner::{self, Owner};
use progress::{Claimed, Fence, Start};
use retention::Retention;
use session::Session;
use statements::Plan;
use writer::Writer;

/// The most rows of several batches in one transaction. A single batch with more rows has a transaction of
/// its own.
const MOST_ROWS: usize = 65_536;

/// A sink that writes rows to the tables of a Postgres database, and dead letters to the table
/// `telemetra_dead_letters`.
///
/// # Tables
///
/// [`open`](Sink::open) creates and migrates the tables, in the first schema of the role's `search_path`. A
/// missing table is created with its key, columns and indexes. An existing table gets its new columns, which
/// must be nullable. A table is refused if telemetra did not create it, if a newer version of telemetra did,
/// or if its key differs.
///
/// Column types follow [`ColumnKind`](telemetra_core::ColumnKind): times are `timestamptz`, lists and maps
/// `jsonb`, decimals `numeric`.
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
/// * **Fenced.** Opening a shard takes it over from the process that held it before. Everything that the
///   other process writes afterwards fails with a permanent error and changes nothing.
/// * **Sharded.** Several sinks can share the tables, each for a part of the subjects: see
///   [`shard`](Self::shard).
///
/// # Errors
///
/// Failures that may pass are transient, and the next attempt opens a new connection: no connection, a
/// restart, a failover, a full disk, a deadlock. Failures that will not pass are permanent: a wrong password,
/// a missing right, a row that the table rejects. The message names the rejected row.
///
/// # Cost
///
/// One connection for each shard. A transaction takes two round trips, however many rows and tables it has.
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
    opened: Option<Opened>,
    /// The connection by which the progress of another process is read.
    watching: Option<Session>,
}

/// The state of the sink between `open` and `close`.
struct Opened {
    fence: Fence,
    durable: Option<EventTime>,
    /// Whether the tables still hold rows of an earlier run, which the first change of this run deletes.
    rows_are_old: bool,
    /// Whether the dead letters are those of an earlier run, which the first letter or change of this run
    /// deletes.
    letters_are_old: bool,
    plans: Vec<Plan>,
    retention: Option<Retention>,
    /// `None` after an error; the next attempt opens a new connection.
    writer: Option<Writer>,
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
            opened: None,
            watching: None,
        }
    }

    /// Sets the name under which progress is stored. A restart finds its progress by this name, and two
    /// processes that use the same name are taken for the same pipeline. Default: the name of the pipeline
    /// that the sink is added to.
    ///
    /// Pipelines with different names may write to the same tables if no subject occurs in both. Two
    /// pipelines with the same name and no table in common are refused when the second one is opened.
    #[must_use]
    pub fn pipeline(mut self, name: &str) -> Self {
        self.pipeline = Some(name.to_owned());
        self
    }

    /// Makes this the sink of one shard, with its own connection; give it to `Pipeline::sharded_sink`. All
    /// shards write to the same tables. Use several if one connection cannot write fast enough. If the tables
    /// were last written with another number of shards, each shard starts from the least time that those
    /// shards had reached. Default: [`Shard::WHOLE`], one shard for all rows.
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

    /// Empties the tables when the pipeline starts from the beginning of its input. Default: off, so the
    /// pipeline goes on from the time that it finds in the database, which is right if the input is the same
    /// as before.
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

    /// Deletes old rows of tables that have a [day column](telemetra_core::Table::by_day): rows are kept for
    /// this span of event time and then dropped by whole days (UTC). Other tables and dead letters are not
    /// affected. Default: everything is kept.
    ///
    /// * These tables are partitioned by day. Partitions are created as they are needed, so the role needs
    ///   the right to create tables at all times.
    /// * If the time is not part of a table's key, it is added as the last key column. Two rows with the same
    ///   id and different times are then two rows.
    /// * Tables that were created without a retention are refused, and so are tables with one if none is set.
    /// * Rows that are already older than the retention are not written.
    /// * The name of such a table may have at most 54 characters, as the names of its partitions have nine
    ///   more.
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

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres")
            .field("config", &self.config)
            .field("pipeline", &self.pipeline)
            .field("shard", &self.shard)
            .finish_non_exhaustive()
    }
}

impl Opened {
    /// Runs `work` with the open connection, or with a new one after an error.
    fn with_writer<T>(
        &mut self,
        config: &PostgresConfig,
        work: impl FnOnce(&mut Writer, &mut Self) -> Result<T, ExternalError>,
    ) -> Result<T, ExternalError> {
        let mut writer = match self.writer.take() {
            Some(writer) if !writer.session.is_closed() => writer,
            _ => Writer::new(Session::connect(config)?, &self.plans),
        };
        let done = work(&mut writer, self);
        self.writer = done.is_ok().then_some(writer);
        done
    }

    /// Deletes what an earlier run has left. Called when the first row or letter of this run arrives.
    fn delete_old(&mut self, writer: &mut Writer, rows: bool) -> Result<(), ExternalError> {
        if rows || self.letters_are_old {
            let tables: Vec<_> = self.plans.iter().map(|plan| Arc::clone(&plan.table)).collect();
            self.fence.delete_old(&writer.session, &mut writer.progress, rows.then_some(&tables[..]))?;
            self.rows_are_old &= !rows;
            self.letters_are_old = false;
        }
        Ok(())
    }

    fn apply(&mut self, writer: &mut Writer, batches: &[Batch]) -> Result<(), ExternalError> {
        let Some(last) = batches.last() else { return Ok(()) };
        if batches.iter().any(|batch| !batch.changes.is_empty()) {
            self.delete_old(writer, self.rows_are_old)?;
        }
        if last.time.0 > array::LAST {
            let why = format!("rows as of {} cannot be written: it is after the year 294276", last.time);
            return Err(error::refused(writer.session.place(), why));
        }
        let Some(retention) = &mut self.retention else {
            return writer.write(batches, &self.plans, &self.fence, |_| true);
        };
        let cutoff = retention.cutoff(last.time);
        let is_kept = |row: &dyn AnyRow| retention::time_of(row).is_none_or(|time| time >= cutoff);
        retention.prepare(&writer.session, batches)?;
        writer.write(batches, &self.plans, &self.fence, is_kept)?;
        self.durable = Some(last.time);
        // The rows are committed. If this fails, the next attempt writes no rows, and the days are dropped
        // another time.
        retention.sweep(&writer.session, &self.fence, last.time)
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
        let partitioned = self.retention.is_some();
        let empty = (self.start_over && resume.is_none()).then_some(tables);
        names::check(tables, partitioned)
            .and_then(|()| truncate::check(empty.unwrap_or_default(), self.shard))
            .map_err(|why| error::refused(&self.config.place(), why))?;
        let session = Session::connect(&self.config)?;
        schema::prepare_rows(&session, tables, partitioned)?;
        let start = match (empty, resume) {
            (Some(_), _) => Start::Over,
            (None, Some(_)) => Start::Resume,
            (None, None) => Start::GoOn,
        };
        let name = self.pipeline.as_deref().or(self.part_of.as_deref());
        let owner = Owner::new(name.unwrap_or(owner::UNNAMED), tables);
        let Claimed { fence, time: durable, starts_over: rows_are_old } =
            progress::acquire_fence(&session, &owner, self.shard, start)?;
        let letters_are_old = start == Start::Over;
        let plans: Vec<_> = tables.iter().map(|table| Plan::new(table, partitioned)).collect();
        let writer = Some(Writer::new(session, &plans));
        let retention = self.retention.map(|keep| Retention::new(keep, tables));
        self.opened =
            Some(Opened { fence, durable, rows_are_old, letters_are_old, plans, retention, writer });
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
