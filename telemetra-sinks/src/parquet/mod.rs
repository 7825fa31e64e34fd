//! A sink that writes the changes of rows as Parquet files, by table and day.

mod entry;
mod file;
mod frame;
mod log;
#[cfg(feature = "object-store")]
mod objects;
mod place;
mod rows;
mod shape;
mod state;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use telemetra_core::{Batch, EventTime, ExternalError, Sink, SinkProgress, Table};

use crate::owner::{self, Owner};
use place::{Opened, Place};
pub use rows::ParquetRows;
use shape::Shape;

/// A sink that writes every change as a row of Parquet files in a folder or an object store, for DuckDB, Spark,
/// pandas and other query engines. Each change is in the files exactly once. Readers see it up to one
/// [`rotate_every`](Self::rotate_every) late: choose [`JsonLines`](crate::JsonLines) if they must see each batch
/// at once, and `Postgres` or `ClickHouse` if they need only current rows.
///
/// # Files
///
/// `FOLDER/TABLE/day=2026-11-28/….parquet`: the partition is the day (UTC) of the event time that the row
/// [describes](telemetra_core::Row::time), or of the change if the row describes the present. So all versions of a
/// row are in one partition, and a query for a day sees the corrections that came the day after. A file holds the
/// changes of one table and day that took effect within one [`rotate_every`](Self::rotate_every), and fewer if
/// there are many ([`rotate_bytes`](Self::rotate_bytes)). A file is written under a temporary name, synced, and
/// renamed, so readers see whole files only, and a file never changes afterwards.
///
/// The files are a changelog. Each row has these columns, and then those of the table:
///
/// | column | type | holds |
/// |---|---|---|
/// | `_time` | timestamp, ms, UTC | the event time at which the change takes effect |
/// | `_op` | string | `upsert` or `withdraw`; a withdrawal has the columns of the row as it was |
/// | `_revision` | 64-bit integer | how often the row was published before |
///
/// Columns of decimals are `DECIMAL(38,6)`, lists are lists, JSON is a string, and a float that is not finite is
/// null. An integer beyond 2⁶³ − 1 is written as 2⁶³ − 1; in a key column it is a permanent error, as is a decimal of
/// more than 38 digits in any. A column of the table with one of these names, or `day`, gets an underscore at its end.
///
/// # Querying current rows
///
/// The current row of a key is its newest change, unless that change is a withdrawal.
/// [`current_rows`](Self::current_rows) makes the query for a table; in DuckDB:
///
/// ```sql
/// SELECT * FROM (
///     SELECT *, row_number() OVER (PARTITION BY moment_id ORDER BY _time DESC) AS newest
///     FROM read_parquet('FOLDER/moments/*/*.parquet', hive_partitioning = true, union_by_name = true))
/// WHERE newest = 1 AND _op = 'upsert';
/// ```
///
/// # Guarantees
///
/// * **Durable.** [`apply`](Sink::apply) appends the changes to a write-ahead log in `FOLDER/_telemetra` and syncs it.
///   A *rotation* makes Parquet files from the log and begins a new log: when `rotate_every` of event time or
///   `rotate_bytes` is reached, and when the sink is closed. So readers see a change at most `rotate_every` of event
///   time later.
/// * **Exactly once.** A file's name depends on its log alone, and the log is deleted when its files are durable. If a
///   process is killed at any instant, each change is in the log or in files. A rotation that was interrupted is
///   repeated by the next process, which makes the same files under the same names, so no change is there twice.
/// * **Bounded memory.** Between rotations the sink holds one batch. At a rotation it holds the log, of at most
///   `rotate_bytes` and one batch, and one row group (64 Ki rows or 16 MiB).
///
/// A folder belongs to one pipeline: opening it fails with a permanent error if another pipeline wrote to it, and with a
/// transient error while another process has it open. Dead letters are not written. Old days may be deleted at any
/// time, folder by folder. A full disk is a permanent error.
///
/// # In an object store
///
/// [`in_object_store`](Self::in_object_store) (feature `object-store`) writes the same files as objects. All of the above
/// holds, with these differences:
///
/// * The log consists of objects too, one segment for each call of [`apply`](Sink::apply). A call makes two requests: it
///   puts the segment, and `_telemetra/progress.json`, which names the segment. At a rotation the segments are read
///   back.
/// * `progress.json` is replaced by a conditional put. A process that opens the sink takes the prefix over from the
///   process that had it; the next `apply` of that process fails with a permanent error and changes nothing. See
///   `ObjectCheckpoints` for the services that support conditional puts.
/// * At a rotation the sink holds each file in memory until it is put, in addition to the log.
/// * A service that cannot be reached or is busy is a transient error.
///
/// ```
/// use telemetra_core::{Batch, Column, ColumnKind, EventTime, Layout, Sink, Table, Value};
/// use telemetra_sinks::Parquet;
///
/// let table = Table::new("sites").key(Column::new("site", ColumnKind::Text));
/// let sites = Layout::new(table, |site: &String, put| put(Value::Text(site)));
///
/// let folder = tempfile::tempdir()?;
/// let mut sink = Parquet::new(folder.path());
/// sink.open(&[sites.table().clone()], None)?;
/// sink.apply(&[Batch { time: EventTime(59_999), changes: vec![sites.upsert("north".to_owned(), 0)] }])?;
/// sink.close()?;
/// assert!(folder.path().join("sites/day=1970-01-01/00000000000000059999-0000000000.parquet").exists());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Parquet {
    settings: Settings,
    /// The name of the pipeline that this sink belongs to, as the pipeline gives it.
    part_of: Option<String>,
    opened: Option<Opened>,
}

