//! The events of the crate `nexmark` as JSON lines, of which some come late.

use std::collections::VecDeque;
use std::time::Duration;

use nexmark::EventGenerator;
use nexmark::config::NexmarkConfig;
use serde::Serialize;
use telemetra::core::TimeConfig;

/// 2026-01-01, midnight.
const START: u64 = 1_767_225_600_000;
/// How much later the late events come, in seconds of event time.
const DELAY: usize = 20;

/// How event time is read: the order of the generator is off by nothing but the late events, which are within the allowed lateness.
pub(crate) fn time() -> TimeConfig {
    TimeConfig { out_of_orderness: Duration::from_secs(4), ..TimeConfig::default() }
}

/// So many events in the order in which they come, `rate` of them in a second of event time. One in a hundred comes 20 seconds late.
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
