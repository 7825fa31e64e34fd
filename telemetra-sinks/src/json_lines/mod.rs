//! A sink that writes changes as lines of JSON: a changelog that other tools can read, follow and replay.
//!
//! Files are only appended to. The file `progress.json` holds their lengths at the last durable time. A
//! restart cuts off everything beyond, so the log is as if there had been no interruption.

mod file;
mod letters;
pub(crate) mod line;
mod progress;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use telemetra_core::{Batch, DeadLetter, EventTime, ExternalError, Sink, SinkProgress, Table};

use crate::disk::failed;
use crate::owner::{self, Lock, Owner};
use file::Rolling;
use letters::Known;
use line::ChangeLines;
use progress::Progress;

/// The number of buffered bytes at which lines are written to the file.
const BLOCK: usize = 1024 * 1024;

/// A sink that writes every change of a row as a line of JSON to files in a folder: a changelog, in which each
/// version of each row is one line. Query engines read the files of `Parquet` faster; lines of
/// JSON can be read, followed and replayed by any tool, and are there as soon as a batch is durable.
///
/// | file | contents |
/// |---|---|
/// | `changes-….jsonl` | changes of rows, and a mark after each complete event time |
/// | `dead_letters-….jsonl` | records that were not counted |
/// | `progress.json` | the last durable time, and the lengths of the files at that time |
///
/// * A **change** is an object with `table`, `time` (the event time at which it takes effect), `action`
///   (`upsert` or `withdraw`), `revision`, and the columns of the row, except the one that holds the
///   revision. Times are RFC 3339. A column with the name of one of these four fields gets an underscore, as
///   in `time_`.
/// * A **mark** is a line with the `table` `telemetra_progress`, after the last change of an event time. All
///   changes up to its `time` are before this line, so a reader that follows the file can wait for the mark.
/// * A **dead letter** is an object with `partition`, `offset`, `index`, `time` (the event time, if it is known),
///   `fate`, `reason`, `traceparent` (if the record had a valid one), and `record`, or `record_hex` if the record is
///   not UTF-8.
///
/// Files are rotated between batches, and their names sort by time. The number in the name of a file of
/// changes is the event time of its first batch in milliseconds; files of dead letters are numbered.
///
/// # Guarantees
///
/// * **Exactly once.** Each [`apply`](Sink::apply) syncs the files before it returns. Opening the sink again cuts
///   off everything after the last durable time, so each change is in the files once. A reader that follows the
///   files may have read lines beyond the last mark that a restart cuts off.
/// * **Dead letters** are also written once. To recognise a dead letter that comes again after a restart, the sink
///   may read the files of dead letters, once, and then holds their places in memory.
/// * **One writer.** A folder belongs to one pipeline. Opening it fails with a permanent error if another pipeline
///   wrote to it, and with a transient error while another process has it open.
/// * **Nothing is deleted**, except by [`start_over`](Self::start_over).
///
/// # Errors and cost
///
/// A full disk, a missing right and a damaged `progress.json` are permanent errors, which name the file; a file system
/// that is busy or does not answer in time is a transient error. A row that cannot be written as JSON is a permanent
/// error that names the row.
///
/// Each call of `apply` syncs the file of changes, and replaces `progress.json`, however many batches it has. Lines are
/// buffered up to 1 MiB. No row is kept in memory.
///
/// ```
/// use telemetra_core::{Batch, Column, ColumnKind, EventTime, Layout, Sink, Table, Value};
/// use telemetra_sinks::JsonLines;
///
/// let table = Table::new("sites").key(Column::new("site", ColumnKind::Text));
/// let sites = Layout::new(table, |site: &String, put| put(Value::Text(site)));
///
/// let folder = tempfile::tempdir()?;
/// let mut sink = JsonLines::new(folder.path());
/// sink.open(&[sites.table().clone()], None)?;
/// sink.apply(&[Batch { time: EventTime(59_999), changes: vec![sites.upsert("north".to_owned(), 0)] }])?;
/// let lines = std::fs::read_to_string(folder.path().join("changes-00000000000000059999.jsonl"))?;
/// let lines: Vec<_> = lines.lines().collect();
/// assert_eq!(lines, [
///     r#"{"table":"sites","time":"1970-01-01T00:00:59.999Z","action":"upsert","revision":0,"site":"north"}"#,
///     r#"{"table":"telemetra_progress","time":"1970-01-01T00:00:59.999Z","action":"upsert"}"#,
/// ]);
///
/// // A restart goes on after that time.
/// drop(sink);
/// let mut restarted = JsonLines::new(folder.path());
/// assert_eq!(restarted.open(&[sites.table().clone()], None)?, Some(EventTime(59_999)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct JsonLines {
    settings: Settings,
    /// The name of the pipeline that this sink belongs to, as the pipeline gives it.
    part_of: Option<String>,
    opened: Option<Opened>,
}

