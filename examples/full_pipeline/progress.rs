//! The live report on standard error: a bar on a terminal, otherwise a line every few seconds.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use telemetra::prelude::*;

use crate::common::secrets;
use crate::common::show::{clock, grouped};
use crate::places::Source;
use crate::settings::Settings;

/// The time between two lines where there is no terminal.
const LINES: Duration = Duration::from_secs(10);
/// The time over which the rate is measured.
const RATE: Duration = Duration::from_millis(500);

pub(crate) struct Progress {
    pub(crate) bar: ProgressBar,
    way: Way,
    window: u64,
    slide: u64,
    lines: Option<Instant>,
    /// The time since which rows are counted, if that is not the first start: only a folder of checkpoints
    /// keeps the count.
    rows_since: &'static str,
    /// Whether events are live, so that the lag is relative to the clock.
    follows: bool,
    /// The time of the last rate, and the number of events read by then; events read before a restart are in
    /// no rate.
    since: Option<(Instant, u64)>,
    rate: f64,
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
        let bar = ProgressBar::with_draw_target(Some(1000), ProgressDrawTarget::stderr());
        let template = match way {
            Way::Endless => "{spinner} {elapsed_precise} {wide_msg}",
            _ => "{bar:12.cyan/blue} {percent:>3}% {wide_msg}",
        };
        // The templates are valid; if not, a plain bar is used.
        bar.set_style(
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        let now = Instant::now();
        let lines = bar.is_hidden().then_some(now);
        let (window, slide) = (settings.window, settings.slide);
        let counted = settings.checkpoint_folder().is_some() || !settings.has_checkpoints();
        let rows_since = if counted { "" } else { " in this run" };
        Self {
            bar,
            way,
            window,
            slide,
            lines,
            rows_since,
            follows: settings.source == Source::Kafka,
            since: None,
            rate: 0.0,
        }
    }

    /// Shows the progress; `elsewhere` is the number of events read by other processes, `rows` the number of
    /// rows of windows written.
    pub(crate) fn show(&mut self, status: &PipelineStatus, elsewhere: u64, rows: u64) {
        let read = status.fates.read + elsewhere;
        let (since, known) = *self.since.get_or_insert((Instant::now(), read));
        let elapsed = since.elapsed();
        if elapsed >= RATE {
            self.rate = read.saturating_sub(known) as f64 / elapsed.as_secs_f64();
            self.since = Some((Instant::now(), read));
        }
        let line = secrets::redact(&self.line(status, read, rows));
        match &mut self.lines {
            Some(last) if last.elapsed() >= LINES => {
                *last = Instant::now();
                eprintln!("{line}");
            }
            Some(_) => {}
            None => {
                self.bar.set_position((self.share(status) * 1000.0) as u64);
                self.bar.set_message(line);
            }
        }
    }

    fn line(&self, status: &PipelineStatus, read: u64, rows: u64) -> String {
        let reading = status.partitions.iter().filter(|partition| partition.floor < EventTime::MAX);
        let watermarks = || reading.clone().map(|partition| partition.watermark);
        let (least, greatest) = (watermarks().min(), watermarks().max());
        let mut line = format!("{} events, {} a second", grouped(read), grouped(self.rate.round() as u64));
        match (least, greatest) {
            (Some(least), Some(greatest)) if greatest > EventTime::MIN => {
                line += &format!(", watermark {}", clock(least));
                // Before anything is durable, there is no lag.
                if status.durable > EventTime::MIN {
                    let lag = greatest - status.durable;
                    let open = (lag + self.window).div_ceil(self.slide);
                    // A live pipeline is late by the clock, whatever the newest event is.
                    let lag = if self.follows { Clock::system().now() - status.durable } else { lag };
                    line += &format!(", lag {} s, {open} windows open", lag / 1000);
                }
            }
            (Some(_), _) => {}
            (None, _) => line += ", all read",
        }
        line + &format!(", {} rows{}", grouped(rows), self.rows_since)
    }

    fn share(&self, status: &PipelineStatus) -> f64 {
        match self.way {
            Way::Time(start, end) => (status.durable - start).min(end - start) as f64 / (end - start) as f64,
            Way::Bytes(bytes) => {
                let read: u64 = status.partitions.iter().map(|partition| partition.offset).sum();
                read as f64 / bytes.max(1) as f64
            }
            Way::Endless => 0.0,
        }
    }

    /// Removes the bar from the screen.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
