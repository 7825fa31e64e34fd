//! A word as a number, without regard to the case of its ASCII letters.

use xxhash_rust::xxh3::xxh3_128;

use super::token::{Class, EMOTICON, class, symbol_end, word_end};
use crate::ident::pack;

/// The longest word in bytes.
pub(super) const LONGEST: usize = 64;

/// Whether a message can hold this as one piece to look up.
pub(super) fn is_one_token(word: &[u8]) -> bool {
    let Some(&first) = word.first() else { return false };
    let whole = match class(first) {
        Class::Space => false,
        Class::Word => word_end(word, 0) == word.len(),
        Class::Symbol => symbol_end(word, 0) == word.len(),
        Class::Mark => {
            (2..=EMOTICON).contains(&word.len()) && !word.iter().any(|&b| class(b) == Class::Space)
        }
    };
    whole && word.len() <= LONGEST
}

/// The number of a word without regard to the case of ASCII letters. For texts of at most [`LONGEST`] bytes.
#[inline]
pub(super) fn folded(text: &[u8]) -> u128 {
    pack(text).map_or_else(|| hash_folded(text), lower)
}

#[cold]
fn hash_folded(text: &[u8]) -> u128 {
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
}
