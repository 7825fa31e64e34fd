//! The script of a simulation: the partitions and their records, and how each run of the process ends, all
//! generated from the seed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use telemetra_core::engine::millis;
use telemetra_core::testkit::Noise;
use telemetra_core::{EventTime, TimeConfig};

/// The event time at which each world begins.
pub(super) const BASE: u64 = 1_000_000_000;
/// The time, in milliseconds, by which an event from the future is ahead.
const YEAR: u64 = 365 * 24 * 3_600_000;
/// An allowed lateness that nothing in a world exceeds.
const PATIENT: Duration = Duration::from_secs(100_000);

/// The time after which a partition is idle where the process is suspended: longer than any partition has nothing, shorter than a suspension.
const IDLE_AFTER: Duration = Duration::from_secs(2);
/// The time for which a process is suspended, in milliseconds.
pub(super) const SUSPENSION: u64 = 10_000;

/// An event as the script plans it, from which the `encode` closure of a [`World`](super::World) makes the
/// bytes of a record. Your decoder must return an event with the same time, key and id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Draft {
    /// The index of the event's partition, from 0.
    pub partition: usize,
    /// The event time.
    pub time: EventTime,
    /// The key: 0, 1, 2 or 3.
    pub key: u64,
    /// The id, unique in the simulation except for duplicates, which there are if
    /// [`TimeConfig::deduplicate`] is set.
    pub id: u64,
    /// A random number below 2²⁰, for the other fields of your event.
    pub number: u64,
}

/// A record of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Planned {
    Event(Draft),
    /// The same, from the future.
    Future(Draft),
    Malformed,
}

/// A partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PartitionScript {
    /// It comes into being once so many records of all partitions were read.
    pub(super) joins_after: Option<usize>,
    pub(super) planned: Vec<Planned>,
    /// The records before which it is silent, and the length of each silence in milliseconds.
    pub(super) silences: BTreeMap<usize, u64>,
    /// The records before which so many polls find nothing; after the first of them the process is suspended.
    pub(super) suspensions: BTreeMap<usize, usize>,
}

/// A fault in a call of a sink or a store.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum CallFault {
    /// It fails, and nothing was done.
    Refused,
    /// It fails, though half of it, or all, was done.
    Unacknowledged { all: bool },
    /// It takes that many milliseconds.
    Stalls(u64),
}

/// The point at which a process is killed: the n-th time of a call in a run.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Kill {
    /// The poll of a partition after it has given so many records.
    Poll { partition: usize, given: usize },
    /// A call of a sink: before or after its batches are durable.
    Sink { sink: usize, call: usize, durable: bool },
    /// A call that stores a blob: before or after it is stored.
    Store { call: usize, durable: bool },
}

/// The course of one run of the pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RunPlan {
    pub(super) workers: usize,
    pub(super) per_poll: usize,
    /// `None`: it goes on to the end of the input.
    pub(super) end: Option<RunEnd>,
    /// By sink and call.
    pub(super) sinks: BTreeMap<(usize, usize), CallFault>,
    pub(super) store: BTreeMap<usize, CallFault>,
    /// The partition and the record at which a poll fails once.
    pub(super) polls: BTreeSet<(usize, usize)>,
    /// The number of times that listing partitions and opening one fails.
    pub(super) opens: usize,
}

/// The end of a run that ends before the input does.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum RunEnd {
    Killed(Kill),
    /// It is drained, windows kept, when so many events were read.
    Drained(u64),
}

/// All that a seed decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Script {
    /// True if a partition joins.
    pub(super) joins: bool,
    /// True if partitions fall silent, and do not hold back the others then.
    pub(super) idles: bool,
    pub(super) partitions: Vec<PartitionScript>,
    pub(super) sinks: usize,
    pub(super) runs: Vec<RunPlan>,
    /// The number of records of each partition in the first run, which ends with them; empty: all.
    pub(super) grows_from: Vec<usize>,
    /// True if the process is suspended while partitions have nothing.
    pub(super) suspends: bool,
    /// The partition in whose place the second run finds another one, of the same name.
    pub(super) replaces: Option<usize>,
}

/// Uniform numbers from a seed.
struct Dice(Noise);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        ((self.0.uniform() * n as f64) as u64).min(n.saturating_sub(1))
    }

    fn index(&mut self, n: usize) -> usize {
        usize::try_from(self.below(n as u64)).unwrap_or(0)
    }

    /// True once in `n` times.
    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

