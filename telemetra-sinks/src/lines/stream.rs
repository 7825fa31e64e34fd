//! The partition that reads the lines of standard input or a pipe, through a thread that may block.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread;
use std::time::Duration;

use telemetra_core::{ExternalError, Partition, Polled, RecordBatch};

use super::framing::{Frames, Framing};
use super::packed::unpacked;

/// The number of blocks that may be queued, so that the reader stays busy while a batch is processed.
const BLOCKS: usize = 8;
/// The pause before the queue is checked again.
const PAUSE: Duration = Duration::from_millis(1);

/// The partition of an input that cannot be sought and may block, such as standard input or a pipe. A thread
/// reads it.
#[derive(Debug)]
pub(super) struct StreamLines {
    path: PathBuf,
    blocks: Receiver<io::Result<Vec<u8>>>,
    frames: Frames,
    topic: Arc<str>,
}

impl StreamLines {
    /// Opens the input and starts the thread that reads it. An offset other than 0 is an error, as the input
    /// cannot be sought.
    pub(super) fn open(
        path: &Path,
        from: u64,
        framing: Framing,
        topic: &Arc<str>,
    ) -> Result<Self, ExternalError> {
        if from > 0 {
            return Err(ExternalError::permanent(format!(
                "could not resume `{}`: standard input and pipes cannot be read again; \
                 write them to a file and read that, or start without a checkpoint",
                path.display()
            )));
        }
        let frames = framing.frames(path, 0, 0).map_err(|error| broken(path, 0, error))?;
        let (sender, blocks) = sync_channel(BLOCKS);
        let from = path.to_owned();
        // Not joined: it may be blocked in a read for as long as the process lives. It ends with the input, or when
        // nobody receives.
        thread::Builder::new()
            .name(format!("lines {}", path.display()))
            .spawn(move || {
                let input: io::Result<Box<dyn Read + Send>> = if from.as_os_str() == "-" {
                    unpacked(io::stdin())
                } else {
                    File::open(&from).and_then(unpacked)
                };
                match input {
                    Ok(input) => read_all(input, &sender),
                    Err(error) => drop(sender.send(Err(error))),
                }
            })
            .map_err(|error| {
                ExternalError::permanent(format!("could not start a thread to read `{}`", path.display()))
                    .because(error)
            })?;
        Ok(Self { path: path.to_owned(), blocks, frames, topic: Arc::clone(topic) })
    }
}

/// Reads blocks until the input ends or nobody receives them.
fn read_all(mut input: impl Read, sender: &SyncSender<io::Result<Vec<u8>>>) {
    loop {
        let mut block = vec![0; RecordBatch::TARGET_BYTES];
        let result = match input.read(&mut block) {
            Ok(0) => return,
            Ok(count) => {
                block.truncate(count);
                Ok(block)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
        let failed = result.is_err();
        if sender.send(result).is_err() || failed {
            return;
        }
    }
}

fn broken(path: &Path, at: u64, error: io::Error) -> ExternalError {
    ExternalError::permanent(format!("could not read `{}` after byte {at}", path.display())).because(error)
}

impl Partition for StreamLines {
    fn poll(&mut self, batch: &mut RecordBatch) -> Result<Polled, ExternalError> {
        let before = batch.records().len();
        while !batch.is_full() {
            let block = match self.blocks.try_recv() {
                Ok(block) => block,
                Err(TryRecvError::Empty) => return Ok(Polled::Idle(PAUSE)),
                Err(TryRecvError::Disconnected) => {
                    self.frames
                        .finish(batch)
                        .map_err(|error| broken(&self.path, self.frames.position(), error))?;
                    return Ok(if batch.records().len() > before { Polled::Ready } else { Polled::Done });
                }
            };
            self.frames
                .advance(batch, |buffer| {
                    let block = block?;
                    buffer.extend_from_slice(&block);
                    Ok(block.len())
                })
                .map_err(|error| broken(&self.path, self.frames.position(), error))?;
        }
        Ok(Polled::Ready)
    }

    fn offset(&self) -> u64 {
        self.frames.position()
    }

    fn topic(&self) -> &str {
        &self.topic
    }
}
