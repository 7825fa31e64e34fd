//! The file `progress.json`: the durable event time, and the lengths of the files as of that time.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use telemetra_core::{EventTime, ExternalError};

use super::file::{Place, failed, number_of, sync_folder};
use super::letters::Seen;

const NAME: &str = "progress.json";
const VERSION: u32 = 1;

/// How far the files are good.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Progress {
    version: u32,
    /// The last durable time.
    pub(super) time: Option<EventTime>,
    pub(super) changes: Option<Place>,
    pub(super) dead_letters: Option<Place>,
    pub(super) seen: Seen,
}

impl Progress {
    /// The progress of a new folder.
    pub(super) fn nothing() -> Self {
        Self { version: VERSION, time: None, changes: None, dead_letters: None, seen: Seen::new() }
    }

    /// What the folder says; a new folder is made and says that nothing is there.
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
                // Before any other file, so that one without it is never ours.
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

    /// Writes it beside its place, syncs it, and renames it into it.
    pub(super) fn store(&self, folder: &Path) -> Result<(), ExternalError> {
        let (path, beside) = (folder.join(NAME), folder.join(".progress.json.tmp"));
        let text = serde_json::to_vec(self).map_err(|error| failed("write", &path)(error.into()))?;
        let mut file = File::create(&beside).map_err(failed("write", &beside))?;
        file.write_all(&text).and_then(|()| file.sync_all()).map_err(failed("write", &beside))?;
        fs::rename(&beside, &path).map_err(failed("rename to", &path))?;
        sync_folder(folder)
    }
}
