//! A sink that keeps the rows of all tables in ClickHouse.

mod encode;
mod progress;
mod server;
mod tables;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use telemetra_core::{Batch, ConfigError, EventTime, ExternalError, RowKey, Sink, SinkProgress, Table};

use crate::owner::{self, Owner};
use progress::Progress;
use server::{Server, Session, name};

/// The number of bytes at which rows are sent.
const BLOCK: usize = 8 * 1024 * 1024;

/// A sink that writes the rows of all tables to a ClickHouse database, by its HTTP interface. Changes are inserted as
/// versions of rows, which ClickHouse merges: this is fast for long histories, but a query for current rows must use
/// a view or `FINAL`. If queries look up or join few rows, use `Postgres`.
///
/// # Tables
///
/// Each table is a `ReplacingMergeTree(_version)`, ordered by its key columns. A change is an inserted row, with
/// three columns besides those of the table:
///
/// | column | type | holds |
/// |---|---|---|
/// | `_version` | `UInt64` | the event time of the change, in milliseconds: of rows with one key, the row with the greatest version is current |
/// | `_revision` | `UInt32` | how often the row was published before |
/// | `_deleted` | `UInt8` | 1 if the change is a withdrawal |
///
/// The view `TABLE_current` has the current rows: `SELECT … FROM TABLE FINAL WHERE _deleted = 0`. Without `FINAL`
/// a query sees older versions until ClickHouse has merged them away.
///
/// Times are `DateTime64(3, 'UTC')`, on servers before 20.4 milliseconds as `Int64`; booleans are `UInt8`, decimals
/// `Decimal(38, 6)`, bytes and JSON `String`. A float that is not finite is written as null, and a list that is null
/// as an empty list. An integer beyond 2⁶³ − 1 is written as 2⁶³ − 1; in a key column it is a permanent error, as is a
/// decimal of more than 38 digits in any. [`open`](Sink::open) creates missing tables and columns, and fails with a permanent error if a
/// table has another engine or order, or a column another type.
///
/// # Guarantees
///
/// Each call of [`apply`](Sink::apply) inserts the changes, and then their event time into `telemetra_progress`. If
/// the process is killed in between, it inserts the same rows again after its restart; of rows with the same key and
/// version ClickHouse keeps one. So the view `TABLE_current` is exact, and the table itself has duplicates until they
/// are merged. Whether an acknowledged insert survives a power cut of the server depends on the server's settings
/// (`fsync_after_insert`) and replicas.
///
/// Opening the sink takes the tables over from a process that wrote them before under the same
/// [pipeline name](Self::pipeline). Each call of `apply` of that process looks for a successor first, and fails with a
/// permanent error if there is one; a call that was under way is written, which changes nothing for the view if both
/// have the same input. Opening fails with a permanent error if a pipeline of another name writes one of the tables.
///
/// # Errors and cost
///
/// ClickHouse makes a part for each insert, and there is at least one insert for each table with changes and call of
/// `apply`. Its error `too many parts` is transient, as are lost connections, time-outs, and a server without free
/// memory or disk space: the pipeline repeats the call with backoff. A wrong password, a missing right, a certificate
/// that is not trusted and a row that does not fit are permanent errors. Dead letters are not written.
///
/// A call of `apply` takes two requests beside the inserts: it reads `telemetra_progress` before them and adds a row to it
/// after them. Rows are sent in blocks of 8 MiB, and one block is held in memory.
///
/// The user needs the rights to `CREATE`, `ALTER`, `SELECT`, `INSERT` and `TRUNCATE` in the database, which has to exist.
///
/// ```
/// use std::time::Duration;
/// use telemetra_sinks::ClickHouse;
///
/// // It connects when it is opened.
/// let sink = ClickHouse::new("https://clickhouse.example:8443")?
///     .database("plant")
///     .user("telemetra", "secret")
///     .timeout(Duration::from_secs(60));
/// assert!(!format!("{sink:?}").contains("secret"));
/// assert!(ClickHouse::new("https://telemetra:secret@clickhouse.example:8443").is_err());
/// # Ok::<(), telemetra_core::ConfigError>(())
/// ```
pub struct ClickHouse {
    server: Server,
    start_over: bool,
    pipeline: Option<String>,
    /// The name of the pipeline that this sink belongs to, as the pipeline gives it.
    part_of: Option<String>,
    opened: Option<Opened>,
}

