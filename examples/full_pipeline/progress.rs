//! The live report on standard error: a bar on a terminal, else a line now and then.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use telemetra::prelude::*;

use crate::common::show::{clock, grouped};
use crate::places::Source;
use crate::settings::Settings;

/// Between two lines where there is no terminal.
const LINES: Duration = Duration::from_secs(10);
/// The time over which the rate is taken.
const RATE: Duration = Duration::from_millis(500);

pub(crate) struct Progress {
    pub(crate) bar: ProgressBar,
    way: Way,
    window: u64,
    slide: u64,
    lines: Option<Instant>,
    /// Since when rows are counted, where that is not the first start: the count is kept in a folder of checkpoints only.
    rows_since: &'static str,
    /// Events have to be in time: the lag is behind the clock.
    follows: bool,
    /// When the rate was last taken, and what had been read then; what came before a restart is in no rate.
    since: Option<(Instant, u64)>,
    rate: f64,
}

/// How it is known how far a run has come.
enum Way {
    /// Between two event times.
    Time(EventTime, EventTime),
    /// By the length of the files.
    Bytes(u64),
    /// Not at all.
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
        // The templates are good, and a plain bar does if they are not.
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

    /// Shows how things stand; `elsewhere` is what other processes have read, `rows` the rows of windows written.
    pub(crate) fn show(&mut self, status: &PipelineStatus, elsewhere: u64, rows: u64) {
        let read = status.fates.read + elsewhere;
        let (since, known) = *self.since.get_or_insert((Instant::now(), read));
        let elapsed = since.elapsed();
        if elapsed >= RATE {
            self.rate = read.saturating_sub(known) as f64 / elapsed.as_secs_f64();
            self.since = Some((Instant::now(), read));
        }
        let line = self.line(status, read, rows);
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
                // Before anything is durable, there is nothing to be behind of.
                if status.durable > EventTime::MIN {
                    let lag = greatest - status.durable;
                    let open = (lag + self.window).div_ceil(self.slide);
                    // What follows the present is late by the clock, whatever it has seen.
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

    /// Takes the bar off the screen.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
