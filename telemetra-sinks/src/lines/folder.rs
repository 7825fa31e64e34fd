//! A source of the files of a folder, which come, grow, are renamed, cut off and deleted.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use telemetra_core::{ExternalError, Partition, PartitionId, Polled, RecordBatch, Source};

use super::content::Content;
use super::framing::Framing;
use super::tail::{Tail, split};

/// The number of times that a file is looked for under the name that it had a moment ago.
const TRIES: usize = 3;

type Wanted = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// A source of the lines of all files of a folder, like `tail -F` of each. New files are found while the pipeline
/// runs and are read from their beginning; each file is a partition, and the source never ends. Subfolders are not
/// read. For a fixed list of files that ends, use [`Lines`](crate::Lines).
///
/// # Rotated, truncated and deleted files
///
/// A file is identified by its inode number and its creation time, not by its name.
///
/// * **Renamed.** A renamed file is read on from the same offset, also after a restart, as long as the condition of
///   [`files`](Self::files) holds for its new name. Another file that gets the old name is a new file. So rotation
///   by renaming loses and repeats nothing, if the condition holds for the names of rotated files too.
/// * **Truncated** (`copytruncate`). A truncated file is read again from its beginning, with an entry in the log.
///   Lines that were written and truncated between two checks are lost. A truncation is noticed by the length, by
///   the time of the last write, and then by the first 4 KiB and the 4 KiB before the offset.
/// * **Deleted.** If the pipeline runs, a deleted file is read to its end, and then its partition ends. If it is
///   deleted while the pipeline does not run, the lines after the checkpoint are lost; the log names the offset.
/// * **Compressed** (feature `compression`). A compressed file is read once, and then its partition ends. A file that
///   is compressed after it was read is a new file: exclude its name by [`files`](Self::files), or its lines count
///   twice.
///
/// # Event time
///
/// **Set [`TimeConfig::idle_after`](telemetra_core::TimeConfig::idle_after)**: a file that does not grow holds back the
/// watermark until it is idle, and so does the folder itself, which is a partition that never has a record. Events of
/// a new file are too late if they are older than the watermark by more than the allowed lateness.
///
/// # Cost
///
/// Each file stays open, so a folder of thousands of files needs as many file descriptors. In a cluster all processes
/// need to see the same folder. An offset is the position in the file in its lower 48 bits, and the number of
/// truncations in the upper bits.
///
/// # Errors
///
/// A folder that is missing, and a read or a listing that times out, are transient errors. A folder or file that cannot be read, for
/// example for lack of a right, is a permanent error, which names the path.
///
/// ```
/// use std::time::Duration;
/// use telemetra_core::Source;
/// use telemetra_sinks::Folder;
///
/// let folder = tempfile::tempdir()?;
/// for name in ["app.log", "app.log.2.gz", "notes.txt"] {
///     std::fs::write(folder.path().join(name), "one\n")?;
/// }
/// // app.log, and app.log.1 after rotation; not app.log.2.gz.
/// let mut source = Folder::new(folder.path())
///     .files(|name| name.starts_with("app.log") && !name.ends_with(".gz"))
///     .follow(Duration::from_millis(200))
///     .find_files_every(Duration::from_secs(5));
/// let before = source.partitions()?;
/// assert_eq!(before.len(), 2, "the folder and one file");
///
/// std::fs::rename(folder.path().join("app.log"), folder.path().join("app.log.1"))?;
/// assert_eq!(source.partitions()?, before, "it is the same file under another name");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Folder {
    path: PathBuf,
    wanted: Wanted,
    framing: Framing,
    pause: Duration,
    every: Duration,
    topic: Arc<str>,
    /// The path of each file when it was last listed.
    listed: BTreeMap<PartitionId, PathBuf>,
}

