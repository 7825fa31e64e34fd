//! The events of the crate `nexmark` as JSON lines, some of them late.

use std::collections::VecDeque;
use std::time::Duration;

use nexmark::EventGenerator;
use nexmark::config::NexmarkConfig;
use serde::Serialize;
use telemetra::core::TimeConfig;

/// The first event time: 2026-01-01, midnight.
const START: u64 = 1_767_225_600_000;
/// The delay of the late events, in seconds of event time.
const DELAY: usize = 20;

/// The settings of event time: only the late events are out of the generator's order, and they are within the
/// allowed lateness.
pub(crate) fn time() -> TimeConfig {
    TimeConfig { out_of_orderness: Duration::from_secs(4), ..TimeConfig::default() }
}

/// This many events in the order in which they arrive, `rate` of them per second of event time. One in a
/// hundred comes 20 seconds late.
pub(crate) fn lines(events: usize, rate: usize) -> impl Iterator<Item = String> {
    #[derive(Serialize)]
    struct Line<'a> {
        id: usize,
        #[serde(flatten)]
        event: &'a nexmark::event::Event,
    }
    let config =
        NexmarkConfig { base_time: START, first_rate: rate, next_rate: rate, ..NexmarkConfig::default() };
    let mut generated = EventGenerator::new(config).take(events).enumerate();
    let mut late: VecDeque<(usize, String)> = VecDeque::new();
    let mut arrival = 0;
    std::iter::from_fn(move || {
        loop {
            if late.front().is_some_and(|(due, _)| *due <= arrival) {
                return late.pop_front().map(|(_, line)| line);
            }
            let Some((id, event)) = generated.next() else { return late.pop_front().map(|(_, line)| line) };
            arrival = id + 1;
            // Numbers and texts always have a JSON form.
            let line = serde_json::to_string(&Line { id, event: &event }).unwrap_or_default();
            if id % 100 != 57 {
                return Some(line);
            }
            late.push_back((id + DELAY * rate, line));
        }
    })
}
