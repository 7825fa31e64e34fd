//! What an operator asks: how the parts are doing that make the answers.
//!
//! What is not known where the pipeline runs elsewhere is `None`, and said to be unknown.

use std::collections::BTreeMap;

use serde::Serialize;
use telemetra::core::{EventTime, Fates};
use telemetra::ops::{PartitionStatus, PipelineStatus, SinkStatus};

use super::log_tail::LogTail;
use super::model::Time;

#[derive(Default, Serialize)]
pub(crate) struct Operations {
    /// Where the pipeline runs: `here` or `elsewhere`.
    pub(crate) pipeline: &'static str,
    /// Why it ended, if it failed.
    pub(crate) failure: Option<String>,
    /// Up to where everything is durable in all sinks.
    pub(crate) durable: Option<Time>,
    /// What became of the events that were read, by fate; of letters alone where only these are known.
    pub(crate) fates: BTreeMap<&'static str, u64>,
    pub(crate) partitions: Option<Vec<Partition>>,
    pub(crate) sinks: Vec<Sink>,
    pub(crate) checkpoints: Option<Checkpoints>,
    /// The time spent in each operator, the busiest first.
    pub(crate) operators: Option<Vec<Operator>>,
    /// The estimated size of the state in bytes.
    pub(crate) state_bytes: Option<u64>,
    pub(crate) moments: Option<Vec<Expectation>>,
}

#[derive(Serialize)]
pub(crate) struct Partition {
    name: String,
    offset: u64,
    lag_records: Option<u64>,
    watermark: Option<Time>,
    behind_seconds: f64,
    idle: bool,
    silent_seconds: Option<f64>,
    ended: bool,
    read: u64,
    lost: u64,
    retries: u64,
    error: Option<String>,
}

#[derive(Default, Serialize)]
pub(crate) struct Sink {
    pub(crate) name: String,
    pub(crate) shard: u64,
    pub(crate) durable: Option<Time>,
    pub(crate) queued: Option<u64>,
    pub(crate) changes: Option<u64>,
    /// How many changes the last call wrote, and how long it took.
    pub(crate) last_changes: Option<u64>,
    pub(crate) last_seconds: Option<f64>,
    pub(crate) retries: Option<u64>,
    pub(crate) error: Option<String>,
}

#[derive(Default, Serialize)]
pub(crate) struct Checkpoints {
    /// The boundary of the newest that is complete.
    pub(crate) boundary: Option<Time>,
    /// How far it is behind what is durable.
    pub(crate) age_seconds: Option<f64>,
    pub(crate) completed: Option<u64>,
    /// Written in this run, or stored where the pipeline runs elsewhere.
    pub(crate) bytes: u64,
    pub(crate) error: Option<String>,
}

#[derive(Serialize)]
pub(crate) struct Operator {
    name: String,
    busy_seconds: f64,
}

/// How many moments were found an hour, and how many of them chance alone would make.
#[derive(Serialize)]
pub(crate) struct Expectation {
    operator: String,
    found_per_hour: f64,
    expected_per_hour: f64,
}

/// Which letters are asked for.
#[derive(Clone, Debug)]
pub(crate) struct LettersQuery {
    pub(crate) fate: Option<&'static str>,
    /// In the reason or in the bytes, as it is written.
    pub(crate) search: Option<String>,
    /// After this one.
    pub(crate) cursor: Option<LetterPlace>,
    pub(crate) limit: usize,
}

/// A record or an event that was not counted.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Letter {
    pub(crate) partition: String,
    pub(crate) offset: u64,
    pub(crate) index: u64,
    pub(crate) time: Option<Time>,
    pub(crate) fate: String,
    pub(crate) reason: String,
    /// How many bytes are kept of it, and the first of them as text and, where they are none, as hexadecimal digits.
    pub(crate) size: u64,
    pub(crate) text: String,
    pub(crate) hex: Option<String>,
}

/// How many bytes of a letter are shown.
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
    /// What a pipeline in this process says of itself.
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
