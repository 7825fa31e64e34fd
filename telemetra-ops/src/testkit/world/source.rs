//! The scripted source: partitions that join, fall silent, fail and go on from any offset.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use telemetra_core::{ExternalError, Partition, PartitionId, Polled, RecordBatch, Source, key_hash};

use crate::testkit::world::Defect;
use crate::testkit::world::script::{Kill, PartitionScript, RunEnd, RunPlan, SUSPENSION};
use crate::testkit::world::shared::{Findings, Process, VirtualTime, lock};

const PAUSE: Duration = Duration::from_millis(1);

/// The records of all partitions, which outlive processes.
#[derive(Debug)]
pub(super) struct Records {
    pub(super) scripts: Vec<PartitionScript>,
    pub(super) bytes: Vec<Vec<Vec<u8>>>,
    /// The number of records of each partition that are there yet; the rest is appended between two runs.
    pub(super) there: Vec<AtomicUsize>,
    /// Records given in all runs.
    given: AtomicUsize,
    /// Suspensions that are over.
    suspended: Mutex<BTreeSet<(usize, usize)>>,
}

impl Records {
    pub(super) fn new(scripts: Vec<PartitionScript>, bytes: Vec<Vec<Vec<u8>>>) -> Self {
        let there = bytes.iter().map(|records| AtomicUsize::new(records.len())).collect();
        Self { scripts, bytes, there, given: AtomicUsize::new(0), suspended: Mutex::default() }
    }

    /// A hash of what lies before an offset.
    fn identity(&self, partition: usize, offset: u64) -> u64 {
        let records = &self.bytes[partition];
        let before = usize::try_from(offset).unwrap_or(usize::MAX).min(records.len());
        key_hash(&records[..before])
    }

    fn has_joined(&self, partition: usize) -> bool {
        let after = self.scripts[partition].joins_after;
        after.is_none_or(|after| self.given.load(Ordering::SeqCst) >= after)
    }
}

/// The source of one run.
#[derive(Clone)]
pub(super) struct WorldSource {
    pub(super) records: Arc<Records>,
    pub(super) plan: Arc<RunPlan>,
    pub(super) process: Process,
    pub(super) time: VirtualTime,
    pub(super) findings: Findings,
    pub(super) defect: Option<Defect>,
    /// The partition in whose place there is another one of the same name.
    pub(super) replaced: Option<usize>,
    /// True if another partition than the one that was read before was noticed.
    pub(super) refused: Arc<AtomicBool>,
    /// Listing and opening fail so often before they work.
    pub(super) failures: Arc<AtomicUsize>,
    /// The partitions that are read in this run. One that joins is among them from its first poll on.
    pub(super) opened: Arc<Mutex<BTreeSet<usize>>>,
    /// Polls that have failed already.
    pub(super) failed: Arc<Mutex<BTreeSet<(usize, usize)>>>,
}

impl WorldSource {
    fn may_fail(&self, what: &str) -> Result<(), ExternalError> {
        self.process.runs()?;
        let left = self.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if left.is_ok() {
            Err(ExternalError::transient(format!("{what} fails by the script")))
        } else {
            Ok(())
        }
    }

    /// Returns whether partitions that have not come into being, or were not found yet, are waited for.
    fn waits_for_others(&self) -> bool {
        let opened = lock(&self.opened);
        (0..self.records.scripts.len()).any(|partition| !opened.contains(&partition))
    }
}

pub(super) fn name_of(partition: usize) -> String {
    format!("p{partition}")
}

/// The number of the partition of that name.
pub(super) fn number_of(id: &PartitionId) -> Option<usize> {
    id.as_str().strip_prefix('p')?.parse().ok()
}

impl Source for WorldSource {
    fn partitions(&mut self) -> Result<Vec<PartitionId>, ExternalError> {
        self.may_fail("listing")?;
        let all = 0..self.records.scripts.len();
        let there = all.filter(|partition| self.records.has_joined(*partition));
        Ok(there.map(|partition| PartitionId::new(&name_of(partition))).collect())
    }

    fn open(&mut self, id: &PartitionId, from: Option<u64>) -> Result<Box<dyn Partition>, ExternalError> {
        self.may_fail("opening")?;
        let known = number_of(id).filter(|partition| *partition < self.records.scripts.len());
        let Some(partition) = known else {
            return Err(ExternalError::permanent(format!("there is no partition `{id}`")));
        };
        let from = usize::try_from(from.unwrap_or(0)).unwrap_or(usize::MAX);
        if self.replaced == Some(partition) && from == 0 {
            // Nothing of the right one was read: nobody can know.
            return Err(self.process.kill());
        }
        if from > self.records.bytes[partition].len() {
            self.findings.add(format!("`{id}` is opened at {from}, behind its end"));
        }
        let next = match self.defect {
            Some(Defect::SourceRepeats) => from.saturating_sub(1),
            Some(Defect::SourceSkips) if from > 0 => from + 1,
            _ => from,
        };
        if self.records.scripts[partition].joins_after.is_none() {
            lock(&self.opened).insert(partition);
        }
        Ok(Box::new(WorldPartition {
            source: self.clone(),
            partition,
            next,
            given: 0,
            silent_until: None,
            spoken: None,
            found_nothing: 0,
            hesitated: false,
        }))
    }

