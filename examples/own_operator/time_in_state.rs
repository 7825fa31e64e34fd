//! The operator: from heartbeats of machines it computes for how long each was in which state, hour by hour.
//!
//! A window cannot compute this, as a state lasts until the next report: the state at the start of an hour
//! may have been reported in the hour before. So the operator has state of its own. It is a [`Tactic`], so
//! the state is in the checkpoints of the pipeline. A tactic defines what arrives, what is due when, and what
//! a checkpoint stores; the library's driver does the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use telemetra::core::checkpoint::CodecError;
use telemetra::core::key_hash;
use telemetra::ops::Inbox;
use telemetra::prelude::*;

use crate::heartbeat::{Heartbeat, State};

const HOUR: u64 = 3_600_000;
/// The longest time for which a heartbeat counts without another one: a machine that reports nothing is not
/// known to be running.
pub(crate) const HOLD: u64 = 10 * 60_000;

/// A row: the number of milliseconds of an hour that a machine was in each state.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct MachineHour {
    pub(crate) machine: String,
    /// The beginning of the hour.
    pub(crate) hour: EventTime,
    pub(crate) running: u64,
    pub(crate) idle: u64,
    pub(crate) fault: u64,
}

impl Row for MachineHour {
    fn table() -> Table {
        Table::new("machine_hours")
            .key(Column::new("machine", ColumnKind::Text))
            .key(Column::new("hour", ColumnKind::Time))
            .column(Column::new("running_ms", ColumnKind::Integer))
            .column(Column::new("idle_ms", ColumnKind::Integer))
            .column(Column::new("fault_ms", ColumnKind::Integer))
            .revision("revision")
            .by_day("hour")
    }

    fn values(&self, put: &mut dyn FnMut(Value<'_>)) {
        put(Value::Text(&self.machine));
        put(Value::Time(self.hour));
        for millis in [self.running, self.idle, self.fault] {
            put(Value::Unsigned(millis));
        }
        put(Value::Revision);
    }

    // The end of the hour: the row may still change for a while, which is counted from this time.
    fn time(&self) -> Option<EventTime> {
        Some(self.hour.plus(HOUR))
    }
}

/// The states that a machine reported, by time.
type Reports = BTreeMap<EventTime, State>;

/// The operator's state on one worker: that of the machines which are routed to it.
#[derive(Debug)]
pub(crate) struct TimeInState {
    /// The time, in milliseconds, by which heartbeats may be late. An hour can be computed again for as long.
    lateness: Duration,
    /// Heartbeats that have arrived and have not taken effect.
    arrived: Inbox<Heartbeat>,
    machines: BTreeMap<String, Reports>,
    /// The machines with a row that is due, by the end of its hour.
    due: BTreeMap<EventTime, BTreeSet<String>>,
    /// The boundary of the checkpoint that the state was restored from.
    restored: EventTime,
}

impl TimeInState {
    /// Late events take effect up to the allowed lateness after their pane, at the end of a pane.
    pub(crate) fn new(time: &TimeConfig) -> Self {
        Self {
            lateness: time.allowed_lateness + Duration::from_millis(2 * time.windows.slide()),
            arrived: Inbox::default(),
            machines: BTreeMap::new(),
            due: BTreeMap::new(),
            restored: EventTime::MIN,
        }
    }

    /// The least time of a heartbeat that may take effect at `time` or later.
    fn least(&self, time: EventTime) -> EventTime {
        time - self.lateness
    }

    fn row(&self, machine: &str, hour: EventTime) -> Option<MachineHour> {
        row(machine, hour, self.machines.get(machine)?)
    }

    /// Records which rows are due, after a heartbeat or a restart.
    fn expect(&mut self, machine: &str, heartbeat: EventTime, after: EventTime) {
        for hour in hours_of(heartbeat) {
            let end = hour.plus(HOUR);
            if end > after {
                self.due.entry(end).or_default().insert(machine.to_owned());
            }
        }
    }

