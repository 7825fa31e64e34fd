//! Keys: their hash spreads over workers and shards, and every built-in key keeps the contract.
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

use compact_str::CompactString;
use telemetra_core::ColumnKind::{Bool, Integer, Text, Time};
use telemetra_core::testkit::{event_compliance, key_compliance};
use telemetra_core::{ColumnKind, Event, EventId, EventTime, Key, Moment, MomentId, Shard, Value, key_hash};

/// The bound on the distance of the fullest and the emptiest bucket from even: five standard deviations.
fn assert_even(what: &str, buckets: usize, of: impl Iterator<Item = usize>) {
    let mut counts = vec![0_u64; buckets];
    of.for_each(|bucket| counts[bucket] += 1);
    let keys: u64 = counts.iter().sum();
    let mean = keys as f64 / buckets as f64;
    let allowed = 5.0 * (mean * (1.0 - 1.0 / buckets as f64)).sqrt();
    for (bucket, count) in counts.iter().enumerate() {
        let apart = (*count as f64 - mean).abs();
        assert!(apart <= allowed, "{what}: bucket {bucket} of {buckets} has {count} keys; {mean} are even");
    }
}

/// Workers are chosen by the low bits, shards by the high ones.
fn assert_spreads<Q: Hash>(what: &str, keys: impl Iterator<Item = Q> + Clone) {
    for buckets in [2, 3, 4, 7, 8, 16, 64, 100] {
        let hashes = keys.clone().map(|key| key_hash(&key));
        assert_even(
            &format!("{what}, low bits"),
            buckets,
            hashes.map(|hash| (hash % buckets as u64) as usize),
        );
        let hashes = keys.clone().map(|key| key_hash(&key));
        let high = hashes.map(|hash| ((u128::from(hash) * buckets as u128) >> 64) as usize);
        assert_even(&format!("{what}, high bits"), buckets, high);
    }
    let mut hashes: Vec<u64> = keys.map(|key| key_hash(&key)).collect();
    let keys = hashes.len();
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), keys, "{what}: two keys have one hash");
}

#[test]
fn hashes_of_numbers_spread() {
    assert_spreads("0, 1, 2, …", 0..20_000_u64);
    assert_spreads("u32", 0..20_000_u32);
    assert_spreads("u16", 0..20_000_u16);
    assert_spreads("signed", -10_000..10_000_i64);
    assert_spreads("thousands", (0..20_000_u64).map(|n| n * 1_000));
    assert_spreads("multiples of 2^20", (0..20_000_u64).map(|n| n << 20));
    assert_spreads("multiples of 2^40", (0..20_000_u64).map(|n| n << 40));
    assert_spreads("high bytes", (0..20_000_u64).map(|n| n.swap_bytes()));
    assert_spreads("times", (0..20_000).map(|n| EventTime(1_767_225_600_000 + 60_000 * n)));
    assert_spreads("u128", (0..20_000_u128).map(|n| n << 64));
}

#[test]
fn hashes_of_texts_spread() {
    assert_spreads("texts", (0..20_000).map(|n| n.to_string()));
    assert_spreads("padded texts", (0..20_000).map(|n| format!("{n:08}")));
    assert_spreads("long texts", (0..20_000).map(|n| format!("a device's id of some length: {n}")));
}

#[test]
fn hashes_of_tuples_spread() {
    assert_spreads("pairs", (0..20_000_u32).map(|n| (n / 141, n % 141)));
    assert_spreads("equal pairs", (0..20_000_u32).map(|n| (n, n)));
    assert_spreads("opposite pairs", (0..20_000_i32).map(|n| (n, -n)));
    assert_spreads("small first", (0..20_000_u64).map(|n| (n % 2 == 0, n)));
    assert_spreads("small last", (0..20_000_u64).map(|n| (n, (n % 3) as u8)));
    assert_spreads("text and number", (0..20_000_u32).map(|n| (format!("site {}", n % 100), n / 100)));
    assert_spreads("two texts", (0..20_000).map(|n| (n.to_string(), format!("{}", n % 7))));
    assert_spreads("four", (0..20_000_u64).map(|n| (n % 3, n % 5, n % 7, n)));
    let mut squares: Vec<u64> =
        (0..200_u16).flat_map(|a| (0..200_u16).map(move |b| key_hash(&(a, b)))).collect();
    squares.sort_unstable();
    squares.dedup();
    assert_eq!(squares.len(), 40_000, "the order of a pair counts");
}

