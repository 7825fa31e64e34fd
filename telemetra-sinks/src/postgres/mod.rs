//! Rows in a Postgres database, and checkpoints.
//!
//! The idea: the rows of all waiting batches and the time they reach go into one transaction, so that the
//! tables are as of an event time at every instant. A batch is one statement per table, whose parameters are
//! whole columns; all of a transaction's statements are under way at once.

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

use telemetra_core::{AnyRow, Batch, DeadLetter, EventTime, ExternalError, Shard, Sink, Table};

pub use config::PostgresConfig;
pub use store::PostgresStore;
pub use tls::TlsMode;

use crate::owner::{self, Owner};
use progress::{Claimed, Fence, Start};
use retention::Retention;
use session::Session;
use statements::Plan;
use writer::Writer;

/// The most rows of several batches in one transaction. A batch that is larger has one of its own.
const MOST_ROWS: usize = 65_536;

/// A sink that writes rows to the tables of a Postgres database, and dead letters to
/// `telemetra_dead_letters`.
///
/// * The tables are made and brought up to date by [`open`](Sink::open), in the first schema of the role's
///   `search_path`: a table that is missing is made, with its key, columns and indexes, and one that is
///   there gets the columns that are new, if they may be null. A table that is not telemetra's, a newer
///   version's or of another key is refused.
/// * Times are `timestamptz`, lists and maps `jsonb`, decimals `numeric`; the types of columns are those of
///   [`ColumnKind`](telemetra_core::ColumnKind).
/// * What Postgres cannot hold is written as what is nearest: a NUL in a text as U+FFFD, whole numbers
///   beyond 2⁶³ − 1 as that, times after the year 294276 as `infinity`. In a key such numbers and times are
///   refused, as rows that differ would be one, save [`EventTime::MAX`], which is `infinity` alone.
/// * All waiting batches, up to 65,536 rows, are one transaction of two round trips: it locks the shard's
///   row in `telemetra_progress`, then writes all rows, the time they reach, and commits. It is durable even
///   where the server's `synchronous_commit` is off.
/// * **Shards.** Several sinks may share the rows, by subject: see [`shard`](Self::shard).
/// * **Fenced.** Opening a shard takes it away from whoever had it: what that one writes afterwards is
///   refused, as a permanent error, and changes nothing.
/// * **Errors.** What may pass (no connection, a restart, a fail-over, a full disk, a deadlock) is
///   transient, and the next try makes a new connection. What will not (a wrong password, a missing right, a
///   row that the table refuses) is permanent and names the row.
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
    /// The name of the pipeline that it is a sink of.
    part_of: Option<String>,
    shard: Shard,
    start_over: bool,
    retention: Option<u64>,
    opened: Option<Opened>,
}

struct Opened {
    fence: Fence,
    durable: Option<EventTime>,
    /// Whether rows and dead letters of an earlier run are there that this one takes the place of.
    rows_are_old: bool,
    letters_are_old: bool,
    plans: Vec<Plan>,
    retention: Option<Retention>,
    /// `None` after an error: the next try connects anew.
    writer: Option<Writer>,
}

impl Postgres {
    /// A sink for the database that `config` leads to.
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
        }
    }

    /// The name by which a restart finds how far it was, and by which two processes know that they are the
    /// same. Default: the pipeline's name. Pipelines of different names may share the tables if they have no
    /// subject in common; two of one name that have no table in common are refused.
    #[must_use]
    pub fn pipeline(mut self, name: &str) -> Self {
        self.pipeline = Some(name.to_owned());
        self
    }

    /// Makes this the sink of one shard, of one connection. All shards share the tables. If the tables were
    /// written by another number of shards, each starts from what all of those had.
    #[must_use]
    pub fn shard(mut self, shard: Shard) -> Self {
        self.shard = shard;
        self
    }

    /// Empties the tables when a pipeline starts from the beginning: all of them, or the rows of this
    /// shard's subjects if it is one of several. Without this it goes on from the time found in them, which
    /// is right where the input is the same as before. A pipeline that starts from a checkpoint keeps them
    /// in any case. One of several shards cannot start over where the subject's column is of JSON or a list.
    ///
    /// They are emptied by the first change: a run that has none, as its input is empty or cannot be read,
    /// leaves the rows of the earlier run as they are. A table that another pipeline writes to is never emptied.
    #[must_use]
    pub fn start_over(mut self) -> Self {
        self.start_over = true;
        self
    }

    /// Keeps the rows of tables with a [day column](telemetra_core::Table::by_day) for so long, by event
    /// time, and drops what is older by whole days (UTC). Other tables and dead letters stay. Default:
    /// everything is kept.
    ///
    /// These tables are then cut into partitions of a day, which are made as needed, so the role needs the
    /// right to create tables at all times. A key without the time gets it as its last column: two rows of
    /// one id and different times are two rows. Tables that were made without a retention are refused, and
    /// the other way round. Rows that are older than the retention when they come are not written. The name
    /// of such a table may have 54 characters, since those of its days have nine more.
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
    /// Runs `work` with a connection, a new one after an error.
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

    /// Deletes what an earlier run has left, now that there is something to take its place.
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
        // The rows are there: if this fails, the next try writes nothing, and the days go another time.
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

    fn open(
        &mut self,
        tables: &[Arc<Table>],
        resume: Option<EventTime>,
    ) -> Result<Option<EventTime>, ExternalError> {
        self.opened = None;
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
        // What is known already would overwrite what is newer.
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

/// How many of the first batches to write in one transaction: all that wait, unless it would take so long
/// that a failure near its end could come again and again.
fn in_one_go(rows_of_batches: impl Iterator<Item = usize>) -> usize {
    let mut sum = 0;
    let fits = rows_of_batches.take_while(|rows| {
        sum += rows;
        sum <= MOST_ROWS
    });
    fits.count().max(1)
}

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
