//! Keys: the values by which events are grouped, like the result of Flink's `keyBy`.
//!
//! A key is looked up for every event, so it has a *borrowed form*, as `str` is the borrowed form of
//! `String`: a key that has state is found without an allocation. The hash of a key decides which worker
//! aggregates its events, so it is the same in every process, and in all releases that read the same format
//! of checkpoints.

use std::borrow::Cow;
use std::fmt::Debug;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use compact_str::CompactString;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::column::{ColumnKind, Value, write_plain};
use crate::data::Data;
use crate::time::event_time::EventTime;

/// Between the columns of a key's text.
const SEPARATOR: char = '\u{1f}';
/// Before a separator or an escape that is part of a column.
const ESCAPE: char = '\u{1b}';

/// A type by which events are grouped: a string, integer, boolean or time, a tuple of up to four keys, or
/// your own type.
///
/// # Contract
///
/// * **One identity.** [`from_ref`](Self::from_ref) of a key's borrowed form equals the key, and both have
///   the same hash.
/// * **Columns.** [`values`](Self::values) puts one value for each of [`KINDS`](Self::KINDS), never null, and
///   different keys put different values. They become the key columns of tables.
/// * **Text.** Different keys have different [texts](Self::text).
///
/// Checked by [`key_compliance`](crate::testkit::key_compliance).
///
/// ```
/// use telemetra_core::{ColumnKind, Key, Value};
///
/// #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
/// struct Sensor { site: u32, number: u32 }
///
/// impl Key for Sensor {
///     type Ref<'a> = &'a Sensor;
///     const KINDS: &'static [ColumnKind] = &[ColumnKind::Integer, ColumnKind::Integer];
///     fn as_ref(&self) -> &Self { self }
///     fn from_ref(key: &Self) -> Self { key.clone() }
///     fn is(&self, key: &Self) -> bool { self == key }
///     fn values(&self, put: &mut dyn FnMut(Value<'_>)) {
///         put(Value::Unsigned(self.site.into()));
///         put(Value::Unsigned(self.number.into()));
///     }
/// }
/// telemetra_core::testkit::key_compliance(&[Sensor { site: 1, number: 2 }, Sensor { site: 2, number: 1 }]);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a key",
    note = "strings, integers, booleans and tuples of these are keys; for a type of your own implement `Key`"
)]
pub trait Key: Data {
    /// The borrowed form: `&str` for strings, the value itself for numbers, a tuple of borrowed forms for
    /// tuples.
    type Ref<'a>: Copy + Debug + Hash;

    /// The kinds of the table columns that hold the key.
    const KINDS: &'static [ColumnKind];

    /// Returns the borrowed form of this key.
    fn as_ref(&self) -> Self::Ref<'_>;

