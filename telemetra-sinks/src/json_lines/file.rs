//! Numbered files in a folder, of which the last one is appended to and rotated.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use telemetra_core::ExternalError;

use crate::disk::{failed, sync_folder};

/// A file and its length.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) file: String,
    pub(super) length: u64,
}

/// The numbered files of a folder, of which the last is written to.
#[derive(Debug)]
pub(super) struct Rolling {
    folder: PathBuf,
    prefix: &'static str,
    current: Option<Current>,
}

/// The file that is written to.
#[derive(Debug)]
struct Current {
    number: u64,
    file: File,
    length: u64,
    synced: bool,
}

impl Rolling {
    pub(super) fn new(folder: &Path, prefix: &'static str) -> Self {
        Self { folder: folder.to_owned(), prefix, current: None }
    }

    /// Cuts off everything beyond `place`, and continues there.
    pub(super) fn restore(&mut self, place: Option<&Place>) -> Result<(), ExternalError> {
        self.current = None;
        let last = match place {
            None => None,
            Some(place) => Some(number_of(&place.file, self.prefix).ok_or_else(|| {
                ExternalError::permanent(format!(
                    "could not go on in {}: progress.json names the file {}, which is not one of `{}…`",
                    self.folder.display(),
                    place.file,
                    self.prefix
                ))
            })?),
        };
        for entry in fs::read_dir(&self.folder).map_err(failed("list", &self.folder))? {
            let path = entry.map_err(failed("list", &self.folder))?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if number_of(name, self.prefix).is_some_and(|number| Some(number) > last) {
                fs::remove_file(&path).map_err(failed("remove", &path))?;
            }
        }
        let (Some(place), Some(number)) = (place, last) else { return Ok(()) };
        let path = self.folder.join(&place.file);
        // A missing file is an error: an empty one would pass for it.
        let file = OpenOptions::new().append(true).open(&path).map_err(failed("open", &path))?;
        let length = file.metadata().map_err(failed("open", &path))?.len();
        if length < place.length {
            return Err(ExternalError::permanent(format!(
                "could not go on in {}: it has {length} bytes and had {} when it was last synced; restore it, or use \
                 another folder",
                path.display(),
                place.length
            )));
        }
        file.set_len(place.length).map_err(failed("cut off", &path))?;
        self.current = Some(Current { number, file, length: place.length, synced: false });
        Ok(())
    }

    /// Begins the file with this number.
    pub(super) fn begin(&mut self, number: u64) -> Result<(), ExternalError> {
        self.sync()?;
        let path = self.path_of(number);
        let file = OpenOptions::new().create(true).append(true).open(&path).map_err(failed("make", &path))?;
        sync_folder(&self.folder)?;
        self.current = Some(Current { number, file, length: 0, synced: true });
        Ok(())
    }

    /// Writes the text to the file, and clears it.
    pub(super) fn append(&mut self, text: &mut String) -> Result<(), ExternalError> {
        let Some(current) = &mut self.current else { return Ok(()) };
        if !text.is_empty() {
            current.synced = false;
            let path = self.folder.join(name_of(current.number, self.prefix));
            current.file.write_all(text.as_bytes()).map_err(failed("write to", &path))?;
            current.length += text.len() as u64;
            text.clear();
        }
        Ok(())
    }

    /// Makes everything written so far durable.
    pub(super) fn sync(&mut self) -> Result<(), ExternalError> {
        let Some(current) = self.current.as_mut().filter(|current| !current.synced) else { return Ok(()) };
        let path = self.folder.join(name_of(current.number, self.prefix));
        current.file.sync_data().map_err(failed("sync", &path))?;
        current.synced = true;
        Ok(())
    }

    pub(super) fn place(&self) -> Option<Place> {
        self.current
            .as_ref()
            .map(|current| Place { file: name_of(current.number, self.prefix), length: current.length })
    }

    pub(super) fn length(&self) -> Option<u64> {
        self.current.as_ref().map(|current| current.length)
    }

    pub(super) fn number(&self) -> Option<u64> {
        self.current.as_ref().map(|current| current.number)
    }

    fn path_of(&self, number: u64) -> PathBuf {
        self.folder.join(name_of(number, self.prefix))
    }
}

/// Returns the name of a file, padded to the greatest number, so that names sort like numbers.
fn name_of(number: u64, prefix: &str) -> String {
    format!("{prefix}{number:020}.jsonl")
}

/// Returns the number in a file's name, if it is one of these files.
pub(super) fn number_of(name: &str, prefix: &str) -> Option<u64> {
    let number = name.strip_prefix(prefix)?.strip_suffix(".jsonl")?;
    (number.len() == 20).then(|| number.parse().ok()).flatten()
}
