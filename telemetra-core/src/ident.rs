//! Ids as 128 bits.

/// An id in 128 bits: up to 15 bytes as they are, longer ones by their hash.
///
/// Ids of up to 15 bytes cannot collide. Of a thousand million longer ones, two collide with a probability
/// below 1e-20. Equal on every machine and in every version, so it may be stored.
#[must_use]
pub fn id128(id: &str) -> u128 {
    let bytes = id.as_bytes();
    if bytes.len() <= 15 {
        let mut packed = [0; 16];
        packed[..bytes.len()].copy_from_slice(bytes);
        packed[15] = bytes.len() as u8;
        u128::from_le_bytes(packed)
    } else {
        // The last byte of a packed id is at most 15; here its highest bit is set.
        xxhash_rust::xxh3::xxh3_128(bytes) | (1 << 127)
    }
}

/// Spreads the bits of an id for a hash table.
#[must_use]
pub fn spread(id: u128) -> u64 {
    let folded = (id as u64) ^ ((id >> 64) as u64).rotate_left(29);
    let product = u128::from(folded ^ 0x9e37_79b9_7f4a_7c15) * 0xd1b5_4a32_d192_ed03_u128;
    (product as u64) ^ ((product >> 64) as u64)
}

/// The hash by which keys are dealt to workers, and by which a checkpoint's state is dealt out again.
#[must_use]
pub fn key_hash(key: &str) -> u64 {
    xxhash_rust::xxh3::xxh3_64(key.as_bytes())
}