/// The settings of the sink.
#[derive(Debug)]
struct Settings {
    place: Place,
    /// Milliseconds of event time.
    rotate_every: u64,
    rotate_bytes: u64,
    start_over: bool,
    pipeline: Option<String>,
}

impl Parquet {
    /// Creates a sink that writes to this folder, which is created when the sink is opened if it is missing. Nothing is
    /// read or written before.
    pub fn new(folder: impl AsRef<Path>) -> Self {
        Self::at(Place::Folder(folder.as_ref().to_owned()))
    }

    /// Creates a sink that writes to an object store: the files, the log and the progress are objects under the URL's
    /// prefix, so it goes on on another machine. See [the guarantees there](Self#in-an-object-store).
    ///
    /// # Errors
    ///
    /// If the options do not fit together, or a certificate cannot be read.
    ///
    /// ```
    /// use telemetra_sinks::{ObjectStoreConfig, Parquet};
    /// // As s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or az://CONTAINER/PREFIX.
    /// let config = ObjectStoreConfig::from_url("memory:///changes")?;
    /// let sink = Parquet::in_object_store(&config)?;
    /// # Ok::<(), telemetra_core::ConfigError>(())
    /// ```
    #[cfg(feature = "object-store")]
    pub fn in_object_store(config: &crate::ObjectStoreConfig) -> Result<Self, telemetra_core::ConfigError> {
        Ok(Self::at(Place::Objects(config.bucket()?)))
    }

    fn at(place: Place) -> Self {
        let settings = Settings {
            place,
            rotate_every: 900_000,
            rotate_bytes: 64 * 1024 * 1024,
            start_over: false,
            pipeline: None,
        };
        Self { settings, part_of: None, opened: None }
    }

