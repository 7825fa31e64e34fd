//! The order to stop: Ctrl-C, or the signal that service managers send.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use signal_hook::consts::{SIGINT, SIGTERM};

/// How long the process may take after the order to stop. Containers are killed after 10 seconds.
const LONGEST: Duration = Duration::from_millis(9_500);
/// How often it is looked whether the order came.
const LOOK: Duration = Duration::from_millis(20);

/// The order to stop. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Stop {
    given: Arc<AtomicBool>,
    signal: Arc<AtomicUsize>,
}

impl Stop {
    /// Whether it was given.
    pub(crate) fn is_given(&self) -> bool {
        self.given.load(Ordering::Acquire)
    }

    /// What a process exits with that was told to stop: 130 by Ctrl-C, 143 by a service manager.
    pub(crate) fn exit_code(&self) -> u8 {
        if self.signal.load(Ordering::Acquire) == SIGTERM.cast_unsigned() as usize { 143 } else { 130 }
    }

    /// The same if it was given, else success.
    pub(crate) fn exit(&self, told: bool) -> ExitCode {
        ExitCode::from(if told { self.exit_code() } else { 0 })
    }
}

/// Listens for the first order to stop; the second stops at once, and so does the process itself if it takes too long.
pub(crate) fn listen() -> Result<Stop> {
    let stop = Stop { given: Arc::default(), signal: Arc::default() };
    for signal in [SIGINT, SIGTERM] {
        let number = signal.cast_unsigned() as usize;
        // In this order: the first signal finds the flag not yet set.
        signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&stop.given))
            .and_then(|_| signal_hook::flag::register_usize(signal, Arc::clone(&stop.signal), number))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&stop.given)))
            .context("could not listen for the order to stop")?;
    }
    let heard = stop.clone();
    std::thread::spawn(move || {
        while !heard.is_given() {
            std::thread::sleep(LOOK);
        }
        std::thread::sleep(LONGEST);
        eprintln!(
            "it did not end within {LONGEST:?}: stopped; the next start goes on from the last checkpoint"
        );
        std::process::exit(heard.exit_code().into());
    });
    Ok(stop)
}