/// The sink between `open` and `close`.
struct Opened {
    session: Session,
    tables: Vec<Arc<Table>>,
    progress: Progress,
    buffer: Vec<u8>,
}

/// Shows no password.
impl fmt::Debug for ClickHouse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClickHouse").field("server", &self.server.shown()).finish_non_exhaustive()
    }
}

impl ClickHouse {
    /// Creates a sink for the server at this URL, with the port of its HTTP interface: `http://host:8123`, or
    /// `https://host:8443`. It connects when it is opened.
    ///
    /// # Errors
    ///
    /// If the URL does not have this form, or contains a path, a query, or a user and password; set the latter by
    /// [`user`](Self::user).
    pub fn new(url: &str) -> Result<Self, ConfigError> {
        let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        let host = rest.map(|rest| rest.trim_end_matches('/')).unwrap_or_default();
        if host.is_empty() || host.contains(['/', '?', '#', '@']) || host.contains(char::is_whitespace) {
            let hint = "give one like http://localhost:8123, and the user by `user`";
            return Err(ConfigError::new("url", "it is not a scheme, a host and a port", hint));
        }
        let server = Server {
            url: url.to_owned(),
            database: "default".to_owned(),
            user: None,
            authority: None,
            timeout: Duration::from_secs(30),
        };
        Ok(Self { server, start_over: false, pipeline: None, part_of: None, opened: None })
    }

    /// Sets the database, which must exist; opening the sink fails with a permanent error if it does not. Default:
    /// `default`.
    #[must_use]
    pub fn database(mut self, name: &str) -> Self {
        self.server.database = name.to_owned();
        self
    }

    /// Sets the user and the password. Default: the server's user `default`, without a password. Over
    /// `http://` the password crosses the network in clear.
    #[must_use]
    pub fn user(mut self, name: &str, password: &str) -> Self {
        self.server.user = Some((name.to_owned(), password.to_owned()));
        self
    }

    /// Sets the certificate authority, in PEM, that must have signed the server's certificate. Default: the
    /// authorities that the system trusts. It is parsed when the sink is opened; if it is not PEM, opening fails with a
    /// permanent error.
    #[must_use]
    pub fn authority(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.server.authority = Some(pem.into());
        self
    }

    /// Sets how long one request may take, from the connection to the end of the answer. A request that takes
    /// longer is a transient error and is repeated. Default: 30 s; limited to between 1 ms and one hour.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.server.timeout = timeout.clamp(Duration::from_millis(1), Duration::from_secs(3600));
        self
    }

    /// Sets the name of the pipeline that owns the tables, under which `telemetra_progress` holds its time.
    /// Default: the name of the pipeline that the sink is added to.
    #[must_use]
    pub fn pipeline(mut self, name: &str) -> Self {
        self.pipeline = Some(name.to_owned());
        self
    }

    /// Empties the tables of an earlier run when the pipeline starts without a checkpoint, and so from the beginning of
    /// its input. They are emptied at the first change. Default: off, so all batches up to the time found in
    /// `telemetra_progress` are skipped, which is right if the input is the same as before.
    #[must_use]
    pub fn start_over(mut self) -> Self {
        self.start_over = true;
        self
    }
}

impl Opened {
    /// Inserts the changes of these batches.
    fn insert(&mut self, batches: &[Batch]) -> Result<(), ExternalError> {
        for table in &self.tables {
            self.buffer.clear();
            for batch in batches {
                for change in batch.changes.iter().filter(|change| change.table() == table.name()) {
                    encode::row(&mut self.buffer, table, change, batch.time).map_err(|why| {
                        let row = RowKey::of(&*change.row);
                        ExternalError::permanent(format!(
                            "could not write the row {row} to ClickHouse: {why}"
                        ))
                    })?;
                    if self.buffer.len() >= BLOCK {
                        send(&self.session, table, &mut self.buffer)?;
                    }
                }
            }
            send(&self.session, table, &mut self.buffer)?;
        }
        Ok(())
    }

