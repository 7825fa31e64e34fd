//! Words as numbers, without regard to case.

use xxhash_rust::xxh3::xxh3_128;

/// The length of the longest word, in bytes.
pub(super) const LONGEST: usize = 64;

/// A word in the form in which it is looked up: in small letters, with straight apostrophes, and without
/// characters that have no width.
pub(super) struct Folded {
    bytes: [u8; LONGEST],
    len: usize,
}

impl Folded {
    /// Folds a word; `None` if the result has more than [`LONGEST`] bytes.
    pub(super) fn of(text: &str) -> Option<Self> {
        let mut folded = Self { bytes: [0; LONGEST], len: 0 };
        #[cfg(test)]
        super::work::done(text.len() as u64);
        for character in text.chars() {
            match character {
                // Joiners, and variation selectors of emoji for colour or for none.
                '\u{200c}' | '\u{200d}' | '\u{fe0e}' | '\u{fe0f}' => {}
                // Telephones write this apostrophe.
                '\u{2019}' => folded.push('\'')?,
                // Sigma at the end of a word: in capitals there is only one sigma.
                'ς' => folded.push('σ')?,
                _ => character.to_lowercase().try_for_each(|small| folded.push(small))?,
            }
        }
        Some(folded)
    }

    fn push(&mut self, character: char) -> Option<()> {
        let place = self.bytes.get_mut(self.len..self.len + character.len_utf8())?;
        character.encode_utf8(place);
        self.len += character.len_utf8();
        Some(())
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// The length of the longest word that [`pack`] stores exactly.
const PACKED: usize = 15;

/// Packs up to 15 bytes into a number that no other bytes have: the bytes from the low end, the length in the
/// top byte.
fn pack(text: &[u8]) -> Option<u128> {
    let len = text.len();
    // These are two overlapping reads each: the overlap contains the same bytes, so they can be or-ed.
    let bytes = if len > PACKED {
        return None;
    } else if let (Some(first), Some(last)) = (text.first_chunk::<8>(), text.last_chunk::<8>()) {
        u128::from(u64::from_le_bytes(*first)) | u128::from(u64::from_le_bytes(*last)) << (8 * (len - 8))
    } else if let (Some(first), Some(last)) = (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
        u128::from(u64::from(first) | u64::from(last) << (8 * (len - 4)))
    } else if let [first, .., last] = text {
        let middle = text[len / 2];
        let bytes =
            u32::from(*first) | u32::from(middle) << (8 * (len / 2)) | u32::from(*last) << (8 * (len - 1));
        u128::from(bytes)
    } else {
        text.first().map_or(0, |&only| u128::from(only))
    };
    Some(bytes | (len as u128) << 120)
}

/// A hash of a word's number, for tables: one wide multiplication, folded.
pub(super) fn mix(number: u128) -> u64 {
    let low = number as u64 ^ 0x9e37_79b9_7f4a_7c15;
    let high = (number >> 64) as u64 ^ 0xd1b5_4a32_d192_ed03;
    let wide = u128::from(low) * u128::from(high);
    wide as u64 ^ (wide >> 64) as u64
}

/// The number of a word without regard to the case of ASCII letters; other letters must be folded first. It
/// is exact for up to 15 bytes, and beyond that a hash of 127 bits. Only for words of at most [`LONGEST`]
/// bytes.
#[inline]
pub(super) fn number(text: &[u8]) -> u128 {
    pack(text).map_or_else(|| hash_lowered(text), lower)
}

#[cold]
fn hash_lowered(text: &[u8]) -> u128 {
    let mut lower = [0; LONGEST];
    for (lower, byte) in lower.iter_mut().zip(text) {
        *lower = byte.to_ascii_lowercase();
    }
    xxh3_128(&lower[..text.len().min(LONGEST)]) | 1 << 127
}

/// A one in each of sixteen bytes.
const EACH: u128 = u128::MAX / 255;
/// The high bit of each of sixteen bytes.
const HIGH: u128 = EACH * 0x80;

/// Converts sixteen bytes at once: it sets the bit that distinguishes `a` from `A` in bytes from `A` to `Z`.
#[inline]
fn lower(bytes: u128) -> u128 {
    bytes | between(bytes, b'A', b'Z') >> 2
}

/// The high bits of those of sixteen bytes that are from `least` to `most`, which are ASCII.
#[inline]
fn between(bytes: u128, least: u8, most: u8) -> u128 {
    let seven = bytes & !HIGH;
    let from_least = seven + EACH * (0x80 - u128::from(least));
    let past_most = seven + EACH * (0x7f - u128::from(most));
    from_least & !past_most & !bytes & HIGH
}

/// A word of at most 15 ASCII letters.
pub(super) struct Letters {
    pub(super) len: usize,
    pub(super) number: u128,
    pub(super) any_upper: bool,
    pub(super) any_lower: bool,
}

/// The letters before the first space of sixteen bytes, none if that is the first byte; `None` if there is another
/// byte before it, or no space.
#[inline]
pub(super) fn packed_letters(bytes: u128) -> Option<Letters> {
    let others = bytes ^ (EACH * u128::from(b' '));
    // Of the bytes that are zero the lowest is found rightly: only beyond it the subtraction carries.
    let spaces = others.wrapping_sub(EACH) & !others & HIGH;
    let before = (spaces & spaces.wrapping_neg()) >> 7;
    let before = before.wrapping_sub(1);
    let small = bytes | (EACH * 0x20);
    let letters = between(small, b'a', b'z') & before;
    if spaces == 0 || letters != before & HIGH {
        return None;
    }
    let lower = letters & (bytes << 2);
    let len = spaces.trailing_zeros() / 8;
    Some(Letters {
        len: len as usize,
        number: small & before | u128::from(len) << 120,
        any_upper: letters != lower,
        any_lower: lower != 0,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn packing_keeps_every_byte_and_the_length() {
        for len in 0..=PACKED {
            let text: Vec<u8> = (1..=len as u8).map(|b| b * 13).collect();
            let bytes = pack(&text).map(u128::to_le_bytes);
            assert_eq!(bytes.map(|b| b[..len].to_vec()), Some(text), "of {len} bytes");
            assert_eq!(bytes.map(|b| b[15]), Some(len as u8));
        }
        assert_eq!(pack(&[0; 16]), None);
    }

    #[test]
    fn lowering_sixteen_bytes_is_lowering_each() {
        for byte in 0..=255u8 {
            let mut text = *b"AZaz@[`{\x7f\x80\xc1\xda09Q";
            text[7] = byte;
            assert_eq!(lower(pack(&text).unwrap()), pack(&text.to_ascii_lowercase()).unwrap());
        }
    }

    #[test]
    fn folding_takes_case_and_what_has_no_width_away() {
        let folded = |text: &str| Folded::of(text).map(|folded| folded.bytes().to_vec());
        for (one, other) in [
            ("GRÜN", "grün"),
            ("ХОРОШО", "хорошо"),
            ("ΚΑΛΟΣ", "καλός".replace('ό', "ο").as_str()),
            ("Don’t", "don't"),
            ("❤\u{fe0f}", "❤"),
            ("می\u{200c}خواهم", "میخواهم"),
        ] {
            assert_eq!(folded(one).unwrap(), folded(other).unwrap(), "{one}");
        }
        assert_eq!(folded(&"x".repeat(LONGEST)).unwrap().len(), LONGEST);
        assert_eq!(folded(&"x".repeat(LONGEST + 1)), None);
        assert_eq!(folded(&"é".repeat(LONGEST)), None);
    }
}