impl Script {
    /// The script of a seed, for a pipeline of these settings of time.
    pub(super) fn new(seed: u64, time: &TimeConfig) -> Self {
        // Neighbouring seeds give neighbouring states: mix them.
        let dice = &mut Dice(Noise::new(seed.wrapping_mul(0xd134_2543_de82_ef95).rotate_left(17)));
        let (joins, idles) = (dice.one_in(6), dice.one_in(6));
        let number = 1 + dice.index(3);
        let mut partitions: Vec<_> =
            (0..number).map(|partition| PartitionScript::new(partition, idles, time, dice)).collect();
        if joins {
            let read: usize = partitions.iter().map(|one| one.planned.len()).sum();
            let mut joining = PartitionScript::new(number, idles, time, dice);
            joining.joins_after = Some(dice.index(read));
            partitions.push(joining);
        }
        let sinks = 1 + dice.index(2);
        let mut runs: Vec<_> = (0..dice.index(4)).map(|_| RunPlan::new(&partitions, sinks, dice)).collect();
        let last = RunPlan { end: None, ..RunPlan::new(&partitions, sinks, dice) };
        runs.push(last);
        let grows_from = Vec::new();
        Self { joins, idles, partitions, sinks, runs, grows_from, suspends: false, replaces: None }
    }

    /// Creates all partitions at the beginning, and removes their silences.
    pub(super) fn settle(&mut self) {
        (self.joins, self.idles) = (false, false);
        for partition in &mut self.partitions {
            partition.joins_after = None;
            partition.silences.clear();
        }
    }

    /// Suspends the process several times, each time while a partition has nothing for a moment.
    pub(super) fn suspend(&mut self, seed: u64) {
        self.settle();
        self.suspends = true;
        let dice = &mut Dice(Noise::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23)));
        for partition in &mut self.partitions {
            let records = partition.planned.len();
            partition.suspensions =
                (0..1 + dice.index(3)).map(|_| (dice.index(records), 2 + dice.index(3))).collect();
        }
    }

    /// Replaces a partition by another one in the second run, and restores it in the third.
    pub(super) fn replace(&mut self, seed: u64) {
        self.settle();
        let dice = &mut Dice(Noise::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)));
        self.replaces = Some(dice.index(self.partitions.len()));
        let mut second = self.runs.last().cloned();
        if let Some(second) = &mut second {
            // Nothing else happens in it: that the partition is another one is found when it is opened.
            (second.opens, second.polls) = (0, BTreeSet::new());
        }
        let at = 1.min(self.runs.len() - 1);
        self.runs.splice(at..at, second);
    }

    /// The settings of time under which its end is settled.
    pub(super) fn time(&self, time: &TimeConfig) -> TimeConfig {
        let allowed_lateness = if self.is_settled() { time.allowed_lateness } else { PATIENT };
        let idle_after = match (self.idles, self.suspends) {
            (true, _) => Some(Duration::from_millis(20)),
            (false, true) => Some(IDLE_AFTER),
            (false, false) => None,
        };
        TimeConfig { allowed_lateness, idle_after, ..time.clone() }
    }

    /// Returns whether fates and batches are the same in each run. When partitions are found to have joined
    /// or fallen silent is a matter of time, so what is late is, and all that is settled is the tables in the
    /// end.
    pub(super) fn is_settled(&self) -> bool {
        !self.joins && !self.idles && self.grows_from.is_empty()
    }

    /// The greatest event time but for those from the future.
    pub(super) fn greatest(&self) -> EventTime {
        let planned = self.partitions.iter().flat_map(|partition| &partition.planned);
        let times = planned.filter_map(|planned| match planned {
            Planned::Event(draft) => Some(draft.time),
            Planned::Future(_) | Planned::Malformed => None,
        });
        times.max().unwrap_or(EventTime(BASE))
    }

    /// The number of events, malformed ones included.
    pub(super) fn events(&self) -> u64 {
        self.partitions.iter().map(|partition| partition.planned.len() as u64).sum()
    }
}

impl PartitionScript {
    /// A tail of events that do not count and yet move the watermark: they have the id of the last one, and later times.
    fn repeat_the_last(&mut self, mut at: u64, slide: u64, disorder: u64, dice: &mut Dice) {
        let Some(Planned::Event(last)) = self.planned.last().cloned() else { return };
        let tail = 1 + dice.below(6);
        for left in (0..tail).rev() {
            // The last goes far enough for a checkpoint after which nothing takes effect.
            at += if left == 0 { disorder + 3 * slide } else { dice.below(slide) };
            self.planned.push(Planned::Event(Draft { time: EventTime(at), ..last.clone() }));
        }
    }

