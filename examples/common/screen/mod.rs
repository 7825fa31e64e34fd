//! The terminal as an output: its width, text that is wrapped at it, and a line of progress that is overwritten.
//!
//! The width is the variable `COLUMNS`, else that of the terminal, else 80. Headings are bold on a terminal,
//! unless `NO_COLOR` is set or `TERM` is `dumb`; nothing else has escape codes: a line is overwritten by a
//! carriage return and blanks.

pub(crate) mod page;
mod progress;

use std::io::IsTerminal;
use std::os::fd::AsFd;

pub(crate) use progress::ProgressLine;

use super::secrets;

/// The width where neither `COLUMNS` nor a terminal gives one.
const WIDTH: usize = 80;
/// Below this width text is not wrapped any further: single words are longer.
const LEAST: usize = 40;

/// The number of columns of an output.
pub(crate) fn width(output: &impl AsFd) -> usize {
    let given = std::env::var("COLUMNS").ok().and_then(|text| text.trim().parse().ok());
    let terminal = || rustix::termios::tcgetwinsize(output).ok().map(|size| usize::from(size.ws_col));
    given.or_else(terminal).filter(|width| *width > 0).unwrap_or(WIDTH).max(LEAST)
}

/// Whether an output is a terminal on which the cursor can go back to the beginning of a line.
fn goes_back(output: &impl IsTerminal) -> bool {
    output.is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Whether escape codes may be written to an output.
pub(crate) fn is_styled(output: &impl IsTerminal) -> bool {
    goes_back(output) && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// A text in lines of at most `width` columns, broken between words; `indent` columns are left free from the
/// second line on. Words that are longer, such as paths, are not broken.
pub(crate) fn wrapped(text: &str, width: usize, indent: usize) -> String {
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        // Blanks at the beginning, and those that align columns, are kept.
        let (mut line, mut used) = (String::new(), 0);
        for part in paragraph.split_inclusive(' ') {
            let word = columns(part.trim_end_matches(' '));
            if used + word > width && !line.trim().is_empty() {
                lines.push(line.trim_end().to_owned());
                line = " ".repeat(indent);
                used = indent;
            }
            line += part;
            used += columns(part);
        }
        lines.push(line.trim_end().to_owned());
    }
    lines.join("\n")
}

/// Prints a message to standard error: in lines of the terminal's width, or as it is where there is none, so
/// that a message in a file is one line. Secrets of the settings are not in it.
pub(crate) fn tell(text: &str) {
    let (error, text) = (std::io::stderr(), secrets::redact(text));
    if error.is_terminal() {
        eprintln!("{}", wrapped(&text, width(&error), 2));
    } else {
        eprintln!("{text}");
    }
}

/// The columns that a text takes; what the programs write has no characters of two columns.
fn columns(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::wrapped;

    #[test]
    fn words_stay_whole_and_lines_within_the_width() {
        let text = "one two three four\n\n  five /a/path/that/is/longer/than/the/line six";
        let lines =
            ["one two", " three", " four", "", "  five", " /a/path/that/is/longer/than/the/line", " six"];
        assert_eq!(wrapped(text, 8, 1), lines.join("\n"));
        assert_eq!(wrapped("a b", 80, 0), "a b");
    }
}