    /// Empties the tables of an earlier run.
    fn begin_over(&mut self) -> Result<(), ExternalError> {
        for table in &self.tables {
            let what = format!("could not empty the table {}", table.name());
            self.session.query(&format!("TRUNCATE TABLE {}", name(table.name())), &what)?;
        }
        self.progress.run.begin_over();
        self.progress.store(&self.session)
    }
}

/// Inserts rows, and clears them.
fn send(session: &Session, table: &Table, rows: &mut Vec<u8>) -> Result<(), ExternalError> {
    if rows.is_empty() {
        return Ok(());
    }
    let own = encode::OWN.map(|(name, _)| name.to_owned());
    let columns: Vec<_> = table.all_columns().iter().map(|column| name(&column.name)).chain(own).collect();
    let sql = format!("INSERT INTO {} ({}) FORMAT RowBinary", name(table.name()), columns.join(", "));
    session.insert(&sql, rows, &format!("could not insert into the table {}", table.name()))?;
    rows.clear();
    Ok(())
}

impl Sink for ClickHouse {
    fn name(&self) -> &str {
        "clickhouse"
    }

    fn part_of(&mut self, pipeline: &str) {
        self.part_of = Some(pipeline.to_owned());
    }

    fn progress(&mut self) -> Result<SinkProgress, ExternalError> {
        let session = self.server.connect().map_err(|error| ExternalError::permanent(error.to_string()))?;
        let pipeline = self.pipeline.as_deref().or(self.part_of.as_deref()).unwrap_or(owner::UNNAMED);
        Ok(SinkProgress::Until(progress::reached(&session, pipeline)?))
    }

    fn open(
        &mut self,
        tables: &[Arc<Table>],
        resume: Option<EventTime>,
    ) -> Result<Option<EventTime>, ExternalError> {
        self.opened = None;
        let session = self.server.connect().map_err(|error| ExternalError::permanent(error.to_string()))?;
        let pipeline = self.pipeline.as_deref().or(self.part_of.as_deref()).unwrap_or(owner::UNNAMED);
        let has_millis = tables::has_millis(&session)?;
        tables::make_progress(&session)?;
        // Who owns the tables is settled before anything is done to them.
        let how = (self.start_over && resume.is_none(), resume.is_some());
        let progress = Progress::enter(&session, Owner::new(pipeline, tables), how)?;
        for table in tables {
            tables::make(&session, table, has_millis)?;
        }
        let time = progress.run.time;
        self.opened = Some(Opened { session, tables: tables.to_vec(), progress, buffer: Vec::new() });
        Ok(time)
    }

    fn apply(&mut self, batches: &[Batch]) -> Result<(), ExternalError> {
        let Some(opened) = &mut self.opened else {
            let what = format!(
                "could not write to {}: the sink is not open; call `open` first",
                self.server.shown()
            );
            return Err(ExternalError::permanent(what));
        };
        let known = batches.partition_point(|batch| Some(batch.time) <= opened.progress.run.time);
        let Some(last) = batches[known..].last() else { return Ok(()) };
        let batches = &batches[known..];
        let is_known = |name: &str| opened.tables.iter().any(|table| table.name() == name);
        let stranger =
            batches.iter().flat_map(|batch| &batch.changes).find(|change| !is_known(change.table()));
        if let Some(change) = stranger {
            let row = RowKey::of(&*change.row);
            let why = "the sink was not opened with its table";
            return Err(ExternalError::permanent(format!(
                "could not write the row {row} to ClickHouse: {why}"
            )));
        }
        opened.progress.check(&opened.session)?;
        if opened.progress.run.starts_over && batches.iter().any(|batch| !batch.changes.is_empty()) {
            opened.begin_over()?;
        }
        opened.insert(batches)?;
        opened.progress.reached(&opened.session, last.time)
    }
}
