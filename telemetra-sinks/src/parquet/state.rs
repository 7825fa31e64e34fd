//! The folder: progress, the log, and the files that are made from it.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use telemetra_core::{Batch, EventTime, ExternalError};

use super::entry::day_text;
use super::file;
use super::log::Log;
use super::shape::{DAY, Shape};
use crate::disk::{failed, sync_folder};
use crate::owner::{Lock, Owner};
use crate::progress_file::{self, NAME, VERSION};
use crate::run::{Run, refused};

/// The folder of the sink's own files; readers pass over names that begin with an underscore.
pub(super) const OWN: &str = "_telemetra";
const BESIDE: &str = "file.tmp";

/// The contents of `progress.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Progress {
    version: u32,
    #[serde(flatten)]
    run: Run,
    /// The number of the log; changes of logs before it are in files.
    log: u64,
    /// The number of the first log of this run; files of logs before it are of an earlier run.
    from: u64,
}

/// The open folder.
#[derive(Debug)]
pub(super) struct State {
    root: PathBuf,
    own: PathBuf,
    progress: Progress,
    log: Log,
    _lock: Lock,
}

impl State {
    pub(super) fn open(
        root: &Path,
        owner: Owner,
        shapes: Vec<Shape>,
        (over, resumes): (bool, bool),
    ) -> Result<Self, ExternalError> {
        let own = root.join(OWN);
        fs::create_dir_all(&own).map_err(failed("make the folder", &own))?;
        let lock = Lock::claim(own.join(".lock"), root)?;
        let mut progress = load(root, &own)?;
        let found = Log::load(&own, progress.log)?;
        if found.is_none() && progress.run.time.is_some() {
            return Err(refused(&root.display().to_string(), "its log is gone; restore it"));
        }
        let log = match found {
            Some(log) => log,
            None => Log::create(&own, progress.log, shapes.clone())?,
        };
        log.remove_others()?;
        progress.run.time = log.time().or(progress.run.time);
        let mut state = Self { root: root.to_owned(), own, progress, log, _lock: lock };
        // Who owns the folder is settled before anything in it changes.
        let mut run = state.progress.run.clone();
        let has_rows = run.time.is_some();
        let entered = run.enter(owner, has_rows, (over, resumes));
        let is_new = entered.map_err(|why| refused(&root.display().to_string(), &why))?;
        if over || state.log.shapes() != shapes {
            // The changes of an earlier run, or of tables as they were, are in files of their own.
            state.rotate(shapes)?;
        }
        if is_new {
            state.progress.run = run;
            state.store()?;
        }
        state.remove_old()?;
        Ok(state)
    }

    /// The last durable time in a folder, which may be another process's.
    pub(super) fn reached(root: &Path) -> Result<Option<EventTime>, ExternalError> {
        let own = root.join(OWN);
        // Between the two another log may be begun, and this one deleted: then the progress has its time.
        loop {
            let read = || progress_file::read(&own, root, |progress: &Progress| progress.version);
            let Some(progress) = read()? else { return Ok(None) };
            let found = Log::load(&own, progress.log)?;
            if found.is_some() || read()?.is_some_and(|again| again.log == progress.log) {
                return Ok(found.and_then(|log| log.time()).or(progress.run.time));
            }
        }
    }

    /// The last durable time.
    pub(super) fn time(&self) -> Option<EventTime> {
        self.log.time().or(self.progress.run.time)
    }

    /// Appends batches and makes them durable. A batch for which `is_over` of the log's first time holds begins a
    /// new log, and so does one after a log of `most` bytes.
    pub(super) fn append(
        &mut self,
        batches: &[Batch],
        is_over: impl Fn(EventTime, EventTime) -> bool,
        most: u64,
    ) -> Result<(), ExternalError> {
        self.log.rewind()?;
        for batch in batches {
            if self.progress.run.starts_over {
                if batch.changes.is_empty() {
                    // Nothing is written behind the changes of another run.
                    self.progress.run.time = Some(batch.time);
                    self.store()?;
                    continue;
                }
                self.begin_over()?;
            }
            if self.log.first().is_some_and(|first| is_over(first, batch.time)) {
                self.rotate(self.log.shapes().to_vec())?;
            }
            self.log.append(batch)?;
            if self.log.length() >= most {
                self.rotate(self.log.shapes().to_vec())?;
            }
        }
        self.log.sync()
    }

    /// Deletes the files of an earlier run.
    fn begin_over(&mut self) -> Result<(), ExternalError> {
        self.progress.run.begin_over();
        self.progress.from = self.log.number();
        self.store()?;
        self.remove_old()
    }

