//! The settings for where a partition without a checkpoint starts, and for what happens when records are lost
//! to retention.

use telemetra_core::EventTime;

/// The position at which reading of a partition begins if the partition is not in a checkpoint, for
/// [`KafkaSource::start`](crate::KafkaSource::start). An error of the lookup is an error of the start of the
/// pipeline. A partition that is found while the pipeline runs begins at its first record, whatever is set.
///
/// ```
/// use telemetra_core::EventTime;
/// use telemetra_sinks::{KafkaConfig, KafkaSource, Start};
///
/// assert_eq!(Start::default(), Start::Earliest);
/// let midnight = Start::Timestamp(EventTime(1_767_225_600_000));
/// let source = KafkaSource::new(KafkaConfig::new("kafka-1:9092"), ["readings"])?.start(midnight);
/// # Ok::<(), telemetra_core::ConfigError>(())
/// ```
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// The first record in the log.
    #[default]
    Earliest,
    /// The end of the log, so that only records written from now on are read.
    Latest,
    /// The first record whose Kafka timestamp is at or after this time; the end of the log if there is none.
    Timestamp(EventTime),
    /// The committed offset of the [group](crate::KafkaSource::group). A partition without a committed offset
    /// begins at its first record.
    Committed,
}

/// The reaction of a [`KafkaSource`](crate::KafkaSource) to records that were removed from the log, by retention
/// or by hand, before they were read.
///
/// ```
/// use telemetra_sinks::{KafkaConfig, KafkaSource, OnLost};
///
/// assert_eq!(OnLost::default(), OnLost::Stop);
/// let source = KafkaSource::new(KafkaConfig::new("kafka-1:9092"), ["readings"])?.on_lost(OnLost::Skip);
/// # Ok::<(), telemetra_core::ConfigError>(())
/// ```
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum OnLost {
    /// Stop the pipeline with a permanent error that names the lost offsets.
    #[default]
    Stop,
    /// Continue with the first record that exists, log the loss, and
    /// [count](crate::KafkaCounters::lost_records) it.
    ///
    /// An offset *beyond* the end of the log is a permanent error even so: either the topic was created anew, or
    /// its replicas lost data, and the source cannot distinguish these.
    Skip,
}
