//! The state of the parts that make the answers, for an operator.
//!
//! What is not known where the pipeline runs elsewhere is `None`, and said to be unknown.

use std::collections::BTreeMap;

use serde::Serialize;
use telemetra::core::{EventTime, Fates};
use telemetra::ops::{PartitionStatus, PipelineStatus, SinkStatus};
use utoipa::{IntoParams, ToSchema};

use super::log_tail::LogTail;
use super::model::Time;

/// The state of the pipeline and its parts.
#[derive(Default, Serialize, ToSchema)]
#[schema(as = Parts)]
pub(crate) struct Operations {
    /// The place where the pipeline runs. Of one elsewhere only its tables are known.
    #[schema(pattern = "^(here|elsewhere)$")]
    pub(crate) pipeline: &'static str,
    /// The reason that it ended, if it failed.
    pub(crate) failure: Option<String>,
    /// The event time up to which everything is durable in all sinks.
    pub(crate) durable: Option<Time>,
    /// The number of events by fate; of a pipeline elsewhere only its dead letters are known.
    pub(crate) fates: BTreeMap<&'static str, u64>,
    /// The partitions that are read; null if they are not known.
    pub(crate) partitions: Option<Vec<Partition>>,
    /// The shards of the sinks.
    pub(crate) sinks: Vec<Sink>,
    /// The checkpoints; null if none are taken, or they are not known.
    pub(crate) checkpoints: Option<Checkpoints>,
    /// The operators, the busiest first; null if they are not known.
    pub(crate) operators: Option<Vec<Operator>>,
    /// The estimated size of the state.
    pub(crate) state_bytes: Option<u64>,
    /// The number of moments found, and the number that chance alone would make.
    pub(crate) moments: Option<Vec<Expectation>>,
}

/// A partition.
#[derive(Serialize, ToSchema)]
#[schema(as = PartitionStatus)]
pub(crate) struct Partition {
    /// Its name.
    name: String,
    /// The offset of the next record.
    offset: u64,
    /// The number of records that wait, if that is known.
    lag_records: Option<u64>,
    /// Its watermark.
    watermark: Option<Time>,
    /// The event time that it is behind the partition that is furthest, in seconds.
    behind_seconds: f64,
    /// Whether it has nothing to read and holds no other partition back.
    idle: bool,
    /// The time for which it has had nothing to read, in seconds.
    silent_seconds: Option<f64>,
    /// Whether its end was read.
    ended: bool,
    /// The number of events that were read.
    read: u64,
    /// The number of records that were gone before they could be read.
    lost: u64,
    /// The number of reads that failed and were tried again.
    retries: u64,
    /// The reason that reading fails now.
    error: Option<String>,
}

/// A shard of a sink.
#[derive(Default, Serialize, ToSchema)]
#[schema(as = SinkStatus)]
pub(crate) struct Sink {
    /// The sink's name.
    pub(crate) name: String,
    /// The number of the shard.
    pub(crate) shard: u64,
    /// The event time up to which it is durable.
    pub(crate) durable: Option<Time>,
    /// The number of batches that wait.
    pub(crate) queued: Option<u64>,
    /// The number of changes that were written.
    pub(crate) changes: Option<u64>,
    /// The number of changes in the last call.
    pub(crate) last_changes: Option<u64>,
    /// The duration of the last call.
    pub(crate) last_seconds: Option<f64>,
    /// The number of calls that failed and were tried again.
    pub(crate) retries: Option<u64>,
    /// The reason that writing fails now.
    pub(crate) error: Option<String>,
}

/// The checkpoints.
#[derive(Default, Serialize, ToSchema)]
pub(crate) struct Checkpoints {
    /// The boundary of the newest complete checkpoint.
    pub(crate) boundary: Option<Time>,
    /// The event time that it is behind the durable rows, in seconds.
    pub(crate) age_seconds: Option<f64>,
    /// The number of checkpoints that were completed in this run.
    pub(crate) completed: Option<u64>,
    /// The bytes that were written in this run, or that are stored where the pipeline runs elsewhere.
    pub(crate) bytes: u64,
    /// The reason that storing fails now.
    pub(crate) error: Option<String>,
}

