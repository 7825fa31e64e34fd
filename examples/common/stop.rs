//! Requests to stop: Ctrl-C, or the signal that service managers send.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use signal_hook::consts::{SIGINT, SIGTERM};

/// The longest time that the process may take after a request to stop. Containers are killed after 10
/// seconds.
const LONGEST: Duration = Duration::from_millis(9_500);
/// The interval of checking for a request.
const LOOK: Duration = Duration::from_millis(20);

/// The request to stop. Clones share their state.
#[derive(Clone, Debug)]
pub(crate) struct Stop {
    given: Arc<AtomicBool>,
    signal: Arc<AtomicUsize>,
}

impl Stop {
    /// Whether there was a request.
    pub(crate) fn is_given(&self) -> bool {
        self.given.load(Ordering::Acquire)
    }

    /// The exit code of a process that was asked to stop: 130 by Ctrl-C, 143 by a service manager.
    pub(crate) fn exit_code(&self) -> u8 {
        if self.signal.load(Ordering::Acquire) == SIGTERM.cast_unsigned() as usize { 143 } else { 130 }
    }

    /// The same exit code after a request, otherwise success.
    pub(crate) fn exit(&self, told: bool) -> ExitCode {
        ExitCode::from(if told { self.exit_code() } else { 0 })
    }
}

/// Listens for the first request to stop. The second one stops the process at once, and the process stops
/// itself if it takes too long.
pub(crate) fn listen() -> Result<Stop> {
    let stop = Stop { given: Arc::default(), signal: Arc::default() };
    for signal in [SIGINT, SIGTERM] {
        let number = signal.cast_unsigned() as usize;
        // The order matters: the first signal finds the flag not yet set.
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
        super::screen::tell(&format!(
            "the program did not end within {LONGEST:?} and was stopped; the next start goes on from the last checkpoint"
        ));
        std::process::exit(heard.exit_code().into());
    });
    Ok(stop)
}