#[test]
fn hashes_of_bytes_tell_255_from_the_end_of_a_text() {
    let hashes: std::collections::HashSet<u64> = (0..=255_u8).map(|byte| key_hash(&byte)).collect();
    assert_eq!(hashes.len(), 256);
    let pairs = (0..=255_u8).flat_map(|a| (0..=255_u8).map(move |b| key_hash(&(a, b))));
    assert_eq!(pairs.collect::<std::collections::HashSet<u64>>().len(), 65_536);
    assert_ne!(key_hash(&("ab", "c")), key_hash(&("a", "bc")));
    assert_ne!(key_hash(&("", "a")), key_hash(&("a", "")));
}

/// Checkpoints hold state by these: a change of one is a change of the format.
#[test]
fn hashes_are_the_same_in_every_release_of_one_format() {
    let found = [
        key_hash(""),
        key_hash("ada"),
        key_hash("a device's id of some length"),
        key_hash(&7_u32),
        key_hash(&-7_i64),
        key_hash(&true),
        key_hash(&()),
        key_hash(&("site", 7_u32)),
    ];
    assert_eq!(found, HASHES);
}
const HASHES: [u64; 8] = [
    4_311_033_016_811_906_205,
    7_570_578_306_677_721_042,
    12_277_907_160_124_081_921,
    14_196_258_664_172_971_215,
    12_545_264_271_525_022_364,
    18_443_502_102_788_647_291,
    17_009_436_294_990_141_028,
    1_386_637_187_733_199_089,
];

#[test]
fn shards_get_even_shares_of_subjects() {
    for shards in [1, 2, 3, 4, 5, 16] {
        let subjects = (0..20_000).map(|n| format!("device-{n}"));
        let shares = subjects.map(|subject| Shard::index_of(&subject, shards));
        assert_even("subjects", shards, shares);
    }
    // One worker's keys are not one shard's: the two are chosen by different bits.
    let mine = (0..80_000).map(|n| format!("device-{n}")).filter(|key| key_hash(key.as_str()) % 4 == 1);
    assert_even("one worker's subjects", 4, mine.map(|subject| Shard::index_of(&subject, 4)));
}

fn kinds<K: Key>() -> &'static [ColumnKind] {
    K::KINDS
}

/// The contract on some keys, and that a table of them is as good as one of their owned forms.
fn complies<K: Key>(keys: &[K]) {
    key_compliance(keys);
    let by_key: HashMap<&K, u64> = keys.iter().map(|key| (key, key_hash(&key.as_ref()))).collect();
    for (key, hash) in by_key {
        assert_eq!(key_hash(key), hash, "{key:?} and its borrowed form hash alike");
    }
}

#[test]
fn every_built_in_key_keeps_the_contract() {
    let texts = ["", "a", "A", "é", "a device's id of some length", "with \u{1f} inside", "\u{1b}", "\0"];
    complies(&texts.map(String::from));
    complies(&texts.map(CompactString::from));
    complies(&texts.map(Box::<str>::from));
    complies(&texts.map(Arc::<str>::from));
    complies(&[0, 1, u8::MAX]);
    complies(&[0, 1, u16::MAX]);
    complies(&[0, 1, u32::MAX]);
    complies(&[0, 1, u64::MAX]);
    complies(&[i8::MIN, -1, 0, i8::MAX]);
    complies(&[i16::MIN, -1, 0, i16::MAX]);
    complies(&[i32::MIN, -1, 0, i32::MAX]);
    complies(&[i64::MIN, -1, 0, i64::MAX]);
    complies(&[false, true]);
    complies(&[EventTime::MIN, EventTime(1), EventTime::LATEST, EventTime::MAX]);
    complies(&[()]);
    complies(&texts.map(|text| (text.to_owned(),)));
    complies(&[("a".to_owned(), 1_u32), ("a".to_owned(), 2), ("b".to_owned(), 1)]);
    complies(&[("a".to_owned(), String::new()), (String::new(), "a".to_owned())]);
    complies(&[(1_u8, -1_i16, true), (1, 1, true), (1, -1, false)]);
    complies(&[(1_u8, 2_u16, 3_u32, 4_u64), (4, 3, 2, 1)]);
    complies(&[((1_u8, "x".to_owned()), EventTime(5)), ((2, "x".to_owned()), EventTime(5))]);
    complies(&[((), 1_u8), ((), 2)]);
}

