//! Small damage to a record.

use proptest::prelude::*;
use proptest::sample::Index;

/// One change to some bytes.
#[derive(Clone, Debug)]
pub(crate) enum Mutation {
    /// A byte becomes another.
    Replace(Index, u8),
    /// A piece is put in.
    Insert(Index, &'static [u8]),
    /// Some bytes go.
    Delete(Index, usize),
    /// What follows goes.
    Truncate(Index),
    /// Some bytes are repeated elsewhere.
    Copy(Index, Index, usize),
}

const PIECES: &[&[u8]] = &[
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\"",
    b"\\",
    b"\\u",
    b"\\ud83d",
    b"\\ude00",
    b"\\u0000",
    b"\\n",
    b"0",
    b"9",
    b"00000000",
    b"-",
    b"+",
    b".",
    b"e",
    b"E-3",
    b"e400",
    b"true",
    b"false",
    b"null",
    b"NaN",
    b" ",
    b"\n",
    b"\0",
    b"\x1f",
    b"\x7f",
    b"\xff",
    b"\xc3\xa9",
    b"\xed\xa0\x80",
    b"\xf0\x9f\x98\x80",
    b"[[[[[[[[",
    b"Z",
    b"+05:30",
    b"\"amount\":1,",
    b"\"topic\":\"chat\",",
    b"\"message\":null,",
];

pub(crate) fn mutation() -> impl Strategy<Value = Mutation> {
    let byte = prop_oneof![
        any::<u8>(),
        prop::sample::select(b"{}[],:\"\\0123456789-.eEtfnu \n\x00\x80\xff".to_vec())
    ];
    prop_oneof![
        4 => (any::<Index>(), byte).prop_map(|(at, byte)| Mutation::Replace(at, byte)),
        4 => (any::<Index>(), prop::sample::select(PIECES)).prop_map(|(at, piece)| Mutation::Insert(at, piece)),
        2 => (any::<Index>(), 1..8_usize).prop_map(|(at, len)| Mutation::Delete(at, len)),
        1 => any::<Index>().prop_map(Mutation::Truncate),
        2 => (any::<Index>(), any::<Index>(), 1..60_usize).prop_map(|(from, to, len)| Mutation::Copy(from, to, len)),
    ]
}

impl Mutation {
    pub(crate) fn apply(&self, bytes: &mut Vec<u8>) {
        let len = bytes.len();
        let place = |at: &Index| at.index(len + 1);
        match self {
            Self::Replace(at, byte) => {
                if let Some(old) = bytes.get_mut(place(at)) {
                    *old = *byte;
                }
            }
            Self::Insert(at, piece) => drop(bytes.splice(place(at)..place(at), piece.iter().copied())),
            Self::Delete(at, count) => drop(bytes.drain(place(at)..(place(at) + count).min(len))),
            Self::Truncate(at) => bytes.truncate(place(at)),
            Self::Copy(from, to, count) => {
                let piece = bytes[place(from)..(place(from) + count).min(len)].to_vec();
                bytes.splice(place(to)..place(to), piece);
            }
        }
    }
}
