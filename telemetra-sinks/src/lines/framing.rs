//! The framing of a file's content: lines, rows of CSV, or elements of a JSON array.

use std::io;
use std::path::Path;

use telemetra_core::RecordBatch;

use super::framed::Framed;
use super::splitter::Splitter;

/// The format of a file, which says where a record ends.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Framing {
    #[default]
    Lines,
    /// Rows of CSV, fields being separated by this byte. The first row of a file is its header.
    #[cfg(feature = "csv")]
    Rows(u8),
    /// The elements of one JSON array.
    Elements,
}

/// Splits blocks into records by a framing.
#[derive(Debug)]
pub(super) enum Frames {
    Lines(Splitter),
    Framed(Framed),
}

impl Framing {
    /// Splits a content from `position` on, whose records get offsets from `offset` on. The file at the path, if it
    /// is one, is read again for a header that stands before the position.
    pub(super) fn frames(self, path: &Path, position: u64, offset: u64) -> io::Result<Frames> {
        // Only a header is read by it.
        #[cfg(not(feature = "csv"))]
        let _ = path;
        Ok(match self {
            Self::Lines => Frames::Lines(Splitter::new(offset)),
            Self::Elements => Frames::Framed(Framed::elements(offset, position > 0)),
            #[cfg(feature = "csv")]
            Self::Rows(delimiter) => {
                let header = if position > 0 { header(path, delimiter)? } else { None };
                Frames::Framed(Framed::rows(delimiter, offset, header))
            }
        })
    }
}

/// The header row at the beginning of a file.
#[cfg(feature = "csv")]
fn header(path: &Path, delimiter: u8) -> io::Result<Option<std::sync::Arc<super::rows::Header>>> {
    let mut content = super::content::Content::new(std::fs::File::open(path)?)?;
    let mut framed = Framed::rows(delimiter, 0, None);
    let mut batch = RecordBatch::default();
    loop {
        let count = framed.advance(&mut batch, |buffer| {
            buffer.resize(4096, 0);
            content.read(buffer)
        })?;
        if framed.header().is_some() || count == 0 {
            return Ok(framed.header());
        }
    }
}

impl Frames {
    /// The offset of what was not returned yet.
    pub(super) fn position(&self) -> u64 {
        match self {
            Self::Lines(splitter) => splitter.position(),
            Self::Framed(framed) => framed.position(),
        }
    }

    /// Lets `read` append a block to the buffer, and splits it. Returns the result of `read`: the number of
    /// bytes, 0 at the end.
    pub(super) fn advance(
        &mut self,
        batch: &mut RecordBatch,
        read: impl FnOnce(&mut Vec<u8>) -> io::Result<usize>,
    ) -> io::Result<usize> {
        match self {
            Self::Lines(splitter) => splitter.advance(batch, read),
            Self::Framed(framed) => framed.advance(batch, read),
        }
    }

    /// Ends the input: returns a last record that has no end.
    pub(super) fn finish(&mut self, batch: &mut RecordBatch) -> io::Result<()> {
        match self {
            Self::Lines(splitter) => {
                splitter.finish(batch);
                Ok(())
            }
            Self::Framed(framed) => framed.finish(batch),
        }
    }
}