#[test]
fn a_tuple_has_the_columns_of_its_parts_in_their_order() {
    assert_eq!(kinds::<()>(), []);
    assert_eq!(kinds::<String>(), [Text]);
    assert_eq!(kinds::<(u8,)>(), [Integer]);
    assert_eq!(kinds::<(String, u32)>(), [Text, Integer]);
    assert_eq!(kinds::<(bool, EventTime, Arc<str>)>(), [Bool, Time, Text]);
    assert_eq!(kinds::<(i64, String, bool, EventTime)>(), [Integer, Text, Bool, Time]);
    assert_eq!(kinds::<((String, u8), (), (bool, (i8, EventTime)))>(), [Text, Integer, Bool, Integer, Time]);
    type Four = (u8, u8, u8, u8);
    assert_eq!(kinds::<(Four, Four, Four, Four)>(), [Integer; 16]);
    let mut values = Vec::new();
    ("a".to_owned(), -3_i8, true).values(&mut |value| values.push(format!("{value:?}")));
    assert_eq!(values, ["Text(\"a\")", "Signed(-3)", "Bool(true)"]);
}

#[test]
fn the_text_of_a_key_tells_it_from_every_other() {
    assert_eq!("plain".to_owned().text(), "plain");
    assert_eq!(7_u32.text(), "7");
    assert_eq!(().text(), "");
    assert_eq!(("eu".to_owned(), 3_u32).text(), "eu\u{1f}3");
    // The separator may be in a text: then it is escaped.
    let parts =
        ["", "a", "\u{1f}", "a\u{1f}", "\u{1f}a", "\u{1b}", "\u{1b}\u{1f}", "\u{1f}\u{1b}", "\u{1b}_"];
    let mut texts: HashMap<String, (&str, &str)> = HashMap::new();
    for pair in parts.iter().flat_map(|a| parts.map(|b| (*a, b))) {
        let text = (pair.0.to_owned(), pair.1.to_owned()).text().into_owned();
        if let Some(other) = texts.insert(text, pair) {
            panic!("{pair:?} and {other:?} have one text");
        }
    }
}

fn moment<K: Key>(key: K) -> Moment<K> {
    let micro = telemetra_core::Micro(0);
    Moment {
        key,
        moment_type: "spike".into(),
        started_at: EventTime(10_000),
        peak_at: EventTime(20_000),
        last_at: EventTime(20_000),
        open: false,
        detection_method: "zscore".into(),
        value: micro,
        threshold: micro,
        score: micro,
        baseline_mean: micro,
        baseline_stddev: micro,
        baseline_samples: 8,
        windows: 1,
        comparable: true,
        chance: Some(telemetra_core::Micro(250_000)),
        carried: Arc::default(),
    }
}

#[test]
fn moments_of_different_keys_have_different_ids() {
    let pair = |a: &str, b: &str| moment((a.to_owned(), b.to_owned())).id();
    assert_ne!(pair("a\u{1f}b", "c"), pair("a", "b\u{1f}c"));
    assert_eq!(pair("a", "b"), pair("a", "b"));
    // An id is kept in tables: it must not change from one release to the next.
    assert_eq!(moment("ada".to_owned()).id(), MomentId(ID_OF_ADA));
}
const ID_OF_ADA: u128 = 0x77c6_e9c5_c7cc_06f0_5a17_3494_1031_612a;

/// A key of a user's own, and ways to break its contract.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
struct Broken {
    id: u32,
    how: How,
}
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
enum How {
    Good,
    TwoValues,
    Null,
    OtherKind,
    SameValues,
    Becomes0,
    IsAny,
    SameText,
}

