//! A report of sections: headings, paragraphs, and tables of numbers.

use std::fmt::Write;

use super::{columns, is_styled, width, wrapped};

/// The blanks before everything but headings, and those between columns.
const INDENT: usize = 2;
const GAP: usize = 2;
/// The least width of the first column of a table that has to give way.
const LABEL: usize = 16;

/// A row of a table: a label, and cells that stand at the right of their columns.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    label: String,
    cells: Vec<String>,
}

impl Row {
    pub(crate) fn new<C: Into<String>>(label: impl Into<String>, cells: impl IntoIterator<Item = C>) -> Self {
        Self { label: label.into(), cells: cells.into_iter().map(Into::into).collect() }
    }
}

/// The text of a report for standard output.
#[derive(Debug)]
pub(crate) struct Page {
    width: usize,
    styled: bool,
    text: String,
}

impl Page {
    /// A page of the width of standard output.
    pub(crate) fn new() -> Self {
        let output = std::io::stdout();
        Self { width: width(&output), styled: is_styled(&output), text: String::new() }
    }

    /// Begins a section.
    pub(crate) fn head(&mut self, title: &str) {
        let space = if self.text.is_empty() { "" } else { "\n" };
        let (on, off) = if self.styled { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
        // Writing to a string does not fail, neither here nor below.
        let _ = writeln!(self.text, "{space}{on}{title}{off}");
    }

    /// Adds a paragraph.
    pub(crate) fn say(&mut self, text: &str) {
        let indent = " ".repeat(INDENT);
        let _ = writeln!(self.text, "{}", wrapped(&format!("{indent}{text}"), self.width, INDENT));
    }

    /// Adds a table. The first row may be a heading. If it is too wide, the last columns are left out, and
    /// then the labels are wrapped; so the last column is what matters least.
    pub(crate) fn table(&mut self, rows: &[Row]) {
        let number = rows.iter().map(|row| row.cells.len()).max().unwrap_or(0);
        let widest =
            |at: usize| rows.iter().filter_map(|row| row.cells.get(at)).map(|cell| columns(cell)).max();
        let mut widths: Vec<usize> = (0..number).map(|at| widest(at).unwrap_or(0)).collect();
        let labels = rows.iter().map(|row| columns(&row.label)).max().unwrap_or(0);
        let room = |widths: &[usize]| {
            let cells: usize = widths.iter().map(|width| GAP + width).sum();
            self.width.saturating_sub(INDENT + cells)
        };
        while widths.len() > 1 && room(&widths) < labels.min(LABEL) {
            widths.pop();
        }
        let labels = labels.min(room(&widths).max(LABEL));
        for row in rows {
            let label = wrapped(&row.label, labels, INDENT);
            let mut lines: Vec<_> = label.lines().collect();
            let last = lines.pop().unwrap_or_default();
            for line in lines {
                let _ = writeln!(self.text, "{:INDENT$}{line}", "");
            }
            let mut line = format!("{:INDENT$}{last:<labels$}", "");
            for (cell, width) in row.cells.iter().zip(&widths) {
                let _ = write!(line, "{:GAP$}{cell:>width$}", "");
            }
            let _ = writeln!(self.text, "{}", line.trim_end());
        }
    }

    pub(crate) fn text(self) -> String {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::{Page, Row};

    fn page(width: usize) -> Page {
        Page { width, styled: false, text: String::new() }
    }

    #[test]
    fn a_table_gives_up_its_last_columns_and_wraps_its_labels() {
        let rows = [
            Row::new("what it is", ["first", "second"]),
            Row::new("a label that is quite long, as it says", ["1", "2,000"]),
        ];
        let text = |width: usize| {
            let mut page = page(width);
            page.table(&rows);
            page.text()
        };
        assert!(text(80).lines().all(|line| line.ends_with("second") || line.ends_with(" 2,000")));
        let narrow = text(30);
        assert!(!narrow.contains("second") && narrow.contains("first"), "{narrow}");
        assert!(narrow.lines().count() > 2 && narrow.lines().all(|line| line.len() <= 30), "{narrow}");
    }

    #[test]
    fn sections_stand_apart() {
        let mut page = page(40);
        page.head("One");
        page.say("some words that are longer than forty columns");
        page.head("Two");
        assert_eq!(page.text(), "One\n  some words that are longer than forty\n  columns\n\nTwo\n");
    }
}
