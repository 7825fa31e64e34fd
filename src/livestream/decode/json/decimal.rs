//! Exact conversion of JSON numbers to integers and fixed point, without floats.

use crate::livestream::decode::valid;

/// The treatment of digits beyond the last one that is kept.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// Round to the nearest, halves to the even neighbour.
    HalfEven,
    /// Refuse any digits but zeros.
    Refuse,
}

/// `number · 10^shift` as an integer. `number` has the form of a JSON number.
pub(super) fn shifted(number: &str, shift: i64, rest: Rest) -> Result<u64, &'static str> {
    let (negative, number) = match number.strip_prefix('-') {
        Some(number) => (true, number),
        None => (false, number),
    };
    let (mantissa, exponent) = match number.find(['e', 'E']) {
        Some(at) => (&number[..at], exponent(&number[at + 1..])),
        None => (number, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut digits = whole.bytes().chain(fraction.bytes()).map(|b| b - b'0');
    let too_large = "is too large";

    let mut value = 0_u64;
    let kept = (whole.len() as i64).saturating_add(exponent).saturating_add(shift);
    let mut place = 0;
    while place < kept {
        let digit = match digits.next() {
            Some(digit) => digit,
            // From here on zeros are appended, as many as the exponent requires.
            None if value == 0 => break,
            None => 0,
        };
        value = value.checked_mul(10).and_then(|v| v.checked_add(u64::from(digit))).ok_or(too_large)?;
        place += 1;
    }

    // With a negative `kept` the first digit stands further right than the one that decides on rounding.
    let first = if kept < 0 { 0 } else { digits.next().unwrap_or(0) };
    let more = digits.any(|digit| digit != 0);
    if negative && (value != 0 || first != 0 || more) {
        return Err(valid::NEGATIVE);
    }
    match rest {
        Rest::Refuse if first != 0 || more => Err("is not a whole number"),
        Rest::HalfEven if first > 5 || (first == 5 && (more || value % 2 == 1)) => {
            value.checked_add(1).ok_or(too_large)
        }
        _ => Ok(value),
    }
}

/// The exponent after the `e`. It saturates far beyond what any number of digits can compensate.
fn exponent(text: &str) -> i64 {
    let (sign, digits) = match text.as_bytes() {
        [b'-', digits @ ..] => (-1, digits),
        [b'+', digits @ ..] => (1, digits),
        digits => (1, digits),
    };
    sign * digits
        .iter()
        .fold(0_i64, |e, b| e.saturating_mul(10).saturating_add(i64::from(b - b'0')).min(1 << 40))
}