impl Key for Broken {
    type Ref<'a> = &'a Self;
    const KINDS: &'static [ColumnKind] = &[Integer];
    fn as_ref(&self) -> &Self {
        self
    }
    fn from_ref(key: &Self) -> Self {
        Self { id: if key.how == How::Becomes0 { 0 } else { key.id }, how: key.how }
    }
    fn is(&self, key: &Self) -> bool {
        self == key || self.how == How::IsAny
    }
    fn text(&self) -> std::borrow::Cow<'_, str> {
        if self.how == How::SameText { "same".into() } else { self.id.to_string().into() }
    }
    fn values(&self, put: &mut dyn FnMut(Value<'_>)) {
        match self.how {
            How::Null => put(Value::Null),
            How::OtherKind => put(Value::Bool(true)),
            How::SameValues => put(Value::Unsigned(1)),
            How::TwoValues => [self.id, self.id].into_iter().for_each(|id| put(Value::Unsigned(id.into()))),
            _ => put(Value::Unsigned(self.id.into())),
        }
    }
}

/// The message of a suite that finds a fault.
fn finding(check: impl FnOnce()) -> String {
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(check)).unwrap_err();
    panic.downcast_ref::<String>().cloned().unwrap_or_default()
}

#[test]
fn the_suite_names_the_clause_that_a_key_breaks() {
    let keys = |how| [1, 2].map(|id| Broken { id, how });
    key_compliance(&keys(How::Good));
    for (how, clause) in [
        (How::TwoValues, "columns: the value Unsigned(1) of"),
        (How::Null, "columns: the value Null of"),
        (How::OtherKind, "columns: the value Bool(true) of"),
        (How::SameValues, "columns: two keys put the same values"),
        (How::SameText, "text: two keys have the same text"),
        (How::Becomes0, "one identity: Broken { id: 1, how: Becomes0 } becomes"),
        (How::IsAny, "one identity: Broken { id: 1, how: IsAny } is taken for"),
    ] {
        let found = finding(|| key_compliance(&keys(how)));
        assert!(found.contains(clause), "{how:?}: {found}");
    }
}

/// Events whose time, key or id depend on how often they were asked.
struct Fickle(std::cell::Cell<u64>, &'static str);
impl Event for Fickle {
    type Key = u64;
    fn time(&self) -> EventTime {
        EventTime(self.asked("time"))
    }
    fn key(&self) -> u64 {
        self.asked("key")
    }
    fn id(&self) -> Option<EventId> {
        Some(EventId::from(self.asked("id")))
    }
}
impl Fickle {
    fn asked(&self, what: &str) -> u64 {
        if what == self.1 {
            self.0.set(self.0.get() + 1);
        }
        self.0.get()
    }
}

#[test]
fn the_suite_finds_events_that_are_not_pure() {
    event_compliance(&[Fickle(0.into(), "nothing"), Fickle(1.into(), "nothing")]);
    for (what, clause) in [
        ("time", "pure: an event has two times"),
        ("id", "pure: an event has two ids"),
        ("key", "pure: the key of an event is 1, then another"),
    ] {
        let found = finding(|| event_compliance(&[Fickle(0.into(), what)]));
        assert!(found.contains(clause), "{what}: {found}");
    }
}

fn debug_of<T: Debug>(value: T) -> String {
    format!("{value:?}")
}

#[test]
fn ids_of_events_are_exact_up_to_fifteen_bytes() {
    assert_eq!(EventId::of("e-17").to_string(), "e-17");
    assert_eq!(EventId::of_kind(7, "e-17").to_string(), "e-17");
    assert_eq!(EventId::from(7).to_string(), format!("{:032x}", 7));
    assert_eq!(EventId::of("123456789012345").to_string(), "123456789012345");
    assert_eq!(EventId::of("a text of more than fifteen bytes").to_string().len(), 32);
    let texts = ["", "7", "8", "a text of more than fifteen bytes", "another text of more than fifteen"];
    let kinds = (0..8).flat_map(|kind| texts.map(|text| EventId::of_kind(kind, text)));
    assert_eq!(kinds.collect::<std::collections::BTreeSet<_>>().len(), 8 * texts.len());
    assert_eq!(debug_of(EventId(5)), "EventId(5)");
}
