//! The boundaries of words and emoticons in a message, for a lexicon.

/// The kind of a byte.
#[derive(Copy, Clone, PartialEq, Eq)]
pub(super) enum Class {
    Space,
    /// A letter, a digit or the underscore.
    Word,
    /// A part of a character beyond ASCII, which usually is a letter.
    Wide,
    Mark,
}

const CLASS: [Class; 256] = {
    let mut class = [Class::Mark; 256];
    let mut byte = 0;
    while byte < 256 {
        class[byte] = match byte as u8 {
            0..=b' ' => Class::Space,
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => Class::Word,
            0x80.. => Class::Wide,
            _ => Class::Mark,
        };
        byte += 1;
    }
    class
};

#[inline]
pub(super) fn class(byte: u8) -> Class {
    CLASS[usize::from(byte)]
}

/// The end of the run of letters that begins at `start`, and whether all are ASCII. An apostrophe between two
/// letters belongs to the run.
#[inline]
pub(super) fn run_end(text: &[u8], start: usize) -> (usize, bool) {
    let is_letter = |at: usize| text.get(at).is_some_and(|&b| matches!(class(b), Class::Word | Class::Wide));
    let mut wide = text[start];
    let mut end = start + 1;
    while let Some(&byte) = text.get(end) {
        match class(byte) {
            Class::Word | Class::Wide => wide |= byte,
            Class::Mark if byte == b'\'' && is_letter(end + 1) => {}
            _ => break,
        }
        end += 1;
    }
    (end, wide < 0x80)
}

/// The length of the longest emoticon that begins with a mark, in bytes.
pub(super) const EMOTICON: usize = 4;
