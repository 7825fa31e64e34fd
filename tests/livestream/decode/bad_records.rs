//! Bad records, and errors that say what is wrong with them.

use telemetra::livestream::{EventKind, JsonDecoder};

use super::error;
use super::records::{CHAT, META, TRANSACTION, VIEWER, with, without};

#[test]
fn faults_of_fields_name_the_field() {
    let long = |len| format!("\"{}\"", "x".repeat(len));
    let items = format!("[{}]", vec!["\"x\""; 513].join(","));
    let (too_long_id, too_long_text) = (long(257), long(16_385));
    let long_item = format!("[\"a\",{too_long_text}]");
    let not_whole = "is not a whole number";
    let cases: &[(&str, &str, &str, &str)] = &[
        (CHAT, "event_id", "7", "is not a string"),
        (CHAT, "event_id", "\"\"", "is empty"),
        (CHAT, "event_id", "null", "is missing"),
        (CHAT, "stream_id", &too_long_id, "is longer than 256 bytes"),
        (CHAT, "stream_id", "\"a\\u0000\"", "holds a NUL character or half of a surrogate pair"),
        (CHAT, "user_id", "[\"u\"]", "is not a string"),
        (CHAT, "username", "{}", "is not a string"),
        (CHAT, "message", "false", "is not a string"),
        (CHAT, "message", &too_long_text, "is longer than 16384 bytes"),
        (CHAT, "user_id", "\"\\ud83d\"", "holds a NUL character or half of a surrogate pair"),
        (CHAT, "emotes", "\"Kappa\"", "is not a list"),
        (CHAT, "emotes", "{}", "is not a list"),
        (CHAT, "emotes", "[\"a\",1]", "has an item that is not a string"),
        (CHAT, "emotes", "[[\"a\"]]", "has an item that is not a string"),
        (CHAT, "emotes", "[null]", "has an item that is not a string"),
        (CHAT, "emotes", &items, "has more than 512 items"),
        (CHAT, "badges", &long_item, "is longer than 16384 bytes"),
        (CHAT, "is_subscriber", "1", "is not true or false"),
        (CHAT, "is_moderator", "\"true\"", "is not true or false"),
        (CHAT, "timestamp", "1767225600", "is not a string"),
        (CHAT, "timestamp", "\"yesterday\"", "is not an RFC 3339 time such as `2026-01-01T12:00:00.000Z`"),
        (
            CHAT,
            "timestamp",
            "\"2026-01-01T00:00:00\"",
            "has no offset; end it with `Z`, or with one such as `+01:00`",
        ),
        (CHAT, "timestamp", "\"2026-02-30T00:00:00Z\"", "names a day that does not exist"),
        (CHAT, "timestamp", "\"1969-12-31T23:59:59Z\"", "is before 1970"),
        (CHAT, "topic", "\"telemetra.events.nothing\"", "names no kind of event"),
        (CHAT, "topic", "7", "is not a string"),
        (VIEWER, "viewer_count", "\"42\"", "is not a number"),
        (VIEWER, "viewer_count", "true", "is not a number"),
        (VIEWER, "viewer_count", "-1", "is negative"),
        (VIEWER, "viewer_count", "-1e-9", "is negative"),
        (VIEWER, "viewer_count", "1.5", not_whole),
        (VIEWER, "viewer_count", "1.0000000000000000000000000001", not_whole),
        (VIEWER, "viewer_count", "5e-1", not_whole),
        (VIEWER, "viewer_count", "1e-1000000000000", not_whole),
        (VIEWER, "viewer_count", "18446744073709551616", "is too large"),
        (VIEWER, "peak_viewers", "1e20", "is too large"),
        (VIEWER, "unique_viewers", "1e99999999999999999999", "is too large"),
        (TRANSACTION, "amount", "-0.01", "is negative"),
        (TRANSACTION, "amount", "-0.00000000001", "is negative"),
        (TRANSACTION, "amount", "\"-5\"", "is negative"),
        (TRANSACTION, "amount", "9223372036854.7758075", "is too large"),
        (TRANSACTION, "amount", "1e300", "is too large"),
        (TRANSACTION, "amount", "\"\"", "is not a number"),
        (TRANSACTION, "amount", "\"12,50\"", "is not a number"),
        (TRANSACTION, "amount", "\" 1\"", "is not a number"),
        (TRANSACTION, "amount", "\"NaN\"", "is not a number"),
        (TRANSACTION, "amount", "[1]", "is not a number"),
        (TRANSACTION, "currency", "\"usd\"", "is none of `USD`, `EUR`, `GBP`, `bits`"),
        (TRANSACTION, "transaction_type", "\"gift\"", "is none of `donation`, `subscription`, `bits`"),
        (TRANSACTION, "transaction_type", "1", "is not a string"),
        (TRANSACTION, "message", "1", "is not a string"),
        (
            META,
            "event_type",
            "\"raid\"",
            "is none of `title_change`, `category_change`, `stream_start`, `stream_end`",
        ),
        (META, "started_at", "\"10:00\"", "is not an RFC 3339 time such as `2026-01-01T12:00:00.000Z`"),
        (META, "ended_at", "\"9999-12-31T23:59:60Z\"", "is after the year 9999"),
        (META, "duration_minutes", "-3", "is negative"),
    ];
    for (record, field, value, reason) in cases {
        let text = error(&JsonDecoder::mixed(), with(record, field, value).as_bytes());
        let place =
            if *reason == "is missing" || reason.starts_with("is none") || reason.starts_with("names no k") {
                String::new()
            } else {
                // The changed field stands at the end.
                format!(" (at byte {})", with(record, field, value).len() - 1 - value.len())
            };
        assert_eq!(text, format!("`{field}`: {reason}{place}"));
    }
}