/// The time spent in an operator.
#[derive(Serialize, ToSchema)]
#[schema(as = OperatorTime)]
pub(crate) struct Operator {
    /// Its name.
    name: String,
    /// The time on all workers without that of operators nested in it, in seconds.
    busy_seconds: f64,
}

/// The moments that chance would make, beside those that were found.
#[derive(Serialize, ToSchema)]
pub(crate) struct Expectation {
    /// The name of the operator that compares them.
    operator: String,
    /// The moments found an hour, in the last period.
    found_per_hour: f64,
    /// The moments an hour that chance alone would make.
    expected_per_hour: f64,
}

/// The selection of dead letters.
#[derive(Clone, Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct LettersQuery {
    /// Only those that were not counted for this reason.
    #[param(value_type = Option<String>, pattern = "^(any|too_late|malformed|from_future|duplicate)$", default = "any")]
    pub(crate) fate: Option<&'static str>,
    /// Only those with this text in their reason or their bytes, as it is written.
    #[param(max_length = 64, pattern = "^[^\\u0000]*$")]
    pub(crate) search: Option<String>,
    /// The rows after the page that had this as its `next_cursor`.
    #[param(value_type = Option<String>, pattern = "^[0-9]{1,18}-[0-9]{1,9}-[a-z0-9._/-]{1,64}$")]
    pub(crate) cursor: Option<LetterPlace>,
    /// The greatest number of rows.
    #[param(required = false, minimum = 1, maximum = 200, default = 50)]
    pub(crate) limit: usize,
}

/// A record or an event that was not counted.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = DeadLetter)]
pub(crate) struct Letter {
    /// The name of its partition.
    pub(crate) partition: String,
    /// The offset of the record.
    pub(crate) offset: u64,
    /// The number of the event within the record.
    pub(crate) index: u64,
    /// The event's time, if it could be read.
    pub(crate) time: Option<Time>,
    /// Why it was not counted.
    #[schema(pattern = "^(too_late|malformed|from_future|duplicate)$")]
    pub(crate) fate: String,
    /// The reason in words.
    pub(crate) reason: String,
    /// The number of bytes that are kept.
    pub(crate) size: u64,
    /// The first 4,096 of them as text.
    pub(crate) text: String,
    /// The same as hexadecimal digits, where they are no UTF-8.
    pub(crate) hex: Option<String>,
}

/// The number of bytes of a letter that are shown.
pub(crate) const SHOWN: usize = 4_096;

impl Letter {
    /// Shows the first bytes: `text` is lossy where they are not UTF-8.
    pub(crate) fn shown(bytes: &[u8]) -> (String, Option<String>) {
        let mut shown = &bytes[..bytes.len().min(SHOWN)];
        if shown.len() < bytes.len()
            && let Err(error) = std::str::from_utf8(shown)
            && error.error_len().is_none()
        {
            // A character that was cut is no error of the record.
            shown = &shown[..error.valid_up_to()];
        }
        let hex = || shown.iter().map(|byte| format!("{byte:02x}")).collect();
        (String::from_utf8_lossy(shown).into_owned(), std::str::from_utf8(shown).is_err().then(hex))
    }
}

/// A place in the list of letters, which is by offset, the greatest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LetterPlace {
    pub(crate) offset: i64,
    pub(crate) index: i64,
    pub(crate) partition: String,
}

impl LetterPlace {
    pub(crate) fn after(letter: &Letter) -> Self {
        let signed = |number| i64::try_from(number).unwrap_or(i64::MAX);
        let (offset, index) = (signed(letter.offset), signed(letter.index));
        Self { offset, index, partition: letter.partition.clone() }
    }
}

impl std::fmt::Display for LetterPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}-{}", self.offset, self.index, self.partition)
    }
}