    /// Removes the state that no row which may still change depends on.
    fn forget(&mut self, time: EventTime) {
        let least = hour_of(self.least(time)).minus(HOLD);
        self.machines.retain(|_, reports| {
            *reports = reports.split_off(&least);
            !reports.is_empty()
        });
    }
}

fn hour_of(time: EventTime) -> EventTime {
    EventTime(time.0 - time.0 % HOUR)
}

/// The hours in which a heartbeat may count: one or two.
fn hours_of(heartbeat: EventTime) -> BTreeSet<EventTime> {
    [hour_of(heartbeat), hour_of(heartbeat.plus(HOLD - 1))].into()
}

/// The times that a machine was in each state in an hour; `None` if nothing is known for that hour.
fn row(machine: &str, hour: EventTime, reports: &Reports) -> Option<MachineHour> {
    let end = hour.plus(HOUR);
    let mut row = MachineHour { machine: machine.to_owned(), hour, running: 0, idle: 0, fault: 0 };
    let mut since = reports.range(hour.minus(HOLD)..end).peekable();
    while let Some((&from, state)) = since.next() {
        let next = since.peek().map_or(end, |(next, _)| **next);
        let until = next.min(from.plus(HOLD)).min(end);
        *match state {
            State::Running => &mut row.running,
            State::Idle => &mut row.idle,
            State::Fault => &mut row.fault,
        } += until - from.max(hour);
    }
    (row.running + row.idle + row.fault > 0).then_some(row)
}

impl Tactic for TimeInState {
    type In = Heartbeat;
    /// An update of a collection: a row that is added or retracted at a time.
    type Out = (MachineHour, EventTime, isize);
    type Snapshot = Vec<(String, Reports)>;

    /// All heartbeats of a machine go to one worker.
    fn route(heartbeat: &Heartbeat) -> u64 {
        key_hash(heartbeat.machine.as_str())
    }

    fn take_in(&mut self, time: EventTime, heartbeat: Heartbeat) {
        self.arrived.push(time, heartbeat);
    }

    /// The next arrivals, or the last millisecond of the next hour that has a row.
    fn next(&self, _ended: bool) -> Option<EventTime> {
        let row = self.due.keys().next().map(|end| end.minus(1));
        self.arrived.next().into_iter().chain(row).min()
    }

    fn advance(&mut self, time: EventTime, emit: &mut dyn FnMut(Self::Out)) {
        // The published rows that late heartbeats may change, before the change.
        let mut before: BTreeMap<(String, EventTime), Option<MachineHour>> = BTreeMap::new();
        let arrived = self.arrived.take(time);
        for Heartbeat { machine, time: at, .. } in &arrived {
            for hour in hours_of(*at).into_iter().filter(|hour| hour.plus(HOUR) <= time) {
                before.entry((machine.clone(), hour)).or_insert_with(|| self.row(machine, hour));
            }
        }
        for Heartbeat { machine, time: at, state } in arrived {
            self.expect(&machine, at, time);
            // If there are several states at one instant, the worst counts, in any order of arrival.
            let state_then = self.machines.entry(machine).or_default().entry(at).or_insert(state);
            *state_then = state.max(*state_then);
        }
        for ((machine, hour), old) in before {
            let new = self.row(&machine, hour);
            if old != new {
                old.into_iter().for_each(|row| emit((row, time, -1)));
                new.into_iter().for_each(|row| emit((row, time, 1)));
            }
        }
        if let Some(machines) = self.due.remove(&time.plus(1)) {
            let hour = time.plus(1).minus(HOUR);
            let rows = machines.iter().filter_map(|machine| self.row(machine, hour));
            rows.for_each(|row| emit((row, time, 1)));
            self.forget(time);
        }
    }

    fn snapshot(&mut self, _boundary: EventTime, _whole: bool) -> Result<Self::Snapshot, CodecError> {
        Ok(self.machines.clone().into_iter().collect())
    }

    fn restore(
        &mut self,
        boundary: EventTime,
        snapshots: Vec<Self::Snapshot>,
        is_mine: &dyn Fn(u64) -> bool,
    ) -> Result<(), CodecError> {
        self.restored = boundary;
        for (machine, reports) in snapshots.into_iter().flatten() {
            if is_mine(key_hash(machine.as_str())) {
                // The rows up to the boundary have been emitted.
                reports.keys().for_each(|heartbeat| self.expect(&machine, *heartbeat, boundary));
                self.machines.insert(machine, reports);
            }
        }
        Ok(())
    }

    /// Emits the rows that may still change again, for sinks and operators that keep nothing over a restart.
    fn emit_restored(&mut self, emit: &mut dyn FnMut(Self::Out)) {
        let (boundary, least) = (self.restored, hour_of(self.least(self.restored)));
        for (machine, reports) in &self.machines {
            let hours: BTreeSet<EventTime> = reports.keys().flat_map(|at| hours_of(*at)).collect();
            let out = hours.into_iter().filter(|hour| *hour >= least && hour.plus(HOUR) <= boundary);
            let rows = out.filter_map(|hour| row(machine, hour, reports));
            rows.for_each(|row| emit((row, boundary.minus(1), 1)));
        }
    }
}
