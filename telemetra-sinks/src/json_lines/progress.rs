//! The file `progress.json`: the durable event time, and the lengths of the files as of that time.

use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use telemetra_core::ExternalError;

use super::file::{Place, number_of};
use super::letters::Seen;
use crate::disk::{failed, replace};
use crate::owner::Owner;
use crate::run::{Run, refused};

const NAME: &str = "progress.json";
/// The version of the file's format.
const VERSION: u32 = 1;

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
        let path = folder.join(NAME);
        let refuse =
            |why: String| ExternalError::permanent(format!("could not go on in {}: {why}", folder.display()));
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let lines = ["changes-", "dead_letters-"];
                for entry in fs::read_dir(folder).map_err(failed("list", folder))? {
                    let name = entry.map_err(failed("list", folder))?.file_name();
                    let name = name.to_string_lossy();
                    if lines.iter().any(|prefix| number_of(&name, prefix).is_some()) {
                        return Err(refuse(format!(
                            "it has the file {name} and no {NAME}; restore that, or use another folder"
                        )));
                    }
                }
                let fresh = Self::nothing();
                // It is written before any other file, so a folder without it was never ours.
                fresh.store(folder)?;
                return Ok(fresh);
            }
            Err(error) => return Err(failed("read", &path)(error)),
        };
        let progress: Self = serde_json::from_slice(&text).map_err(|error| {
            refuse(format!("its {NAME} is damaged; restore it, or use another folder")).because(error)
        })?;
        if progress.version > VERSION {
            return Err(refuse(format!(
                "its {NAME} has version {} and this version of telemetra knows up to {VERSION}; use the newer one, or \
                 another folder",
                progress.version
            )));
        }
        Ok(progress)
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

    /// Writes the file under a temporary name, syncs it, and renames it.
    pub(super) fn store(&self, folder: &Path) -> Result<(), ExternalError> {
        let text =
            serde_json::to_vec(self).map_err(|error| failed("write", &folder.join(NAME))(error.into()))?;
        replace(folder, NAME, &text)
    }
}
