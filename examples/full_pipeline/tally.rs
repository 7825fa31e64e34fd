//! A sink that counts rows, moments and the busiest streams. It stores no rows.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use telemetra::core::{Action, Batch, ExternalError, RowKey};
use telemetra::livestream::{StreamId, StreamSummary};
use telemetra::prelude::*;

/// The number of strongest moments in the report.
const STRONGEST: usize = 5;
/// The number of busiest streams in the report.
const BUSIEST: usize = 5;

/// The counts up to a time.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Counts {
    pub(crate) time: Option<EventTime>,
    /// The current number of rows of windows.
    pub(crate) windows: u64,
    /// The current number of rows of moments.
    pub(crate) moments: u64,
    /// The number of windows that were published again.
    pub(crate) corrections: u64,
    /// The number of rows withdrawn.
    pub(crate) withdrawn: u64,
    pub(crate) moments_by_type: BTreeMap<Arc<str>, u64>,
    /// The number of messages in the busiest window of a stream, and that window's end; the busiest first.
    pub(crate) busiest: Vec<(u64, StreamId, EventTime)>,
    /// The types of the trusted moments, by their ids.
    pub(crate) trusted: BTreeMap<String, Arc<str>>,
    /// The trusted moments of greatest score, the greatest first.
    #[serde(default)]
    pub(crate) strongest: Vec<Moment<StreamId>>,
    /// All moments, if they are to be scored.
    pub(crate) found: BTreeMap<String, Moment<StreamId>>,
    /// The rows that were withdrawn and not written again.
    gone: BTreeSet<String>,
}

impl Counts {
    fn apply(&mut self, batch: &Batch, scored: bool, limit: Micro) {
        for change in &batch.changes {
            let (put, again) = match change.action {
                Action::Withdraw => {
                    self.gone.insert(RowKey::of(&*change.row).to_string());
                    self.withdrawn += 1;
                    (false, false)
                }
                Action::Upsert if change.revision == 0 => (true, false),
                Action::Upsert => {
                    let back =
                        !self.gone.is_empty() && self.gone.remove(&RowKey::of(&*change.row).to_string());
                    (true, !back)
                }
            };
            // Short bursts are a separate list.
            let is_main = change.table() == "moments";
            let count = |number: &mut u64| match (put, again) {
                (true, false) => *number += 1,
                (true, true) => {}
                (false, _) => *number = number.saturating_sub(1),
            };
            if let Some(SummaryRow { key, summary }) = change.row::<SummaryRow<StreamId, StreamSummary>>() {
                count(&mut self.windows);
                self.corrections += u64::from(change.revision > 0);
                self.rank(key, summary.value.chat_count, summary.window.end);
            } else if let Some(moment) = change.row::<Moment<StreamId>>().filter(|_| is_main) {
                count(&mut self.moments);
                count(self.moments_by_type.entry(Arc::clone(&moment.moment_type)).or_default());
                let id = moment.id().to_string();
                self.strongest.retain(|other| other.id() != moment.id());
                if put && is_trusted(moment, limit) {
                    self.rank_moment(moment);
                    self.trusted.insert(id.clone(), Arc::clone(&moment.moment_type));
                } else {
                    self.trusted.remove(&id);
                }
                match (scored, put) {
                    (true, true) => drop(self.found.insert(id, moment.clone())),
                    (true, false) => drop(self.found.remove(&id)),
                    (false, _) => {}
                }
            }
        }
        self.time = Some(batch.time);
    }

    /// Ranks a moment. One that has dropped out of the list returns only by a greater score.
    fn rank_moment(&mut self, moment: &Moment<StreamId>) {
        let score = |moment: &Moment<StreamId>| std::cmp::Reverse(moment.score.0.unsigned_abs());
        let at = self.strongest.partition_point(|other| score(other) <= score(moment));
        self.strongest.insert(at, moment.clone());
        self.strongest.truncate(STRONGEST);
    }

    /// Ranks a stream. A stream that has dropped out of the list returns only by a busier window, so the list
    /// is all the state.
    fn rank(&mut self, stream: &StreamId, messages: u64, end: EventTime) {
        if self.busiest.len() == BUSIEST && self.busiest[BUSIEST - 1].0 >= messages {
            return;
        }
        match self.busiest.iter().position(|(_, known, _)| known == stream) {
            Some(at) if self.busiest[at].0 >= messages => return,
            Some(at) => self.busiest[at] = (messages, stream.clone(), end),
            None => self.busiest.push((messages, stream.clone(), end)),
        }
        self.busiest.sort_by(|a, b| (b.0, &a.1).cmp(&(a.0, &b.1)));
        self.busiest.truncate(BUSIEST);
    }
}

/// Whether a moment's chance is at most the limit. A limit of 1 also accepts moments without a known chance.
fn is_trusted(moment: &Moment<StreamId>, limit: Micro) -> bool {
    moment.chance.map_or(limit.0 >= Micro::SCALE, |chance| chance <= limit)
}

/// A sink that counts what the other sinks write. Clones share the counts.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    counts: Arc<Mutex<Counts>>,
    /// The file of the counts beside the checkpoints, so that both continue together.
    file: Option<PathBuf>,
    scored: bool,
    limit: Micro,
}

impl Tally {
    /// Creates the counters. They keep all moments if these are to be `scored`, and trust those whose chance
    /// is at most the limit.
    pub(crate) fn new(checkpoint: Option<&Path>, scored: bool, limit: f64) -> Self {
        // The store ignores names that begin with a dot.
        let file = checkpoint.map(|folder| folder.join(".tally.json"));
        Self { counts: Arc::default(), file, scored, limit: Micro::from_f64(limit) }
    }

    pub(crate) fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for Tally {
    fn name(&self) -> &str {
        "tally"
    }

    fn open(
        &mut self,
        _tables: &[Arc<Table>],
        resume: Option<EventTime>,
    ) -> Result<Option<EventTime>, ExternalError> {
        let kept = match (&self.file, resume) {
            (Some(file), Some(_)) => fs::read(file).ok().and_then(|text| serde_json::from_slice(&text).ok()),
            _ => None,
        };
        let counts: Counts = kept.unwrap_or_default();
        let time = counts.time;
        *self.counts() = counts;
        Ok(time)
    }

    fn apply(&mut self, batches: &[Batch]) -> Result<(), ExternalError> {
        let mut counts = self.counts();
        for batch in batches.iter().filter(|batch| Some(batch.time) > counts.time).collect::<Vec<_>>() {
            counts.apply(batch, self.scored, self.limit);
        }
        let Some(file) = &self.file else { return Ok(()) };
        let failed = |error| {
            ExternalError::permanent(format!("could not write the counts to {}", file.display()))
                .because(error)
        };
        let text = serde_json::to_vec(&*counts).map_err(|error| failed(error.into()))?;
        drop(counts);
        let beside = file.with_extension("tmp");
        fs::create_dir_all(file.parent().unwrap_or(file)).map_err(failed)?;
        let mut written = File::create(&beside).map_err(failed)?;
        written.write_all(&text).and_then(|()| written.sync_all()).map_err(failed)?;
        fs::rename(&beside, file).map_err(failed)
    }
}
