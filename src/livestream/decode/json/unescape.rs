//! Unescaping of JSON strings.

use crate::core::Arena;

/// Unescapes a string whose escapes the reader has found valid.
///
/// Half a surrogate pair, which is not a character, becomes a NUL. The text never grows, as an escape is
/// longer than its character in UTF-8.
#[cold]
pub(super) fn unescape<'a>(raw: &str, arena: &'a Arena) -> &'a str {
    let built = arena.zeroed(raw.len());
    let (mut rest, mut len) = (raw.as_bytes(), 0);
    let mut put = |piece: &[u8]| {
        built[len..len + piece.len()].copy_from_slice(piece);
        len += piece.len();
    };
    while let Some(at) = memchr::memchr(b'\\', rest) {
        put(&rest[..at]);
        let (character, width) = character(&rest[at..]);
        put(character.encode_utf8(&mut [0; 4]).as_bytes());
        rest = &rest[at + width..];
    }
    put(rest);
    // This cannot fail for strings that the reader accepted; if it did, the text would be empty.
    std::str::from_utf8(&built[..len]).unwrap_or_default()
}

/// The character of the escape at the start of `bytes`, and the escape's length.
fn character(bytes: &[u8]) -> (char, usize) {
    let simple = match bytes.get(1) {
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => {
            let unit = |at| hex4(bytes, at).unwrap_or_default();
            return match unit(2) {
                high @ 0xD800..=0xDBFF => match low(bytes) {
                    Some(low) => {
                        let (high, low) = (u32::from(high) & 0x3FF, u32::from(low) & 0x3FF);
                        (char::from_u32(0x1_0000 + (high << 10 | low)).unwrap_or_default(), 12)
                    }
                    None => ('\0', 6),
                },
                unit => (char::from_u32(u32::from(unit)).unwrap_or_default(), 6),
            };
        }
        Some(other) => char::from(*other),
        None => return ('\\', 1),
    };
    (simple, 2)
}

/// The second half of a surrogate pair, after the first.
fn low(bytes: &[u8]) -> Option<u16> {
    let follows = bytes.get(6..8) == Some(b"\\u");
    hex4(bytes, 8).filter(|unit| follows && (0xDC00..=0xDFFF).contains(unit))
}

/// The number written as four hexadecimal digits.
pub(super) fn hex4(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 4)?.iter().try_fold(0, |number, b| {
        let digit = char::from(*b).to_digit(16)?;
        Some(number << 4 | digit as u16)
    })
}
