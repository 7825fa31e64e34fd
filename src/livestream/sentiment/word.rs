//! A word as a number, without regard to case.

use xxhash_rust::xxh3::xxh3_128;

use crate::ident::pack;

/// The longest word in bytes.
pub(super) const LONGEST: usize = 64;

/// A word as it is looked up: in small letters, with straight apostrophes, and without what has no width.
pub(super) struct Folded {
    bytes: [u8; LONGEST],
    len: usize,
}

impl Folded {
    /// `None` if that has more than [`LONGEST`] bytes.
    pub(super) fn of(text: &str) -> Option<Self> {
        let mut folded = Self { bytes: [0; LONGEST], len: 0 };
        #[cfg(test)]
        super::work::done(text.len() as u64);
        for character in text.chars() {
            match character {
                // Joiners, and the signs that ask for an emoji with or without colour.
                '\u{200c}' | '\u{200d}' | '\u{fe0e}' | '\u{fe0f}' => {}
                // Telephones write it.
                '\u{2019}' => folded.push('\'')?,
                // Sigma at the end of a word; in capitals there is one sigma.
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

/// The number of a word without regard to the case of ASCII letters; others have to be folded. Exact up to 15 bytes, a hash of 127 bits beyond. For words of at most [`LONGEST`] bytes.
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

/// All of sixteen bytes at once: sets the bit that tells `a` from `A` in those from `A` to `Z`.
#[inline]
fn lower(bytes: u128) -> u128 {
    const EACH: u128 = u128::MAX / 255;
    let seven = bytes & (EACH * 0x7f);
    let from_a = seven + EACH * (0x80 - b'A' as u128);
    let past_z = seven + EACH * (0x7f - b'Z' as u128);
    bytes | (from_a & !past_z & !bytes & (EACH * 0x80)) >> 2
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

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
