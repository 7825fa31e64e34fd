//! The file `progress.json`: the durable event time, and the lengths of the files as of that time.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use telemetra_core::{EventTime, ExternalError};

use super::file::{Place, number_of};
use super::letters::Seen;
use crate::disk::failed;
use crate::owner::Owner;
use crate::progress_file::{self, NAME, VERSION};
use crate::run::{Run, refused};

/// The durable progress of a folder.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Progress {
    version: u32,
    #[serde(flatten)]
    pub(super) run: Run,
    pub(super) changes: Option<Place>,
    pub(super) dead_letters: Option<Place>,
    pub(super) seen: Seen,
}

impl Progress {
    /// The progress of a new folder.
    pub(super) fn nothing() -> Self {
        Self { version: VERSION, run: Run::default(), changes: None, dead_letters: None, seen: Seen::new() }
    }

    /// Reads the progress of a folder. A folder without files gets an empty one.
    pub(super) fn load(folder: &Path) -> Result<Self, ExternalError> {
        fs::create_dir_all(folder).map_err(failed("make the folder", folder))?;
        if let Some(progress) = progress_file::read(folder, folder, |progress: &Self| progress.version)? {
            return Ok(progress);
        }
        let lines = ["changes-", "dead_letters-"];
        for entry in fs::read_dir(folder).map_err(failed("list", folder))? {
            let name = entry.map_err(failed("list", folder))?.file_name();
            let name = name.to_string_lossy();
            if lines.iter().any(|prefix| number_of(&name, prefix).is_some()) {
                let why = format!("it has the file {name} and no {NAME}; restore that");
                return Err(refused(&folder.display().to_string(), &why));
            }
        }
        let fresh = Self::nothing();
        // It is written before any other file, so a folder without it was never ours.
        fresh.store(folder)?;
        Ok(fresh)
    }

    /// Reads the durable time of a folder. Nothing is written; `None` if it is not one of a sink's yet.
    pub(super) fn reached(folder: &Path) -> Result<Option<EventTime>, ExternalError> {
        if folder.join(NAME).exists() { Ok(Self::load(folder)?.run.time) } else { Ok(None) }
    }

    /// Registers a pipeline as the owner of the folder. With `over` it starts over: its time is cleared, and
    /// existing changes count as those of an earlier run.
    ///
    /// # Errors
    ///
    /// If the folder is another pipeline's.
    pub(super) fn enter(
        &mut self,
        folder: &Path,
        owner: Owner,
        (over, resumes): (bool, bool),
    ) -> Result<(), ExternalError> {
        let has_rows = self.changes.is_some();
        let place = folder.display().to_string();
        if self.run.enter(owner, has_rows, (over, resumes)).map_err(|why| refused(&place, &why))? {
            self.store(folder)?;
        }
        Ok(())
    }

    /// Forgets the changes of an earlier run.
    pub(super) fn begin_over(&mut self) {
        self.changes = None;
        self.run.begin_over();
    }

    pub(super) fn store(&self, folder: &Path) -> Result<(), ExternalError> {
        progress_file::write(folder, self)
    }
}