    fn new(partition: usize, idles: bool, time: &TimeConfig, dice: &mut Dice) -> Self {
        let (slide, disorder) = (time.windows.slide(), millis::of(time.out_of_orderness));
        let pace = 1 + dice.below(slide);
        let mut at = BASE + dice.below(10 * slide);
        let mut script = Self::default();
        for number in 0..10 + dice.index(70) {
            at += dice.below(2 * pace);
            if dice.one_in(40) {
                // A jump in time, after which all that goes on from here is late.
                at += dice.below(4 * time.windows.size() + millis::of(time.allowed_lateness).min(1_000_000));
            }
            let behind = match dice.below(10) {
                0..5 => 0,
                5..8 => dice.below(disorder + 1),
                8 => dice.below(disorder + millis::of(time.allowed_lateness).min(1_000_000) + 2 * slide),
                _ => dice.below(slide),
            };
            let draft = Draft {
                partition,
                time: EventTime(at).minus(behind),
                key: dice.below(4),
                id: (partition as u64) << 32 | number as u64,
                number: dice.below(1 << 20),
            };
            let planned = match dice.below(24) {
                0 => Planned::Malformed,
                1 if time.max_future_skew.is_some() => {
                    Planned::Future(Draft { time: draft.time.plus(YEAR), ..draft })
                }
                2 | 3 if time.deduplicate && !script.planned.is_empty() => {
                    let back = dice.index(script.planned.len().min(9));
                    script.planned[script.planned.len() - 1 - back].clone()
                }
                _ => Planned::Event(draft),
            };
            if idles && dice.one_in(30) {
                script.silences.insert(script.planned.len(), 10 + dice.below(60));
            }
            script.planned.push(planned);
        }
        if time.deduplicate && dice.one_in(3) {
            script.repeat_the_last(at, slide, disorder, dice);
        }
        script
    }
}

impl RunPlan {
    fn new(partitions: &[PartitionScript], sinks: usize, dice: &mut Dice) -> Self {
        let kill = match dice.below(4) {
            0 | 1 => {
                let partition = dice.index(partitions.len());
                Kill::Poll { partition, given: dice.index(partitions[partition].planned.len()) }
            }
            2 => Kill::Sink { sink: dice.index(sinks), call: dice.index(12), durable: dice.one_in(2) },
            _ => Kill::Store { call: dice.index(12), durable: dice.one_in(2) },
        };
        let read: usize = partitions.iter().map(|partition| partition.planned.len()).sum();
        let drained = RunEnd::Drained(1 + dice.below(read as u64));
        let end = if dice.one_in(5) { drained } else { RunEnd::Killed(kill) };
        let fault = |dice: &mut Dice| match dice.below(4) {
            0 => CallFault::Refused,
            1 => CallFault::Unacknowledged { all: false },
            2 => CallFault::Unacknowledged { all: true },
            _ => CallFault::Stalls(1 + dice.below(30)),
        };
        let few = |dice: &mut Dice| if dice.one_in(3) { 1 + dice.index(2) } else { 0 };
        let of_sinks = few(dice);
        let of_store = few(dice);
        let of_polls = few(dice);
        let sink_faults = (0..of_sinks).map(|_| ((dice.index(sinks), dice.index(10)), fault(dice))).collect();
        Self {
            workers: 1 + dice.index(4),
            per_poll: 1 + dice.index(8),
            end: Some(end),
            sinks: sink_faults,
            store: (0..of_store).map(|_| (dice.index(10), fault(dice))).collect(),
            polls: (0..of_polls)
                .map(|_| {
                    let partition = dice.index(partitions.len());
                    (partition, dice.index(partitions[partition].planned.len()))
                })
                .collect(),
            opens: usize::from(dice.one_in(8)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_script_and_others_give_others() {
        let time = TimeConfig::default();
        let scripts: Vec<_> = (0..50).map(|seed| Script::new(seed, &time)).collect();
        assert_eq!(scripts, (0..50).map(|seed| Script::new(seed, &time)).collect::<Vec<_>>());
        for (seed, script) in scripts.iter().enumerate() {
            assert!(!scripts[..seed].contains(script), "seed {seed} is like one before");
        }
        let some = |has: fn(&Script) -> bool| assert!(scripts.iter().any(has));
        some(|script| script.joins);
        some(|script| script.idles);
        some(|script| script.runs.len() > 2);
        some(|script| script.runs.iter().any(|run| run.workers > 2));
        some(|script| script.runs.iter().any(|run| !run.sinks.is_empty() && !run.store.is_empty()));
        some(|script| script.partitions.iter().any(|one| !one.silences.is_empty()));
        some(|script| script.partitions.iter().any(|one| one.planned.contains(&Planned::Malformed)));
    }
}
