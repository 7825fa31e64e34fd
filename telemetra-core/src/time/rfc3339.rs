//! The parser of RFC 3339 times. It is in the hot path, so it allocates nothing and reads each byte once.

use std::str::FromStr;

use crate::time::event_time::EventTime;

const SHAPE: &str = "is not an RFC 3339 time such as `2026-01-01T12:00:00.000Z`";
const NO_OFFSET: &str = "has no offset; end it with `Z`, or with one such as `+01:00`";
const NO_COLON: &str = "has an offset of another form; write it with hours, a colon and minutes, as `+01:00`";
const TOO_LATE: &str = "is after the year 9999";
const BAD_OFFSET: &str = "has an offset that does not exist";

/// The reason why a text is not an RFC 3339 time, in words.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct TimeError(pub &'static str);

impl std::fmt::Display for TimeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}
impl std::error::Error for TimeError {}

/// Parses an RFC 3339 time.
///
/// Date and time of day are separated by `T`, `t` or a space. The fraction of a second is optional and may
/// have any number of digits, of which three are kept. The offset is `Z`, `z` or of the form `+05:30`, and is
/// required. A 60th second, with or without a fraction, is the start of the next minute: leap seconds and
/// seconds that were rounded up are accepted.
///
/// # Errors
///
/// If the text has another form, names a day or a time of day that does not exist, or is before 1970 or after
/// the year 9999.
///
/// ```
/// use telemetra_core::{EventTime, parse_timestamp};
/// assert_eq!(parse_timestamp(b"1970-01-01T01:00:00.25+01:00"), Ok(EventTime(250)));
/// let error = parse_timestamp(b"2026-02-29T00:00:00Z").unwrap_err();
/// assert_eq!(error.to_string(), "names a day that does not exist");
/// ```
pub fn parse_timestamp(text: &[u8]) -> Result<EventTime, TimeError> {
    let millis = parse(text).map_err(TimeError)?;
    u64::try_from(millis).map(EventTime).map_err(|_| TimeError("is before 1970"))
}

/// Parses an RFC 3339 time, which may be before 1970, to milliseconds since then.
pub(crate) fn signed_millis(text: &[u8]) -> Result<i64, TimeError> {
    parse(text).map_err(TimeError)
}

/// Parses an RFC 3339 time, like [`parse_timestamp`].
///
/// ```
/// assert_eq!("1970-01-01 00:00:01Z".parse(), Ok(telemetra_core::EventTime(1_000)));
/// ```
impl FromStr for EventTime {
    type Err = TimeError;
    fn from_str(text: &str) -> Result<Self, TimeError> {
        parse_timestamp(text.as_bytes())
    }
}

/// The parser behind [`parse_timestamp`] and [`signed_millis`].
#[inline]
fn parse(text: &[u8]) -> Result<i64, &'static str> {
    let Some((head, rest)) = text.split_first_chunk::<19>() else { return Err(SHAPE) };
    let [y1, y2, y3, y4, d1, m1, m2, d2, day1, day2, t, clock @ ..] = *head;
    let date = digit_pairs([y1, y2, y3, y4, d1, m1, m2, d2], b"0000-00-");
    let (Some(date), Some(clock)) = (date, digit_pairs(clock, b"00:00:00")) else { return Err(SHAPE) };
    if !(day1.is_ascii_digit() & day2.is_ascii_digit() & matches!(t, b'T' | b't' | b' ')) {
        return Err(SHAPE);
    }
    let (year, month) = (i64::from(date[0]) * 100 + i64::from(date[2]), i64::from(date[5]));
    let day = i64::from(day1 - b'0') * 10 + i64::from(day2 - b'0');
    let [hour, _, _, minute, _, _, second, _] = clock.map(i64::from);
    if day < 1 || day > days_in_month(year, month) {
        return Err("names a day that does not exist");
    }
    if hour > 23 || minute > 59 || second > 60 {
        return Err("names a time of day that does not exist");
    }
    let (fraction, rest) = fraction(rest)?;
    let millis = if second == 60 { 0 } else { fraction };
    let seconds =
        days_from_civil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset(rest)?;
    let millis = seconds * 1000 + millis;
    if millis > EventTime::LATEST.0 as i64 { Err(TOO_LATE) } else { Ok(millis) }
}

/// The numbers that adjacent digits of a text form, or `None` if the text does not have the given form.
/// `form` has a `0` for each digit, and all other characters as they must be. The result has, at the index of
/// each digit that is followed by another, the number of these two digits.
///
/// All eight bytes are handled at once, in one word.
#[inline]
fn digit_pairs(text: [u8; 8], form: &[u8; 8]) -> Option<[u8; 8]> {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    let digits = u64::from_le_bytes(form.map(|b| if b == b'0' { 0xFF } else { 0 }));
    // Xor leaves the value of a digit, and zero for each other character that is right.
    let values = u64::from_le_bytes(text) ^ u64::from_le_bytes(*form);
    // Adding 0x76 sets the highest bit for a value above 9; where that carries, the byte's own highest bit is
    // set.
    let above_nine = (values.wrapping_add(ONES * 0x76) | values) & (ONES * 0x80);
    if values & !digits != 0 || above_nine != 0 {
        return None;
    }
    Some((values * 10 + (values >> 8)).to_le_bytes())
}

/// The milliseconds of the fraction at the start of `text`, 0 without a fraction, and the rest of the text.
fn fraction(text: &[u8]) -> Result<(i64, &[u8]), &'static str> {
    let [b'.', rest @ ..] = text else { return Ok((0, text)) };
    let count = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    if count == 0 {
        return Err(SHAPE);
    }
    let (digits, rest) = rest.split_at(count);
    let digit = |i: usize| digits.get(i).map_or(0, |b| i64::from(b - b'0'));
    Ok((digit(0) * 100 + digit(1) * 10 + digit(2), rest))
}

/// The offset from UTC in seconds, positive to the east.
fn offset(text: &[u8]) -> Result<i64, &'static str> {
    match *text {
        [b'Z' | b'z'] => Ok(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            if ![h1, h2, m1, m2].iter().all(u8::is_ascii_digit) {
                return Err(SHAPE);
            }
            let two = |tens: u8, ones: u8| i64::from(tens - b'0') * 10 + i64::from(ones - b'0');
            let (hours, minutes) = (two(h1, h2), two(m1, m2));
            if hours > 23 || minutes > 59 {
                return Err(BAD_OFFSET);
            }
            let seconds = hours * 3600 + minutes * 60;
            Ok(if sign == b'-' { -seconds } else { seconds })
        }
        [] => Err(NO_OFFSET),
        [b'+' | b'-', ref digits @ ..] if digits.iter().all(u8::is_ascii_digit) => Err(NO_COLON),
        _ => Err(SHAPE),
    }
}

/// The number of days in a month; 0 if there is no such month.
fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 0,
    }
}

/// The number of days since 1970-01-01, negative before. Correct from the year 1 on.
///
/// Years are counted from March, so that the leap day is the last day of a year, as in "chrono-Compatible
/// Low-Level Date Algorithms" by Howard Hinnant.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468
}
