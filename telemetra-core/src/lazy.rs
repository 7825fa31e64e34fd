//! A value that is decoded when it is needed, and a queue of bytes that is encoded as such.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

use bincode::Options;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer, ser};
use serde_bytes::ByteBuf;

use crate::data::Data;

/// Most values take fewer bytes.
pub(crate) const ROOM: usize = 256;

/// A value, or its encoding. Of the state of a key that was read from disk, most is not looked at before it is written
/// again, and is not decoded and encoded in between.
#[derive(Clone, Debug)]
pub(crate) enum Lazy<T> {
    Decoded(T),
    Encoded(Box<[u8]>),
}

pub(crate) fn encoding() -> impl Options {
    bincode::DefaultOptions::new()
}

fn encode<T: Serialize>(value: &T) -> bincode::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(ROOM);
    encoding().serialize_into(&mut bytes, value)?;
    Ok(bytes)
}

/// Appends the encoding of a value. Returns false if that cannot be decoded, or `is_same` says that it would not be the
/// same: then what was appended is not to be used.
pub(crate) fn encode_into<T: Serialize + DeserializeOwned>(
    value: &T,
    bytes: &mut Vec<u8>,
    is_same: impl FnOnce(&T, &T) -> bool,
) -> bool {
    let start = bytes.len();
    let encoded = encoding().serialize_into(&mut *bytes, value);
    encoded.is_ok() && encoding().deserialize(&bytes[start..]).is_ok_and(|read| is_same(value, &read))
}

impl<T: Serialize + DeserializeOwned + Clone> Lazy<T> {
    /// The value. `None` if its encoding is not one, which does not occur: that was tried when it was
    /// [encoded](Self::encode).
    pub(crate) fn get(&self) -> Option<Cow<'_, T>> {
        match self {
            Self::Decoded(value) => Some(Cow::Borrowed(value)),
            Self::Encoded(bytes) => encoding().deserialize(bytes).ok().map(Cow::Owned),
        }
    }

    /// The same as [`get`](Self::get), and keeps the value that was decoded.
    pub(crate) fn load(&mut self) -> Option<&mut T> {
        if let Self::Encoded(bytes) = self {
            *self = Self::Decoded(encoding().deserialize(bytes).ok()?);
        }
        match self {
            Self::Decoded(value) => Some(value),
            Self::Encoded(_) => None,
        }
    }

    /// Gives up the value for its encoding. Returns false, and keeps the value, if that cannot be decoded or `is_same`
    /// says that it would not be the same.
    pub(crate) fn encode(&mut self, is_same: impl FnOnce(&T, &T) -> bool) -> bool {
        let Self::Decoded(value) = self else { return true };
        let mut bytes = Vec::with_capacity(ROOM);
        let keeps = encode_into(value, &mut bytes, is_same);
        if keeps {
            *self = Self::Encoded(bytes.into());
        }
        keeps
    }
}

impl<S: Data> Lazy<Arc<S>> {
    /// Returns whether this is the same value, at the same place in memory.
    pub(crate) fn is_at(&self, value: &Arc<S>) -> bool {
        matches!(self, Self::Decoded(held) if Arc::ptr_eq(held, value))
    }

    /// Returns whether this value is equal.
    pub(crate) fn equals(&self, value: &Arc<S>) -> bool {
        // Values of one encoding need not be equal.
        self.is_at(value) || self.get().is_some_and(|held| *held == *value)
    }

    /// A number that depends on the value's memory.
    pub(crate) fn peek(&self) -> u64 {
        match self {
            Self::Decoded(value) => Arc::strong_count(value) as u64,
            Self::Encoded(bytes) => bytes.first().map_or(0, |byte| u64::from(*byte)),
        }
    }
}

impl<T: Serialize> Serialize for Lazy<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Decoded(value) => serializer.serialize_bytes(&encode(value).map_err(ser::Error::custom)?),
            Self::Encoded(bytes) => serializer.serialize_bytes(bytes),
        }
    }
}

impl<'de, T> Deserialize<'de> for Lazy<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::Encoded(ByteBuf::deserialize(deserializer)?.into_vec().into()))
    }
}

/// The encoding of a queue of bytes as bytes, not one by one.
pub(crate) mod byte_queue {
    use super::{ByteBuf, Deserialize, Deserializer, Serializer, VecDeque};

    pub(crate) fn serialize<T: Serializer>(queue: &VecDeque<u8>, serializer: T) -> Result<T::Ok, T::Error> {
        match queue.as_slices() {
            (all, []) => serializer.serialize_bytes(all),
            (older, newer) => serializer.serialize_bytes(&[older, newer].concat()),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<VecDeque<u8>, D::Error> {
        Ok(ByteBuf::deserialize(deserializer)?.into_vec().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// It is encoded as a number, and no number is one.
    #[derive(Clone, Debug)]
    struct OneWay;

    impl Serialize for OneWay {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_u8(7)
        }
    }

    impl<'de> Deserialize<'de> for OneWay {
        fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
            Err(serde::de::Error::custom("there is no way back"))
        }
    }

    #[test]
    fn a_value_that_cannot_be_decoded_again_is_kept() {
        let mut value = Lazy::Decoded(OneWay);
        assert!(!value.encode(|_, _| true) && value.load().is_some());
        let mut lossy = Lazy::Decoded(7_u64);
        assert!(!lossy.encode(|one, other| one != other) && matches!(lossy, Lazy::Decoded(7)));
    }

    #[test]
    fn an_encoded_value_is_the_same_and_is_packed_as_a_decoded_one() {
        let decoded = Lazy::Decoded(Arc::new("some text".to_owned()));
        let mut encoded = decoded.clone();
        assert!(encoded.encode(PartialEq::eq) && encoded.encode(PartialEq::eq));
        let [one, other] = [&decoded, &encoded].map(|lazy| encoding().serialize(lazy).unwrap_or_default());
        assert_eq!((&one, one.is_empty()), (&other, false));
        let text = Arc::new("some text".to_owned());
        assert!(encoded.equals(&text) && decoded.equals(&text) && !encoded.equals(&Arc::default()));
        assert!(!encoded.is_at(&text));
        assert_eq!(encoded.get().as_deref(), Some(&text));
        assert!(matches!(encoded, Lazy::Encoded(_)));
        assert_eq!(encoded.load(), Some(&mut Arc::clone(&text)));
        assert!(matches!(encoded, Lazy::Decoded(_)));
    }

    #[test]
    fn a_queue_of_bytes_is_read_as_it_was_wherever_it_begins() {
        #[derive(Serialize, Deserialize)]
        struct Queue(#[serde(with = "byte_queue")] VecDeque<u8>);
        let mut queue: VecDeque<u8> = (0..8).collect();
        queue.drain(..4);
        queue.extend(8..12);
        let bytes = encoding().serialize(&Queue(queue.clone())).unwrap_or_default();
        assert_eq!(bytes.len(), 1 + queue.len());
        let read: Queue = encoding().deserialize(&bytes).unwrap_or(Queue(VecDeque::new()));
        assert_eq!(read.0, queue);
    }
}
