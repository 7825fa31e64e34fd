//! Partition discovery: looking for partitions that come into being while the pipeline runs.
//!
//! Every process asks its sources; a new partition is opened by the one process that its name falls to, so they need not
//! speak about it. A process that read nothing at the start has given up its capabilities, so none falls to those.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use telemetra_core::{ExternalError, PartitionId, Source, key_hash};

use crate::read::ingress::Shared;
use crate::read::partition::OpenPartition;
use crate::support::failure::panic_text;
use crate::support::retry::RetryState;

/// A source that is asked for new partitions.
pub(crate) struct PartitionDiscovery {
    pub(crate) source: Box<dyn Source>,
    pub(crate) decoder: usize,
    pub(crate) every: Duration,
    /// All names that were seen, of all sources.
    pub(crate) known: Arc<Mutex<BTreeSet<PartitionId>>>,
    /// This process, and the number of processes that read something at the start, which come first.
    pub(crate) place: (usize, usize),
    /// The state of looking: its current failure, if it fails.
    pub(crate) retry: RetryState,
}

impl PartitionDiscovery {
    /// Starts the thread. It ends when the other end of `over` is gone and the call that it is in, which may block, has
    /// returned; so it is not waited for.
    pub(crate) fn start(mut self, ingress: Arc<Shared>, over: Receiver<()>) -> std::io::Result<()> {
        let thread = std::thread::Builder::new().name("partitions".to_owned());
        thread.spawn(move || {
            while over.recv_timeout(self.every) == Err(RecvTimeoutError::Timeout)
                && !ingress.failure.is_down()
            {
                let look = AssertUnwindSafe(|| self.look(&ingress));
                let looked = catch_unwind(look).unwrap_or_else(|panic| {
                    Err(ExternalError::permanent(format!("the source panicked: {}", panic_text(&*panic))))
                });
                // The partitions that are read go on, whatever it was.
                match looked {
                    Ok(()) => self.retry.passed(),
                    Err(error) => drop(self.retry.failed(&error)),
                }
            }
        })?;
        Ok(())
    }

    /// Opens what is new and falls to this process. What could not be opened is new again the next time, and does not keep the
    /// others from being opened; the first error is returned.
    pub(super) fn look(&mut self, ingress: &Shared) -> Result<(), ExternalError> {
        let mut looked = Ok(());
        for id in self.source.partitions()? {
            let is_known = self.known.lock().unwrap_or_else(PoisonError::into_inner).contains(&id);
            let opened = if is_known { Ok(()) } else { self.open(&id, ingress) };
            looked = looked.and(opened);
        }
        looked
    }

    fn open(&mut self, id: &PartitionId, ingress: &Shared) -> Result<(), ExternalError> {
        if falls_to(id, self.place.1) == self.place.0 {
            let partition = self.source.open_new(id)?;
            let decoder = self.decoder;
            let open = OpenPartition { id: id.clone(), decoder, partition, sequencer: None, ended: false };
            if ingress.add(open) {
                tracing::info!(partition = %id, "a new partition is read");
            } else {
                tracing::warn!(partition = %id, "a new partition is not read in this run, as all others of this process have ended");
            }
        }
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone());
        Ok(())
    }
}

/// The process that opens a new partition, of the first `readers`.
fn falls_to(id: &PartitionId, readers: usize) -> usize {
    usize::try_from(key_hash(id.as_str()) % readers.max(1) as u64).unwrap_or(0)
}