#[test]
fn required_fields_are_required() {
    let cases: [(&str, EventKind, &[&str]); 4] = [
        (CHAT, EventKind::Chat, &["event_id", "timestamp", "stream_id", "user_id", "username", "message"]),
        (VIEWER, EventKind::Viewer, &["event_id", "timestamp", "stream_id", "viewer_count"]),
        (
            TRANSACTION,
            EventKind::Transaction,
            &["event_id", "user_id", "username", "amount", "currency", "transaction_type"],
        ),
        (META, EventKind::Meta, &["event_id", "stream_id", "event_type"]),
    ];
    for (record, kind, fields) in cases {
        for field in fields {
            let text = error(&JsonDecoder::of(kind), without(record, field).as_bytes());
            assert_eq!(text, format!("`{field}`: is missing"));
        }
    }
}

#[test]
fn what_is_not_json_is_an_error_also_in_fields_that_are_skipped() {
    let value = "expected a JSON value";
    let early = "the JSON ends too early";
    let cases: &[(&str, &str)] = &[
        ("tru", value),
        ("NaN", value),
        ("Infinity", value),
        ("-Infinity", "a number lacks a digit"),
        ("'a'", value),
        ("01", "expected `,` or `}` after a field"),
        ("+1", value),
        (".5", value),
        ("5.", "a number lacks a digit"),
        ("1e", "a number lacks a digit"),
        ("1e+", "a number lacks a digit"),
        ("-", "a number lacks a digit"),
        ("0x10", "expected `,` or `}` after a field"),
        ("1 2", "expected `,` or `}` after a field"),
        ("", value),
        ("[1,]", value),
        ("[,]", value),
        ("[1 2]", "expected `,` or `]` after an item"),
        ("[1}", "expected `,` or `]` after an item"),
        ("{\"a\"}", "expected `:` after a field name"),
        ("{\"a\":1,}", "expected a quoted field name"),
        ("{a:1}", "expected a quoted field name"),
        ("{\"a\":}", value),
        ("[1", "expected `,` or `]` after an item"),
        ("\"a", early),
        ("\"\\x\"", "an unknown escape in a string"),
        ("\"\\u12g4\"", "`\\u` needs four hexadecimal digits"),
        ("\"\\u+123\"", "`\\u` needs four hexadecimal digits"),
        ("\"a\nb\"", "a control character must be escaped in a string"),
        ("\"a\u{0}\"", "a control character must be escaped in a string"),
        ("\u{feff}1", value),
        ("/* no */ 1", value),
    ];
    for (json, reason) in cases {
        for record in [with(VIEWER, "unknown", json), with(VIEWER, "viewer_count", json)] {
            let text = error(&JsonDecoder::mixed(), record.as_bytes());
            assert!(
                text.starts_with(reason) && text[reason.len()..].starts_with(" (at byte "),
                "{json}: {text}"
            );
        }
    }
}

