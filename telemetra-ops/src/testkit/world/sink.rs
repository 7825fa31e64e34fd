//! Sinks of a simulation: a model that stores and checks what it is given, and a wrapper that adds the faults
//! of the script to any sink.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use telemetra_core::{Action, Batch, Change, DeadLetter, EventTime, ExternalError, RowKey, Sink, Table};

use crate::testkit::world::Defect;
use crate::testkit::world::run::ProcessRun;
use crate::testkit::world::script::{CallFault, Kill, RunEnd};
use crate::testkit::world::shared::{Calls, Findings, lock, stall};

/// The changes that a sink has made durable; they outlive processes.
#[derive(Clone, Debug, Default)]
pub(super) struct Durable {
    pub(super) rows: BTreeMap<RowKey, Change>,
    /// The batches in which something changed.
    pub(super) log: Vec<Batch>,
    pub(super) letters: BTreeMap<(String, u64, u32), DeadLetter>,
    pub(super) time: Option<EventTime>,
    /// The number of processes that have opened it: the last one owns it.
    owners: u64,
}

impl Durable {
    fn take(&mut self, batch: &Batch, findings: &Findings, name: &str) {
        for change in &batch.changes {
            let key = RowKey::of(&*change.row);
            let there = self.rows.get(&key);
            match (change.action, there) {
                (Action::Upsert, Some(there)) if there.revision >= change.revision => {
                    findings.add(format!("{name}: `{key}` comes twice, with revision {}", change.revision));
                }
                (Action::Withdraw, None) => {
                    findings.add(format!("{name}: `{key}` is withdrawn and is not there"));
                }
                _ => {}
            }
            match change.action {
                Action::Upsert => drop(self.rows.insert(key, change.clone())),
                Action::Withdraw => drop(self.rows.remove(&key)),
            }
        }
        if !batch.changes.is_empty() {
            self.log.push(batch.clone());
        }
        self.time = Some(batch.time);
    }

    /// Loses the rows of the last batch, though it was durable.
    fn forget(&mut self) {
        self.log.pop();
        let (log, time) = (std::mem::take(&mut self.log), self.time);
        let letters = std::mem::take(&mut self.letters);
        *self = Self { letters, owners: self.owners, ..Self::default() };
        log.iter().for_each(|batch| self.take(batch, &Findings::default(), ""));
        self.time = time;
    }
}

/// A sink that keeps its rows in the world, and checks what it is given.
#[derive(Debug)]
pub(super) struct ModelSink {
    pub(super) name: String,
    pub(super) durable: Arc<Mutex<Durable>>,
    /// Letters that the next `apply` makes durable.
    pub(super) held: Vec<DeadLetter>,
    /// Its number among those that have opened it.
    pub(super) owner: u64,
    pub(super) findings: Findings,
    pub(super) defect: Option<Defect>,
}

impl Sink for ModelSink {
    fn name(&self) -> &str {
        &self.name
    }

    fn open(
        &mut self,
        _tables: &[Arc<Table>],
        _resume: Option<EventTime>,
    ) -> Result<Option<EventTime>, ExternalError> {
        let mut durable = lock(&self.durable);
        if self.defect == Some(Defect::SinkForgets) {
            durable.forget();
        }
        durable.owners += 1;
        self.owner = durable.owners;
        Ok(durable.time)
    }

    fn apply(&mut self, batches: &[Batch]) -> Result<(), ExternalError> {
        let mut durable = lock(&self.durable);
        if durable.owners != self.owner && self.defect != Some(Defect::SinkIgnoresOwner) {
            return Err(ExternalError::permanent("another process has taken over the sink"));
        }
        for letter in self.held.drain(..) {
            let place = (letter.partition.as_str().to_owned(), letter.offset, letter.index);
            if durable.letters.get(&place).is_some_and(|there| *there != letter) {
                self.findings
                    .add(format!("{}: the letter at {place:?} comes with other contents", self.name));
            }
            durable.letters.insert(place, letter);
        }
        for batch in batches {
            if durable.time.is_none_or(|time| time < batch.time) {
                durable.take(batch, &self.findings, &self.name);
                continue;
            }
            let there = durable.log.iter().find(|there| there.time == batch.time);
            let same = there.map_or(batch.changes.is_empty(), |there| there == batch);
            if !same {
                self.findings.add(format!("{}: {} comes again with other contents", self.name, batch.time));
            }
        }
        Ok(())
    }

