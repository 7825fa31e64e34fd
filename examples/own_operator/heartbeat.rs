//! The event: a machine's report of its state, and generated reports.

use serde::{Deserialize, Serialize};
use telemetra::prelude::*;

/// The state of a machine, from the best to the worst.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    Running,
    Idle,
    Fault,
}

/// A heartbeat, in JSON: `{"machine": "press 1", "time": "2026-01-01T06:00:00Z", "state": "running"}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Heartbeat {
    pub(crate) machine: String,
    pub(crate) time: EventTime,
    pub(crate) state: State,
}

impl Event for Heartbeat {
    type Key = String;

    fn time(&self) -> EventTime {
        self.time
    }

    fn key(&self) -> &str {
        &self.machine
    }
}

/// The first time of generated heartbeats.
pub(crate) const START: EventTime = EventTime(1_767_225_600_000);

/// The heartbeats of some machines over this many hours, as JSON lines in the order in which they arrive.
/// Each machine reports every one or two minutes and is silent now and then; some heartbeats are minutes
/// late, and one in a thousand comes an hour late.
pub(crate) fn made_up(hours: u64) -> Vec<String> {
    let mut random = Random(17);
    let mut lines = Vec::new();
    for machine in ["press 1", "press 2", "lathe", "mill", "robot"] {
        let (mut time, mut state) = (START.0 + random.below(60_000), State::Running);
        while time < START.0 + hours * 3_600_000 {
            state = match random.below(10) {
                0 => State::Idle,
                1 => State::Fault,
                2 | 3 => State::Running,
                _ => state,
            };
            let heartbeat = Heartbeat { machine: machine.to_owned(), time: EventTime(time), state };
            let delay = match random.below(1_000) {
                0 => 3_600_000,
                1..200 => 60_000 + random.below(200_000),
                _ => random.below(5_000),
            };
            lines.extend(serde_json::to_string(&heartbeat).map(|line| (time + delay, line)));
            let silence = if random.below(50) == 0 { 1_800_000 } else { 60_000 };
            time += 60_000 + random.below(silence);
        }
    }
    lines.sort();
    lines.into_iter().map(|(_, line)| line).collect()
}

/// The random generator SplitMix64: the same numbers on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound.max(1)
    }
}
