//! A source of lines of text, from files, pipes or standard input.
//!
//! Blocks are read directly into the batch and split in place, so a line costs a search for its end and no
//! copy. The offset of a line is the position of its first byte, so resuming is a seek.

mod content;
mod elements;
mod file;
mod folder;
mod framed;
mod framing;
mod pace;
mod packed;
#[cfg(feature = "csv")]
mod rows;
mod splitter;
mod stream;
mod tail;

pub use folder::Folder;
pub use pace::{Pace, event_time_by};
#[cfg(feature = "csv")]
pub(crate) use rows::Header;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use telemetra_core::{ExternalError, Partition, PartitionId, Source};

use file::FileLines;
use framing::Framing;
use pace::Paced;
use stream::StreamLines;

/// A source of the lines of given files, of named pipes or of standard input. Each line is a record, and each file
/// a partition, whose id is the path as given. For files that appear while the pipeline runs, use [`Folder`].
///
/// * A record is the line without its `\n`, and without a `\r` before it. The last line needs no `\n`. Empty
///   lines and a byte order mark are skipped.
/// * A line longer than [`RecordBatch::MAX_RECORD_BYTES`](telemetra_core::RecordBatch::MAX_RECORD_BYTES) is
///   marked as oversize and never held in memory.
/// * **Files** can be replayed. A checkpoint identifies a file by its first 4 KiB and the 4 KiB before the
///   offset, so a restart refuses another file under the same path. A file may grow between runs.
/// * **Compressed files** (gzip, zstd) are decompressed, with the feature `compression`. Offsets are
///   positions in the decompressed content, and a restart reads from the beginning up to its offset.
/// * **Standard input and pipes** are read by a thread of their own and cannot be resumed. To continue after
///   a restart, write the input to a file first.
///
/// A file that cannot be opened or read, that has shrunk, or that is not the file of the checkpoint is a permanent
/// error, which names the path; a file system that does not answer in time is a transient one.
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
    framing: Framing,
    follow: Option<Duration>,
    pace: Option<Pace>,
    topic: Arc<str>,
}

impl Lines {
    /// Creates a source of the lines of one file. The path `-` means standard input.
    pub fn file(path: impl AsRef<Path>) -> Self {
        Self::files([path])
    }

    /// Creates a source of the lines of several files, each a partition, so that several workers can read them. A path
    /// that is given twice is a permanent error at the start of the pipeline.
    ///
    /// ```
    /// use telemetra_core::Source;
    /// use telemetra_sinks::Lines;
    /// assert_eq!(Lines::files(["a.jsonl", "b.jsonl"]).partitions()?.len(), 2);
    /// assert!(Lines::files(["a.jsonl", "a.jsonl"]).partitions().is_err());
    /// # Ok::<(), telemetra_core::ExternalError>(())
    /// ```
    pub fn files(paths: impl IntoIterator<Item = impl AsRef<Path>>) -> Self {
        let paths = paths.into_iter().map(|path| path.as_ref().to_owned()).collect();
        Self { paths, framing: Framing::Lines, follow: None, pace: None, topic: "".into() }
    }

    /// Creates a source of the lines of standard input.
    #[must_use]
    pub fn stdin() -> Self {
        Self::file("-")
    }

    /// Waits for more lines at the end of each file, like `tail -f`, and checks again after `pause` of processing
    /// time. The source then never ends, and the last line is not a record before its `\n` is written. A file
    /// that is replaced by another one under the same path, as by log rotation, is an error; [`Folder`] follows
    /// rotated files. Default: a partition ends at the end of its file.
    ///
    /// ```
    /// use std::time::Duration;
    /// use telemetra_core::{Polled, RecordBatch, Source};
    /// use telemetra_sinks::Lines;
    ///
    /// let folder = tempfile::tempdir()?;
    /// let path = folder.path().join("access.log");
    /// std::fs::write(&path, "one\ntw")?;
    /// let pause = Duration::from_millis(200);
    /// let mut source = Lines::file(&path).follow(pause);
    /// let id = source.partitions()?.remove(0);
    /// let (mut partition, mut batch) = (source.open(&id, None)?, RecordBatch::default());
    /// while partition.poll(&mut batch)? != Polled::Idle(pause) {}
    /// assert_eq!(batch.records().len(), 1, "the second line is not complete");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn follow(mut self, pause: Duration) -> Self {
        self.follow = Some(pause);
        self
    }

    /// Reads each file as one JSON array, `[{…}, {…}]`, whose elements are the records. The array is not held in
    /// memory: an element is a record as soon as it has been read. An element may have at most as many bytes as
    /// a line. A file that is not an array, or that ends within it, is an error, which comes after the records
    /// before that place. Default: each line is a record.
    ///
    /// ```
    /// use telemetra_core::{RecordBatch, Source};
    /// use telemetra_sinks::Lines;
    ///
    /// let folder = tempfile::tempdir()?;
    /// let path = folder.path().join("export.json");
    /// std::fs::write(&path, r#"[{"device": "d1"}, {"device": "d2"}]"#)?;
    /// let mut source = Lines::file(&path).json_array();
    /// let id = source.partitions()?.remove(0);
    /// let (mut partition, mut batch) = (source.open(&id, None)?, RecordBatch::default());
    /// partition.poll(&mut batch)?;
    /// assert_eq!(batch.bytes_of(&batch.records()[1]), br#"{"device": "d2"}"#);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn json_array(mut self) -> Self {
        self.framing = Framing::Elements;
        self
    }

    /// Reads each file as CSV (RFC 4180) with fields separated by `delimiter`; the first row names the columns. A
    /// record is one row without the line break at its end; quoted fields may contain line breaks. Decode records
    /// by [`Csv`](crate::formats::Csv), which gets the column names of each file. After a restart the header is
    /// read again. Default: each line is a record.
    ///
    /// If the closing quote of a field is missing, the rest of the file belongs to that row, which is marked as
    /// oversize beyond [`MAX_RECORD_BYTES`](telemetra_core::RecordBatch::MAX_RECORD_BYTES).
    ///
    /// ```
    /// use telemetra_core::{RecordBatch, Source};
    /// use telemetra_sinks::Lines;
    ///
    /// let folder = tempfile::tempdir()?;
    /// let path = folder.path().join("readings.csv");
    /// std::fs::write(&path, "device,note\nd1,\"two\nlines\"\n")?;
    /// let mut source = Lines::file(&path).csv(b',');
    /// let id = source.partitions()?.remove(0);
    /// let (mut partition, mut batch) = (source.open(&id, None)?, RecordBatch::default());
    /// partition.poll(&mut batch)?;
    /// assert_eq!(batch.bytes_of(&batch.records()[0]), b"d1,\"two\nlines\"");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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

    /// Replays the lines with the intervals of their event times, for demos and load tests: see [`Pace`]. Default:
    /// as fast as possible.
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
            Box::new(StreamLines::open(path, from, self.framing, &self.topic)?)
        } else {
            Box::new(FileLines::open(path, from, identity, self.framing, self.follow, &self.topic)?)
        };
        Ok(match &self.pace {
            Some(pace) => Box::new(Paced::new(lines, pace.clone())),
            None => lines,
        })
    }
}

/// Returns the id of a path's partition. A path that is not UTF-8 gets replacement characters.
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

/// Returns whether the path is neither a file nor a folder.
fn is_pipe(path: &Path) -> bool {
    path.metadata().is_ok_and(|meta| !meta.is_file() && !meta.is_dir())
}
