//! The folder of a webhook: its progress, and the changes that the receiver refused.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::PoisonError;

use serde::{Deserialize, Serialize};
use telemetra_core::{EventTime, ExternalError};

use crate::disk::{failed, sync_folder};
use crate::owner::{Lock, Owner};
use crate::progress_file::{self, VERSION};
use crate::run::{Run, refused};

const REFUSED: &str = "refused.jsonl";

/// The contents of `progress.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Progress {
    version: u32,
    #[serde(flatten)]
    run: Run,
    /// The number of times that a run has started over: a part of idempotency keys.
    number: u32,
}

/// The open folder.
#[derive(Debug)]
pub(super) struct State {
    folder: PathBuf,
    progress: Progress,
    /// A lock that is held while a refusal is appended.
    appends: Mutex<()>,
    _lock: Lock,
}

impl State {
    pub(super) fn open(
        folder: &Path,
        owner: Owner,
        (over, resumes): (bool, bool),
    ) -> Result<Self, ExternalError> {
        fs::create_dir_all(folder).map_err(failed("make the folder", folder))?;
        let lock = Lock::claim(folder.join(".lock"), folder)?;
        let fresh = Progress { version: VERSION, run: Run::default(), number: 0 };
        let read = progress_file::read(folder, folder, |progress: &Progress| progress.version)?;
        let mut progress = read.unwrap_or(fresh);
        let has_rows = progress.run.time.is_some();
        let place = folder.display().to_string();
        let entered = progress.run.enter(owner, has_rows, (over, resumes));
        let state = Self { folder: folder.to_owned(), progress, appends: Mutex::new(()), _lock: lock };
        if entered.map_err(|why| refused(&place, &why))? {
            state.store()?;
        }
        Ok(state)
    }

    /// Reads the durable time of a folder. Nothing is claimed or written; `None` if it is not one of a webhook's yet.
    pub(super) fn reached(folder: &Path) -> Result<Option<EventTime>, ExternalError> {
        let read = progress_file::read(folder, folder, |progress: &Progress| progress.version)?;
        Ok(read.and_then(|progress| progress.run.time))
    }

    /// The last durable time.
    pub(super) fn time(&self) -> Option<EventTime> {
        self.progress.run.time
    }

    /// The number of times that a run has started over.
    pub(super) fn number(&self) -> u32 {
        self.progress.number
    }

    /// Gives the rows of a run that starts over keys of their own. Called before its first change.
    pub(super) fn begin(&mut self) -> Result<(), ExternalError> {
        if self.progress.run.starts_over {
            self.progress.run.begin_over();
            self.progress.number = self.progress.number.saturating_add(1);
            self.store()?;
        }
        Ok(())
    }

    /// Makes it durable that everything up to a time was delivered.
    pub(super) fn delivered(&mut self, time: EventTime) -> Result<(), ExternalError> {
        self.progress.run.time = Some(time);
        self.store()
    }

    fn store(&self) -> Result<(), ExternalError> {
        progress_file::write(&self.folder, &self.progress)
    }

    /// Appends a line to the refused changes, and makes it durable.
    pub(super) fn keep_refused(&self, line: &str) -> Result<(), ExternalError> {
        let _held = self.appends.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.folder.join(REFUSED);
        let is_new = !path.exists();
        let mut file =
            OpenOptions::new().create(true).append(true).open(&path).map_err(failed("open", &path))?;
        let written = file.write_all(line.as_bytes()).and_then(|()| file.sync_data());
        written.map_err(failed("write to", &path))?;
        if is_new { sync_folder(&self.folder) } else { Ok(()) }
    }
}
