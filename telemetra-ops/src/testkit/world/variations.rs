//! Variations of a script: the same partitions under other circumstances.

use std::collections::{BTreeMap, BTreeSet};

use crate::testkit::world::script::{Kill, RunEnd, RunPlan, Script};

impl Script {
    /// The same partitions, all there from the start and never silent, read by one worker that nothing happens to.
    pub(super) fn undisturbed(&self) -> Self {
        let run = RunPlan {
            workers: 1,
            per_poll: 16,
            end: None,
            sinks: BTreeMap::new(),
            store: BTreeMap::new(),
            polls: BTreeSet::new(),
            opens: 0,
        };
        let (grows_from, replaces) = (Vec::new(), None);
        let mut script = Self { sinks: 1, runs: vec![run], grows_from, replaces, ..self.clone() };
        for partition in &mut script.partitions {
            partition.joins_after = None;
            partition.silences.clear();
            partition.suspensions.clear();
        }
        script
    }

    /// Replaces the kills of processes by drains: each is drained after an even part of the events.
    pub(super) fn drain_instead(&mut self) {
        let (events, runs) = (self.events(), self.runs.len() as u64);
        for (number, run) in (1..).zip(&mut self.runs) {
            run.end = run.end.map(|_| RunEnd::Drained(events * number / runs));
        }
    }

    /// Ends the input in the middle of each partition, and lets it grow before the second run.
    pub(super) fn grow(&mut self) {
        // An input that ends waits for nobody.
        self.settle();
        self.grows_from = self.partitions.iter().map(|one| one.planned.len() / 2).collect();
        // The first comes to its end or is killed on the way, which may be after its windows have begun to close.
        let mut disturbed = self.runs.iter().find(|run| run.end.is_some()).cloned();
        if let Some(run) = &mut disturbed
            && let Some(RunEnd::Killed(Kill::Poll { given, .. })) = run.end
        {
            // What a kill while partitions are read does other worlds show.
            run.end = Some(RunEnd::Killed(Kill::Sink { sink: 0, call: given % 16, durable: true }));
        }
        let mut runs: Vec<_> = disturbed.map_or_else(|| self.undisturbed().runs, |run| vec![run]);
        runs.extend(self.runs.pop().filter(|run| run.end.is_none()));
        self.runs = runs;
    }
}