    fn dead_letters(&mut self, letters: &[DeadLetter]) -> Result<(), ExternalError> {
        self.held.extend_from_slice(letters);
        Ok(())
    }
}

/// A wrapper of a sink whose calls fail, stall, lose their acknowledgement, and have no effect once the
/// simulated process is killed, as the script of a simulation plans. It is made by
/// [`ProcessRun::faulty_sink`].
#[derive(Debug)]
pub struct FaultySink<S> {
    inner: S,
    number: usize,
    run: ProcessRun,
    calls: Calls,
    /// The time up to which it returned that all is durable.
    acknowledged: Option<EventTime>,
}

impl<S: Sink> FaultySink<S> {
    pub(super) fn new(inner: S, number: usize, run: ProcessRun) -> Self {
        Self { inner, number, run, calls: Calls::default(), acknowledged: None }
    }

    fn check_order(&self, batches: &[Batch]) {
        let mut last = self.acknowledged;
        for batch in batches {
            if last.is_some_and(|last| batch.time <= last) {
                let what = format!("{}: {} is given again or out of order", self.inner.name(), batch.time);
                self.run.findings.add(what);
            }
            last = Some(batch.time);
        }
    }
}

impl<S: Sink> Sink for FaultySink<S> {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn open(
        &mut self,
        tables: &[Arc<Table>],
        resume: Option<EventTime>,
    ) -> Result<Option<EventTime>, ExternalError> {
        self.run.process.runs()?;
        self.acknowledged = self.inner.open(tables, resume)?;
        self.run.owners.take(self.inner.name(), self.run.number);
        Ok(self.acknowledged)
    }

    fn apply(&mut self, batches: &[Batch]) -> Result<(), ExternalError> {
        let process = self.run.process.clone();
        process.runs()?;
        self.run.wake_others();
        self.check_order(batches);
        let call = self.calls.next();
        let killed = match self.run.plan.end {
            Some(RunEnd::Killed(Kill::Sink { sink, call: at, durable }))
                if (sink, at) == (self.number, call) =>
            {
                Some(durable)
            }
            _ => None,
        };
        if killed == Some(false) {
            process.dies()?;
        }
        let replaced = self.run.owners.is_of_another(self.inner.name(), self.run.number);
        let fault = self.run.plan.sinks.get(&(self.number, call)).copied();
        let half = &batches[..batches.len() / 2];
        let lost = || ExternalError::transient("the sink does not answer, by the script");
        match fault {
            Some(CallFault::Refused) if self.run.defect == Some(Defect::SinkAcknowledgesFailures) => {}
            Some(CallFault::Refused) => {
                return Err(ExternalError::transient("the sink refuses by the script"));
            }
            Some(CallFault::Unacknowledged { all }) => {
                self.inner.apply(if all { batches } else { half })?;
                if killed.is_some() {
                    process.dies()?;
                }
                return Err(lost());
            }
            Some(CallFault::Stalls(millis)) => {
                stall(&self.run.time, &process, millis);
                process.runs()?;
                self.inner.apply(batches)?;
            }
            None => self.inner.apply(batches)?,
        }
        if replaced {
            let what = format!("{}: a process that was replaced could still write", self.inner.name());
            self.run.findings.add(what);
        }
        if killed == Some(true) {
            process.dies()?;
        }
        self.acknowledged = batches.last().map(|batch| batch.time).or(self.acknowledged);
        Ok(())
    }

    fn dead_letters(&mut self, letters: &[DeadLetter]) -> Result<(), ExternalError> {
        self.run.process.runs()?;
        self.inner.dead_letters(letters)
    }

    fn close(&mut self) -> Result<(), ExternalError> {
        self.inner.close()
    }
}
