//! The message of a dead letter: key, headers and value.

use rdkafka::Message;
use rdkafka::message::{Header, Headers, OwnedHeaders, OwnedMessage};
use telemetra_core::{DeadLetter, TRACEPARENT};

/// The header that holds the record's length if the message contains only its beginning.
const TRUNCATED: &str = "telemetra.truncated";
/// The least number of bytes of a record that are kept.
const LEAST: usize = 256;

/// The letter's place, which identifies it, as a restart may write it again.
pub(super) fn key(letter: &DeadLetter) -> String {
    format!("{}/{}/{}", letter.partition, letter.offset, letter.index)
}

/// The headers: fate, reason, the event's time if it is known, origin, the trace
/// that the record is part of, and the length of a record that is cut.
pub(super) fn headers(letter: &DeadLetter, cut: bool) -> OwnedHeaders {
    let text = |key: &'static str, value: &str, headers: OwnedHeaders| {
        headers.insert(Header { key, value: Some(value) })
    };
    let mut headers = OwnedHeaders::new_with_capacity(10);
    headers = text("telemetra.fate", letter.fate.as_str(), headers);
    headers = text("telemetra.reason", &letter.reason, headers);
    if let Some(time) = letter.time {
        headers = text("telemetra.time", &time.to_string(), headers);
    }
    headers = text("telemetra.origin", letter.partition.as_str(), headers);
    if let Some((topic, number)) = letter.partition.as_str().rsplit_once('/')
        && number.parse::<u32>().is_ok()
    {
        headers = text("telemetra.origin.topic", topic, headers);
        headers = text("telemetra.origin.partition", number, headers);
    }
    headers = text("telemetra.origin.offset", &letter.offset.to_string(), headers);
    headers = text("telemetra.origin.index", &letter.index.to_string(), headers);
    if let Some(parent) = letter.traceparent {
        headers = text(TRACEPARENT, &parent.to_string(), headers);
    }
    if cut {
        headers = text(TRUNCATED, &letter.bytes.len().to_string(), headers);
    }
    headers
}

/// Returns the message with half of the record; `None` if so little is not worth sending.
pub(super) fn halved(mut message: OwnedMessage) -> Option<OwnedMessage> {
    let bytes = message.payload().unwrap_or_default();
    if bytes.len() <= LEAST {
        return None;
    }
    let (half, length) = (bytes[..bytes.len() / 2].to_vec(), bytes.len());
    let headers = message.detach_headers().unwrap_or_default();
    let headers = if headers.iter().any(|header| header.key == TRUNCATED) {
        headers
    } else {
        headers.insert(Header { key: TRUNCATED, value: Some(&length.to_string()) })
    };
    Some(message.set_payload(Some(half)).replace_headers(Some(headers)))
}
