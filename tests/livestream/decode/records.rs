//! Records by their fields, so that a test can change one.

/// A chat record with all its fields.
pub(crate) const CHAT: &str = r#"{"event_id":"e1","timestamp":"2026-01-01T12:00:00.5Z","stream_id":"s1","user_id":"u1","username":"Ann","message":"hi there","emotes":["Kappa","Kappa"],"badges":["vip"],"is_subscriber":true,"is_moderator":false}"#;
/// A viewer count with all its fields.
pub(crate) const VIEWER: &str = r#"{"event_id":"e2","timestamp":"2026-01-01T12:00:00Z","stream_id":"s1","viewer_count":42,"unique_viewers":100,"peak_viewers":60}"#;
/// A transaction with all its fields.
pub(crate) const TRANSACTION: &str = r#"{"event_id":"e3","timestamp":"2026-01-01T12:00:00Z","stream_id":"s1","user_id":"u1","username":"Ann","transaction_type":"donation","amount":12.5,"currency":"EUR","message":"keep going"}"#;
/// A change of a stream with all its fields.
pub(crate) const META: &str = r#"{"event_id":"e4","timestamp":"2026-01-01T12:00:00Z","stream_id":"s1","event_type":"stream_end","new_title":"Bye","new_category":"Talk","started_at":"2026-01-01T10:00:00Z","ended_at":"2026-01-01T12:00:00Z","duration_minutes":120}"#;

/// `record` with the value of `field` replaced by `value`, which is JSON; or with the field added.
pub(crate) fn with(record: &str, field: &str, value: &str) -> String {
    format!("{},\"{field}\":{value}}}", without(record, field).trim_end_matches('}'))
}

/// `record` without `field`.
pub(crate) fn without(record: &str, field: &str) -> String {
    let mut members: serde_json::Map<String, serde_json::Value> = serde_json::from_str(record).unwrap();
    members.remove(field);
    serde_json::to_string(&members).unwrap()
}
