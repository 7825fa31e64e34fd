//! The parts of a worker in a blob.
#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

use proptest::prelude::*;
use serde_bytes::ByteBuf;
use telemetra_core::checkpoint::{CodecError, encode};

use crate::checkpoint::parts::{StoredParts, WorkerParts};

fn stored(parts: &[(String, Vec<u8>)]) -> StoredParts {
    StoredParts::of_blob(encode(&WorkerParts { parts: parts.to_vec() }).unwrap()).unwrap()
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let zeros = (0_usize..5_000).prop_map(|length| vec![0; length]);
    prop_oneof![zeros, prop::collection::vec(any::<u8>(), 0..3_000)]
}

proptest! {
    #[test]
    fn parts_come_back_as_they_were(parts in prop::collection::vec(("[a-c]", bytes()), 0..6)) {
        let stored = stored(&parts);
        prop_assert_eq!(stored.all(), parts.clone());
        let of_b: Vec<_> = stored.of("b").map(|part| part.unwrap().into_owned()).collect();
        let expected: Vec<_> = parts.iter().filter(|(name, _)| name == "b").map(|(_, part)| part.clone()).collect();
        prop_assert_eq!(of_b, expected);
    }

    /// A checksum finds damage, but not what another program writes.
    #[test]
    fn foreign_bytes_are_an_error_and_no_panic(foreign in prop::collection::vec(any::<u8>(), 0..200), length in 1_u64..4_000) {
        let compressed = encode(&(u64::MAX, vec![("a", length, vec![ByteBuf::from(foreign)])])).unwrap();
        for part in StoredParts::of_blob(compressed).unwrap().of("a") {
                prop_assert!(part.is_err() || part.is_ok_and(|part| part.len() as u64 == length));
        }
    }
}

#[test]
fn a_part_of_several_chunks_comes_back_and_takes_less() {
    let part: Vec<u8> = (0..40_000_000_u32).map(|n| if n % 8 == 0 { (n / 800) as u8 } else { 0 }).collect();
    let blob = encode(&WorkerParts { parts: vec![("a".to_owned(), part.clone())] }).unwrap();
    assert!(blob.len() < part.len() / 10, "{} bytes", blob.len());
    assert!(StoredParts::of_blob(blob).unwrap().of("a").next().unwrap().unwrap() == part);
}

#[test]
fn chunks_that_are_missing_or_cut_off_are_an_error() {
    let chunk = ByteBuf::from(lz4_flex::block::compress(&[7; 1_000]));
    for (length, chunks) in
        [(1_000, vec![]), (1_000, vec![chunk.clone(), chunk.clone()]), (u64::MAX, vec![chunk.clone()])]
    {
        let blob = encode(&(u64::MAX, vec![("a", length, chunks)])).unwrap();
        assert!(matches!(StoredParts::of_blob(blob), Err(CodecError::Compression(_))), "{length}");
    }
    for length in [999_u64, 1_001] {
        let blob = encode(&(u64::MAX, vec![("a", length, vec![chunk.clone()])])).unwrap();
        let read = StoredParts::of_blob(blob).unwrap().of("a").next().unwrap().map(drop);
        assert!(matches!(read, Err(CodecError::Compression(_))), "{length}: {read:?}");
    }
}

/// Such as version 0.1 has written.
#[test]
fn a_blob_of_format_3_is_read() {
    let parts = [("a".to_owned(), vec![1, 2, 3]), ("b".to_owned(), vec![]), ("a".to_owned(), vec![4])];
    let plain: Vec<_> = parts.iter().map(|(name, part)| (name, ByteBuf::from(part.clone()))).collect();
    let mut blob = encode(&plain).unwrap();
    blob[4] = 3;
    let stored = StoredParts::of_blob(blob).unwrap();
    assert_eq!(stored.all(), parts);
    assert_eq!(
        stored.of("a").map(|part| part.unwrap().into_owned()).collect::<Vec<_>>(),
        [vec![1, 2, 3], vec![4]]
    );
}
