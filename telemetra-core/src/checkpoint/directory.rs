//! The checkpoint store in a directory.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::CheckpointStore;
use crate::error::ExternalError;

/// A checkpoint store in a directory. Each blob is a file, which is written under a temporary name, synced
/// and renamed.
///
/// [`claim`](CheckpointStore::claim) locks a file for each place, `.place-0000` and so on, until the store
/// and its clones are dropped or the process ends. While a process has a place, no other process can claim
/// it. So two pipelines do not mix their checkpoints, and the processes of a cluster can share one directory.
/// The lock is that of the file system (`flock`); a file system without locks gives no protection.
///
/// ```
/// use telemetra_core::checkpoint::{CheckpointStore, Directory};
/// let folder = tempfile::tempdir()?;
/// let mut store = Directory::new(folder.path());
/// store.put("0001/part", b"state")?;
/// assert_eq!(store.get("0001/part")?.as_deref(), Some(&b"state"[..]));
/// assert_eq!(store.list()?, ["0001/part"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Directory {
    root: PathBuf,
    /// The locked files of the claimed places.
    places: Vec<Arc<Lock>>,
}

/// A file that is locked until the value is dropped.
#[derive(Debug)]
struct Lock(File);

impl Drop for Lock {
    /// Unlocks the file, not only closes it. The lock belongs to the open file, which a child process that
    /// this process is just starting has too, until it executes its program.
    fn drop(&mut self) {
        // A file system without locks.
        let _ = self.0.unlock();
    }
}

impl Directory {
    /// A store in this directory, which is created when it is first written to.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), places: Vec::new() }
    }

    fn path_of(&self, name: &str) -> Result<PathBuf, ExternalError> {
        let good = |part: &str| {
            !part.is_empty()
                && !part.starts_with('.')
                && part.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.'))
        };
        if !name.split('/').all(good) {
            return Err(ExternalError::permanent(format!("`{name}` cannot be a checkpoint's name")));
        }
        Ok(self.root.join(name))
    }

    /// Locks the file of a place.
    fn lock(&self, place: usize) -> Result<Arc<Lock>, ExternalError> {
        let path = self.root.join(format!("{PLACE}{place:04}"));
        let opened = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path);
        let mut file = opened.map_err(failed("claim a place by", &path))?;
        match file.try_lock() {
            Ok(()) => {
                // The number is for the error of the next process.
                let noted = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
                noted.map_err(failed("claim a place by", &path))?;
            }
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // Some systems do not allow to read a locked file.
                let _ = file.read_to_string(&mut holder);
                let holder = if holder.is_empty() { "another" } else { &holder };
                return Err(ExternalError::transient(format!(
                    "place {place} among the checkpoints in {} is held by process {holder}, \
                     which still runs; stop it, or give this pipeline another folder",
                    self.root.display()
                )));
            }
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {}
            Err(TryLockError::Error(error)) => return Err(failed("lock", &path)(error)),
        }
        Ok(Arc::new(Lock(file)))
    }

    /// The numbers of all places that have been claimed in this directory.
    fn known_places(&self) -> Result<Vec<usize>, ExternalError> {
        let mut places = Vec::new();
        for entry in fs::read_dir(&self.root).map_err(failed("list", &self.root))? {
            let name = entry.map_err(failed("list", &self.root))?.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix(PLACE));
            places.extend(number.and_then(|number| number.parse::<usize>().ok()));
        }
        Ok(places)
    }
}

/// The prefix of the names of places' files. No blob has such a name.
const PLACE: &str = ".place-";

/// Makes an error that says what was tried with which path.
fn failed(what: &str, path: &Path) -> impl FnOnce(io::Error) -> ExternalError {
    let what = format!("could not {what} the checkpoint at {}", path.display());
    move |error| ExternalError::permanent(what).because(error)
}

impl CheckpointStore for Directory {
    fn claim(&mut self, process: usize, processes: usize) -> Result<(), ExternalError> {
        // A store may claim again.
        self.places.clear();
        fs::create_dir_all(&self.root).map_err(failed("make the folder of", &self.root))?;
        let beyond = if process == 0 { self.known_places()? } else { Vec::new() };
        let beyond = beyond.into_iter().filter(|place| *place >= processes.max(1));
        let places = std::iter::once(process).chain(beyond).map(|place| self.lock(place));
        self.places = places.collect::<Result<_, _>>()?;
        Ok(())
    }

    fn put(&mut self, name: &str, blob: &[u8]) -> Result<(), ExternalError> {
        let path = self.path_of(name)?;
        let folder = path.parent().unwrap_or(&self.root);
        fs::create_dir_all(folder).map_err(failed("make the folder of", &path))?;
        let beside = folder.join(format!(".{}.tmp", path.file_name().unwrap_or_default().display()));
        let mut file = File::create(&beside).map_err(failed("write", &path))?;
        file.write_all(blob).map_err(failed("write", &path))?;
        file.sync_all().map_err(failed("sync", &path))?;
        fs::rename(&beside, &path).map_err(failed("rename", &path))?;
        // The rename is durable only when the directories are, up to the root.
        for up in folder.ancestors() {
            File::open(up).and_then(|dir| dir.sync_all()).map_err(failed("sync the folder of", &path))?;
            if up == self.root {
                break;
            }
        }
        Ok(())
    }

    fn get(&mut self, name: &str) -> Result<Option<Vec<u8>>, ExternalError> {
        let path = self.path_of(name)?;
        match fs::read(&path) {
            Ok(blob) => Ok(Some(blob)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("read", &path)(error)),
        }
    }

    fn list(&mut self) -> Result<Vec<String>, ExternalError> {
        let mut names = Vec::new();
        let mut folders = vec![self.root.clone()];
        while let Some(folder) = folders.pop() {
            let entries = match fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(failed("list", &folder)(error)),
            };
            for entry in entries {
                let path = entry.map_err(failed("list", &folder))?.path();
                if path.file_name().is_some_and(|n| n.as_encoded_bytes().starts_with(b".")) {
                    continue;
                }
                if path.is_dir() {
                    folders.push(path);
                } else if let Some(name) = path.strip_prefix(&self.root).ok().and_then(Path::to_str) {
                    names.push(name.replace(std::path::MAIN_SEPARATOR, "/"));
                }
            }
        }
        names.sort();
        Ok(names)
    }

    fn remove(&mut self, name: &str) -> Result<(), ExternalError> {
        let path = self.path_of(name)?;
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", &path)(error)),
            _ => {
                // The directory of a group is removed with its last blob.
                if let Some(folder) = path.parent().filter(|folder| *folder != self.root) {
                    let _ = fs::remove_dir(folder);
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_place_is_free_while_a_child_process_still_has_the_open_file()
    -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let mut store = Directory::new(folder.path());
        store.claim(0, 1)?;
        let of_the_child = store.places[0].0.try_clone()?;
        drop(store);
        Directory::new(folder.path()).claim(0, 1)?;
        drop(of_the_child);
        Ok(())
    }
}
