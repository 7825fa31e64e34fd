//! The file `progress.json` of a prefix: which run it is of, who writes, and the segments of the log that count.

use serde::{Deserialize, Serialize};
use telemetra_core::{EventTime, ExternalError};

use crate::objects::{Bucket, Record};
use crate::owner::Owner;
use crate::parquet::state::{OWN, log_of};
use crate::progress_file::{NAME, VERSION};
use crate::run::Run;

/// The number of times, at most, that a claim is tried again when other processes claim at the same time.
const TRIES: usize = 100;

/// The contents of `progress.json`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Progress {
    pub(super) version: u32,
    #[serde(flatten)]
    pub(super) run: Run,
    /// The number of the process that writes: each has a greater one.
    pub(super) generation: u64,
    /// The log to which changes are appended.
    pub(super) log: Segments,
    /// The number of the first log of this run; files of logs before it are of an earlier run.
    pub(super) from: u64,
    /// The log that files are being made from.
    pub(super) closed: Option<Segments>,
}

/// A log: its segments are objects.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Segments {
    pub(super) number: u64,
    /// The time of the first change.
    pub(super) first: Option<EventTime>,
    pub(super) bytes: u64,
    /// The writers of the segments, and how many each has written.
    pub(super) written: Vec<(u64, u64)>,
}

impl Segments {
    pub(super) fn name(&self, generation: u64, n: u64) -> String {
        format!("log-{:010}-{generation:010}-{n:010}", self.number)
    }

    /// The names of the objects, in their order.
    pub(super) fn names(&self) -> impl Iterator<Item = String> + '_ {
        self.written
            .iter()
            .flat_map(move |&(generation, count)| (0..count).map(move |n| self.name(generation, n)))
    }

    /// The number of segments that this writer has written.
    pub(super) fn of(&self, generation: u64) -> u64 {
        self.written.iter().find(|(writer, _)| *writer == generation).map_or(0, |(_, count)| *count)
    }

    pub(super) fn add(&mut self, generation: u64, first: EventTime, bytes: u64) {
        match self.written.last_mut() {
            Some((writer, count)) if *writer == generation => *count += 1,
            _ => self.written.push((generation, 1)),
        }
        self.first.get_or_insert(first);
        self.bytes += bytes;
    }
}

/// The last durable time under a prefix.
pub(in crate::parquet) fn reached(bucket: &Bucket) -> Result<Option<EventTime>, ExternalError> {
    Ok(read(&bucket.under(OWN))?.and_then(|record| record.value.run.time))
}

pub(super) fn read(own: &Bucket) -> Result<Option<Record<Progress>>, ExternalError> {
    Record::read(own, NAME, VERSION, |progress: &Progress| progress.version)
}

/// The number of the log that an object was made from; `None` for one that is not a file of ours.
pub(super) fn log_of_object(path: &str) -> Option<u64> {
    let mut parts = path.split('/');
    let (table, day, name) = (parts.next()?, parts.next()?, parts.next()?);
    let is_ours = !table.starts_with(['_', '.']) && day.starts_with("day=") && parts.next().is_none();
    is_ours.then(|| log_of(name)).flatten()
}

/// Makes this process the one that writes.
pub(super) fn claim(
    bucket: &Bucket,
    own: &Bucket,
    owner: &Owner,
    (over, resumes): (bool, bool),
) -> Result<Record<Progress>, ExternalError> {
    let refused = |why: &str| {
        ExternalError::permanent(format!("could not go on in {}: {why}, or use another prefix", bucket.url()))
    };
    for _ in 0..TRIES {
        let found = read(own)?;
        let mut progress = match &found {
            Some(found) => found.value.clone(),
            None => {
                let objects = bucket.list()?;
                let file = objects.iter().find(|path| log_of_object(path).is_some());
                // Another process may just have made both.
                if let Some(file) = file
                    && read(own)?.is_none()
                {
                    return Err(refused(&format!("it has {file} and no {OWN}/{NAME}; restore that")));
                }
                Progress { version: VERSION, ..Progress::default() }
            }
        };
        let has_rows = progress.run.time.is_some();
        progress.run.enter(owner.clone(), has_rows, (over, resumes)).map_err(|why| refused(&why))?;
        progress.generation += 1;
        if let Some(record) = Record::replace(own, NAME, found.as_ref(), progress)? {
            return Ok(record);
        }
    }
    Err(ExternalError::transient(format!(
        "could not open {}: other processes opened it {TRIES} times meanwhile",
        bucket.url()
    )))
}
