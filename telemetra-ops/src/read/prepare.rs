//! Partitions whose batches wait until their decoder has what it needs, such as schemas of a registry.

use std::sync::Arc;
use std::time::Duration;

use telemetra_core::{
    Decoder, Events, ExternalError, Partition, PartitionId, Polled, Preparation, Prepared, RecordBatch,
    Source,
};

/// A source and the decoder of its records.
pub(crate) type SourceOf<E> = (Box<dyn Source>, Arc<dyn Decoder<E>>);

/// Splits sources from their decoders. The partitions of a source whose decoder needs something from outside hold their
/// batches back until it is there.
pub(crate) fn prepared<E: Events>(
    sources: Vec<SourceOf<E>>,
) -> (Vec<Box<dyn Source>>, Vec<Arc<dyn Decoder<E>>>) {
    let prepare = |(inner, decoder): SourceOf<E>| match decoder.preparation() {
        Some(preparation) => (Box::new(PreparedSource { inner, preparation }) as _, decoder),
        None => (inner, decoder),
    };
    sources.into_iter().map(prepare).unzip()
}

struct PreparedSource {
    inner: Box<dyn Source>,
    preparation: Arc<dyn Preparation>,
}

impl PreparedSource {
    fn prepared(&self, inner: Box<dyn Partition>) -> Box<dyn Partition> {
        let preparation = Arc::clone(&self.preparation);
        Box::new(PreparedPartition { inner, preparation, held: None, spare: RecordBatch::default() })
    }
}

impl Source for PreparedSource {
    fn partitions(&mut self) -> Result<Vec<PartitionId>, ExternalError> {
        self.inner.partitions()
    }

    fn open(&mut self, id: &PartitionId, from: Option<u64>) -> Result<Box<dyn Partition>, ExternalError> {
        let inner = self.inner.open(id, from)?;
        Ok(self.prepared(inner))
    }

    fn resume(
        &mut self,
        id: &PartitionId,
        from: u64,
        identity: Option<u64>,
    ) -> Result<Box<dyn Partition>, ExternalError> {
        let inner = self.inner.resume(id, from, identity)?;
        Ok(self.prepared(inner))
    }

    fn open_new(&mut self, id: &PartitionId) -> Result<Box<dyn Partition>, ExternalError> {
        let inner = self.inner.open_new(id)?;
        Ok(self.prepared(inner))
    }

    fn refresh_every(&self) -> Option<Duration> {
        self.inner.refresh_every()
    }

    fn may_be_gone(&mut self, id: &PartitionId, offset: u64) -> bool {
        self.inner.may_be_gone(id, offset)
    }
}

struct PreparedPartition {
    inner: Box<dyn Partition>,
    preparation: Arc<dyn Preparation>,
    held: Option<Held>,
    /// Kept for its memory; empty.
    spare: RecordBatch,
}

/// A batch that was read and is not given away yet.
struct Held {
    batch: RecordBatch,
    /// The partition's offset before it.
    offset: u64,
    polled: Polled,
}

impl Partition for PreparedPartition {
    fn poll(&mut self, batch: &mut RecordBatch) -> Result<Polled, ExternalError> {
        let held = match &mut self.held {
            Some(held) => held,
            None => {
                let (mut read, offset) = (std::mem::take(&mut self.spare), self.inner.offset());
                let polled = self.inner.poll(&mut read);
                if read.is_empty() {
                    self.spare = read;
                    return polled;
                }
                // An error with records comes again, or is over, when these have been given away.
                self.held.insert(Held { batch: read, offset, polled: polled.unwrap_or(Polled::Ready) })
            }
        };
        match self.preparation.prepare(&held.batch, self.inner.topic())? {
            Prepared::Pending(pause) => Ok(Polled::Pending(pause)),
            Prepared::Ready => {
                batch.append(&mut held.batch);
                let polled = held.polled;
                self.spare = self.held.take().map(|held| held.batch).unwrap_or_default();
                Ok(polled)
            }
        }
    }

    fn offset(&self) -> u64 {
        self.held.as_ref().map_or_else(|| self.inner.offset(), |held| held.offset)
    }

    fn identity(&mut self, offset: u64) -> Option<u64> {
        self.inner.identity(offset)
    }

    fn topic(&self) -> &str {
        self.inner.topic()
    }

    fn lag(&self) -> Option<u64> {
        let held = self.held.as_ref().map_or(0, |held| held.batch.records().len() as u64);
        self.inner.lag().map(|lag| lag + held)
    }

    fn lost(&self) -> u64 {
        self.inner.lost()
    }

    fn committed(&mut self, offset: u64) {
        self.inner.committed(offset);
    }
}