/// The settings of the sink.
#[derive(Debug)]
struct Settings {
    folder: PathBuf,
    rotate_bytes: u64,
    /// The event time of a file, in milliseconds.
    rotate_every: Option<u64>,
    start_over: bool,
    pipeline: Option<String>,
}

/// The state of the sink between `open` and `close`.
#[derive(Debug)]
struct Opened {
    /// The durable progress.
    durable: Progress,
    /// The progress that becomes durable with the next batch.
    written: Progress,
    known: Known,
    changes: Rolling,
    letters: Rolling,
    lines: ChangeLines,
    /// True if an error may have left half a line in a file.
    torn: bool,
    /// True if the dead letters are those of an earlier run, which the first letter or change of this run
    /// deletes.
    letters_are_old: bool,
    text: String,
    /// Prevents a second process from writing to the folder.
    _lock: Lock,
}

impl JsonLines {
    /// Creates a sink that writes to this folder, which is created when the sink is opened if it is missing. Nothing
    /// is read or written before.
    pub fn new(folder: impl AsRef<Path>) -> Self {
        let settings = Settings {
            folder: folder.as_ref().to_owned(),
            rotate_bytes: 256 * 1024 * 1024,
            rotate_every: None,
            start_over: false,
            pipeline: None,
        };
        Self { settings, part_of: None, opened: None }
    }

    /// Sets the size in bytes at which a new file is begun, of changes and of dead letters. A file may exceed it
    /// by one batch. Default: 256 MiB.
    #[must_use]
    pub fn rotate_bytes(mut self, bytes: u64) -> Self {
        self.settings.rotate_bytes = bytes;
        self
    }

    /// Also begins a new file of changes at every multiple of `interval` of event time, counted from the
    /// epoch: one hour gives a file for each hour. Fractions of a millisecond are ignored, and zero means
    /// never. Default: never.
    ///
    /// ```
    /// use std::time::Duration;
    /// use telemetra_core::{Batch, EventTime, Sink};
    /// use telemetra_sinks::JsonLines;
    ///
    /// let folder = tempfile::tempdir()?;
    /// let mut sink = JsonLines::new(folder.path()).rotate_every(Duration::from_secs(3600)).rotate_bytes(64 << 20);
    /// sink.open(&[], None)?;
    /// for minute in [58, 59, 60] {
    ///     sink.apply(&[Batch { time: EventTime(minute * 60_000), changes: vec![] }])?;
    /// }
    /// let has = |millis: u64| folder.path().join(format!("changes-{millis:020}.jsonl")).exists();
    /// assert_eq!([58, 59, 60].map(|minute| has(minute * 60_000)), [true, false, true]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn rotate_every(mut self, interval: Duration) -> Self {
        let millis = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX);
        self.settings.rotate_every = (!interval.is_zero()).then_some(millis.max(1));
        self
    }

    /// Sets the name of the pipeline that owns the folder. Default: the name of the pipeline that the sink is
    /// added to. Opening the folder under another name than before is a permanent error.
    ///
    /// ```
    /// use telemetra_core::{Retry, Sink};
    /// use telemetra_sinks::JsonLines;
    ///
    /// let folder = tempfile::tempdir()?;
    /// JsonLines::new(folder.path()).pipeline("plant").open(&[], None)?;
    /// let error = JsonLines::new(folder.path()).pipeline("office").open(&[], None).unwrap_err();
    /// assert_eq!(error.retry(), Retry::Permanent);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn pipeline(mut self, name: &str) -> Self {
        self.settings.pipeline = Some(name.to_owned());
        self
    }

    /// Deletes the files of an earlier run when the pipeline starts without a checkpoint, and so from the beginning
    /// of its input. Default: off, so all batches up to the time found in the folder are skipped, which is right
    /// if the input is the same as before.
    ///
    /// A pipeline that starts from a checkpoint keeps the files. They are deleted by the first change, so a
    /// run without any change leaves them in place.
    #[must_use]
    pub fn start_over(mut self) -> Self {
        self.settings.start_over = true;
        self
    }
}

