//! The counters of a Kafka source: lost records and paused partitions.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The counters of a [`KafkaSource`](crate::KafkaSource) for what never becomes an event and so has no
/// [`Fate`](telemetra_core::Fate): lost records, and pauses of fetching. Clones are handles on the same
/// counters, so they can be read while the pipeline owns the source. They start at 0 with each source, and so with
/// each process; they are not in checkpoints.
///
/// ```
/// use telemetra_sinks::{KafkaConfig, KafkaSource};
///
/// let source = KafkaSource::new(KafkaConfig::new("kafka-1:9092"), ["readings"])?;
/// let counters = source.counters();
/// // Give the source to a pipeline, and read them now and then:
/// assert_eq!((counters.lost_records(), counters.pauses()), (0, 0));
/// # Ok::<(), telemetra_core::ConfigError>(())
/// ```
#[derive(Clone, Default)]
pub struct KafkaCounters(Arc<Counts>);

#[derive(Default)]
struct Counts {
    lost: AtomicU64,
    pauses: AtomicU64,
}

impl KafkaCounters {
    /// Returns the number of offsets that were skipped because the log no longer contained them: see
    /// [`OnLost::Skip`](crate::OnLost::Skip). Always 0 with [`OnLost::Stop`](crate::OnLost::Stop).
    #[must_use]
    pub fn lost_records(&self) -> u64 {
        self.0.lost.load(Ordering::Relaxed)
    }

    /// Returns the number of times that fetching was paused because a partition was not polled while others
    /// were. Pausing bounds memory. Many pauses mean that partitions are far apart in event time.
    #[must_use]
    pub fn pauses(&self) -> u64 {
        self.0.pauses.load(Ordering::Relaxed)
    }

    pub(super) fn lose(&self, records: u64) {
        self.0.lost.fetch_add(records, Ordering::Relaxed);
    }

    pub(super) fn pause(&self) {
        self.0.pauses.fetch_add(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for KafkaCounters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaCounters")
            .field("lost_records", &self.lost_records())
            .field("pauses", &self.pauses())
            .finish()
    }
}
