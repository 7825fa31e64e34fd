//! Ids as numbers of 128 bits, so that a set of ids stores neither text nor pointers.

use xxhash_rust::xxh3::xxh3_128;

/// The longest text that [`pack`] keeps exactly.
const PACKED: usize = 15;

/// A text of up to 15 bytes as a number that no other text has: its bytes from the low end, its length in the
/// top byte. `None` for a longer text.
pub fn pack(text: &[u8]) -> Option<u128> {
    let len = text.len();
    // Each case reads twice, and the reads may overlap: the overlap holds the same bytes, so the results can
    // be or-ed.
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

/// The number of an id: exact up to 15 bytes, a hash of 127 bits for longer texts. The top bit keeps the two
/// kinds apart.
pub fn id_of(text: &str) -> u128 {
    pack(text.as_bytes()).unwrap_or_else(|| xxh3_128(text.as_bytes()) | 1 << 127)
}

/// A hash of such a number for hash tables: a multiplication to 128 bits whose halves are xor-ed.
pub fn mix(id: u128) -> u64 {
    let low = id as u64 ^ 0x9e37_79b9_7f4a_7c15;
    let high = (id >> 64) as u64 ^ 0xd1b5_4a32_d192_ed03;
    let wide = u128::from(low) * u128::from(high);
    wide as u64 ^ (wide >> 64) as u64
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

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
        assert_ne!(pack(b"a"), pack(b"a\0"));
    }

    #[test]
    fn similar_ids_spread_over_a_table() {
        for ids in [
            (0..10_000).map(|n| format!("user_{n}")).collect::<Vec<_>>(),
            (0..10_000).map(|n| format!("{n:08}")).collect(),
            (0..10_000).map(|n| format!("{n}")).collect(),
        ] {
            let slots: HashSet<u64> = ids.iter().map(|id| mix(id_of(id)) & 0xffff).collect();
            // 10,000 balls in 65,536 bins fill 9,271 of them on average.
            assert!(slots.len() > 9_000, "{} slots for ids like {}", slots.len(), ids[9_999]);
            let tags: HashSet<u64> = ids.iter().map(|id| mix(id_of(id)) >> 57).collect();
            assert_eq!(tags.len(), 128);
        }
    }
}