    /// Makes files of the log, and begins a new one.
    pub(super) fn rotate(&mut self, shapes: Vec<Shape>) -> Result<(), ExternalError> {
        self.log.sync()?;
        if self.log.has_changes() {
            self.make_files()?;
        }
        let (next, time) = (self.log.number() + 1, self.time());
        let log = Log::create(&self.own, next, shapes)?;
        (self.progress.log, self.progress.run.time) = (next, time);
        // From here on the changes are those of the files, and before it those of the log.
        self.store()?;
        self.log = log;
        self.log.remove_others()
    }

    /// Returns whether changes are durable that are in no file yet.
    pub(super) fn has_pending(&self) -> bool {
        self.log.has_changes()
    }

    pub(super) fn shapes(&self) -> Vec<Shape> {
        self.log.shapes().to_vec()
    }

    /// Writes a file for each table and day of the log. Their names depend on the log alone, so files of a
    /// rotation that did not come to its end are replaced.
    fn make_files(&mut self) -> Result<(), ExternalError> {
        let first = self.log.first().unwrap_or_default();
        let name = format!("{:020}-{:010}.parquet", first.0, self.log.number());
        let (groups, shapes) = (self.log.read()?, self.log.shapes());
        let beside = self.own.join(BESIDE);
        let mut folders = BTreeSet::new();
        for ((table, day), changes) in groups {
            let Some(shape) = shapes.get(table as usize) else {
                let what = format!(
                    "the log in {} names a table that it does not have; restore it",
                    self.own.display()
                );
                return Err(ExternalError::permanent(what));
            };
            let folder = self.root.join(&shape.name).join(format!("{DAY}={}", day_text(day)));
            fs::create_dir_all(&folder).map_err(failed("make the folder", &folder))?;
            let path = folder.join(&name);
            file::write(&beside, shape, &mut changes.into_iter()).map_err(|error| match error {
                ::parquet::errors::ParquetError::External(error) => match error.downcast::<io::Error>() {
                    Ok(error) => failed("write", &path)(*error),
                    Err(error) => {
                        ExternalError::permanent(format!("could not write {}", path.display())).because(error)
                    }
                },
                error => {
                    ExternalError::permanent(format!("could not write {}", path.display())).because(error)
                }
            })?;
            fs::rename(&beside, &path).map_err(failed("rename to", &path))?;
            folders.extend(folder.ancestors().take(3).map(Path::to_owned));
        }
        folders.iter().try_for_each(|folder| sync_folder(folder))
    }

    /// Deletes the files of an earlier run, if this one has begun.
    fn remove_old(&self) -> Result<(), ExternalError> {
        if self.progress.from == 0 || self.progress.run.starts_over {
            return Ok(());
        }
        for path in files(&self.root)? {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if log_of(name).is_some_and(|log| log < self.progress.from) {
                fs::remove_file(&path).map_err(failed("remove", &path))?;
            }
        }
        Ok(())
    }

    fn store(&self) -> Result<(), ExternalError> {
        progress_file::write(&self.own, &self.progress)
    }
}

/// The number of the log that a file was made from; `None` for a file that is not ours.
pub(super) fn log_of(name: &str) -> Option<u64> {
    let (first, log) = name.strip_suffix(".parquet")?.split_once('-')?;
    (first.len() == 20 && log.len() == 10).then(|| log.parse().ok()).flatten()
}

/// The files of all tables and days.
fn files(root: &Path) -> Result<Vec<PathBuf>, ExternalError> {
    let folders = |folder: &Path, is_one: fn(&str) -> bool| -> Result<Vec<PathBuf>, ExternalError> {
        let mut found = Vec::new();
        for entry in fs::read_dir(folder).map_err(failed("list", folder))? {
            let path = entry.map_err(failed("list", folder))?.path();
            if path.file_name().and_then(|name| name.to_str()).is_some_and(is_one) {
                found.push(path);
            }
        }
        Ok(found)
    };
    let mut all = Vec::new();
    for table in folders(root, |name| !name.starts_with(['_', '.']))?.into_iter().filter(|path| path.is_dir())
    {
        for day in folders(&table, |name| name.starts_with("day="))? {
            all.extend(folders(&day, |name| log_of(name).is_some())?);
        }
    }
    Ok(all)
}

fn load(root: &Path, own: &Path) -> Result<Progress, ExternalError> {
    if let Some(progress) = progress_file::read(own, root, |progress: &Progress| progress.version)? {
        return Ok(progress);
    }
    if let Some(file) = files(root)?.first() {
        let why = format!("it has {} and no {NAME}; restore that", file.display());
        return Err(refused(&root.display().to_string(), &why));
    }
    let fresh = Progress { version: VERSION, run: Run::default(), log: 0, from: 0 };
    // It is written before any other file, so a folder without it was never ours.
    progress_file::write(own, &fresh)?;
    sync_folder(root)?;
    Ok(fresh)
}
