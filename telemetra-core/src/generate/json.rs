//! Events as JSON.

use crate::time::civil_from_days;
use crate::{AMOUNT_SCALE, Event, EventTime};

/// Appends an event as one JSON object: amounts as decimal numbers, times as RFC 3339, no absent optionals.
pub(crate) fn encode_json(event: &Event<'_>, out: &mut Vec<u8>) {
    let header = event.header();
    text(out, "{\"event_id\":", header.event_id);
    out.extend_from_slice(b",\"timestamp\":");
    time(out, header.time);
    text(out, ",\"stream_id\":", header.stream_id);
    match event {
        Event::Chat(chat) => {
            text(out, ",\"user_id\":", chat.user_id);
            text(out, ",\"username\":", chat.username);
            text(out, ",\"message\":", chat.message);
            list(out, ",\"emotes\":[", chat.emotes);
            list(out, ",\"badges\":[", chat.badges);
            flag(out, ",\"is_subscriber\":", chat.is_subscriber);
            flag(out, ",\"is_moderator\":", chat.is_moderator);
        }
        Event::Viewer(viewer) => {
            number(out, ",\"viewer_count\":", Some(viewer.viewer_count));
            number(out, ",\"unique_viewers\":", viewer.unique_viewers);
            number(out, ",\"peak_viewers\":", viewer.peak_viewers);
        }
        Event::Transaction(transaction) => {
            text(out, ",\"user_id\":", transaction.user_id);
            text(out, ",\"username\":", transaction.username);
            text(out, ",\"transaction_type\":", transaction.transaction_type.as_str());
            out.extend_from_slice(b",\"amount\":");
            amount(out, transaction.amount);
            text(out, ",\"currency\":", transaction.currency.as_str());
            if let Some(message) = transaction.message {
                text(out, ",\"message\":", message);
            }
        }
        Event::Meta(meta) => {
            text(out, ",\"event_type\":", meta.event_type.as_str());
            for (key, value) in
                [(",\"new_title\":", meta.new_title), (",\"new_category\":", meta.new_category)]
            {
                if let Some(value) = value {
                    text(out, key, value);
                }
            }
            for (key, value) in [(",\"started_at\":", meta.started_at), (",\"ended_at\":", meta.ended_at)] {
                if let Some(value) = value {
                    out.extend_from_slice(key.as_bytes());
                    time(out, value);
                }
            }
            number(out, ",\"duration_minutes\":", meta.duration_minutes);
        }
    }
    out.push(b'}');
}

fn text(out: &mut Vec<u8>, key: &str, value: &str) {
    out.extend_from_slice(key.as_bytes());
    string(out, value.as_bytes());
}

fn string(out: &mut Vec<u8>, value: &[u8]) {
    let special = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';
    out.push(b'"');
    // Without a branch per byte: most strings have nothing to escape.
    if value.iter().fold(false, |found, &byte| found | special(byte)) {
        for &byte in value {
            match byte {
                b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
                b'\n' => out.extend_from_slice(b"\\n"),
                b'\t' => out.extend_from_slice(b"\\t"),
                0..0x20 => {
                    out.extend_from_slice(b"\\u00");
                    out.extend([byte >> 4, byte & 15].map(|nibble| b"0123456789abcdef"[usize::from(nibble)]));
                }
                _ => out.push(byte),
            }
        }
    } else {
        out.extend_from_slice(value);
    }
    out.push(b'"');
}

fn list(out: &mut Vec<u8>, key: &str, items: &[&str]) {
    if items.is_empty() {
        return;
    }
    out.extend_from_slice(key.as_bytes());
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        string(out, item.as_bytes());
    }
    out.push(b']');
}

fn flag(out: &mut Vec<u8>, key: &str, value: bool) {
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(if value { b"true" } else { b"false" });
}

fn number(out: &mut Vec<u8>, key: &str, value: Option<u64>) {
    if let Some(value) = value {
        out.extend_from_slice(key.as_bytes());
        digits(out, value);
    }
}

/// Appends a number in decimal.
pub(super) fn digits(out: &mut Vec<u8>, mut value: u64) {
    let mut buffer = [0; 20];
    let mut at = buffer.len();
    loop {
        at -= 1;
        buffer[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&buffer[at..]);
}

/// The lowest `N` digits of a number, with leading zeros.
fn padded<const N: usize>(mut value: u64) -> [u8; N] {
    let mut buffer = [b'0'; N];
    for digit in buffer.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
    buffer
}

fn amount(out: &mut Vec<u8>, amount: i64) {
    let scale = AMOUNT_SCALE.unsigned_abs();
    let (units, micros) = (amount.unsigned_abs() / scale, amount.unsigned_abs() % scale);
    digits(out, units);
    if micros != 0 {
        out.push(b'.');
        out.extend_from_slice(&padded::<6>(micros));
        while out.last() == Some(&b'0') {
            out.pop();
        }
    }
}

fn time(out: &mut Vec<u8>, time: EventTime) {
    let (days, in_day) = (time.0 / 86_400_000, time.0 % 86_400_000);
    let (year, month, day) = civil_from_days(days);
    let seconds = in_day / 1000;
    let mut buffer = *b"\"0000-00-00T00:00:00.000Z\"";
    buffer[1..5].copy_from_slice(&padded::<4>(year));
    for (at, two) in [(6, month), (9, day), (12, seconds / 3600), (15, seconds / 60 % 60), (18, seconds % 60)]
    {
        buffer[at..at + 2].copy_from_slice(&padded::<2>(two));
    }
    buffer[21..24].copy_from_slice(&padded::<3>(in_day % 1000));
    out.extend_from_slice(&buffer);
}
