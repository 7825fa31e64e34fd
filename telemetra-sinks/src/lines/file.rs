//! The partition that reads the lines of a file, from any byte offset.

use std::fmt::{self, Display};
use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use telemetra_core::{ExternalError, Partition, Polled, RecordBatch};

use super::content::{Content, peek};
use super::framing::{Frames, Framing};

/// The number of blocks of an endless line that one poll reads before it returns without a record.
pub(super) const BLOCKS_PER_POLL: usize = 32;

/// The partition of one file.
pub(super) struct FileLines {
    path: PathBuf,
    /// The file, read beyond the frames' position by the unfinished record.
    content: Content,
    frames: Frames,
    follow: Option<Duration>,
    topic: Arc<str>,
}

impl FileLines {
    /// Opens the lines of a file from an offset on, after checking the file's identity if one is given.
    pub(super) fn open(
        path: &Path,
        from: u64,
        identity: Option<u64>,
        framing: Framing,
        follow: Option<Duration>,
        topic: &Arc<str>,
    ) -> Result<Self, ExternalError> {
        let failed = |error| failed(path, from, error);
        let file = File::open(path).map_err(failed)?;
        if file.metadata().map_err(failed)?.is_dir() {
            return Err(failed(io::ErrorKind::IsADirectory.into()));
        }
        let mut content = Content::new(file).map_err(failed)?;
        match content.plain() {
            Some(file) => {
                let length = file.metadata().map_err(failed)?.len();
                if length < from {
                    return Err(shrunk(path, from, length));
                }
            }
            None if follow.is_some() => {
                return Err(refused(
                    path,
                    "it is compressed, and such a file does not grow; read it without `follow`",
                ));
            }
            None => {}
        }
        if identity.is_some_and(|identity| content.identity(from).is_ok_and(|found| found != identity)) {
            return Err(refused(
                path,
                format!(
                    "it is not the file of that name that was read up to byte {from} before: what it begins with, or \
                     what is before that byte, has changed; put the old file back, give the new one another name, or \
                     start afresh with another checkpoint"
                ),
            ));
        }
        if from > 0
            && framing == Framing::Lines
            && let Some(file) = content.plain()
        {
            check_line(path, file, from)?;
        }
        let reached = content.skip_to(from).map_err(failed)?;
        if reached < from {
            return Err(shrunk(path, from, reached));
        }
        let frames = framing.frames(path, from, from).map_err(failed)?;
        let (path, topic) = (path.to_owned(), Arc::clone(topic));
        Ok(Self { path, content, frames, follow, topic })
    }

    fn failed(&self, error: io::Error) -> ExternalError {
        failed(&self.path, self.content.position(), error)
    }

    /// Checks that the end that was reached belongs to the file that is now at the path.
    fn check_followed(&mut self) -> Result<(), ExternalError> {
        let position = self.content.position();
        let Some(file) = self.content.plain() else { return Ok(()) };
        let open = file.metadata().map_err(|error| failed(&self.path, position, error))?;
        if open.len() < position {
            return Err(shrunk(&self.path, position, open.len()));
        }
        // Between a rename and a new file, there may be no file at the path.
        if self.path.metadata().is_ok_and(|there| is_other(&open, &there)) {
            return Err(refused(
                &self.path,
                format!(
                    "it was replaced by another file, as by rotation, after byte {position} was read; give the new \
                     file another name, or start afresh with another checkpoint"
                ),
            ));
        }
        Ok(())
    }
}

impl fmt::Debug for FileLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileLines").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Returns whether two metadata belong to different files.
#[cfg(unix)]
fn is_other(open: &Metadata, there: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (open.dev(), open.ino()) != (there.dev(), there.ino())
}

/// Without file numbers, files cannot be distinguished on this platform.
#[cfg(not(unix))]
fn is_other(_: &Metadata, _: &Metadata) -> bool {
    false
}

/// Checks that a line begins at an offset: the line before has ended, or was the last one and has its end by
/// now.
fn check_line(path: &Path, file: &mut File, from: u64) -> Result<(), ExternalError> {
    let around = peek(file, from - 1, 3).map_err(|error| failed(path, from, error))?;
    match around[..] {
        [b'\n', ..] | [_] | [_, b'\n', ..] | [_, b'\r', b'\n'] => Ok(()),
        _ => Err(refused(
            path,
            format!(
                "no line begins at byte {from}, up to which it was read before: either it is another file, or its last \
                 line was still being written and was taken for whole; put the old file back or start afresh with \
                 another checkpoint, and read a file that grows with `follow`, which waits for the end of a line"
            ),
        )),
    }
}

fn refused(path: &Path, why: impl Display) -> ExternalError {
    ExternalError::permanent(format!("could not read the file {}: {why}", path.display()))
}

pub(super) fn failed(path: &Path, at: u64, error: io::Error) -> ExternalError {
    classified(format!("could not read the file {} at byte {at}", path.display()), error)
}

/// The error of a call that may succeed later if somebody else has what it needs, or the network is slow.
pub(super) fn classified(what: String, error: io::Error) -> ExternalError {
    match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock | io::ErrorKind::ResourceBusy => {
            ExternalError::transient(what).because(error)
        }
        _ => ExternalError::permanent(what).because(error),
    }
}

/// Builds the error of a file that has become shorter than what was read of it.
fn shrunk(path: &Path, at: u64, length: u64) -> ExternalError {
    ExternalError::permanent(format!(
        "could not read the file {} from byte {at}: it has only {length}, so it was cut off or replaced since it \
         was read; put the old one back, or start afresh with another checkpoint",
        path.display()
    ))
}

/// Appends one block. Zeroing it first costs less than a second copy, and reading into uninitialised memory
/// needs `unsafe`.
pub(super) fn read_block(content: &mut Content, buffer: &mut Vec<u8>) -> io::Result<usize> {
    let start = buffer.len();
    let block = RecordBatch::TARGET_BYTES.saturating_sub(start).max(RecordBatch::TARGET_BYTES / 4);
    buffer.resize(start + block, 0);
    content.read(&mut buffer[start..])
}

impl Partition for FileLines {
    fn poll(&mut self, batch: &mut RecordBatch) -> Result<Polled, ExternalError> {
        let before = batch.records().len();
        for _ in 0..BLOCKS_PER_POLL {
            let count = self
                .frames
                .advance(batch, |buffer| read_block(&mut self.content, buffer))
                .map_err(|error| self.failed(error))?;
            if count == 0 {
                if let Some(pause) = self.follow {
                    self.check_followed()?;
                    return Ok(Polled::Idle(pause));
                }
                self.frames.finish(batch).map_err(|error| self.failed(error))?;
                return Ok(if batch.records().len() > before { Polled::Ready } else { Polled::Done });
            }
            if batch.records().len() > before {
                break;
            }
        }
        Ok(Polled::Ready)
    }

    fn offset(&self) -> u64 {
        self.frames.position()
    }

    fn identity(&mut self, offset: u64) -> Option<u64> {
        self.content.identity(offset).ok()
    }

    fn topic(&self) -> &str {
        &self.topic
    }
}
