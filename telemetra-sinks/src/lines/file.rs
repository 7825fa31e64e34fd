//! The partition that reads the lines of a file, from any byte offset.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use telemetra_core::{ExternalError, Partition, Polled, RecordBatch};

use super::splitter::Splitter;

/// How many blocks of an endless line one poll reads before it returns with nothing.
const BLOCKS_PER_POLL: usize = 32;

/// The lines of a file.
#[derive(Debug)]
pub(super) struct FileLines {
    path: PathBuf,
    file: File,
    /// How far the file was read: past the splitter's position by the unfinished line.
    read: u64,
    splitter: Splitter,
    follow: Option<Duration>,
    topic: Arc<str>,
}

impl FileLines {
    pub(super) fn open(
        path: &Path,
        from: Option<u64>,
        follow: Option<Duration>,
        topic: &Arc<str>,
    ) -> Result<Self, ExternalError> {
        let from = from.unwrap_or(0);
        let failed = |error| failed(path, from, error);
        let mut file = File::open(path).map_err(failed)?;
        let meta = file.metadata().map_err(failed)?;
        if meta.is_dir() {
            return Err(failed(io::ErrorKind::IsADirectory.into()));
        }
        if meta.len() < from {
            return Err(shrunk(path, from, meta.len()));
        }
        if from > 0 {
            let mut before = [0];
            file.seek(SeekFrom::Start(from - 1)).map_err(failed)?;
            file.read_exact(&mut before).map_err(failed)?;
            // A file that was read to its end may have had no last end of line.
            if before != *b"\n" && from != meta.len() {
                return Err(ExternalError::permanent(format!(
                    "could not resume {} at byte {from}: no line begins there, so the file is not the one that was \
                     read before; put that one back, or start afresh",
                    path.display()
                )));
            }
        }
        let (path, topic) = (path.to_owned(), Arc::clone(topic));
        Ok(Self { path, file, read: from, splitter: Splitter::new(from), follow, topic })
    }
}

fn failed(path: &Path, at: u64, error: io::Error) -> ExternalError {
    let what = format!("could not read the file {} at byte {at}", path.display());
    match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock | io::ErrorKind::ResourceBusy => {
            ExternalError::transient(what).because(error)
        }
        _ => ExternalError::permanent(what).because(error),
    }
}

fn shrunk(path: &Path, at: u64, length: u64) -> ExternalError {
    ExternalError::permanent(format!(
        "could not read the file {} from byte {at}: it has only {length}, so it was cut off or replaced since it \
         was read; put the old one back, or start afresh",
        path.display()
    ))
}

/// Appends one block. Zeroing it first costs less than a second copy, and reading into what is not zeroed needs `unsafe`.
fn read_block(file: &mut File, buffer: &mut Vec<u8>) -> io::Result<usize> {
    let start = buffer.len();
    let block = RecordBatch::TARGET_BYTES.saturating_sub(start).max(RecordBatch::TARGET_BYTES / 4);
    buffer.resize(start + block, 0);
    loop {
        match file.read(&mut buffer[start..]) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

impl Partition for FileLines {
    fn poll(&mut self, batch: &mut RecordBatch) -> Result<Polled, ExternalError> {
        let before = batch.records().len();
        for _ in 0..BLOCKS_PER_POLL {
            let count = self
                .splitter
                .advance(batch, |buffer| read_block(&mut self.file, buffer))
                .map_err(|error| failed(&self.path, self.read, error))?;
            self.read += count as u64;
            if count == 0 {
                if let Some(pause) = self.follow {
                    let meta = self.file.metadata().map_err(|error| failed(&self.path, self.read, error))?;
                    return match meta.len() < self.read {
                        true => Err(shrunk(&self.path, self.read, meta.len())),
                        false => Ok(Polled::Idle(pause)),
                    };
                }
                self.splitter.finish(batch);
                return Ok(if batch.records().len() > before { Polled::Ready } else { Polled::Done });
            }
            if batch.records().len() > before {
                break;
            }
        }
        Ok(Polled::Ready)
    }

    fn offset(&self) -> u64 {
        self.splitter.position()
    }

    fn topic(&self) -> &str {
        &self.topic
    }
}
