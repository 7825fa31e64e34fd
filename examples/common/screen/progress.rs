//! The line of progress on standard error, and messages above it.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::super::secrets::redact;
use super::{columns, goes_back, tell, width};

/// The time between two updates on a terminal, and between two lines where there is none.
const UPDATES: Duration = Duration::from_millis(200);
const LINES: Duration = Duration::from_secs(10);
/// The columns left free at the right: for the `^C` that a terminal writes there.
const FREE: usize = 3;

/// A line that is overwritten on a terminal, and otherwise written anew now and then. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct ProgressLine(Arc<Mutex<Shown>>);

#[derive(Debug)]
struct Shown {
    way: Way,
    /// The columns of the line that is on the screen.
    length: usize,
    last: Instant,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Way {
    Overwritten,
    Lines,
    Hidden,
}

impl ProgressLine {
    /// The line of this process; one that is never shown if the process is to be `quiet`.
    pub(crate) fn new(quiet: bool) -> Self {
        let way = match goes_back(&std::io::stderr()) {
            _ if quiet => Way::Hidden,
            true => Way::Overwritten,
            false => Way::Lines,
        };
        Self(Arc::new(Mutex::new(Shown { way, length: 0, last: Instant::now() })))
    }

    /// Whether it is time to show it again.
    pub(crate) fn is_due(&self) -> bool {
        let shown = self.shown();
        match shown.way {
            Way::Overwritten => shown.last.elapsed() >= UPDATES,
            Way::Lines => shown.last.elapsed() >= LINES,
            Way::Hidden => false,
        }
    }

    /// Shows these parts; the last ones are left out where the terminal is too narrow for all.
    pub(crate) fn show(&self, parts: &[String]) {
        let mut shown = self.shown();
        shown.last = Instant::now();
        match shown.way {
            Way::Overwritten => {
                let line = redact(&fitting(parts, width(&std::io::stderr()).saturating_sub(FREE)));
                shown.replace(&line);
            }
            Way::Lines => tell(&parts.join(", ")),
            Way::Hidden => {}
        }
    }

    /// Prints a message above the line.
    pub(crate) fn say(&self, text: &str) {
        let mut shown = self.shown();
        shown.clear();
        tell(text);
    }

    /// Prints a line as it is but for secrets, above the line of progress.
    pub(crate) fn line(&self, text: &str) {
        let mut shown = self.shown();
        shown.clear();
        eprintln!("{}", redact(text));
    }

    /// Removes the line from the screen.
    pub(crate) fn clear(&self) {
        self.shown().clear();
    }

    fn shown(&self) -> std::sync::MutexGuard<'_, Shown> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shown {
    fn clear(&mut self) {
        if self.length > 0 {
            self.length += FREE - 1;
            self.replace("");
        }
    }

    fn replace(&mut self, line: &str) {
        let (length, rest) = (columns(line), self.length.saturating_sub(columns(line)));
        let back = if line.is_empty() { "\r" } else { "" };
        // Nobody is left to be told of an error.
        let _ = write!(std::io::stderr(), "\r{line}{:rest$}{back}", "");
        self.length = length;
    }
}

/// As many parts as fit; of the first what fits.
fn fitting(parts: &[String], width: usize) -> String {
    let mut line = String::new();
    for part in parts {
        let comma = if line.is_empty() { "" } else { ", " };
        if columns(&line) + comma.len() + columns(part) > width {
            break;
        }
        line = line + comma + part;
    }
    match parts.first() {
        Some(first) if line.is_empty() => first.chars().take(width).collect(),
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use super::fitting;

    #[test]
    fn what_does_not_fit_is_left_out() {
        let parts = ["12 events".to_owned(), "3 a second".to_owned(), "all read".to_owned()];
        assert_eq!(fitting(&parts, 80), "12 events, 3 a second, all read");
        assert_eq!(fitting(&parts, 22), "12 events, 3 a second");
        assert_eq!(fitting(&parts, 5), "12 ev");
        assert_eq!(fitting(&[], 5), "");
    }
}
