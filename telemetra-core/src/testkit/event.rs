//! The compliance suites of events and keys.

use std::collections::BTreeSet;

use crate::codec;
use crate::key::{Key, key_hash};
use crate::read::event::Event;
use crate::write::row::key_parts;

/// Checks that events keep the contract of [`Event`], and their keys that of [`Key`].
///
/// # Panics
///
/// If a contract is broken. The message names the clause.
///
/// ```
/// # struct Reading(String);
/// # impl telemetra_core::Event for Reading {
/// #     type Key = String;
/// #     fn time(&self) -> telemetra_core::EventTime { Default::default() }
/// #     fn key(&self) -> &str { &self.0 }
/// # }
/// telemetra_core::testkit::event_compliance(&[Reading("d1".into()), Reading(String::new())]);
/// ```
pub fn event_compliance<E: Event>(events: &[E]) {
    let mut keys = Vec::new();
    for event in events {
        let key = E::Key::from_ref(event.key());
        assert!(key.is(event.key()), "pure: the key of an event is {key:?}, then another");
        assert_eq!(
            key_hash(&event.key()),
            key_hash(&key.as_ref()),
            "one identity: the key {key:?} hashes in two ways"
        );
        assert_eq!(event.time(), event.time(), "pure: an event has two times");
        assert_eq!(event.id(), event.id(), "pure: an event has two ids");
        keys.push(key);
    }
    key_compliance(&keys);
}

/// Checks that keys keep the contract of [`Key`].
///
/// # Panics
///
/// If the contract is broken. The message names the clause.
///
/// ```
/// telemetra_core::testkit::key_compliance(&[("eu".to_owned(), 1_u32), ("us".to_owned(), 1)]);
/// ```
pub fn key_compliance<K: Key>(keys: &[K]) {
    let mut columns = BTreeSet::new();
    let different: BTreeSet<&K> = keys.iter().collect();
    for key in &different {
        let again = K::from_ref(key.as_ref());
        assert!(
            again == **key && key.is(again.as_ref()),
            "one identity: {key:?} becomes {again:?} when it is borrowed"
        );
        assert_eq!(
            key_hash(&key.as_ref()),
            key_hash(&again.as_ref()),
            "one identity: {key:?} hashes in two ways"
        );
        let mut at = 0;
        key.values(&mut |value| {
            let kind = K::KINDS.get(at);
            assert!(
                kind.is_some_and(|kind| value.fits(*kind)) && !matches!(value, crate::column::Value::Null),
                "columns: the value {value:?} of {key:?} does not fit its column, which is {kind:?}"
            );
            at += 1;
        });
        assert_eq!(at, K::KINDS.len(), "columns: {key:?} puts {at} values for {} columns", K::KINDS.len());
        columns.insert(key_parts(at, |put| key.values(put)));
        let decoded: Result<K, _> = codec::encode(*key).and_then(|bytes| codec::decode(&bytes));
        assert!(decoded.is_ok_and(|decoded| decoded == **key), "{key:?} does not survive bincode");
    }
    assert_eq!(columns.len(), different.len(), "columns: two keys put the same values");
    let texts: BTreeSet<_> = different.iter().map(|key| key.text()).collect();
    assert_eq!(texts.len(), different.len(), "text: two keys have the same text");
    for one in &different {
        for other in &different {
            assert_eq!(one == other, one.is(other.as_ref()), "one identity: {one:?} is taken for {other:?}");
        }
    }
}
