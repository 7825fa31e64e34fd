//! The progress of a run on standard error.

use std::time::{Duration, Instant};

use telemetra::prelude::*;

use crate::common::screen::ProgressLine;
use crate::common::show::{clock, grouped, span};
use crate::places::Source;
use crate::settings::Settings;

/// The rate is measured over this time and as many events, or over the longer time if events are few.
const RATE: Duration = Duration::from_millis(500);
const FEW: u64 = 500;
const LONG: Duration = Duration::from_secs(5);

pub(crate) struct Progress {
    pub(crate) line: ProgressLine,
    way: Way,
    /// The addition to the number of rows, if that is not the number since the first start: only a folder of
    /// checkpoints keeps the count.
    rows_since: &'static str,
    /// Whether events are live, so that results are compared with the clock.
    follows: bool,
    rate: Rate,
}

/// The measure of a run's progress.
enum Way {
    /// The position between two event times.
    Time(EventTime, EventTime),
    /// The position in the files, by their length.
    Bytes(u64),
    /// No measure, as there is no end.
    Endless,
}

/// Events per second of late.
#[derive(Default)]
struct Rate {
    /// The time of the last measurement, and the number of events read by then; events read before a restart
    /// are in no rate.
    since: Option<(Instant, u64)>,
    last: Option<f64>,
}

impl Rate {
    fn measure(&mut self, now: Instant, read: u64) {
        let (since, known) = *self.since.get_or_insert((now, read));
        let (elapsed, new) = (now - since, read.saturating_sub(known));
        if elapsed >= LONG || (elapsed >= RATE && new >= FEW) {
            self.last = Some(new as f64 / elapsed.as_secs_f64());
            self.since = Some((now, read));
        }
    }

    /// In words; below ten with a decimal.
    fn text(&self) -> Option<String> {
        let rate = self.last?;
        let number = if rate < 9.95 { format!("{rate:.1}") } else { grouped(rate.round() as u64) };
        Some(format!("{number} a second"))
    }
}

impl Progress {
    pub(crate) fn new(settings: &Settings) -> Self {
        let generator = &settings.generator;
        let length =
            |path: &String| std::fs::metadata(path).ok().filter(|file| file.is_file()).map(|file| file.len());
        let way = match settings.source {
            Source::Generator | Source::Embedded => {
                Way::Time(generator.start, generator.start.plus(generator.duration_ms))
            }
            Source::Lines => {
                settings.inputs.iter().map(length).sum::<Option<u64>>().map_or(Way::Endless, Way::Bytes)
            }
            Source::Kafka => Way::Endless,
        };
        Self {
            line: ProgressLine::new(settings.quiet),
            way,
            rows_since: if settings.counts_all_runs() { "" } else { " in this run" },
            follows: settings.source == Source::Kafka,
            rate: Rate::default(),
        }
    }

    /// Shows the progress; `elsewhere` is the number of events read by other processes, `rows` the number of
    /// rows of windows written.
    pub(crate) fn show(&mut self, status: &PipelineStatus, elsewhere: u64, rows: u64) {
        let read = status.fates.read + elsewhere;
        self.rate.measure(Instant::now(), read);
        if self.line.is_due() {
            self.line.show(&self.parts(status, read, rows));
        }
    }

    /// The lines to show, the most important first.
    fn parts(&self, status: &PipelineStatus, read: u64, rows: u64) -> Vec<String> {
        let share = self.share(status).map(|share| format!("{:.0} % done", share * 100.0));
        let mut parts = vec![format!("{} events read", grouped(read))];
        parts.extend(share);
        parts.extend(self.rate.text());
        if status.partitions.iter().all(|partition| partition.floor == EventTime::MAX) {
            parts.push("all read".to_owned());
        } else if status.durable > EventTime::MIN {
            let now = self.follows.then(|| Clock::system().now());
            parts.push(complete(status.durable, now));
        }
        parts.push(format!("{} rows{}", grouped(rows), self.rows_since));
        parts
    }

    /// The share that is done, if it is known.
    fn share(&self, status: &PipelineStatus) -> Option<f64> {
        match self.way {
            Way::Time(start, end) => {
                Some((status.durable - start).min(end - start) as f64 / (end - start).max(1) as f64)
            }
            Way::Bytes(bytes) => {
                let read: u64 = status.partitions.iter().map(|partition| partition.offset).sum();
                Some((read as f64 / bytes.max(1) as f64).min(1.0))
            }
            Way::Endless => None,
        }
    }
}

/// Up to which event time results are complete, and how long ago that was, if it is compared with the clock:
/// whatever the newest event is, a live pipeline is behind by that.
fn complete(durable: EventTime, now: Option<EventTime>) -> String {
    let ago = now.map(|now| format!(" ({} ago)", span(now - durable))).unwrap_or_default();
    format!("results up to {}{ago}", clock(durable))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_live_pipeline_is_behind_the_clock_and_another_one_is_not() {
        let durable = EventTime(1_767_231_938_000);
        assert_eq!(complete(durable, None), "results up to 01:45:38");
        let now = durable.plus(442_000);
        assert_eq!(complete(durable, Some(now)), "results up to 01:45:38 (7 min 22 s ago)");
    }

    #[test]
    fn few_events_are_measured_for_longer() {
        let (mut rate, start) = (Rate::default(), Instant::now());
        rate.measure(start, 1_000);
        assert_eq!(rate.text(), None, "what was read before is in no rate");
        rate.measure(start + RATE, 1_020);
        assert_eq!(rate.text(), None);
        rate.measure(start + LONG, 1_250);
        assert_eq!(rate.text().as_deref(), Some("50 a second"));
        rate.measure(start + LONG + RATE, 101_250);
        assert_eq!(rate.text().as_deref(), Some("200,000 a second"));
        rate.measure(start + LONG + RATE + LONG, 101_256);
        assert_eq!(rate.text().as_deref(), Some("1.2 a second"));
    }
}
