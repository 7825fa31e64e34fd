//! Live events keep the contracts of events and keys.

use std::collections::HashSet;

use telemetra::core::testkit::{event_compliance, key_compliance};
use telemetra::core::{Event as _, EventTime, Key, key_hash};
use telemetra::livestream::{
    ChatMessage, Currency, Event, EventKind, Header, MetaType, StreamId, StreamMeta, Transaction,
    TransactionType, ViewerCount,
};

/// One event of each kind.
pub(crate) fn of_each_kind(header: Header<'_>) -> [Event<'_>; 4] {
    let (user_id, username) = ("u1", "Ann");
    [
        Event::Chat(ChatMessage {
            header,
            user_id,
            username,
            message: "this is good",
            emotes: &["Kappa"],
            badges: &[],
            is_subscriber: false,
            is_moderator: false,
            sentiment: 0,
        }),
        Event::Viewer(ViewerCount { header, viewer_count: 42, unique_viewers: None, peak_viewers: Some(60) }),
        Event::Transaction(Transaction {
            header,
            user_id,
            username,
            transaction_type: TransactionType::Donation,
            amount: 12_500_000,
            currency: Currency::Eur,
            message: Some("keep going"),
        }),
        Event::Meta(StreamMeta {
            header,
            event_type: MetaType::TitleChange,
            new_title: Some("new"),
            new_category: None,
            started_at: None,
            ended_at: None,
            duration_minutes: None,
        }),
    ]
}

#[test]
fn they_are_events() {
    let long = "an id that is longer than a number can hold, and so is hashed";
    let headers = [("e1", "s1"), ("e2", ""), (long, long), ("", "it's \u{1f3ae}")]
        .map(|(event_id, stream_id)| Header { event_id, time: EventTime(7), stream_id });
    let events: Vec<Event<'_>> = headers.into_iter().flat_map(of_each_kind).collect();
    event_compliance(&events);
    assert_eq!((events[0].time(), events[0].key()), (EventTime(7), "s1"));
    let ids: HashSet<_> = events.iter().map(|event| event.id().unwrap()).collect();
    assert_eq!(ids.len(), events.len(), "an id is an event's and its kind's");
}

#[test]
fn streams_are_keys() {
    let ids = ["", "s", "a stream whose id is longer than 24 bytes", "\u{e9}"].map(StreamId::new);
    key_compliance(&ids);
    for id in &ids {
        assert_eq!(key_hash(id), key_hash(id.as_str()), "a key is looked up by its text");
        assert_eq!(id.text(), id.as_str());
        let read: StreamId = serde_json::from_str(&serde_json::to_string(id).unwrap()).unwrap();
        assert_eq!(read, *id);
    }
}

#[test]
fn topics_tell_kinds() {
    for kind in EventKind::ALL {
        assert_eq!(EventKind::from_topic(kind.topic()), Some(kind));
        assert_eq!(EventKind::from_topic(&kind.topic().replace("telemetra", "eu")), Some(kind));
        assert_eq!(EventKind::from_topic(&format!("{}.", kind.topic())), None);
    }
    assert_eq!(EventKind::from_topic("telemetra.events.dead_letter"), None);
}
