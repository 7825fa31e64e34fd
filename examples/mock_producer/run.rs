//! Sends the generator's records to Kafka at its pace, until the end or a request to stop.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use telemetra::livestream::generate::{Feed, Generator, GroundTruth};
use telemetra::prelude::*;

use crate::common::sender::{Sender, Taken};
use crate::common::stop::Stop;
use crate::options::{Rate, Settings};
use crate::progress::Progress;

/// The interval of checking for a request to stop and for due records. Records that are due within it are
/// sent at once: a wait for each record would cost more than the record, most of all waits of less than a
/// millisecond, which the client does not support.
const LOOK: Duration = Duration::from_millis(50);
/// The number of records that are sent between two polls for deliveries.
const BURST: u64 = 256;

/// The result of a run.
pub(crate) struct Sent {
    /// The counts of what was generated, all of which was sent; the records that are not delivered yet are
    /// among them.
    pub(crate) truth: GroundTruth,
    /// The greatest event time sent.
    pub(crate) reached: Option<EventTime>,
    pub(crate) interrupted: bool,
    /// The number of records that were not delivered when the waiting time ended.
    pub(crate) undelivered: u64,
}

/// One run.
pub(crate) struct Run<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) sender: &'a Sender,
    pub(crate) stop: &'a Stop,
    pub(crate) progress: &'a mut Progress,
}

impl Run<'_> {
    /// Sends the generator's records, and waits for those in flight.
    pub(crate) fn send(mut self, generator: &Generator) -> Result<Sent> {
        let Some(mut feed) = generator.feed(0) else { bail!("the generator has no partition") };
        let (reached, stuck) = self.send_all(&mut feed)?;
        let interrupted = self.is_stopped();
        if interrupted {
            self.progress.tell("finishing what was sent; a second Ctrl-C or SIGTERM stops at once");
        }
        let until = Instant::now() + self.settings.flush_for;
        while self.sender.queued() > 0 && Instant::now() < until {
            self.wait(LOOK);
        }
        let undelivered = self.sender.queued() as u64 + u64::from(stuck);
        Ok(Sent { truth: feed.truth(), reached, interrupted, undelivered })
    }

    /// Returns the greatest event time sent, and whether the last record did not fit into the queue.
    fn send_all(&mut self, feed: &mut Feed) -> Result<(Option<EventTime>, bool)> {
        let (began, start) = (Instant::now(), self.settings.generator.start);
        let paced = matches!(self.settings.rate, Rate::Paced(_));
        let (mut bytes, mut sent, mut reached) = (Vec::new(), 0_u64, None);
        while let Some(arrival) = feed.next_arrival() {
            let due = Duration::from_millis(arrival - start);
            while paced && !self.is_stopped() && began.elapsed() < due {
                self.wait(LOOK);
            }
            if self.is_stopped() {
                break;
            }
            if sent.is_multiple_of(BURST) {
                self.progress.behind =
                    if paced { began.elapsed().saturating_sub(due) } else { Duration::ZERO };
                self.wait(Duration::ZERO);
            }
            bytes.clear();
            let Some(record) = feed.next(&mut bytes) else { break };
            reached = reached.max(Some(record.time));
            self.progress.reached = reached;
            let mut patience = self.settings.flush_for;
            loop {
                match self.sender.send(&record, &bytes) {
                    Ok(Taken::Yes) => break,
                    Ok(Taken::Full) => {}
                    // The records generated and delivered until then are reported all the same.
                    Err(error) => {
                        self.progress.line.say(&format!("error: {error:#}"));
                        return Ok((reached, false));
                    }
                }
                if self.is_stopped() {
                    patience = patience.saturating_sub(LOOK);
                    if patience.is_zero() {
                        return Ok((reached, true));
                    }
                }
                self.wait(LOOK);
            }
            sent += 1;
            self.progress.sent = sent;
        }
        Ok((reached, false))
    }

    fn is_stopped(&self) -> bool {
        self.stop.is_given()
    }

    /// Polls for deliveries, for at most this long.
    fn wait(&mut self, patience: Duration) {
        self.sender.serve(patience);
        self.progress.show(self.sender);
    }
}
