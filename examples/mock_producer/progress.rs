//! The progress of a run on standard error.

use std::time::{Duration, Instant};

use telemetra::prelude::*;

use crate::common::screen::ProgressLine;
use crate::common::sender::Sender;
use crate::common::show::{clock, count, grouped, span};

pub(crate) struct Progress {
    pub(crate) line: ProgressLine,
    pub(crate) quiet: bool,
    pub(crate) sent: u64,
    pub(crate) reached: Option<EventTime>,
    /// The delay behind the requested pace.
    pub(crate) behind: Duration,
    shown: Instant,
    delivered: u64,
}

impl Progress {
    pub(crate) fn new(quiet: bool) -> Self {
        Self {
            line: ProgressLine::new(quiet),
            quiet,
            sent: 0,
            reached: None,
            behind: Duration::ZERO,
            shown: Instant::now(),
            delivered: 0,
        }
    }

    /// Shows the progress, if it is time to.
    pub(crate) fn show(&mut self, sender: &Sender) {
        if !self.line.is_due() {
            return;
        }
        let (delivered, failed) = sender.counts();
        let rate = (delivered - self.delivered) as f64 / self.shown.elapsed().as_secs_f64().max(0.001);
        (self.shown, self.delivered) = (Instant::now(), delivered);
        let mut parts = vec![
            format!("{} sent", count(self.sent, "record")),
            format!("{} a second", grouped(rate.round() as u64)),
        ];
        if failed > 0 {
            parts.push(format!("{} failed", grouped(failed)));
        }
        if self.behind > Duration::from_secs(1) {
            parts.push(format!("{} behind the pace", span(self.behind.as_secs() * 1000)));
        }
        parts.push(format!("{} not yet delivered", grouped(sender.queued() as u64)));
        parts.extend(self.reached.map(|reached| format!("event time {}", clock(reached))));
        self.line.show(&parts);
    }

    /// Prints an additional line, unless only errors are wanted.
    pub(crate) fn tell(&self, text: &str) {
        if !self.quiet {
            self.line.say(text);
        }
    }
}
