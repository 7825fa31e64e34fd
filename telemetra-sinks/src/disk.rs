//! Files that survive a crash: errors that say which file, synced folders, and files that are replaced as a whole.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use telemetra_core::ExternalError;

/// Replaces the file `name` in a folder: writes it under a temporary name, syncs it, and renames it.
pub(crate) fn replace(folder: &Path, name: &str, contents: &[u8]) -> Result<(), ExternalError> {
    let (path, beside) = (folder.join(name), folder.join(format!(".{name}.tmp")));
    let mut file = File::create(&beside).map_err(failed("write", &beside))?;
    file.write_all(contents).and_then(|()| file.sync_all()).map_err(failed("write", &beside))?;
    fs::rename(&beside, &path).map_err(failed("rename to", &path))?;
    sync_folder(folder)
}

/// Makes the names of files in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), ExternalError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed("sync", folder))
}

/// Builds the error of a failed operation: what was tried with which file, and what to do.
pub(crate) fn failed(what: &str, path: &Path) -> impl FnOnce(io::Error) -> ExternalError {
    let what = format!("could not {what} {}", path.display());
    move |error| {
        use io::ErrorKind::{FileTooLarge, QuotaExceeded, ResourceBusy, StorageFull, TimedOut};
        match error.kind() {
            StorageFull | QuotaExceeded | FileTooLarge => ExternalError::permanent(format!(
                "{what}: there is no room for it; make room or raise the limit, and restart"
            )),
            TimedOut | ResourceBusy => ExternalError::transient(what),
            _ => ExternalError::permanent(what),
        }
        .because(error)
    }
}
