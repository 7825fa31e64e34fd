//! The partition of a file that grows, and may be renamed, cut off and deleted.

use std::fmt;
use std::fs::Metadata;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use telemetra_core::{ExternalError, Partition, Polled, RecordBatch};

use super::content::Content;
use super::file::{BLOCKS_PER_POLL, failed, read_block};
use super::framing::{Frames, Framing};

/// The number of bits of an offset that are the place in the file.
const PLACE_BITS: u32 = 48;

/// The number of times that the file had been cut off at an offset, and the place in it.
pub(super) fn split(offset: u64) -> (u64, u64) {
    (offset >> PLACE_BITS, offset & ((1 << PLACE_BITS) - 1))
}

/// The partition of one file of a folder.
pub(super) struct Tail {
    path: PathBuf,
    content: Content,
    frames: Frames,
    framing: Framing,
    pause: Duration,
    /// The number of times that the file was cut off.
    cuts: u64,
    /// The time of the last write and the identity that the file had when its end was reached.
    end: Option<(SystemTime, u64)>,
    topic: Arc<str>,
}

impl Tail {
    /// Reads a content from an offset on; from its beginning if it was cut off since.
    pub(super) fn open(
        path: PathBuf,
        mut content: Content,
        from: u64,
        identity: Option<u64>,
        (framing, pause): (Framing, Duration),
        topic: &Arc<str>,
    ) -> Result<Self, ExternalError> {
        let (mut cuts, mut place) = split(from);
        let unread = |error| failed(&path, from, error);
        let is_other = match content.plain() {
            Some(file) if file.metadata().map_err(unread)?.len() < place => true,
            _ => match identity {
                Some(identity) => content.identity(place).map_err(unread)? != identity,
                None => false,
            },
        };
        if is_other {
            (cuts, place) = (cut(&path, cuts, place)?, 0);
        }
        content.skip_to(place).map_err(unread)?;
        let frames = framing.frames(&path, place, cuts << PLACE_BITS | place).map_err(unread)?;
        Ok(Self { path, content, frames, framing, pause, cuts, end: None, topic: Arc::clone(topic) })
    }

    /// Notices that the file was cut off since its end was reached, though it may be longer by now.
    fn check(&mut self) -> Result<(), ExternalError> {
        let Some((written, identity)) = self.end else { return Ok(()) };
        let place = self.content.position();
        let failed = |error| failed(&self.path, place, error);
        let Some(file) = self.content.plain() else { return Ok(()) };
        let file = file.metadata().map_err(failed)?;
        if file.modified().map_err(failed)? == written && file.len() == place {
            return Ok(());
        }
        self.end = None;
        if file.len() < place || self.content.identity(place).map_err(failed)? != identity {
            self.begin_again()?;
        }
        Ok(())
    }

    /// Reads the file from its beginning, as it was cut off.
    fn begin_again(&mut self) -> Result<(), ExternalError> {
        let place = self.content.position();
        self.cuts = cut(&self.path, self.cuts, place)?;
        let failed = |error| failed(&self.path, 0, error);
        self.content.skip_to(0).map_err(failed)?;
        self.frames = self.framing.frames(&self.path, 0, self.cuts << PLACE_BITS).map_err(failed)?;
        self.end = None;
        Ok(())
    }

    /// Decides how the partition goes on at the end of the file's contents.
    fn at_end(&mut self, batch: &mut RecordBatch, before: usize) -> Result<Polled, ExternalError> {
        let place = self.content.position();
        let failed = |error| failed(&self.path, place, error);
        let is_deleted = match self.content.plain() {
            // It does not grow.
            None => true,
            Some(file) => {
                let file = file.metadata().map_err(failed)?;
                if file.len() < place {
                    self.begin_again()?;
                    return Ok(Polled::Ready);
                }
                if file.len() > place {
                    return Ok(Polled::Ready);
                }
                let written = file.modified().map_err(failed)?;
                self.end = Some((written, self.content.identity(place).map_err(failed)?));
                has_no_name(&file)
            }
        };
        if !is_deleted {
            return Ok(Polled::Idle(self.pause));
        }
        // Nobody can complete it, and the others go on.
        if let Err(error) = self.frames.finish(batch) {
            tracing::warn!(path = %self.path.display(), %error, "a file that was deleted, or is compressed, is not complete");
        }
        Ok(if batch.records().len() > before { Polled::Ready } else { Polled::Done })
    }
}

/// Notes that a file was cut off. Returns how often it was.
fn cut(path: &std::path::Path, cuts: u64, place: u64) -> Result<u64, ExternalError> {
    tracing::warn!(path = %path.display(), place, "a file was cut off, and is read from its beginning");
    let cuts = cuts + 1;
    if cuts >> (u64::BITS - PLACE_BITS) > 0 {
        return Err(ExternalError::permanent(format!(
            "could not read the file {}: it was cut off {cuts} times, and offsets have no place for more; let files \
             be rotated by renaming",
            path.display()
        )));
    }
    Ok(cuts)
}

/// Returns whether a file was deleted, and is there only as long as it is open.
#[cfg(unix)]
fn has_no_name(file: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    file.nlink() == 0
}

/// An open file cannot be deleted.
#[cfg(not(unix))]
fn has_no_name(_: &Metadata) -> bool {
    false
}

impl fmt::Debug for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tail").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Partition for Tail {
    fn poll(&mut self, batch: &mut RecordBatch) -> Result<Polled, ExternalError> {
        let before = batch.records().len();
        self.check()?;
        for _ in 0..BLOCKS_PER_POLL {
            let count = self
                .frames
                .advance(batch, |buffer| read_block(&mut self.content, buffer))
                .map_err(|error| failed(&self.path, self.content.position(), error))?;
            if count == 0 {
                return self.at_end(batch, before);
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
        let (cuts, place) = split(offset);
        // Of what was cut off nothing is left to compare.
        if cuts == self.cuts { self.content.identity(place).ok() } else { None }
    }

    fn topic(&self) -> &str {
        &self.topic
    }
}
