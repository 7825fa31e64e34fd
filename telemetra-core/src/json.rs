//! Functions that write JSON directly into a line or cell, without a document in between.

use std::fmt::{self, Write};

use crate::column::Value;

/// Writes `text` as a JSON string.
///
/// # Errors
///
/// If `out` fails.
pub fn string(out: &mut impl Write, text: &str) -> fmt::Result {
    out.write_char('"')?;
    let mut done = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= b' ' && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.write_str(&text[done..at])?;
        done = at + 1;
        match byte {
            b'"' => out.write_str("\\\"")?,
            b'\\' => out.write_str("\\\\")?,
            b'\n' => out.write_str("\\n")?,
            b'\r' => out.write_str("\\r")?,
            b'\t' => out.write_str("\\t")?,
            _ => write!(out, "\\u{byte:04x}")?,
        }
    }
    out.write_str(&text[done..])?;
    out.write_char('"')
}

/// Writes a column's value as JSON: times as RFC 3339, decimals as strings, bytes as a string of hexadecimal
/// digits, floats that are not finite as null.
///
/// # Errors
///
/// If `out` fails, or the `Display` of the value does.
pub fn value(out: &mut impl Write, value: Value<'_>) -> fmt::Result {
    match value {
        Value::Null | Value::Revision | Value::PublishedAt => out.write_str("null"),
        Value::Bool(b) => out.write_str(if b { "true" } else { "false" }),
        Value::Unsigned(n) => integer(out, n),
        Value::Signed(n) => integer(out, n),
        Value::Float(x) => float(out, x),
        Value::Decimal(decimal) => write!(out, "\"{decimal}\""),
        Value::Text(text) => string(out, text),
        Value::Shown(text) => write!(Escaping::open(out)?, "{text}").and_then(|()| out.write_char('"')),
        Value::Time(time) => write!(out, "\"{time}\""),
        Value::BeforeEpoch(time) => write!(out, "\"{time}\""),
        Value::Json(json) => write!(out, "{json}"),
        Value::Bytes(bytes) => {
            out.write_char('"')?;
            bytes.iter().try_for_each(|byte| write!(out, "{byte:02x}"))?;
            out.write_char('"')
        }
        Value::Integers(items) => list(out, items.iter().map(|n| Value::Signed(*n))),
        Value::Floats(items) => list(out, items.iter().map(|x| Value::Float(*x))),
        Value::Texts(items) => list(out, items.iter().map(|text| Value::Text(text))),
    }
}

/// Writes an integer as its `Display` does, in a fraction of the time.
///
/// # Errors
///
/// If `out` fails.
pub fn integer(out: &mut impl Write, n: impl itoa::Integer) -> fmt::Result {
    out.write_str(itoa::Buffer::new().format(n))
}

/// Two to the number of binary places that such a fraction has at most.
const BINARY_PLACES: f64 = (1_u64 << 24) as f64;

/// Writes a float with the fewest digits that read back as the same float: as its `Display` does, but with
/// an exponent from 1e16.
fn float(out: &mut impl Write, x: f64) -> fmt::Result {
    match x.abs() {
        _ if !x.is_finite() => out.write_str("null"),
        // Some parsers find the greatest floats out of range unless they have an exponent.
        great if great >= 1e16 => write!(out, "{x:e}"),
        small if small < 1e-4 => write!(out, "{x}"),
        _ => {
            let mut buffer = zmij::Buffer::new();
            let digits = buffer.format_finite(x);
            // Of two shortest numbers that are equally near, `Display` takes the greater one and `zmij` the even
            // one. They have 16 digits at least, and lie at both sides of a short binary fraction.
            if digits.len() > 16 && (x * BINARY_PLACES).fract() == 0.0 {
                return write!(out, "{x}");
            }
            out.write_str(digits.strip_suffix(".0").unwrap_or(digits))
        }
    }
}

fn list<'a>(out: &mut impl Write, items: impl Iterator<Item = Value<'a>>) -> fmt::Result {
    out.write_char('[')?;
    for (n, item) in items.enumerate() {
        if n > 0 {
            out.write_char(',')?;
        }
        value(out, item)?;
    }
    out.write_char(']')
}

/// A writer that escapes for a JSON string.
struct Escaping<'a, W>(&'a mut W);

impl<'a, W: Write> Escaping<'a, W> {
    fn open(out: &'a mut W) -> Result<Self, fmt::Error> {
        out.write_char('"')?;
        Ok(Self(out))
    }
}

impl<W: Write> Write for Escaping<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if text.bytes().all(|b| b >= b' ' && b != b'"' && b != b'\\') {
            return self.0.write_str(text);
        }
        let mut quoted = String::with_capacity(text.len() + 8);
        string(&mut quoted, text)?;
        self.0.write_str(&quoted[1..quoted.len() - 1])
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn strings_read_back(text in any::<String>(), controls in "[\\x00-\\x22\\\\]{0,8}") {
            let text = text + &controls;
            for value in [Value::Text(&text), Value::Shown(&text)] {
                let mut out = String::new();
                super::value(&mut out, value).unwrap();
                prop_assert_eq!(&serde_json::from_str::<String>(&out).unwrap(), &text);
            }
        }

        #[test]
        fn floats_read_back(x in any::<f64>()) {
            let mut out = String::new();
            value(&mut out, Value::Float(x)).unwrap();
            let read: Option<f64> = serde_json::from_str(&out).unwrap();
            prop_assert_eq!(read.is_some(), x.is_finite());
            // The parser of the standard library is exact.
            prop_assert_eq!(out.parse().ok(), read.map(|_| x));
        }

        #[test]
        fn numbers_are_displayed(
            n in any::<i64>(),
            float in prop_oneof![any::<f64>(), -1e17..1e17f64, -2.0..2.0f64, (-1000i32..1000).prop_map(f64::from),
                Just(-1_341_456_444_616_116.3),
                (any::<i64>(), 11..64_u32, 0..30_i32).prop_map(|(n, shift, places)| (n >> shift) as f64 / 2_f64.powi(places))],
        ) {
            let mut out = String::new();
            value(&mut out, Value::Signed(n)).unwrap();
            prop_assert_eq!(out, n.to_string());
            let mut out = String::new();
            value(&mut out, Value::Float(float)).unwrap();
            if float.abs() < 1e16 {
                prop_assert_eq!(out, float.to_string());
            }
        }
    }
}
