//! The settings for where a partition without a checkpoint starts, and for what happens when records are lost
//! to retention.

use telemetra_core::EventTime;

/// Where to begin a partition of which there is no checkpoint.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// At the first record that the log holds.
    #[default]
    Earliest,
    /// At the end: only what comes from now on.
    Latest,
    /// At the first record whose timestamp in Kafka is this or later; at the end if there is none.
    Timestamp(EventTime),
    /// Where the [group](crate::KafkaSource::group) has committed. A partition without a committed offset is begun at the first record,
    /// since nobody has said of any that it is done.
    Committed,
}

/// What to do where the log no longer holds the records to go on with: retention, or somebody, has removed them.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum OnLost {
    /// Stop, with an error that says which are lost.
    #[default]
    Stop,
    /// Go on with the first record that is there, log what was lost and [count](crate::KafkaCounters::lost_records) it.
    ///
    /// An offset *beyond* the end of the log is an error all the same: the topic was made anew, or replicas lost its end, and only a person
    /// can tell.
    GoOn,
}
