//! The shape of a type: what its encoding consists of, without the names of types and modules.

use std::fmt::Write as _;

use serde::de::value::U32Deserializer;
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess,
    SeqAccess, VariantAccess, Visitor,
};

/// The depth below which nothing is looked at: a type that contains itself has no end.
const DEEPEST: usize = 16;
/// The length of the longest shape that is written in full; a longer one is its beginning and a checksum.
const LONGEST: usize = 600;

/// Returns the shape of a type: the numbers, texts, lists and so on that its encoding consists of. Types with
/// equal encodings have equal shapes, whatever their names, modules and field names. Two fields of one type
/// that change places are not seen.
///
/// It is found by decoding a value of zeros. Where a type refuses that, the shape ends in `?`.
///
/// ```
/// use serde::Deserialize;
/// use telemetra_core::checkpoint::shape_of;
///
/// #[derive(Deserialize)]
/// struct Totals { count: u64, names: Vec<String>, least: Option<i64> }
///
/// assert_eq!(shape_of::<Totals>(), "(u64 [str] i64?)");
/// assert_eq!(shape_of::<(u64, Vec<String>, Option<i64>)>(), shape_of::<Totals>());
/// ```
#[must_use]
pub fn shape_of<T: DeserializeOwned>() -> String {
    let mut shape = String::new();
    if T::deserialize(Tracer { shape: &mut shape, depth: 0 }).is_err() {
        shape.push('?');
    }
    if shape.len() > LONGEST {
        let checksum = crc32fast::hash(shape.as_bytes());
        let end = (0..=LONGEST).rev().find(|end| shape.is_char_boundary(*end)).unwrap_or(0);
        shape.truncate(end);
        let _ = write!(shape, "… {checksum:08x}");
    }
    shape
}

/// The error of a type that cannot be traced further.
#[derive(Debug)]
struct Refused;

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the type refuses a value of zeros")
    }
}

impl std::error::Error for Refused {}

impl de::Error for Refused {
    fn custom<M: std::fmt::Display>(_: M) -> Self {
        Self
    }
}

/// A deserializer that notes what is asked of it, and gives zeros.
struct Tracer<'a> {
    shape: &'a mut String,
    depth: usize,
}

impl Tracer<'_> {
    fn note(&mut self, what: &str) {
        if self.shape.ends_with(|last: char| !matches!(last, '(' | '[' | '{')) {
            self.shape.push(' ');
        }
        self.shape.push_str(what);
    }

    fn inner(&mut self) -> Tracer<'_> {
        Tracer { shape: self.shape, depth: self.depth + 1 }
    }

    /// Notes a product of so many parts.
    fn product<'de, V: Visitor<'de>>(mut self, parts: usize, visitor: V) -> Result<V::Value, Refused> {
        self.note("(");
        let value = visitor.visit_seq(Parts { left: parts, tracer: self.inner() })?;
        self.shape.push(')');
        Ok(value)
    }
}

macro_rules! plain {
    ($($method:ident $visit:ident $value:expr, $name:literal;)+) => {$(
        fn $method<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Refused> {
            self.note($name);
            visitor.$visit($value)
        }
    )+};
}

