//! Classes of bytes, as flags, so that those of a word's bytes can be or-ed.

pub(super) const SPACE: u8 = 1;
pub(super) const UPPER: u8 = 2;
pub(super) const LOWER: u8 = 4;
/// ASCII punctuation, including the marks below.
pub(super) const MARK: u8 = 8;
/// A part of a character beyond ASCII.
pub(super) const WIDE: u8 = 16;
pub(super) const EXCLAMATION: u8 = 32;
pub(super) const QUESTION: u8 = 64;
pub(super) const APOSTROPHE: u8 = 128;

const CLASS: [u8; 256] = {
    let mut class = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        class[byte] = match byte as u8 {
            b'\t'..=b'\r' | 0x1c..=b' ' => SPACE,
            b'A'..=b'Z' => UPPER,
            b'a'..=b'z' => LOWER,
            b'!' => MARK | EXCLAMATION,
            b'?' => MARK | QUESTION,
            b'\'' => MARK | APOSTROPHE,
            0x80.. => WIDE,
            mark if mark.is_ascii_punctuation() => MARK,
            _ => 0,
        };
        byte += 1;
    }
    class
};

#[inline]
pub(super) fn class(byte: u8) -> u8 {
    CLASS[usize::from(byte)]
}

/// The or-ed flags of all bytes of a text.
pub(super) fn classes(text: &[u8]) -> u8 {
    text.iter().fold(0, |all, &byte| all | class(byte))
}

/// The number of times a byte occurs in a text.
pub(super) fn count(text: &[u8], wanted: u8) -> u32 {
    text.iter().filter(|&&byte| byte == wanted).count().try_into().unwrap_or(u32::MAX)
}

/// The text without the punctuation on both sides.
#[inline]
pub(super) fn trimmed(text: &[u8]) -> &[u8] {
    let is_mark = |byte: &&u8| class(**byte) & MARK != 0;
    let before = text.iter().take_while(is_mark).count();
    let after = text[before..].iter().rev().take_while(is_mark).count();
    &text[before..text.len() - after]
}

/// The number of characters, counted up to three.
#[inline]
pub(super) fn few(text: &[u8]) -> usize {
    // A character has at most four bytes.
    if text.len() > 8 { 3 } else { text.iter().filter(|&&byte| byte & 0xc0 != 0x80).count().min(3) }
}
