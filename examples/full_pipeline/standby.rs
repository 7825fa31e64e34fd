//! Standing by: the run comes up to date beside another process, and takes its place.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use telemetra::prelude::*;

/// When a run that has caught up takes over.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum TakeOver {
    Now,
    /// When it gets SIGUSR1.
    Signal,
}

impl TakeOver {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        match text {
            "now" => Ok(Self::Now),
            "signal" => Ok(Self::Signal),
            _ => Err(format!("`{text}` is neither `now` nor `signal`")),
        }
    }
}

#[cfg(unix)]
fn listen(ordered: &Arc<AtomicBool>) -> std::io::Result<()> {
    signal_hook::flag::register(signal_hook::consts::SIGUSR1, Arc::clone(ordered)).map(drop)
}

#[cfg(not(unix))]
fn listen(_ordered: &Arc<AtomicBool>) -> std::io::Result<()> {
    Err(std::io::Error::new(std::io::ErrorKind::Unsupported, "there is no SIGUSR1; use --standby now"))
}

/// The steps of a run on its way to take over.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Stage {
    CatchesUp,
    Ready,
    TakesOver,
    Done,
}

/// A run that stands by until it takes over.
#[derive(Debug)]
pub(crate) struct Standby {
    stage: Stage,
    /// Whether there was the order to take over.
    ordered: Arc<AtomicBool>,
}

impl Standby {
    /// Listens for the order, if the run is to wait for one. Without a standby it is done already.
    pub(crate) fn listen(when: Option<TakeOver>) -> Result<Self> {
        let ordered = Arc::new(AtomicBool::new(when == Some(TakeOver::Now)));
        if when == Some(TakeOver::Signal) {
            listen(&ordered).context("could not listen for the order to take over")?;
        }
        let stage = if when.is_some() { Stage::CatchesUp } else { Stage::Done };
        Ok(Self { stage, ordered })
    }

    /// The order to take over; it counts from when the run has caught up.
    pub(crate) fn order(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.ordered)
    }

    pub(crate) fn is_ordered(&self) -> bool {
        self.ordered.load(Ordering::Acquire)
    }

    /// Takes over if the run has caught up and there was the order. Returns what has changed, in words.
    pub(crate) fn look(&mut self, running: &Running) -> Option<&'static str> {
        let next = match self.stage {
            Stage::CatchesUp if running.has_caught_up() => Stage::Ready,
            Stage::Ready if self.is_ordered() => {
                running.begin_take_over();
                Stage::TakesOver
            }
            Stage::TakesOver if !running.stands_by() => Stage::Done,
            _ => return None,
        };
        self.stage = next;
        Some(match next {
            Stage::CatchesUp => "standby: catches up",
            Stage::Ready => "standby: has caught up",
            Stage::TakesOver => "standby: takes over",
            Stage::Done => "standby: has taken over",
        })
    }
}