impl Folder {
    /// Creates a source of all files of the folder whose names do not begin with a dot. A folder that
    /// does not exist is a transient error, so the pipeline waits for it up to its `startup_timeout`. At the
    /// first start each file is read from its beginning.
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self {
            path: path.as_ref().to_owned(),
            wanted: Arc::new(|name| !name.starts_with('.')),
            framing: Framing::Lines,
            pause: Duration::from_millis(200),
            every: Duration::from_secs(1),
            topic: "".into(),
            listed: BTreeMap::new(),
        }
    }

    /// Sets the condition for a file to be read, by its name without the folder. The condition replaces the
    /// default, which excludes names that begin with a dot.
    #[must_use]
    pub fn files(mut self, wanted: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        self.wanted = Arc::new(wanted);
        self
    }

    /// Sets the pause at the end of a file before it is read again, in processing time. Default: 200 ms. A shorter
    /// pause reads new lines sooner, and costs a look at each file each time.
    #[must_use]
    pub fn follow(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    /// Sets the processing time between two searches for new files, which list the folder. Default: one second.
    #[must_use]
    pub fn find_files_every(mut self, every: Duration) -> Self {
        self.every = every;
        self
    }

    /// Reads each file as one JSON array, as [`Lines::json_array`](crate::Lines::json_array) does.
    #[must_use]
    pub fn json_array(mut self) -> Self {
        self.framing = Framing::Elements;
        self
    }

    /// Reads each file as CSV with a header row, as [`Lines::csv`](crate::Lines::csv) does.
    #[cfg(feature = "csv")]
    #[must_use]
    pub fn csv(mut self, delimiter: u8) -> Self {
        self.framing = Framing::Rows(delimiter);
        self
    }

    /// Sets the topic of all records, for decoders that distinguish kinds of records by topic. Default:
    /// empty.
    #[must_use]
    pub fn topic(mut self, topic: &str) -> Self {
        self.topic = topic.into();
        self
    }

    /// The partition that stands for the folder itself, so that a pipeline can wait for its first file.
    fn own(&self) -> PartitionId {
        PartitionId::new(&format!("{}#", self.path.display()))
    }

    /// The partition of a file.
    fn id_of(&self, name: &str, file: &Metadata) -> PartitionId {
        PartitionId::new(&format!("{}#{}", self.path.display(), number_of(name, file)))
    }

    /// Lists the files that are wanted.
    fn list(&mut self) -> Result<(), ExternalError> {
        let failed = |error| failed(&self.path, error);
        let mut listed = BTreeMap::new();
        for entry in fs::read_dir(&self.path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            // Through links, like opening it.
            match fs::metadata(entry.path()) {
                Ok(meta) if meta.is_file() && (self.wanted)(&name) => {
                    listed.insert(self.id_of(&name, &meta), entry.path());
                }
                Ok(_) => {}
                // It went meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(failed(error)),
            }
        }
        self.listed = listed;
        Ok(())
    }

    /// Opens the file of a partition, wherever it has been renamed to.
    fn find(&mut self, id: &PartitionId) -> Result<(PathBuf, File), ExternalError> {
        for _ in 0..TRIES {
            if let Some(path) = self.listed.get(id)
                && let Ok(file) = File::open(path)
            {
                let meta = file.metadata().map_err(|error| super::file::failed(path, 0, error))?;
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                if self.id_of(&name, &meta) == *id {
                    return Ok((path.clone(), file));
                }
            }
            self.list()?;
        }
        // Why it cannot be opened, if it is there.
        if let Some(path) = self.listed.get(id) {
            return File::open(path)
                .map(|file| (path.clone(), file))
                .map_err(|error| super::file::failed(path, 0, error));
        }
        Err(ExternalError::transient(format!(
            "could not open the partition `{id}`: its file is not in the folder {} any more",
            self.path.display()
        )))
    }

    fn open_at(
        &mut self,
        id: &PartitionId,
        from: u64,
        identity: Option<u64>,
    ) -> Result<Box<dyn Partition>, ExternalError> {
        if *id == self.own() {
            return Ok(Box::new(Itself { every: self.every, topic: Arc::clone(&self.topic) }));
        }
        let (path, file) = self.find(id)?;
        tracing::info!(partition = %id, path = %path.display(), "a file is read");
        let content = Content::new(file).map_err(|error| super::file::failed(&path, 0, error))?;
        let tail = Tail::open(path, content, from, identity, (self.framing, self.pause), &self.topic)?;
        Ok(Box::new(tail))
    }
}

