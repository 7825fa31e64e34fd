//! Finds the rows of CSV, and reads the header.

use csv::StringRecord;

use super::framed::Step;
use crate::formats::csv_row;

/// The header row of a file, which comes with its records to the decoder.
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) columns: StringRecord,
    pub(crate) delimiter: u8,
}

impl Header {
    /// Reads a row as a header; `None` if it is blank.
    pub(super) fn of(row: &[u8], delimiter: u8) -> Result<Option<Self>, String> {
        let row = row.strip_prefix("\u{feff}".as_bytes()).unwrap_or(row);
        let columns =
            csv_row(row, delimiter).map_err(|error| format!("its header row cannot be read: {error}"))?;
        Ok(columns.map(|columns| Self { columns, delimiter }))
    }
}

/// The place of the next byte in a row: an end of line within quotes ends no row.
#[derive(Debug)]
pub(super) struct Rows {
    delimiter: u8,
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// The beginning of a field, where a quote is one.
    Begin,
    Plain,
    Quoted,
    /// The place after a quote in a quoted field: another is a quote in the text.
    Quote,
}

impl Rows {
    pub(super) fn new(delimiter: u8) -> Self {
        Self { delimiter, place: Place::Begin }
    }

    pub(super) fn delimiter(&self) -> u8 {
        self.delimiter
    }

    pub(super) fn step(&mut self, byte: u8) -> Step {
        let (place, step) = match (&self.place, byte) {
            (Place::Quoted, b'"') => (Place::Quote, Step::Within),
            (Place::Quoted, _) => return Step::Within,
            (Place::Begin | Place::Quote, b'"') => (Place::Quoted, Step::Within),
            (_, b'\n') => (Place::Begin, Step::Behind),
            (_, byte) if byte == self.delimiter => (Place::Begin, Step::Within),
            _ => (Place::Plain, Step::Within),
        };
        self.place = place;
        step
    }
}