impl Opened {
    fn load(
        folder: &Path,
        owner: Owner,
        tables: &[Arc<Table>],
        (over, resumes): (bool, bool),
    ) -> Result<Self, ExternalError> {
        fs::create_dir_all(folder).map_err(failed("make the folder", folder))?;
        let lock = Lock::claim(folder.join(".lock"), folder)?;
        let mut durable = Progress::load(folder)?;
        durable.enter(folder, owner, (over, resumes))?;
        let mut changes = Rolling::new(folder, "changes-");
        let mut letters = Rolling::new(folder, "dead_letters-");
        changes.restore(durable.changes.as_ref())?;
        letters.restore(durable.dead_letters.as_ref())?;
        let (written, known) = (durable.clone(), Known::new(durable.seen.clone()));
        Ok(Self {
            durable,
            written,
            known,
            changes,
            letters,
            lines: ChangeLines::new(tables),
            torn: false,
            letters_are_old: over,
            text: String::new(),
            _lock: lock,
        })
    }

    /// Deletes the files of an earlier run. Called when the first change of this run arrives.
    fn begin_over(&mut self, folder: &Path) -> Result<(), ExternalError> {
        if self.written.run.starts_over {
            self.written.begin_over();
            self.written.store(folder)?;
            self.durable = self.written.clone();
            self.changes.restore(None)?;
        }
        self.remove_old_letters(folder)
    }

    /// Deletes the dead letters of an earlier run.
    fn remove_old_letters(&mut self, folder: &Path) -> Result<(), ExternalError> {
        if std::mem::take(&mut self.letters_are_old) {
            (self.written.dead_letters, self.written.seen) = (None, BTreeMap::new());
            self.written.store(folder)?;
            self.durable = self.written.clone();
            self.letters.restore(None)?;
            self.known = Known::new(BTreeMap::new());
        }
        Ok(())
    }

    /// Cuts off what a failed write left behind. If the next write fails too, the mark stays.
    fn mend(&mut self, folder: &Path) -> Result<(), ExternalError> {
        if std::mem::replace(&mut self.torn, true) {
            self.text.clear();
            // The rename may have happened before the error.
            self.durable = Progress::load(folder)?;
            self.changes.restore(self.durable.changes.as_ref())?;
            self.letters.restore(self.written.dead_letters.as_ref())?;
        }
        Ok(())
    }

    fn write(&mut self, batches: &[Batch], sink: &Settings) -> Result<(), ExternalError> {
        if batches.iter().any(|batch| !batch.changes.is_empty()) {
            self.begin_over(&sink.folder)?;
        }
        // Nothing is written behind the changes of another run before that.
        let lines = if self.written.run.starts_over { &[] } else { batches };
        for batch in lines {
            if sink.is_over(&self.changes, batch.time) {
                self.changes.begin(batch.time.0)?;
            }
            let time = batch.time.to_string();
            for change in &batch.changes {
                self.lines.write(&mut self.text, change, batch.time, &time)?;
                if self.text.len() >= BLOCK {
                    self.changes.append(&mut self.text)?;
                }
            }
            line::write_progress(&mut self.text, &time);
            self.changes.append(&mut self.text)?;
        }
        self.changes.sync()?;
        self.letters.sync()?;
        if let Some(last) = batches.last() {
            self.written.run.time = Some(last.time);
            self.written.changes = self.changes.place();
        } else if self.written.dead_letters == self.durable.dead_letters {
            return Ok(());
        }
        self.written.store(&sink.folder)?;
        self.durable = self.written.clone();
        Ok(())
    }