#[test]
fn what_is_not_one_object_is_an_error() {
    let cases = [
        ("[]", "expected a JSON object (at byte 0)"),
        (" null", "expected a JSON object (at byte 1)"),
        ("hello", "expected a JSON object (at byte 0)"),
        ("\u{feff}\u{feff}{}", "expected a JSON object (at byte 0)"),
        ("{", "the JSON ends too early (at byte 1)"),
        ("{}{}", "expected one JSON object; found more after it (at byte 2)"),
        ("{} x", "expected one JSON object; found more after it (at byte 3)"),
        ("{}", "the record has no field that tells its kind; add `topic`, or fix the kind in the decoder"),
    ];
    for (record, reason) in cases {
        assert_eq!(error(&JsonDecoder::mixed(), record.as_bytes()), reason);
    }
}

#[test]
fn every_truncation_is_an_error() {
    for record in [CHAT, VIEWER, TRANSACTION, META] {
        for end in 1..record.len() {
            let text = error(&JsonDecoder::mixed(), &record.as_bytes()[..end]);
            assert_eq!(text, format!("the JSON ends too early (at byte {end})"));
        }
    }
}

#[test]
fn invalid_utf8_is_an_error_wherever_it_stands() {
    for bad in [&b"\xff"[..], b"\xc3", b"\xed\xa0\x80", b"\xc0\x80", b"\xf5\x80\x80\x80"] {
        for field in ["message", "unknown", "event_id"] {
            let record = with(CHAT, field, "\"#\"").into_bytes();
            let at = record.iter().position(|b| *b == b'#').unwrap();
            let record = [&record[..at], bad, &record[at + 1..]].concat();
            let reason = format!("the record is not valid UTF-8 (at byte {at})");
            assert_eq!(error(&JsonDecoder::mixed(), &record), reason);
        }
    }
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth: usize, open: &str, close: &str| {
        with(VIEWER, "unknown", &format!("{}1{}", open.repeat(depth), close.repeat(depth)))
    };
    for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[{\"a\":", "}]")] {
        let levels = open.matches(['[', '{']).count();
        let most = 127 / levels;
        super::decode(&JsonDecoder::mixed(), nested(most, open, close).as_bytes(), &Default::default())
            .unwrap();
        for depth in [most + 1, 100_000] {
            let text = error(&JsonDecoder::mixed(), nested(depth, open, close).as_bytes());
            assert!(text.starts_with("nests deeper than 128 levels (at byte "), "{text}");
        }
    }
}

/// So that the error is about what is missing of that kind.
#[test]
fn any_field_of_a_kind_tells_it() {
    let cases = [
        ("viewer_count", "\"no\"", "`viewer_count`: is not a number"),
        ("event_type", "\"no\"", "`event_type`: is none of"),
        ("transaction_type", "\"bits\"", "`amount`: is missing"),
        ("amount", "1", "`transaction_type`: is missing"),
        ("currency", "\"USD\"", "`transaction_type`: is missing"),
        ("message", "\"hi\"", "`user_id`: is missing"),
        ("emotes", "[]", "`user_id`: is missing"),
        ("badges", "[]", "`user_id`: is missing"),
        ("is_subscriber", "true", "`user_id`: is missing"),
        ("is_moderator", "true", "`user_id`: is missing"),
        ("username", "\"a\"", "`user_id`: is missing"),
        ("user_id", "\"a\"", "`username`: is missing"),
        ("unique_viewers", "1", "the record has no field that tells its kind"),
        ("message", "null", "the record has no field that tells its kind"),
    ];
    for (field, value, reason) in cases {
        // With a user, what a transaction misses is its own.
        let mut record = without(VIEWER, "viewer_count");
        if ["amount", "currency", "transaction_type"].contains(&field) {
            record = with(&with(&record, "user_id", "\"a\""), "username", "\"a\"");
        }
        let text = error(&JsonDecoder::mixed(), with(&record, field, value).as_bytes());
        assert!(text.starts_with(reason), "{field}: {text}");
    }
}