impl<'de> Deserializer<'de> for Tracer<'_> {
    type Error = Refused;

    plain! {
        deserialize_bool visit_bool false, "bool";
        deserialize_i8 visit_i8 0, "i8";
        deserialize_i16 visit_i16 0, "i16";
        deserialize_i32 visit_i32 0, "i32";
        deserialize_i64 visit_i64 0, "i64";
        deserialize_i128 visit_i128 0, "i128";
        deserialize_u8 visit_u8 0, "u8";
        deserialize_u16 visit_u16 0, "u16";
        deserialize_u32 visit_u32 0, "u32";
        deserialize_u64 visit_u64 0, "u64";
        deserialize_u128 visit_u128 0, "u128";
        deserialize_f32 visit_f32 0.0, "f32";
        deserialize_f64 visit_f64 0.0, "f64";
        deserialize_char visit_char '\0', "char";
        deserialize_str visit_str "", "str";
        deserialize_string visit_str "", "str";
        deserialize_bytes visit_bytes &[], "bytes";
        deserialize_byte_buf visit_bytes &[], "bytes";
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Refused> {
        // Only formats that say what they contain can do that.
        Err(Refused)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Refused> {
        Err(Refused)
    }

    fn deserialize_option<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Refused> {
        if self.depth >= DEEPEST {
            self.note("…");
            return visitor.visit_none();
        }
        let value = visitor.visit_some(self.inner())?;
        self.shape.push('?');
        Ok(value)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &str, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &str, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Refused> {
        self.note("[");
        let left = usize::from(self.depth < DEEPEST);
        let value = visitor.visit_seq(Parts { left, tracer: self.inner() })?;
        self.shape.push(']');
        Ok(value)
    }

    fn deserialize_map<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Refused> {
        self.note("{");
        let left = usize::from(self.depth < DEEPEST);
        let value = visitor.visit_map(Parts { left, tracer: self.inner() })?;
        self.shape.push('}');
        Ok(value)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, parts: usize, visitor: V) -> Result<V::Value, Refused> {
        self.product(parts, visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &str,
        parts: usize,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.product(parts, visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.product(fields.len(), visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        mut self,
        _: &str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        // Variants are encoded by their number, so their names show whether they kept it.
        self.note("<");
        self.shape.push_str(&variants.join("|"));
        let value = visitor.visit_enum(First(self.inner()))?;
        self.shape.push('>');
        Ok(value)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_u32(0)
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

/// The parts of a product, or the one part of a list or map that is looked at.
struct Parts<'a> {
    left: usize,
    tracer: Tracer<'a>,
}

impl Parts<'_> {
    fn next(&mut self) -> Option<Tracer<'_>> {
        self.left = self.left.checked_sub(1)?;
        Some(Tracer { shape: self.tracer.shape, depth: self.tracer.depth })
    }
}

impl<'de> SeqAccess<'de> for Parts<'_> {
    type Error = Refused;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Refused> {
        self.next().map(|tracer| seed.deserialize(tracer)).transpose()
    }
}

impl<'de> MapAccess<'de> for Parts<'_> {
    type Error = Refused;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Refused> {
        self.next().map(|tracer| seed.deserialize(tracer)).transpose()
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Refused> {
        seed.deserialize(self.tracer.inner())
    }
}

/// The first variant of an enum.
struct First<'a>(Tracer<'a>);

impl<'de> EnumAccess<'de> for First<'_> {
    type Error = Refused;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Refused> {
        let number: U32Deserializer<Refused> = 0_u32.into_deserializer();
        Ok((seed.deserialize(number)?, self))
    }
}

impl<'de> VariantAccess<'de> for First<'_> {
    type Error = Refused;

    fn unit_variant(self) -> Result<(), Refused> {
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Refused> {
        seed.deserialize(self.0)
    }

    fn tuple_variant<V: Visitor<'de>>(self, parts: usize, visitor: V) -> Result<V::Value, Refused> {
        self.0.product(parts, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.0.product(fields.len(), visitor)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::num::NonZeroU64;

    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    #[allow(dead_code, reason = "only its shape is of interest")]
    enum Fruit {
        Apple(u8),
        Pear,
    }

    #[derive(Deserialize)]
    #[allow(dead_code, reason = "only its shape is of interest")]
    struct Node {
        value: u64,
        below: Vec<Self>,
    }

    mod moved {
        #[derive(serde::Deserialize)]
        #[allow(dead_code, reason = "only its shape is of interest")]
        pub(super) struct Renamed {
            pub(super) amount: u64,
            pub(super) under: Vec<super::Node>,
        }
    }

    #[test]
    fn a_shape_tells_what_the_encoding_consists_of() {
        assert_eq!(shape_of::<(u64, i128)>(), "(u64 i128)");
        assert_eq!(shape_of::<BTreeMap<String, Option<u8>>>(), "{str u8?}");
        assert_eq!(shape_of::<Fruit>(), "<Apple|Pear u8>");
        assert_eq!(shape_of::<[u16; 3]>(), "(u16 u16 u16)");
        assert_eq!(shape_of::<(NonZeroU64, u8)>(), "(u64?", "what refuses zero ends it");
    }

    #[test]
    fn names_and_modules_do_not_matter_and_fields_do() {
        assert_eq!(shape_of::<Node>(), shape_of::<moved::Renamed>());
        assert_ne!(shape_of::<(u64,)>(), shape_of::<(u64, u64)>());
        assert_ne!(shape_of::<(u32,)>(), shape_of::<(u64,)>());
    }

    #[test]
    fn a_long_shape_is_identified_by_its_beginning_and_a_checksum() {
        type Longest = ([u8; 28], [u8; 28], [u8; 28], [u8; 28], [u8; 28], [u8; 28], [u8; 27]);
        type Longer = ([u8; 28], [u8; 28], [u8; 28], [u8; 28], [u8; 28], [u8; 28], Option<[u8; 27]>);
        let longest = shape_of::<Longest>();
        assert_eq!(longest.len(), LONGEST);
        assert!(longest.ends_with("u8))"));
        let longer = shape_of::<Longer>();
        assert_eq!(longer.char_indices().nth(LONGEST).map(|(at, _)| &longer[at..at + 4]), Some("… "));
        assert_eq!(longer.chars().count(), LONGEST + "… 01234567".chars().count());
        type Long<T> = ([[u64; 32]; 8], T);
        assert_ne!(shape_of::<Long<u8>>(), shape_of::<Long<u16>>(), "what is cut off counts too");
    }

    #[derive(Deserialize)]
    #[allow(dead_code, reason = "only its shape is of interest")]
    struct Lists(Vec<Self>);

    #[derive(Deserialize)]
    #[allow(dead_code, reason = "only its shape is of interest")]
    struct Maps(BTreeMap<u8, Self>);

    #[test]
    fn a_type_that_contains_itself_has_a_shape_of_some_depth() {
        let of_lists = "[".repeat(DEEPEST + 1) + &"]".repeat(DEEPEST + 1);
        assert_eq!(shape_of::<Lists>(), of_lists);
        assert_eq!(shape_of::<Maps>(), "{u8 ".repeat(DEEPEST / 2) + "{}" + &"}".repeat(DEEPEST / 2));
    }

    #[test]
    fn a_type_is_asked_for_its_binary_form() {
        assert_eq!(shape_of::<Vec<std::net::Ipv4Addr>>(), "[(u8 u8 u8 u8)]");
    }
}