impl fmt::Debug for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Folder").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Source for Folder {
    fn partitions(&mut self) -> Result<Vec<PartitionId>, ExternalError> {
        self.list()?;
        Ok(std::iter::once(self.own()).chain(self.listed.keys().cloned()).collect())
    }

    fn open(&mut self, id: &PartitionId, from: Option<u64>) -> Result<Box<dyn Partition>, ExternalError> {
        self.open_at(id, from.unwrap_or(0), None)
    }

    fn resume(
        &mut self,
        id: &PartitionId,
        from: u64,
        identity: Option<u64>,
    ) -> Result<Box<dyn Partition>, ExternalError> {
        self.open_at(id, from, identity)
    }

    fn refresh_every(&self) -> Option<Duration> {
        Some(self.every)
    }

    fn may_be_gone(&mut self, id: &PartitionId, offset: u64) -> bool {
        let is_ours = id.as_str().starts_with(self.own().as_str());
        if is_ours {
            let (_, position) = split(offset);
            tracing::warn!(
                partition = %id, position,
                "a file is not in its folder any more, or not wanted: what it had beyond this position is not read"
            );
        }
        is_ours
    }
}

fn failed(folder: &Path, error: io::Error) -> ExternalError {
    let what = format!("could not list the folder {}", folder.display());
    match error.kind() {
        // It may be made or mounted later.
        io::ErrorKind::NotFound => ExternalError::transient(what).because(error),
        _ => super::file::classified(what, error),
    }
}

/// The identity of a file, whatever its name is.
#[cfg(unix)]
fn number_of(_: &str, file: &Metadata) -> String {
    use std::os::unix::fs::MetadataExt;
    // The number alone may be given to another file after this one is deleted.
    let made = file.created().ok().and_then(|made| made.duration_since(UNIX_EPOCH).ok());
    format!("{}-{}", file.ino(), made.map_or(0, |made| made.as_nanos()))
}

/// Without file numbers, a file is known by its name, and one that is renamed is another.
#[cfg(not(unix))]
fn number_of(name: &str, file: &Metadata) -> String {
    let made = file.created().ok().and_then(|made| made.duration_since(UNIX_EPOCH).ok());
    format!("{name}-{}", made.map_or(0, |made| made.as_nanos()))
}

/// The partition of the folder itself: it has no record and no end.
#[derive(Debug)]
struct Itself {
    every: Duration,
    topic: Arc<str>,
}

impl Partition for Itself {
    fn poll(&mut self, _: &mut RecordBatch) -> Result<Polled, ExternalError> {
        Ok(Polled::Idle(self.every))
    }

    fn offset(&self) -> u64 {
        0
    }

    fn topic(&self) -> &str {
        &self.topic
    }
}

#[cfg(test)]
mod tests {
    use telemetra_core::Retry;

    use super::*;

    #[test]
    fn listing_fails_for_the_moment_by_what_reading_does_and_where_there_is_no_folder() {
        let path = Path::new("logs");
        for kind in [io::ErrorKind::TimedOut, io::ErrorKind::ResourceBusy, io::ErrorKind::PermissionDenied] {
            let reading = super::super::file::failed(path, 0, kind.into()).retry();
            assert_eq!(failed(path, kind.into()).retry(), reading, "{kind}");
        }
        assert_eq!(failed(path, io::ErrorKind::TimedOut.into()).retry(), Retry::Transient);
        assert_eq!(failed(path, io::ErrorKind::NotFound.into()).retry(), Retry::Transient);
    }
}
