//! The file `progress.json` of a sink that keeps its rows, or how far it has come, in a folder.

use std::fs;
use std::io;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use telemetra_core::ExternalError;

use crate::disk::{failed, replace};
use crate::run::refused;

pub(crate) const NAME: &str = "progress.json";
/// The version of the format of all sinks' files.
pub(crate) const VERSION: u32 = 1;

/// Reads the file in a folder; `None` if there is none. `place` is what users know the folder by, and `version_of`
/// the version of the format that wrote it.
///
/// # Errors
///
/// If it is damaged, or of a later version.
pub(crate) fn read<P: DeserializeOwned>(
    folder: &Path,
    place: &Path,
    version_of: impl Fn(&P) -> u32,
) -> Result<Option<P>, ExternalError> {
    let path = folder.join(NAME);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("read", &path)(error)),
    };
    let place = place.display().to_string();
    let progress: P = serde_json::from_slice(&text)
        .map_err(|error| refused(&place, &format!("its {NAME} is damaged; restore it")).because(error))?;
    let version = version_of(&progress);
    if version > VERSION {
        let why = format!(
            "its {NAME} has version {version} and this version of telemetra knows up to {VERSION}; use the newer one"
        );
        return Err(refused(&place, &why));
    }
    Ok(Some(progress))
}

/// Writes the file under a temporary name, syncs it, and renames it.
///
/// # Errors
///
/// If that fails.
pub(crate) fn write(folder: &Path, progress: &impl Serialize) -> Result<(), ExternalError> {
    let text =
        serde_json::to_vec(progress).map_err(|error| failed("write", &folder.join(NAME))(error.into()))?;
    replace(folder, NAME, &text)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read_back(folder: &Path) -> Result<Option<Value>, ExternalError> {
        read(folder, folder, |progress: &Value| u32::try_from(progress["version"].as_u64().unwrap()).unwrap())
    }

    #[test]
    fn what_is_written_is_read_and_what_cannot_be_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().display().to_string();
        assert!(read_back(folder.path()).unwrap().is_none());

        let progress = json!({ "version": VERSION, "time": 7 });
        write(folder.path(), &progress).unwrap();
        assert_eq!(read_back(folder.path()).unwrap(), Some(progress));

        write(folder.path(), &json!({ "version": VERSION + 1 })).unwrap();
        let newer = read_back(folder.path()).unwrap_err().to_string();
        assert!(newer.contains(&place) && newer.contains("version 2"), "{newer}");

        fs::write(folder.path().join(NAME), b"{\"version\":").unwrap();
        let damaged = read_back(folder.path()).unwrap_err().to_string();
        assert!(damaged.contains(&place) && damaged.contains("progress.json is damaged"), "{damaged}");
    }
}
