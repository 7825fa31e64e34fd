//! Output of numbers and times, and standard output.

use std::io::Write;

use anyhow::{Context, Result};
use telemetra::prelude::EventTime;

/// A number with its digits grouped in threes.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The time of day of an event time.
pub(crate) fn clock(time: EventTime) -> String {
    let text = time.to_string();
    text.get(11..19).map_or(text.clone(), ToOwned::to_owned)
}

/// Prints to standard output, which may be closed already.
pub(crate) fn print(text: &str) -> Result<()> {
    match writeln!(std::io::stdout().lock(), "{}", text.trim_end()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(error).context("could not write to standard output")
        }
        _ => Ok(()),
    }
}
