//! The live report on standard error: a line that is overwritten on a terminal, otherwise a line now and
//! then.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use telemetra::prelude::*;

use crate::common::log;
use crate::common::sender::Sender;
use crate::common::show::{clock, grouped};

/// The time between two updates, and between two lines where there is no terminal.
const UPDATES: Duration = Duration::from_millis(200);
const LINES: Duration = Duration::from_secs(10);

pub(crate) struct Progress {
    pub(crate) bar: ProgressBar,
    pub(crate) sent: u64,
    pub(crate) reached: Option<EventTime>,
    /// The delay behind the requested pace.
    pub(crate) behind: Duration,
    every: Duration,
    shown: Instant,
    delivered: u64,
}

impl Progress {
    pub(crate) fn new() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        // The template is valid; if not, a plain spinner is used.
        let style = ProgressStyle::with_template("{spinner} {elapsed_precise} {wide_msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        let every = if bar.is_hidden() { LINES } else { UPDATES };
        Self {
            bar,
            sent: 0,
            reached: None,
            behind: Duration::ZERO,
            every,
            shown: Instant::now(),
            delivered: 0,
        }
    }

    /// Shows the progress, if it is time to.
    pub(crate) fn show(&mut self, sender: &Sender) {
        let elapsed = self.shown.elapsed();
        if elapsed < self.every {
            return;
        }
        let (delivered, failed) = sender.counts();
        let rate = (delivered - self.delivered) as f64 / elapsed.as_secs_f64();
        (self.shown, self.delivered) = (Instant::now(), delivered);
        let mut line = format!(
            "{} sent, {} delivered, {} a second, {} queued",
            grouped(self.sent),
            grouped(delivered),
            grouped(rate as u64),
            grouped(sender.queued() as u64),
        );
        if failed > 0 {
            line += &format!(", {} failed", grouped(failed));
        }
        if let Some(reached) = self.reached {
            line += &format!(", event time {}", clock(reached));
        }
        if self.behind > Duration::from_secs(1) {
            line += &format!(", {} s behind", self.behind.as_secs());
        }
        if self.bar.is_hidden() {
            eprintln!("{line}");
        } else {
            self.bar.set_message(line);
            self.bar.tick();
        }
    }

    /// Prints an additional line.
    pub(crate) fn tell(&self, text: &str) {
        self.bar.suspend(|| log::say(text));
    }
}