    fn resume(
        &mut self,
        id: &PartitionId,
        from: u64,
        identity: Option<u64>,
    ) -> Result<Box<dyn Partition>, ExternalError> {
        let replaced = number_of(id).filter(|partition| from > 0 && self.replaced == Some(*partition));
        if let Some(partition) = replaced {
            let other = self.records.identity(partition, from).wrapping_add(1);
            if identity.is_some_and(|known| known != other) {
                self.refused.store(true, Ordering::SeqCst);
                let what = format!("`{id}` is not the partition that was read before, by the script");
                return Err(ExternalError::permanent(what));
            }
            self.findings.add(format!("`{id}` was replaced by another, which is read from {from}"));
        }
        self.open(id, Some(from))
    }

    fn refresh_every(&self) -> Option<Duration> {
        self.records.scripts.iter().any(|script| script.joins_after.is_some()).then_some(PAUSE)
    }
}

struct WorldPartition {
    source: WorldSource,
    partition: usize,
    next: usize,
    given: usize,
    silent_until: Option<u64>,
    /// The record whose silence is over.
    spoken: Option<usize>,
    /// The number of polls that find nothing before the next record, by the script.
    found_nothing: usize,
    /// True if it has said once that there is nothing now before it says that there is nothing ever again.
    hesitated: bool,
}

impl WorldPartition {
    /// Returns whether this poll finds nothing. Before the second of several the process is suspended.
    fn finds_nothing(&mut self) -> bool {
        let records = &self.source.records;
        let Some(polls) = records.scripts[self.partition].suspensions.get(&self.next) else { return false };
        let mut suspended = lock(&records.suspended);
        if suspended.contains(&(self.partition, self.next)) {
            return false;
        }
        self.found_nothing += 1;
        if self.found_nothing == 2 {
            self.source.time.leap(SUSPENSION);
        }
        if self.found_nothing > *polls {
            suspended.insert((self.partition, self.next));
            self.found_nothing = 0;
            return false;
        }
        true
    }

    fn is_silent(&mut self) -> bool {
        let now = self.source.time.now();
        if let Some(until) = self.silent_until {
            if now < until {
                return true;
            }
            self.silent_until = None;
            self.spoken = Some(self.next);
        }
        let silence = self.source.records.scripts[self.partition].silences.get(&self.next);
        match silence.filter(|_| self.spoken != Some(self.next)) {
            Some(silence) => {
                self.silent_until = Some(now + silence);
                true
            }
            None => false,
        }
    }
}

impl Partition for WorldPartition {
    fn poll(&mut self, batch: &mut RecordBatch) -> Result<Polled, ExternalError> {
        let WorldSource { records, plan, process, .. } = self.source.clone();
        process.runs()?;
        if records.scripts[self.partition].joins_after.is_some() {
            lock(&self.source.opened).insert(self.partition);
        }
        let mut most = plan.per_poll;
        if let Some(RunEnd::Killed(Kill::Poll { partition, given })) = plan.end
            && partition == self.partition
        {
            if self.given >= given {
                process.dies()?;
            } else {
                most = most.min(given - self.given);
            }
        }
        if plan.polls.contains(&(self.partition, self.next))
            && lock(&self.source.failed).insert((self.partition, self.next))
        {
            return Err(ExternalError::transient("a poll fails by the script"));
        }
        let there = records.there[self.partition].load(Ordering::SeqCst);
        if self.next >= there {
            // Nothing new is read once all have ended. And that nothing more will come is not always known at once.
            let hesitates = plan.per_poll % 2 == 1 && !std::mem::replace(&mut self.hesitated, true);
            let waits = hesitates || self.source.waits_for_others();
            return Ok(if waits { Polled::Idle(PAUSE) } else { Polled::Done });
        }
        let mut given = 0;
        while given < most && self.next < there && !batch.is_full() {
            if self.is_silent() || self.finds_nothing() {
                return Ok(if given > 0 { Polled::Ready } else { Polled::Idle(PAUSE) });
            }
            batch.push(&records.bytes[self.partition][self.next], self.next as u64);
            self.next += 1;
            self.given += 1;
            given += 1;
            records.given.fetch_add(1, Ordering::SeqCst);
        }
        Ok(Polled::Ready)
    }

    fn offset(&self) -> u64 {
        self.next as u64
    }

    fn identity(&mut self, offset: u64) -> Option<u64> {
        Some(self.source.records.identity(self.partition, offset))
    }

    fn committed(&mut self, offset: u64) {
        if offset > self.next as u64 {
            let (partition, next) = (name_of(self.partition), self.next);
            self.source.findings.add(format!("`{partition}`: {offset} is committed, only {next} were read"));
        }
    }
}