    fn write_letters(&mut self, letters: &[DeadLetter], sink: &Settings) -> Result<(), ExternalError> {
        if letters.is_empty() {
            return Ok(());
        }
        self.remove_old_letters(&sink.folder)?;
        let mut seen = self.written.seen.clone();
        for letter in letters {
            let place = (letter.offset, letter.index);
            if self.known.has(letter, &sink.folder)? {
                continue;
            }
            match seen.get_mut(letter.partition.as_str()) {
                Some(last) => *last = place.max(*last),
                None => drop(seen.insert(letter.partition.as_str().to_owned(), place)),
            }
            if self.letters.length().is_none_or(|length| length >= sink.rotate_bytes) {
                self.letters.begin(self.letters.number().map_or(0, |number| number + 1))?;
            }
            line::write_letter(&mut self.text, letter);
            if self.text.len() >= BLOCK {
                self.letters.append(&mut self.text)?;
            }
        }
        self.letters.append(&mut self.text)?;
        self.written.dead_letters = self.letters.place();
        self.written.seen = seen;
        Ok(())
    }
}

impl Settings {
    /// Returns whether a batch of this time begins a new file.
    fn is_over(&self, changes: &Rolling, time: EventTime) -> bool {
        let (Some(length), Some(first)) = (changes.length(), changes.number()) else { return true };
        length >= self.rotate_bytes
            || self.rotate_every.is_some_and(|millis| first / millis != time.0 / millis)
    }
}

impl Sink for JsonLines {
    fn name(&self) -> &str {
        "json_lines"
    }

    fn part_of(&mut self, pipeline: &str) {
        self.part_of = Some(pipeline.to_owned());
    }

    fn progress(&mut self) -> Result<SinkProgress, ExternalError> {
        Ok(SinkProgress::Until(Progress::reached(&self.settings.folder)?))
    }

    fn open(
        &mut self,
        tables: &[Arc<Table>],
        resume: Option<EventTime>,
    ) -> Result<Option<EventTime>, ExternalError> {
        self.opened = None;
        let name = self.settings.pipeline.as_deref().or(self.part_of.as_deref());
        let owner = Owner::new(name.unwrap_or(owner::UNNAMED), tables);
        let how = (self.settings.start_over && resume.is_none(), resume.is_some());
        let opened = self.opened.insert(Opened::load(&self.settings.folder, owner, tables, how)?);
        Ok(opened.durable.run.time)
    }

    fn apply(&mut self, batches: &[Batch]) -> Result<(), ExternalError> {
        let Some(opened) = &mut self.opened else { return Err(not_open(&self.settings.folder)) };
        opened.mend(&self.settings.folder)?;
        let known = batches.partition_point(|batch| Some(batch.time) <= opened.durable.run.time);
        opened.write(&batches[known..], &self.settings)?;
        opened.torn = false;
        Ok(())
    }

    fn dead_letters(&mut self, letters: &[DeadLetter]) -> Result<(), ExternalError> {
        let Some(opened) = &mut self.opened else { return Err(not_open(&self.settings.folder)) };
        opened.mend(&self.settings.folder)?;
        opened.write_letters(letters, &self.settings)?;
        opened.torn = false;
        Ok(())
    }
}

fn not_open(folder: &Path) -> ExternalError {
    ExternalError::permanent(format!(
        "could not write to {}: the sink is not open; call `open` first",
        folder.display()
    ))
}
