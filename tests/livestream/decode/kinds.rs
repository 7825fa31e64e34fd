//! The kind of a record: by the decoder, by its topic, by its field `topic`, or by what it holds.

use telemetra::core::{Arena, Decoder, Record};
use telemetra::livestream::{BincodeDecoder, Event, EventKind, JsonDecoder, LiveEvents, encode_bincode};

use super::records::{CHAT, META, TRANSACTION, VIEWER, with, without};

const ALL: [(&str, EventKind); 4] = [
    (CHAT, EventKind::Chat),
    (VIEWER, EventKind::Viewer),
    (TRANSACTION, EventKind::Transaction),
    (META, EventKind::Meta),
];

/// The kind of the one event that a record from a topic decodes to, or the error.
fn kind_by(decoder: &dyn Decoder<LiveEvents>, record: &[u8], topic: &str) -> Result<EventKind, String> {
    let (arena, mut events) = (Arena::default(), Vec::new());
    match decoder.decode(Record::new(record).of_topic(topic), &arena, &mut events) {
        Ok(()) => {
            assert_eq!(events.len(), 1, "{}", record.escape_ascii());
            Ok(events[0].kind())
        }
        Err(error) => Err(error.to_string()),
    }
}

fn kind(record: &str, topic: &str) -> Result<EventKind, String> {
    kind_by(&JsonDecoder::mixed(), record.as_bytes(), topic)
}

/// Every field of every kind.
fn everything() -> String {
    let mut all = serde_json::Map::new();
    for (record, _) in ALL {
        all.extend(serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(record).unwrap());
    }
    serde_json::to_string(&all).unwrap()
}

#[test]
fn the_topic_decides() {
    for (_, of) in ALL {
        let last = of.topic().rsplit('.').next().unwrap();
        for topic in [of.topic(), last, &format!("eu.staging.{last}")] {
            assert_eq!(kind(&everything(), topic), Ok(of), "{topic}");
            // Also where the record itself says something else.
            let other = if of == EventKind::Meta { "\"chat\"" } else { "\"stream_meta\"" };
            assert_eq!(kind(&with(&everything(), "topic", other), topic), Ok(of), "{topic}");
        }
        for (record, other) in ALL.into_iter().filter(|(_, other)| *other != of) {
            // With its message a transaction has all that a chat message needs.
            let record =
                if other == EventKind::Transaction { without(record, "message") } else { record.into() };
            let error = kind(&record, of.topic()).unwrap_err();
            assert!(error.ends_with("is missing"), "{other:?} from {}: {error}", of.topic());
        }
    }
    assert_eq!(kind(CHAT, "telemetra.events.viewer"), Err("`viewer_count`: is missing".to_owned()));
}

#[test]
fn a_topic_that_names_no_kind_is_as_if_there_were_none() {
    for topic in ["", ".", "events", "chats", "Chat", "telemetra.events", "chat.archive", "viewer."] {
        for (record, of) in ALL {
            assert_eq!(kind(record, topic), Ok(of), "{topic}");
            let named = with(&everything(), "topic", &format!("\"{}\"", of.topic()));
            assert_eq!(kind(&named, topic), Ok(of), "{topic}");
        }
    }
}

#[test]
fn a_fixed_kind_comes_before_the_topic() {
    for (record, of) in ALL {
        for topic in ["telemetra.events.chat", "telemetra.events.viewer", "other"] {
            assert_eq!(kind_by(&JsonDecoder::of(of), record.as_bytes(), topic), Ok(of));
        }
    }
}

#[test]
fn a_chat_message_that_tells_the_viewers_is_a_chat_message() {
    let record = r#"{"event_id":"e1","timestamp":"2026-01-01T12:00:00Z","stream_id":"s1",
        "viewer_count":7,"user_id":"u1","username":"Ann","message":"hi"}"#;
    assert_eq!(kind(record, ""), Ok(EventKind::Chat));
}

#[test]
fn a_field_more_does_not_change_the_kind() {
    let values = [
        ("viewer_count", "7"),
        ("unique_viewers", "7"),
        ("event_type", "\"update\""),
        ("new_title", "\"t\""),
        ("amount", "7"),
        ("currency", "\"USD\""),
        ("transaction_type", "\"bits\""),
        ("user_id", "\"u\""),
        ("username", "\"n\""),
        ("message", "\"m\""),
        ("emotes", "[]"),
        ("is_subscriber", "true"),
    ];
    let decoded = |record: &str| {
        let (arena, mut events) = (Arena::default(), Vec::new());
        JsonDecoder::mixed().decode(Record::new(record.as_bytes()), &arena, &mut events).unwrap();
        format!("{events:?}")
    };
    for (record, of) in ALL {
        for (field, value) in values {
            if !record.contains(&format!("\"{field}\"")) {
                let more = with(record, field, value);
                assert_eq!(kind(&more, ""), Ok(of), "{field} added");
                assert_eq!(decoded(&more), decoded(record), "{field} added");
            }
        }
    }
    // All of one other kind, where a record has what both require: the one that requires more.
    let both = with(&with(CHAT, "amount", "1"), "currency", "\"USD\"");
    assert_eq!(kind(&both, ""), Ok(EventKind::Chat));
    assert_eq!(kind(&with(&both, "transaction_type", "\"bits\""), ""), Ok(EventKind::Transaction));
    assert_eq!(kind(&with(CHAT, "event_type", "\"title_change\""), ""), Ok(EventKind::Chat));
    assert_eq!(kind(&with(VIEWER, "event_type", "\"title_change\""), ""), Ok(EventKind::Meta));
}

#[test]
fn a_field_less_is_missed_by_the_likeliest_kind() {
    let transaction = without(&without(TRANSACTION, "message"), "amount");
    assert_eq!(kind(&transaction, ""), Err("`amount`: is missing".to_owned()));
    assert_eq!(kind(&without(CHAT, "user_id"), ""), Err("`user_id`: is missing".to_owned()));
    assert_eq!(kind(&without(CHAT, "message"), ""), Err("`message`: is missing".to_owned()));
    assert_eq!(kind(&with(CHAT, "message", "null"), ""), Err("`message`: is missing".to_owned()));
}

#[test]
fn bincode_says_itself_which_kind_it_is() {
    for (json, of) in ALL {
        let (arena, mut events, mut record) = (Arena::default(), Vec::<Event<'_>>::new(), Vec::new());
        JsonDecoder::mixed().decode(Record::new(json.as_bytes()), &arena, &mut events).unwrap();
        encode_bincode(&events[0], &mut record);
        for topic in ["", "telemetra.events.chat", "telemetra.events.viewer"] {
            assert_eq!(kind_by(&BincodeDecoder, &record, topic), Ok(of));
        }
    }
}
