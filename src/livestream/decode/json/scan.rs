//! A search for the end of the part of a JSON string without escapes, eight bytes at a time.

const ONES: u64 = u64::from_ne_bytes([1; 8]);
const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);

/// The first byte from `from` on that is a quote, a backslash or a control character; the length if there is none.
///
/// Strings in events are short, so that a call of a vectorised search costs more than it saves.
#[inline(always)]
pub(super) fn special(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(word) = bytes.get(at..at + 8).and_then(|word| word.first_chunk()) {
        let found = special_in(u64::from_le_bytes(*word));
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while bytes.get(at).is_some_and(|b| !matches!(b, b'"' | b'\\' | ..b' ')) {
        at += 1;
    }
    at
}

/// Sets the highest bits of the special bytes of a word: each difference is negative for its own byte, and
/// bytes beyond ASCII are excluded. A borrow may mark bytes above the first special one wrongly, but none
/// below it.
#[inline(always)]
fn special_in(word: u64) -> u64 {
    let quote = (word ^ (ONES * b'"' as u64)).wrapping_sub(ONES);
    let backslash = (word ^ (ONES * b'\\' as u64)).wrapping_sub(ONES);
    let control = word.wrapping_sub(ONES * b' ' as u64);
    (quote | backslash | control) & !word & HIGHS
}

#[cfg(test)]
mod tests {
    use super::special;

    #[test]
    fn finds_each_special_byte_at_each_place_and_nothing_else() {
        for len in 0..40 {
            for place in 0..=len {
                for byte in 0..=u8::MAX {
                    let mut bytes = vec![b'a'; len];
                    if let Some(b) = bytes.get_mut(place) {
                        *b = byte;
                    }
                    let is_special = byte < b' ' || byte == b'"' || byte == b'\\';
                    let expected = if is_special { place } else { len };
                    assert_eq!(special(&bytes, 0), expected, "{byte:#x} at {place} of {len}");
                }
            }
        }
    }
}
