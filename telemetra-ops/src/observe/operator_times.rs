//! Operator times: the time that a worker spends in each operator, from timely's event log.
//!
//! Timely logs when an operator starts and stops to run. A scope runs its nested operators, so there is a
//! stack of running operators, and time counts for the top one only.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use timely::logging::{StartStop, TimelyEvent, TimelyEventBuilder};
use timely::worker::Worker;

/// The name of timely's event log.
const LOG: &str = "timely";
/// The interval at which the gauge is updated.
const PUBLISH_EVERY: Duration = Duration::from_millis(250);

/// The time spent in operators, by name, as of the last update.
#[derive(Debug, Default)]
pub(crate) struct OperatorTimesGauge(Mutex<BTreeMap<String, Duration>>);

impl OperatorTimesGauge {
    /// Returns the times by operator name.
    pub(crate) fn get(&self) -> BTreeMap<String, Duration> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Starts to measure, on this worker, the dataflows that are built from now on.
pub(crate) fn watch(worker: &Worker, times: Arc<OperatorTimesGauge>) {
    let Some(mut log) = worker.log_register() else { return };
    let mut watch = Watch { tally: OperatorTimes::default(), times, published: Duration::ZERO };
    log.insert::<TimelyEventBuilder, _>(LOG, move |now, events| watch.take(*now, events.as_mut()));
}

/// Stops measuring dataflows that are built from now on.
pub(crate) fn unwatch(worker: &Worker) {
    if let Some(mut log) = worker.log_register() {
        log.flush();
        log.remove(LOG);
    }
}

/// The listener on the event log.
struct Watch {
    tally: OperatorTimes,
    times: Arc<OperatorTimesGauge>,
    published: Duration,
}

impl Watch {
    fn take(&mut self, now: Duration, events: Option<&mut Vec<(Duration, TimelyEvent)>>) {
        for (at, event) in events.into_iter().flat_map(|events| events.drain(..)) {
            self.tally.note(at, event);
        }
        if now.saturating_sub(self.published) >= PUBLISH_EVERY {
            self.published = now;
            self.publish();
        }
    }

    fn publish(&self) {
        *self.times.0.lock().unwrap_or_else(PoisonError::into_inner) = self.tally.by_name();
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.publish();
    }
}

/// The times computed from the log so far.
#[derive(Debug, Default)]
struct OperatorTimes {
    /// The name and time of each operator, by its id, which counts from 0 on each worker.
    operators: Vec<(String, Duration)>,
    /// The running operators, the innermost last.
    running: Vec<usize>,
    since: Duration,
}

impl OperatorTimes {
    /// Applies one event of the log.
    fn note(&mut self, at: Duration, event: TimelyEvent) {
        match event {
            TimelyEvent::Operates(operator) => self.operator(operator.id).0 = operator.name,
            TimelyEvent::Schedule(event) => {
                self.pass(at);
                match event.start_stop {
                    StartStop::Start => self.running.push(event.id),
                    StartStop::Stop => drop(self.running.pop()),
                }
            }
            _ => {}
        }
    }

    /// Adds the time since the last event to the running operator.
    fn pass(&mut self, now: Duration) {
        if let Some(&id) = self.running.last() {
            let spent = now.saturating_sub(self.since);
            self.operator(id).1 += spent;
        }
        self.since = now;
    }

    fn operator(&mut self, id: usize) -> &mut (String, Duration) {
        if self.operators.len() <= id {
            self.operators.resize_with(id + 1, Default::default);
        }
        &mut self.operators[id]
    }

    /// Adds up the times of operators with the same name.
    fn by_name(&self) -> BTreeMap<String, Duration> {
        let mut sums = BTreeMap::new();
        for (name, time) in self.operators.iter().filter(|(name, _)| !name.is_empty()) {
            *sums.entry(name.clone()).or_default() += *time;
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use timely::logging::{OperatesEvent, ScheduleEvent};

    use super::*;

    #[test]
    fn time_is_that_of_the_innermost_operator_and_of_all_of_one_name() {
        let mut tally = OperatorTimes::default();
        for (id, name) in [(0, "Dataflow"), (1, "Map"), (2, "Windows"), (3, "Map")] {
            let operates = OperatesEvent { id, addr: vec![0, id], name: name.to_owned() };
            tally.note(Duration::ZERO, TimelyEvent::Operates(operates));
        }
        let log = [
            (10, ScheduleEvent::start(0)),
            (11, ScheduleEvent::start(1)),
            (15, ScheduleEvent::stop(1)),
            (16, ScheduleEvent::start(2)),
            (46, ScheduleEvent::stop(2)),
            (46, ScheduleEvent::start(3)),
            (48, ScheduleEvent::stop(3)),
            (50, ScheduleEvent::stop(0)),
            // Parked in between.
            (900, ScheduleEvent::start(0)),
            (901, ScheduleEvent::stop(0)),
        ];
        for (at, event) in log {
            tally.note(Duration::from_millis(at), TimelyEvent::Schedule(event));
        }
        let millis = |name: &str| tally.by_name()[name].as_millis();
        assert_eq!((millis("Dataflow"), millis("Map"), millis("Windows")), (5, 6, 30));
    }
}
