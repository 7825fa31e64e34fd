//! Changes as lines of JSON: a log that other tools can read, follow and replay.
//!
//! The idea: files only grow, so a restart needs to know no more than how long they were when the last batch was durable.
//! That is in `progress.json`; what lies beyond is cut off, and the log is as if nothing had happened.

mod file;
mod letters;
pub(crate) mod line;
mod progress;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use telemetra_core::{Batch, DeadLetter, EventTime, ExternalError, Sink, Table};

use crate::owner::{self, Lock, Owner};
use file::Rolling;
use letters::Known;
use line::ChangeLines;
use progress::Progress;

/// Lines are written out when there are so many bytes of them.
const BLOCK: usize = 1024 * 1024;

/// A log of changes in files of a folder, each change a line of JSON.
///
/// * `changes-….jsonl`: a line is an object with `table`, `time` (the event time at which the change took effect), `action`
///   (`upsert` or `withdraw`), `revision`, and the row's columns but for the one that holds the revision; times are RFC 3339. A column
///   of the name of one of these four gets an underscore behind it: `time_`. After the last change of a time comes a line of the table
///   `telemetra_progress`: what is before it is complete.
/// * `dead_letters-….jsonl`: a line is a record that was not counted: `partition`, `offset`, `index`, `time`, `fate`, `reason`, and `record`,
///   or `record_hex` where the record is not UTF-8.
/// * `progress.json`: the last durable time, and how long the files were then.
///
/// Files sort by time: the number in the name of a file of changes is that of its first batch, in milliseconds; files of dead letters are
/// numbered. They are rotated between batches.
///
/// Each [`apply`](Sink::apply) is synced before it returns. When it is opened again, everything after the last durable time is
/// cut off, so that each change is there once. So is each dead letter: one that lies before the last of its partition is
/// looked for in the files, which are read once for that if such a one comes.
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
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct JsonLines {
    settings: Settings,
    /// The name of the pipeline that it is a sink of.
    part_of: Option<String>,
    opened: Option<Opened>,
}

#[derive(Debug)]
struct Settings {
    folder: PathBuf,
    rotate_bytes: u64,
    /// In milliseconds of event time.
    rotate_every: Option<u64>,
    start_over: bool,
    pipeline: Option<String>,
}

#[derive(Debug)]
struct Opened {
    /// What is durable.
    durable: Progress,
    /// What is written, and will be durable with the next batch.
    written: Progress,
    known: Known,
    changes: Rolling,
    letters: Rolling,
    lines: ChangeLines,
    /// After an error the files may end in half a line.
    torn: bool,
    /// Whether the dead letters there are of an earlier run that this one takes the place of.
    letters_are_old: bool,
    text: String,
    /// Keeps others away from the folder.
    _lock: Lock,
}

impl JsonLines {
    /// A log in this folder, which is made if there is none.
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

    /// Begins a new file once one has this many bytes. Default: 256 MiB.
    #[must_use]
    pub fn rotate_bytes(mut self, bytes: u64) -> Self {
        self.settings.rotate_bytes = bytes;
        self
    }

    /// Also begins a new file of changes whenever so much event time is full, counted from the epoch: with an hour there is one
    /// for each. To the millisecond; zero is never. Default: never.
    #[must_use]
    pub fn rotate_every(mut self, interval: Duration) -> Self {
        let millis = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX);
        self.settings.rotate_every = (!interval.is_zero()).then_some(millis.max(1));
        self
    }

    /// The pipeline whose changes these are: a folder is one pipeline's. Default: the pipeline's name.
    #[must_use]
    pub fn pipeline(mut self, name: &str) -> Self {
        self.settings.pipeline = Some(name.to_owned());
        self
    }

    /// Removes the files of an earlier run when a pipeline starts from the beginning. Without this it goes on after the time found in
    /// them, which is right where the input is the same as before. A pipeline that starts from a checkpoint
    /// keeps them in any case.
    ///
    /// They are removed by the first change: a run that has none, as its input is empty or cannot be read, leaves those of the earlier
    /// run as they are.
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
        fs::create_dir_all(folder).map_err(file::failed("make the folder", folder))?;
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

    /// Removes what an earlier run has left, now that there is something to take its place.
    fn begin_over(&mut self, folder: &Path) -> Result<(), ExternalError> {
        if self.written.starts_over {
            self.written.begin_over();
            self.written.store(folder)?;
            self.durable = self.written.clone();
            self.changes.restore(None)?;
        }
        self.remove_old_letters(folder)
    }

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

    /// Cuts off what an error left behind. What is written next may fail too, and clears the mark if it does not.
    fn mend(&mut self, folder: &Path) -> Result<(), ExternalError> {
        if std::mem::replace(&mut self.torn, true) {
            self.text.clear();
            // It may have been renamed and the error have come after.
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
        // Until then nothing is written behind the changes of another run.
        let lines = if self.written.starts_over { &[] } else { batches };
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
            self.written.time = Some(last.time);
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
    /// Whether a batch of that time begins a new file.
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
        Ok(opened.durable.time)
    }

    fn apply(&mut self, batches: &[Batch]) -> Result<(), ExternalError> {
        let Some(opened) = &mut self.opened else { return Err(not_open(&self.settings.folder)) };
        opened.mend(&self.settings.folder)?;
        let known = batches.partition_point(|batch| Some(batch.time) <= opened.durable.time);
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