    /// Returns the key that has this borrowed form. Called when a key is new; this is where it is allocated.
    fn from_ref(key: Self::Ref<'_>) -> Self;

    /// Returns whether this key has that borrowed form, without an allocation.
    fn is(&self, key: Self::Ref<'_>) -> bool;

    /// Puts the value of each key column, in the order of [`KINDS`](Self::KINDS).
    fn values(&self, put: &mut dyn FnMut(Value<'_>));

    /// The key as one text, which no other key has: its columns, joined by the unit separator U+001F. Where a
    /// column contains that character or the escape U+001B, an escape is put before it. Ids of moments,
    /// shards and message channels are derived from this text.
    fn text(&self) -> Cow<'_, str> {
        let mut text = String::new();
        let mut first = true;
        self.values(&mut |value| {
            if !std::mem::take(&mut first) {
                text.push(SEPARATOR);
            }
            let start = text.len();
            let _ = write_plain(&mut text, value);
            if text[start..].contains([SEPARATOR, ESCAPE]) {
                let column = text.split_off(start);
                for letter in column.chars() {
                    if matches!(letter, SEPARATOR | ESCAPE) {
                        text.push(ESCAPE);
                    }
                    text.push(letter);
                }
            }
        });
        text.into()
    }
}

macro_rules! text_key {
    ($($type:ty),+) => {$(
        impl Key for $type {
            type Ref<'a> = &'a str;
            const KINDS: &'static [ColumnKind] = &[ColumnKind::Text];

            fn as_ref(&self) -> &str {
                self
            }

            fn from_ref(key: &str) -> Self {
                key.into()
            }

            #[inline]
            fn is(&self, key: &str) -> bool {
                **self == *key
            }

            fn values(&self, put: &mut dyn FnMut(Value<'_>)) {
                put(Value::Text(self));
            }

            fn text(&self) -> Cow<'_, str> {
                Cow::Borrowed(self)
            }
        }
    )+};
}
text_key!(String, CompactString, Box<str>, Arc<str>);

macro_rules! copied_key {
    ($($type:ty: $kind:ident $value:ident as $as:ty),+) => {$(
        impl Key for $type {
            type Ref<'a> = Self;
            const KINDS: &'static [ColumnKind] = &[ColumnKind::$kind];

            fn as_ref(&self) -> Self {
                *self
            }

            fn from_ref(key: Self) -> Self {
                key
            }

            #[inline]
            fn is(&self, key: Self) -> bool {
                *self == key
            }

            fn values(&self, put: &mut dyn FnMut(Value<'_>)) {
                put(Value::$value(<$as>::from(*self)));
            }
        }
    )+};
}
copied_key!(
    u8: Integer Unsigned as u64,
    u16: Integer Unsigned as u64,
    u32: Integer Unsigned as u64,
    u64: Integer Unsigned as u64,
    i8: Integer Signed as i64,
    i16: Integer Signed as i64,
    i32: Integer Signed as i64,
    i64: Integer Signed as i64,
    bool: Bool Bool as bool,
    EventTime: Time Time as EventTime
);

/// The key of a global aggregate: all events have it.
impl Key for () {
    type Ref<'a> = ();
    const KINDS: &'static [ColumnKind] = &[];

    fn as_ref(&self) {}

    fn from_ref((): ()) {}

    fn is(&self, (): ()) -> bool {
        true
    }

    fn values(&self, _: &mut dyn FnMut(Value<'_>)) {}
}

/// The kinds of several keys, concatenated.
const fn joined<const N: usize>(parts: &[&[ColumnKind]]) -> [ColumnKind; N] {
    let mut kinds = [ColumnKind::Bool; N];
    let (mut part, mut at) = (0, 0);
    while part < parts.len() {
        let mut n = 0;
        while n < parts[part].len() {
            kinds[at] = parts[part][n];
            at += 1;
            n += 1;
        }
        part += 1;
    }
    kinds
}

macro_rules! tuple_key {
    ($($K:ident $i:tt),+) => {
        impl<$($K: Key),+> Key for ($($K,)+) {
            type Ref<'a> = ($($K::Ref<'a>,)+);
            // The length of an array cannot depend on `KINDS` of a type parameter, so the array has the
            // greatest length.
            const KINDS: &'static [ColumnKind] = {
                const MOST: usize = 16;
                let length = 0 $(+ $K::KINDS.len())+;
                assert!(length <= MOST, "a key has at most 16 columns");
                (const { &joined::<MOST>(&[$($K::KINDS),+]) } as &'static [ColumnKind]).split_at(length).0
            };

            fn as_ref(&self) -> Self::Ref<'_> {
                ($(self.$i.as_ref(),)+)
            }

            fn from_ref(key: Self::Ref<'_>) -> Self {
                ($($K::from_ref(key.$i),)+)
            }

            #[inline]
            fn is(&self, key: Self::Ref<'_>) -> bool {
                $(self.$i.is(key.$i))&&+
            }

            fn values(&self, put: &mut dyn FnMut(Value<'_>)) {
                $(self.$i.values(put);)+
            }
        }
    };
}
tuple_key!(A 0);
tuple_key!(A 0, B 1);
tuple_key!(A 0, B 1, C 2);
tuple_key!(A 0, B 1, C 2, D 3);

/// The hash by which keys are assigned to workers, also when a checkpoint is restored on another number of
/// workers. It is the same on every machine, and the same for a key and its borrowed form.
///
/// ```
/// use telemetra_core::key_hash;
/// assert_eq!(key_hash("ada"), key_hash(&String::from("ada")));
/// assert_ne!(key_hash(&(1u32, 2u32)), key_hash(&(2u32, 1u32)));
/// ```
#[must_use]
#[inline]
pub fn key_hash<Q: Hash + ?Sized>(key: &Q) -> u64 {
    let mut hasher = KeyHasher(0);
    key.hash(&mut hasher);
    hasher.finish()
}

/// A hasher without a random seed: xxh3 for text, a folded multiplication for numbers.
struct KeyHasher(u64);

impl KeyHasher {
    #[inline]
    fn mix(&mut self, word: u64) {
        let wide = u128::from(self.0 ^ word ^ 0x9e37_79b9_7f4a_7c15) * 0xd1b5_4a32_d192_ed03_u128;
        self.0 = wide as u64 ^ (wide >> 64) as u64;
    }
}

impl Hasher for KeyHasher {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64_with_seed(bytes, self.0);
    }

    #[inline]
    fn write_u8(&mut self, n: u8) {
        // `str` ends with this byte. The hash of its bytes is well spread already.
        if n == 0xff {
            self.0 = self.0.rotate_left(23) ^ 0xff;
        } else {
            self.mix(n.into());
        }
    }

    fn write_u16(&mut self, n: u16) {
        self.mix(n.into());
    }

    fn write_u32(&mut self, n: u32) {
        self.mix(n.into());
    }

    fn write_u64(&mut self, n: u64) {
        self.mix(n);
    }

    fn write_u128(&mut self, n: u128) {
        self.mix(n as u64);
        self.mix((n >> 64) as u64);
    }

    // 64 bits on every machine.
    fn write_usize(&mut self, n: usize) {
        self.mix(n as u64);
    }

    #[inline]
    fn finish(&self) -> u64 {
        // The low bits choose the worker and the high bits the shard, so hashes of small numbers must be
        // spread over both.
        let wide = u128::from(self.0 ^ 0x2545_f491_4f6c_dd1d) * 0x9e37_79b9_7f4a_7c15_u128;
        wide as u64 ^ (wide >> 64) as u64
    }
}