impl std::str::FromStr for LetterPlace {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.splitn(3, '-');
        let mut number = || {
            let digits = parts.next().filter(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
            digits.and_then(|digits| digits.parse::<i64>().ok()).ok_or(())
        };
        let (offset, index) = (number()?, number()?);
        let partition = parts.next().filter(|name| name.len() <= 1_024 && !name.contains('\0')).ok_or(())?;
        Ok(Self { offset, index, partition: partition.to_owned() })
    }
}

impl serde::Serialize for LetterPlace {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Operations {
    /// The status of a pipeline in this process.
    pub(crate) fn of(status: PipelineStatus) -> Self {
        let known = |time: EventTime| (time > EventTime::MIN && time < EventTime::MAX).then_some(Time(time));
        let (completed, bytes, _) = status.checkpoints;
        let durable = known(status.durable);
        // Without a store no checkpoint is ever taken.
        let has_checkpoints = completed > 0 || status.checkpoint.is_some() || status.store_failing.is_some();
        let checkpoints = Checkpoints {
            boundary: status.checkpoint.map(Time),
            age_seconds: status.checkpoint.zip(durable).map(|(at, Time(now))| (now - at) as f64 / 1000.0),
            completed: Some(completed),
            bytes,
            error: status.store_failing.map(|failing| shown(&failing.error)),
        };
        let mut operators: Vec<_> = status.operator_times.into_iter().collect();
        operators.sort_by_key(|(_, time)| std::cmp::Reverse(*time));
        let operators =
            operators.into_iter().map(|(name, time)| Operator { name, busy_seconds: time.as_secs_f64() });
        let moments = status.moments.into_iter().map(|moments| Expectation {
            operator: moments.operator,
            found_per_hour: moments.found_per_hour.to_f64(),
            expected_per_hour: moments.expected_per_hour.to_f64(),
        });
        Self {
            pipeline: "here",
            failure: status.failure.map(|failure| shown(&failure)),
            durable,
            fates: fates(&status.fates),
            partitions: Some(status.partitions.into_iter().map(Partition::of).collect()),
            sinks: status.sinks.into_iter().map(Sink::of).collect(),
            checkpoints: has_checkpoints.then_some(checkpoints),
            operators: Some(operators.collect()),
            state_bytes: Some(status.state_bytes),
            moments: Some(moments.collect()),
        }
    }
}

fn fates(fates: &Fates) -> BTreeMap<&'static str, u64> {
    telemetra::core::Fate::ALL.iter().map(|fate| (fate.as_str(), fates.of(*fate))).collect()
}

/// An error may quote what it failed with.
fn shown(error: &str) -> String {
    LogTail::shared().redact(error)
}

impl Partition {
    fn of(status: PartitionStatus) -> Self {
        Self {
            name: status.id.to_string(),
            offset: status.offset,
            lag_records: status.lag,
            watermark: (status.watermark > EventTime::MIN).then_some(Time(status.watermark)),
            behind_seconds: status.behind as f64 / 1000.0,
            idle: status.idle,
            silent_seconds: status.silent.map(|silent| silent.as_secs_f64()),
            ended: status.floor == EventTime::MAX,
            read: status.fates.read,
            lost: status.lost,
            retries: status.retries,
            error: status.failing.map(|failing| shown(&failing.error)),
        }
    }
}

impl Sink {
    fn of(status: SinkStatus) -> Self {
        let last = status.last.as_ref();
        Self {
            shard: status.shard.index as u64,
            durable: status.durable.filter(|time| *time < EventTime::MAX).map(Time),
            queued: Some(status.queued as u64),
            changes: Some(status.changes),
            last_changes: last.map(|last| last.changes as u64),
            last_seconds: last.map(|last| last.took.as_secs_f64()),
            retries: Some(status.retries),
            error: status.failing.map(|failing| shown(&failing.error)),
            name: status.name,
        }
    }
}
