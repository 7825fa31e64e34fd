//! Lines of text as records: from files, or from standard input.
//!
//! The idea: blocks are read straight into the batch and cut in place, so that a line costs a search for its end and
//! no copy. A line's offset is the position of its first byte in the file, so that resuming is a seek.

mod content;
mod file;
mod pace;
mod packed;
mod splitter;
mod stream;

pub use pace::{Pace, event_time_by};

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use telemetra_core::{ExternalError, Partition, PartitionId, Source};

use file::FileLines;
use pace::Paced;
use stream::StreamLines;

/// A source of the lines of files, or of standard input: each line is a record, each file a partition, named by its path as given.
///
/// The record is the line without its `\n`, and without a `\r` before that. A last line needs no `\n`. Blank lines
/// are passed over. A line longer than [`RecordBatch::MAX_RECORD_BYTES`](telemetra_core::RecordBatch::MAX_RECORD_BYTES)
/// is marked as oversize and never held in memory.
///
/// Files are replayable, and a checkpoint knows which file it has an offset in: a restart refuses another file of the same path, by
/// the first 4 KiB and the 4 KiB before the offset. A last line that had no `\n` may get one, and more lines behind it.
/// A byte order mark at the beginning is passed over. What is compressed by gzip or zstd is decompressed, with the feature
/// `compression`; offsets are then those in the content, and a restart reads from the beginning up to its offset.
///
/// Standard input, and what else cannot be sought (a pipe), is read by a thread of its own and
/// cannot be resumed: to go on after a restart, write it to a file first.
///
/// ```
/// use telemetra_core::{RecordBatch, Source};
/// use telemetra_sinks::Lines;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("events.jsonl");
/// std::fs::write(&path, "one\r\n\ntwo")?;
///
/// let mut source = Lines::file(&path);
/// let id = source.partitions()?.remove(0);
/// let (mut partition, mut batch) = (source.open(&id, None)?, RecordBatch::default());
/// partition.poll(&mut batch)?;
/// let first = &batch.records()[0];
/// assert_eq!((batch.bytes_of(first), first.offset), (&b"one"[..], 0));
/// assert_eq!(partition.offset(), 6);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Lines {
    paths: Vec<PathBuf>,
    follow: Option<Duration>,
    pace: Option<Pace>,
    topic: Arc<str>,
}

impl Lines {
    /// The lines of one file; `-` is standard input.
    pub fn file(path: impl AsRef<Path>) -> Self {
        Self::files([path])
    }

    /// The lines of several files.
    pub fn files(paths: impl IntoIterator<Item = impl AsRef<Path>>) -> Self {
        let paths = paths.into_iter().map(|path| path.as_ref().to_owned()).collect();
        Self { paths, follow: None, pace: None, topic: "".into() }
    }

    /// The lines of standard input.
    #[must_use]
    pub fn stdin() -> Self {
        Self::file("-")
    }

    /// Waits at the end of each file for more, looking again after `pause`. A last line then needs its `\n`.
    #[must_use]
    pub fn follow(mut self, pause: Duration) -> Self {
        self.follow = Some(pause);
        self
    }

    /// The topic that decoders see of all records of these files, where they tell kinds of records by it. Default: empty.
    #[must_use]
    pub fn topic(mut self, topic: &str) -> Self {
        self.topic = topic.into();
        self
    }

    /// Gives each record when it is due, and not as fast as can be.
    #[must_use]
    pub fn paced(mut self, pace: Pace) -> Self {
        self.pace = Some(pace);
        self
    }
}

impl Lines {
    fn open_at(
        &self,
        partition: &PartitionId,
        from: u64,
        identity: Option<u64>,
    ) -> Result<Box<dyn Partition>, ExternalError> {
        let Some(path) = self.paths.iter().find(|path| id_of(path) == *partition) else {
            return Err(ExternalError::permanent(format!(
                "could not open the partition `{partition}`: it is not among the files given; \
                 a checkpoint needs the same paths as before"
            )));
        };
        let lines: Box<dyn Partition> = if path.as_os_str() == "-" || is_pipe(path) {
            Box::new(StreamLines::open(path, from, &self.topic)?)
        } else {
            Box::new(FileLines::open(path, from, identity, self.follow, &self.topic)?)
        };
        Ok(match &self.pace {
            Some(pace) => Box::new(Paced::new(lines, pace.clone())),
            None => lines,
        })
    }
}

/// The name of a path's partition. Paths that are not UTF-8 have replacement characters in it.
fn id_of(path: &Path) -> PartitionId {
    PartitionId::new(&path.to_string_lossy())
}

impl Source for Lines {
    fn partitions(&mut self) -> Result<Vec<PartitionId>, ExternalError> {
        let ids: Vec<_> = self.paths.iter().map(|path| id_of(path)).collect();
        let mut sorted = ids.clone();
        sorted.sort();
        match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(ExternalError::permanent(format!(
                "could not read `{}` as two partitions: the path is given twice; give each file once",
                pair[0]
            ))),
            None => Ok(ids),
        }
    }

    fn open(
        &mut self,
        partition: &PartitionId,
        from: Option<u64>,
    ) -> Result<Box<dyn Partition>, ExternalError> {
        self.open_at(partition, from.unwrap_or(0), None)
    }

    fn resume(
        &mut self,
        partition: &PartitionId,
        from: u64,
        identity: Option<u64>,
    ) -> Result<Box<dyn Partition>, ExternalError> {
        self.open_at(partition, from, identity)
    }
}

/// Whether there is something at the path that is neither a file nor a folder.
fn is_pipe(path: &Path) -> bool {
    path.metadata().is_ok_and(|meta| !meta.is_file() && !meta.is_dir())
}
