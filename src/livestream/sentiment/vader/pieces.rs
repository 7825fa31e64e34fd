//! The scan of a message for the pieces between white space: sixteen bytes at once, as most words are short and
//! of ASCII letters alone.

use super::class::{LOWER, SPACE, UPPER, class};
use crate::livestream::sentiment::blocks::Blocks;
use crate::livestream::sentiment::word::{Letters, packed_letters};

/// A piece between ASCII white space.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) start: usize,
    pub(super) end: usize,
    /// The classes of its bytes.
    pub(super) classes: u8,
    /// The number of the word, if it consists of at most 15 ASCII letters.
    pub(super) number: Option<u128>,
}

/// Calls `each` for each piece of a message.
#[inline]
pub(super) fn pieces(message: &str, mut each: impl FnMut(Piece)) {
    let text = message.as_bytes();
    let blocks = Blocks::of(text);
    let mut start = 0;
    while start < text.len() {
        let piece = match packed_letters(blocks.at(start)) {
            Some(Letters { len, number, any_upper, any_lower }) => {
                let classes = if any_upper { UPPER } else { 0 } | if any_lower { LOWER } else { 0 };
                Piece { start, end: start + len, classes, number: Some(number) }
            }
            None => byte_by_byte(text, start),
        };
        start = piece.end + 1;
        // There is one call, so that it is compiled into the loop.
        if piece.start < piece.end {
            each(piece);
        }
    }
}

/// The piece at a place in a text, whatever bytes it has.
#[inline]
fn byte_by_byte(text: &[u8], start: usize) -> Piece {
    let mut piece = Piece { start, end: start, classes: 0, number: None };
    while let Some(&byte) = text.get(piece.end)
        && class(byte) & SPACE == 0
    {
        piece.classes |= class(byte);
        piece.end += 1;
    }
    piece
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::livestream::sentiment::blocks::BLOCK;
    use crate::livestream::sentiment::vader::class::classes;
    use crate::livestream::sentiment::word::number;

    #[test]
    fn pieces_are_what_lies_between_white_space() {
        let long = format!("x{} {}\t{}", "a".repeat(14), "b".repeat(15), "c".repeat(40));
        for text in [
            "",
            " ",
            "a",
            " aB  c",
            "it's ok\tgg",
            "né oui",
            "Abc_d \u{1c}Z",
            "1 a2 @b [ `q {z",
            long.as_str(),
        ] {
            let mut found = Vec::new();
            pieces(text, |piece| found.push(piece));
            let is_space = |c: char| c.is_ascii() && class(c as u8) & SPACE != 0;
            let words: Vec<&str> = text.split(is_space).filter(|word| !word.is_empty()).collect();
            assert_eq!(found.iter().map(|it| &text[it.start..it.end]).collect::<Vec<_>>(), words);
            for (piece, word) in found.iter().zip(words) {
                assert_eq!(piece.classes, classes(word.as_bytes()), "{word}");
                if let Some(known) = piece.number {
                    assert_eq!(known, number(word.as_bytes()), "{word}");
                }
                let is_short = word.len() < BLOCK && word.bytes().all(|byte| byte.is_ascii_alphabetic());
                // A piece before another white space than a blank is scanned byte by byte.
                let before_blank = text[piece.end..].bytes().next().is_none_or(|byte| byte == b' ');
                assert_eq!(piece.number.is_some(), is_short && before_blank, "{word}");
            }
        }
    }
}
