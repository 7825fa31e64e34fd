//! The JSON encoder of events, for generators and producers.

use super::scan;
use crate::core::EventTime;
use crate::livestream::event::{AMOUNT_SCALE, Event, Header};

/// Appends an event to `out` as one JSON object, without a newline.
///
/// Times have milliseconds and end with `Z`. A time past [`EventTime::LATEST`], which no decoder returns, is
/// written in its `Display` form and cannot be decoded. Amounts are decimal numbers. Absent optional fields
/// and empty lists are left out.
///
/// ```
/// use telemetra::core::EventTime;
/// use telemetra::livestream::{encode_json, Event, Header, ViewerCount};
/// let header = Header { event_id: "e1", time: EventTime(1_500), stream_id: "s1" };
/// let event = Event::Viewer(ViewerCount { header, viewer_count: 42, unique_viewers: None, peak_viewers: None });
/// let mut out = Vec::new();
/// encode_json(&event, &mut out);
/// let json = r#"{"event_id":"e1","timestamp":"1970-01-01T00:00:01.500Z","stream_id":"s1","viewer_count":42}"#;
/// assert_eq!(out, json.as_bytes());
/// ```
pub fn encode_json(event: &Event<'_>, out: &mut Vec<u8>) {
    out.push(b'{');
    body(event, out);
}

/// Appends an event as [`encode_json`] does, with the field `topic` first, by which
/// [`JsonDecoder::mixed`](super::JsonDecoder::mixed) finds the kind
/// without looking at the other fields.
///
/// ```
/// use telemetra::core::EventTime;
/// use telemetra::livestream::{encode_json_with_topic, Event, Header, ViewerCount};
/// let header = Header { event_id: "e1", time: EventTime(1_500), stream_id: "s1" };
/// let event = Event::Viewer(ViewerCount { header, viewer_count: 42, unique_viewers: None, peak_viewers: None });
/// let mut out = Vec::new();
/// encode_json_with_topic(&event, &mut out);
/// assert!(out.starts_with(br#"{"topic":"telemetra.events.viewer","event_id":"e1","#));
/// ```
pub fn encode_json_with_topic(event: &Event<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"topic\":");
    string(event.kind().topic(), out);
    out.push(b',');
    body(event, out);
}

fn body(event: &Event<'_>, out: &mut Vec<u8>) {
    let Header { event_id, time, stream_id } = event.header();
    out.extend_from_slice(b"\"event_id\":");
    string(event_id, out);
    out.extend_from_slice(b",\"timestamp\":");
    timestamp(*time, out);
    text("stream_id", stream_id, out);
    match event {
        Event::Chat(e) => {
            text("user_id", e.user_id, out);
            text("username", e.username, out);
            text("message", e.message, out);
            list("emotes", e.emotes, out);
            list("badges", e.badges, out);
            flag("is_subscriber", e.is_subscriber, out);
            flag("is_moderator", e.is_moderator, out);
        }
        Event::Viewer(e) => {
            count("viewer_count", Some(e.viewer_count), out);
            count("unique_viewers", e.unique_viewers, out);
            count("peak_viewers", e.peak_viewers, out);
        }
        Event::Transaction(e) => {
            text("user_id", e.user_id, out);
            text("username", e.username, out);
            text("transaction_type", e.transaction_type.as_str(), out);
            key("amount", out);
            amount(e.amount, out);
            text("currency", e.currency.as_str(), out);
            optional("message", e.message, out, string);
        }
        Event::Meta(e) => {
            text("event_type", e.event_type.as_str(), out);
            optional("new_title", e.new_title, out, string);
            optional("new_category", e.new_category, out, string);
            optional("started_at", e.started_at, out, timestamp);
            optional("ended_at", e.ended_at, out, timestamp);
            count("duration_minutes", e.duration_minutes, out);
        }
    }
    out.push(b'}');
}

fn key(name: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

fn optional<T>(name: &str, value: Option<T>, out: &mut Vec<u8>, write: impl FnOnce(T, &mut Vec<u8>)) {
    if let Some(value) = value {
        key(name, out);
        write(value, out);
    }
}

fn text(name: &str, value: &str, out: &mut Vec<u8>) {
    optional(name, Some(value), out, string);
}

fn count(name: &str, value: Option<u64>, out: &mut Vec<u8>) {
    optional(name, value, out, integer);
}

fn flag(name: &str, value: bool, out: &mut Vec<u8>) {
    key(name, out);
    out.extend_from_slice(if value { b"true" } else { b"false" });
}

fn list(name: &str, items: &[&str], out: &mut Vec<u8>) {
    if items.is_empty() {
        return;
    }
    key(name, out);
    out.push(b'[');
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        string(item, out);
    }
    out.push(b']');
}

fn string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    loop {
        let (plain, special) = rest.split_at(scan::special(rest, 0));
        out.extend_from_slice(plain);
        let Some((byte, after)) = special.split_first() else { break };
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            control => {
                let hex = b"0123456789abcdef";
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[hex[usize::from(control >> 4)], hex[usize::from(control & 15)]]);
            }
        }
        rest = after;
    }
    out.push(b'"');
}

pub(in crate::livestream) fn integer(value: u64, out: &mut Vec<u8>) {
    let (mut digits, mut at, mut value) = ([0; 20], 20, value);
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Appends `value` with the given number of digits, or its first digits if it has more.
fn padded<const N: usize>(value: u64, out: &mut Vec<u8>) {
    let (mut digits, mut value) = ([b'0'; N], value);
    for digit in digits.iter_mut().rev() {
        *digit += (value % 10) as u8;
        value /= 10;
    }
    out.extend_from_slice(&digits);
}

fn amount(amount: i64, out: &mut Vec<u8>) {
    if amount < 0 {
        out.push(b'-');
    }
    let scale = AMOUNT_SCALE.unsigned_abs();
    integer(amount.unsigned_abs() / scale, out);
    let fraction = amount.unsigned_abs() % scale;
    if fraction != 0 {
        out.push(b'.');
        padded::<6>(fraction, out);
        while out.last() == Some(&b'0') {
            out.pop();
        }
    }
}

/// The year, month and day of a number of days since 1970-01-01.
///
/// Years are counted from March, so that the leap day is the last, as in "chrono-Compatible Low-Level Date
/// Algorithms" by Howard Hinnant.
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day_of_year - (153 * from_march + 2) / 5 + 1)
}

fn timestamp(time: EventTime, out: &mut Vec<u8>) {
    if time > EventTime::LATEST {
        return string(&time.to_string(), out);
    }
    let (days, millis) = (time.0 / 86_400_000, time.0 % 86_400_000);
    let (year, month, day) = civil_from_days(days);
    out.push(b'"');
    padded::<4>(year, out);
    out.push(b'-');
    padded::<2>(month, out);
    out.push(b'-');
    padded::<2>(day, out);
    out.push(b'T');
    padded::<2>(millis / 3_600_000, out);
    out.push(b':');
    padded::<2>(millis / 60_000 % 60, out);
    out.push(b':');
    padded::<2>(millis / 1000 % 60, out);
    out.push(b'.');
    padded::<3>(millis % 1000, out);
    out.extend_from_slice(b"Z\"");
}
