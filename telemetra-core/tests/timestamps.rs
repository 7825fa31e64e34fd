//! Timestamps, held against `jiff`.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use telemetra_core::{EventTime, parse_timestamp};

fn parsed(text: &str) -> Result<u64, String> {
    parse_timestamp(text.as_bytes()).map(|t| t.0).map_err(|e| e.to_string())
}

#[test]
fn forms_that_are_read() {
    let cases = [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01t00:00:00z", 0),
        ("1970-01-01 00:00:01Z", 1_000),
        ("1970-01-01T00:00:00.1Z", 100),
        ("1970-01-01T00:00:00.12Z", 120),
        ("1970-01-01T00:00:00.0129999999999999999999999999Z", 12),
        ("1970-01-01T05:30:00+05:30", 0),
        ("1969-12-31T20:00:00-04:00", 0),
        ("1969-12-31T00:01:00-23:59", 0),
        ("1970-01-01T00:00:00-00:00", 0),
        ("2000-02-29T00:00:00Z", 951_782_400_000),
        ("2016-12-31T23:59:60Z", 1_483_228_800_000),
        ("2016-12-31T23:59:60.999Z", 1_483_228_800_000),
        ("9999-12-31T23:59:59.999Z", EventTime::LATEST.0),
    ];
    for (text, millis) in cases {
        assert_eq!(parsed(text), Ok(millis), "{text}");
    }
}

#[test]
fn forms_that_are_refused() {
    let shape = "is not an RFC 3339 time such as `2026-01-01T12:00:00.000Z`";
    let (day, time) = ("names a day that does not exist", "names a time of day that does not exist");
    let offset = "has an offset that does not exist";
    let colon = "has an offset of another form; write it with hours, a colon and minutes, as `+01:00`";
    let cases = [
        ("", shape),
        ("2026-01-01", shape),
        ("20260101T000000Z", shape),
        ("2026-01-01_00:00:00Z", shape),
        ("2026-1-01T00:00:00.00Z", shape),
        ("+026-01-01T00:00:00Z", shape),
        ("2026-01-01T00:00:00.Z", shape),
        ("2026-01-01T00:00:00,5Z", shape),
        ("2026-01-01T00:00:00Z ", shape),
        ("2026-01-01T00:00:00+0100", colon),
        ("2026-01-01T00:00:00.000-0000", colon),
        ("2026-01-01T00:00:00+", colon),
        ("2026-01-01T00:00:00+01", colon),
        ("2026-01-01T00:00:00+0x:00", shape),
        ("2026-01-01T00:00:00Zulu", shape),
        ("\u{662}026-01-01T00:00:00Z", shape),
        ("2026-01-01T00:00:00", "has no offset; end it with `Z`, or with one such as `+01:00`"),
        ("2026-01-01T00:00:00.000", "has no offset; end it with `Z`, or with one such as `+01:00`"),
        ("2026-00-01T00:00:00Z", day),
        ("2026-13-01T00:00:00Z", day),
        ("2026-01-00T00:00:00Z", day),
        ("2026-04-31T00:00:00Z", day),
        ("2026-02-29T00:00:00Z", day),
        ("2100-02-29T00:00:00Z", day),
        ("2026-01-01T24:00:00Z", time),
        ("2026-01-01T00:60:00Z", time),
        ("2026-01-01T00:00:61Z", time),
        ("2026-01-01T00:00:00+24:00", offset),
        ("2026-01-01T00:00:00-00:60", offset),
        ("0000-01-01T00:00:00Z", "is before 1970"),
        ("1969-12-31T23:59:59.999Z", "is before 1970"),
        ("1970-01-01T00:00:00+00:01", "is before 1970"),
        ("9999-12-31T23:59:60Z", "is after the year 9999"),
        ("9999-12-31T23:59:59-00:01", "is after the year 9999"),
    ];
    for (text, reason) in cases {
        assert_eq!(parsed(text), Err(reason.to_owned()), "{text}");
    }
}

proptest! {
    #[test]
    fn reads_what_jiff_writes(
        millis in 0_i64..253_370_764_800_000,
        below in 0..1_000_000_i32,
        minutes in -23 * 60..=23 * 60_i32,
    ) {
        let time = jiff::Timestamp::from_millisecond(millis).unwrap() + jiff::SignedDuration::new(0, below);
        let offset = jiff::tz::Offset::from_seconds(minutes * 60).unwrap();
        prop_assert_eq!(parsed(&time.display_with_offset(offset).to_string()), Ok(millis as u64));
        prop_assert_eq!(parsed(&time.to_string()), Ok(millis as u64));
    }

    #[test]
    fn is_read_by_jiff_where_it_is_written(millis in 0..253_370_764_800_000_u64) {
        let text = EventTime(millis).to_string();
        prop_assert_eq!(text.parse::<jiff::Timestamp>().unwrap().as_millisecond(), millis as i64);
        prop_assert_eq!(parsed(&text), Ok(millis));
    }

    /// Days and times that may not exist: both accept the same, and find the same time in it.
    #[test]
    fn agrees_with_jiff_on_what_exists(
        year in prop_oneof![Just(1970), Just(2000), Just(2100), 1965..9999_i32],
        month in 0..14,
        day in 0..33,
        (hour, minute, second) in (0..25, 0..61, 0..60),
        fraction in prop_oneof![Just(String::new()), "\\.[0-9]{1,9}"],
        offset in prop_oneof![Just("Z".to_owned()), "[+-]([01][0-9]|2[0-3]):[0-5][0-9]"],
    ) {
        let date = format!("{year:04}-{month:02}-{day:02}");
        let text = format!("{date}T{hour:02}:{minute:02}:{second:02}{fraction}{offset}");
        let expected = text.parse::<jiff::Timestamp>().ok();
        let expected = expected.and_then(|t| u128::try_from(t.as_nanosecond()).ok());
        prop_assert_eq!(parsed(&text).ok(), expected.map(|nanos| (nanos / 1_000_000) as u64), "{}", text);
    }
}
