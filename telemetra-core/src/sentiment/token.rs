//! Where a message's words, emoticons and emoji begin and end.

/// What a byte is part of.
#[derive(Copy, Clone, PartialEq, Eq)]
pub(super) enum Class {
    Space,
    /// Letters, digits, the underscore, and letters beyond ASCII.
    Word,
    /// The first byte of a character that stands by itself: emoji and symbols.
    Symbol,
    Mark,
}

pub(super) const CLASS: [Class; 256] = {
    let mut class = [Class::Mark; 256];
    let mut byte = 0;
    while byte < 256 {
        class[byte] = match byte as u8 {
            0..=b' ' => Class::Space,
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => Class::Word,
            // U+2000 to U+2FFF, U+F000 to U+FFFF, and what lies beyond: symbols, variation selectors, emoji.
            0xe2 | 0xef | 0xf0..=0xff => Class::Symbol,
            0x80.. => Class::Word,
            _ => Class::Mark,
        };
        byte += 1;
    }
    class
};

pub(super) fn class(byte: u8) -> Class {
    CLASS[usize::from(byte)]
}

/// The end of the word that begins at `start`. An apostrophe between two letters belongs to it.
pub(super) fn word_end(text: &[u8], start: usize) -> usize {
    let is_word = |at: usize| text.get(at).is_some_and(|&b| class(b) == Class::Word);
    let mut end = start + 1;
    while is_word(end) || (text.get(end) == Some(&b'\'') && is_word(end + 1)) {
        end += 1;
    }
    end
}

/// The end of the symbol that begins at `start`: three or four bytes.
pub(super) fn symbol_end(text: &[u8], start: usize) -> usize {
    let long = if text[start] >= 0xf0 { 4 } else { 3 };
    (start + long).min(text.len())
}

/// The longest emoticon that begins with a mark, in bytes.
pub(super) const EMOTICON: usize = 4;

/// Whether an emoticon may end here. Not before a letter (`<30`), nor before a slash (`http://`).
pub(super) fn ends_emoticon(text: &[u8], end: usize) -> bool {
    text.get(end).is_none_or(|&next| class(next) != Class::Word && next != b'/')
}