    /// Sets the span of event time of a file: new files are begun at every multiple of `interval`, counted from the
    /// epoch. It is also the event time for which a change may wait in the log before readers see it. At least
    /// 1 ms. Default: 15 minutes.
    ///
    /// ```
    /// # use telemetra_core::{Batch, Column, ColumnKind, EventTime, Layout, Sink, Table, Value};
    /// use std::time::Duration;
    /// use telemetra_sinks::Parquet;
    /// # let table = Table::new("sites").key(Column::new("site", ColumnKind::Text));
    /// # let sites = Layout::new(table, |site: &String, put| put(Value::Text(site)));
    /// # let folder = tempfile::tempdir()?;
    /// # let change = || vec![sites.upsert("north".to_owned(), 0)];
    /// let mut sink = Parquet::new(folder.path()).rotate_every(Duration::from_secs(60)).rotate_bytes(16 << 20);
    /// sink.open(&[sites.table().clone()], None)?;
    /// sink.apply(&[Batch { time: EventTime(59_999), changes: change() }])?;
    /// assert!(!folder.path().join("sites").exists(), "the change is in the log");
    /// sink.apply(&[Batch { time: EventTime(60_999), changes: change() }])?;
    /// assert!(folder.path().join("sites").exists(), "a minute has begun, and that of the change is a file");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn rotate_every(mut self, interval: Duration) -> Self {
        self.settings.rotate_every = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX).max(1);
        self
    }

    /// Sets the size of the log in bytes at which files are made before [`rotate_every`](Self::rotate_every) is
    /// over. It bounds the size of files, which are compressed, and the memory for making them; one batch may
    /// exceed it. Default: 64 MiB.
    #[must_use]
    pub fn rotate_bytes(mut self, bytes: u64) -> Self {
        self.settings.rotate_bytes = bytes;
        self
    }

    /// Sets the name of the pipeline that owns the folder. Default: the name of the pipeline that the sink is
    /// added to.
    #[must_use]
    pub fn pipeline(mut self, name: &str) -> Self {
        self.settings.pipeline = Some(name.to_owned());
        self
    }

    /// Deletes the files of an earlier run when the pipeline starts without a checkpoint, and so from the beginning of
    /// its input. They are deleted at the first change. Default: off, so all batches up to the time found in the
    /// folder are skipped, which is right if the input is the same as before.
    #[must_use]
    pub fn start_over(mut self) -> Self {
        self.settings.start_over = true;
        self
    }

    /// Returns the query for the current rows of a table, in standard SQL; it is tested with DuckDB. `source` is the
    /// SQL expression, put after `FROM`, by which the query engine reads the table's files.
    ///
    /// ```
    /// use telemetra_core::{Column, ColumnKind, Table};
    /// use telemetra_sinks::Parquet;
    /// let sites = Table::new("sites").key(Column::new("site", ColumnKind::Text));
    /// let query = Parquet::current_rows(&sites, "read_parquet('out/sites/*/*.parquet', union_by_name = true)");
    /// assert_eq!(
    ///     query,
    ///     "SELECT \"site\" FROM (SELECT *, row_number() OVER (PARTITION BY \"site\" ORDER BY \"_time\" DESC) AS \
    ///      \"_newest\" FROM read_parquet('out/sites/*/*.parquet', union_by_name = true)) AS changes \
    ///      WHERE \"_newest\" = 1 AND \"_op\" = 'upsert'"
    /// );
    /// ```
    #[must_use]
    pub fn current_rows(table: &Table, source: &str) -> String {
        shape::current_rows(table, source)
    }

    fn opened(&mut self) -> Result<&mut Opened, ExternalError> {
        let place = &self.settings.place;
        self.opened.as_mut().ok_or_else(|| {
            ExternalError::permanent(format!(
                "could not write to {place}: the sink is not open; call `open` first"
            ))
        })
    }
}

impl Sink for Parquet {
    fn name(&self) -> &str {
        "parquet"
    }

    fn part_of(&mut self, pipeline: &str) {
        self.part_of = Some(pipeline.to_owned());
    }

    fn progress(&mut self) -> Result<SinkProgress, ExternalError> {
        Ok(SinkProgress::Until(self.settings.place.reached()?))
    }

    fn open(
        &mut self,
        tables: &[Arc<Table>],
        resume: Option<EventTime>,
    ) -> Result<Option<EventTime>, ExternalError> {
        self.opened = None;
        let name = self.settings.pipeline.as_deref().or(self.part_of.as_deref());
        let owner = Owner::new(name.unwrap_or(owner::UNNAMED), tables);
        let shape = |table: &Arc<Table>| {
            Shape::of(table).map_err(|column| {
                let table = table.name();
                ExternalError::permanent(format!(
                    "Parquet has no type for the column `{column}` of the table {table}"
                ))
            })
        };
        let shapes = tables.iter().map(shape).collect::<Result<_, _>>()?;
        let how = (self.settings.start_over && resume.is_none(), resume.is_some());
        let opened = self.opened.insert(self.settings.place.open(owner, shapes, how)?);
        Ok(opened.time())
    }

    fn apply(&mut self, batches: &[Batch]) -> Result<(), ExternalError> {
        let (every, most) = (self.settings.rotate_every, self.settings.rotate_bytes);
        let opened = self.opened()?;
        opened.settle()?;
        let known = batches.partition_point(|batch| Some(batch.time) <= opened.time());
        opened.append(&batches[known..], |first, time| first.0 / every != time.0 / every, most)
    }

    fn close(&mut self) -> Result<(), ExternalError> {
        match &mut self.opened {
            Some(opened) => opened.settle().and_then(|()| opened.close()),
            None => Ok(()),
        }
    }
}
