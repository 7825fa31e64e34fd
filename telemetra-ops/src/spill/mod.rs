//! State of quiet keys on disk, by choice: the setting, the files, and the keys that are in them.
//!
//! Files are no durable state. They hold what does not fit in memory while the process runs; what a restart
//! needs is in checkpoints.

pub(crate) mod cold;
pub(crate) mod hot;
pub(crate) mod index;
pub(crate) mod segments;
pub(crate) mod waiting;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use telemetra_core::ConfigError;

/// The setting for state of keys that does not fit in memory: the folder of the files, and the limit of
/// memory above which they are used. Flink's RocksDB state backend has the same purpose.
///
/// Pass it to [`Pipeline::spill`](crate::Pipeline::spill), which says which state this applies to. The files
/// are no durable state: they are not read after a restart, which takes the state from a checkpoint.
///
/// ```
/// use telemetra_ops::SpillConfig;
/// let spill = SpillConfig::new("/var/tmp/telemetra").memory(2 << 30);
/// assert_eq!(spill.memory_limit(), 2 << 30);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpillConfig {
    folder: PathBuf,
    memory: u64,
}

impl SpillConfig {
    /// Creates the setting for files in `folder`, with a limit of 1 GiB of memory. The folder is created when
    /// the pipeline starts.
    ///
    /// Use a folder on a local disk with room for about three times the encoded state and 768 MiB more for each operator
    /// and worker, not on a file system in memory. Each file is deleted as soon as it is open, so the system frees its space when the process
    /// ends, also after a kill, and several processes may use the same folder.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), memory: 1 << 30 }
    }

    /// Sets the number of bytes that the state of keys may take in the memory of this process, by an
    /// estimate. Default: 1 GiB. The process needs more than this: the arrivals and results of one event time, the
    /// records that are read, the messages between workers and the queues of sinks come in addition.
    #[must_use]
    pub fn memory(mut self, bytes: u64) -> Self {
        self.memory = bytes;
        self
    }

    /// Returns the folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the limit in bytes.
    #[must_use]
    pub fn memory_limit(&self) -> u64 {
        self.memory
    }
}

/// The use of the disk by the [spilled](SpillConfig) state of one process during a run, as
/// [`Report::spill`](crate::Report::spill) has it. Many reads mean that the limit of memory is too low for
/// the keys that have events.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SpillReport {
    /// The number of writes of a key's state. The windows and the moments of a key are written separately.
    pub writes: u64,
    /// The number of reads of a key's state.
    pub reads: u64,
    /// The greatest number of bytes that the keys on disk took at one time. The files take up to three
    /// times as much, and some more for each operator and worker.
    pub most_bytes: u64,
}

/// The setting of a process, with what its operators have done by it.
#[derive(Debug)]
pub(crate) struct Spill {
    config: SpillConfig,
    /// The number of operators, on all workers of the process, that divide the memory.
    operators: AtomicU64,
    files: AtomicU64,
    counts: SpillCounts,
}

/// Counts of the state on disk, and of reads and writes, by the operators of a process.
#[derive(Debug, Default)]
pub(crate) struct SpillCounts {
    /// The estimated bytes of the keys in memory.
    pub(crate) memory: AtomicU64,
    /// The bytes of the keys on disk.
    pub(crate) bytes: AtomicU64,
    most_bytes: AtomicU64,
    /// The number of keys on disk.
    pub(crate) keys: AtomicU64,
    /// The number of keys that were read, and that were written.
    pub(crate) reads: AtomicU64,
    pub(crate) writes: AtomicU64,
}

impl Spill {
    /// Creates the folder and a file in it.
    pub(crate) fn open(config: SpillConfig) -> Result<Arc<Self>, ConfigError> {
        let (operators, files) = (AtomicU64::new(0), AtomicU64::new(0));
        let spill = Self { config, operators, files, counts: SpillCounts::default() };
        let tried = fs::create_dir_all(spill.folder()).and_then(|()| spill.file());
        match tried {
            Ok(_) => Ok(Arc::new(spill)),
            Err(error) => Err(ConfigError::new(
                "spill",
                format!("no file can be written in the folder `{}`: {error}", spill.folder().display()),
                "name a folder that this process can write to",
            )),
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.config.folder()
    }

    pub(crate) fn counts(&self) -> &SpillCounts {
        &self.counts
    }

    /// The counts until now.
    pub(crate) fn report(&self) -> SpillReport {
        let [writes, reads, most_bytes] = [&self.counts.writes, &self.counts.reads, &self.counts.most_bytes]
            .map(|count| count.load(Ordering::Relaxed));
        SpillReport { writes, reads, most_bytes }
    }

    /// Takes note of a key that was written.
    pub(crate) fn written(&self, bytes: u64) {
        let counts = &self.counts;
        counts.keys.fetch_add(1, Ordering::Relaxed);
        counts.writes.fetch_add(1, Ordering::Relaxed);
        let now = counts.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        counts.most_bytes.fetch_max(now, Ordering::Relaxed);
    }

    /// Takes note of keys that are read.
    pub(crate) fn read(&self, keys: usize) {
        self.counts.reads.fetch_add(keys as u64, Ordering::Relaxed);
    }

    /// Takes note of keys that are not on disk any more.
    pub(crate) fn removed(&self, keys: u64, bytes: u64) {
        self.counts.keys.fetch_sub(keys, Ordering::Relaxed);
        self.counts.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Takes note of an operator that keeps keys.
    pub(crate) fn join(&self) {
        self.operators.fetch_add(1, Ordering::Relaxed);
    }

    /// The bytes of memory of one operator.
    pub(crate) fn share(&self) -> u64 {
        self.config.memory / self.operators.load(Ordering::Relaxed).max(1)
    }

    /// Opens a new file that has no name: it is gone when it is closed.
    pub(crate) fn file(&self) -> io::Result<File> {
        let mut options = File::options();
        options.read(true).write(true).create_new(true);
        loop {
            let number = self.files.fetch_add(1, Ordering::Relaxed);
            let name = format!("telemetra-{}-{number}.spill", std::process::id());
            let path = self.folder().join(name);
            match options.open(&path) {
                // A process that was killed in between has left an empty file of this name.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
                Ok(file) => {
                    fs::remove_file(&path)?;
                    return Ok(file);
                }
            }
        }
    }
}
