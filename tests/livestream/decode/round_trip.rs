//! Encoded events decode to themselves.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use telemetra::core::{Arena, EventTime};
use telemetra::livestream::{
    BincodeDecoder, ChatMessage, Currency, Event, EventKind, Header, JsonDecoder, MAX_TEXT_BYTES, MetaType,
    StreamMeta, Transaction, TransactionType, ViewerCount,
};
use telemetra::livestream::{encode_bincode, encode_json, encode_json_with_topic};

use super::decode;

/// What events of any kind can be made of.
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    ids: [String; 3],
    time: u64,
    texts: [String; 2],
    optional_texts: [Option<String>; 2],
    lists: [Vec<String>; 2],
    flags: [bool; 2],
    counts: [Option<u64>; 3],
    times: [Option<u64>; 2],
    amount: i64,
    pick: [prop::sample::Index; 2],
}

/// Letters that JSON escapes and such as it need not, of all widths in UTF-8; no NUL.
fn text(len: std::ops::Range<usize>) -> impl Strategy<Value = String> {
    let letter = prop_oneof![
        8 => prop::char::range(' ', '~'),
        2 => prop::char::range('\u{1}', '\u{1f}'),
        1 => Just('"'),
        1 => Just('\\'),
        2 => prop::char::range('\u{7f}', '\u{ffff}'),
        1 => prop::char::range('\u{10000}', '\u{10ffff}'),
    ];
    vec(letter, len).prop_map(|letters| letters.into_iter().collect())
}

/// Counts of every magnitude.
fn number() -> impl Strategy<Value = u64> {
    (any::<u64>(), 0..64_u32).prop_map(|(n, shift)| n >> shift)
}

pub(crate) fn parts() -> impl Strategy<Value = Parts> {
    let time = 0..=EventTime::LATEST.0;
    (
        [text(1..20), text(1..8), text(1..60)],
        time.clone(),
        [text(0..60), text(0..12)],
        [option::of(text(0..40)), option::of(text(0..12))],
        [vec(text(0..10), 0..20), vec(text(0..10), 0..3)],
        any::<[bool; 2]>(),
        [option::of(number()), option::of(number()), option::of(number())],
        [option::of(time.clone()), option::of(time)],
        number().prop_map(|n| (n >> 1) as i64),
        any::<[prop::sample::Index; 2]>(),
    )
        .prop_map(|(ids, time, texts, optional_texts, lists, flags, counts, times, amount, pick)| {
            Parts { ids, time, texts, optional_texts, lists, flags, counts, times, amount, pick }
        })
}

impl Parts {
    /// The event of that kind.
    pub(crate) fn event<'a>(&'a self, kind: EventKind, arena: &'a Arena) -> Event<'a> {
        let [event_id, stream_id, user_id] = &self.ids;
        let header = Header { event_id, time: EventTime(self.time), stream_id };
        let [message, username] = &self.texts;
        let [first, second] = self.optional_texts.each_ref().map(|text| text.as_deref());
        let [started_at, ended_at] = self.times.map(|time| time.map(EventTime));
        let [emotes, badges] =
            self.lists.each_ref().map(|list| arena.list(list.iter().map(String::as_str).collect::<Vec<_>>()));
        match kind {
            EventKind::Chat => Event::Chat(ChatMessage {
                header,
                user_id,
                username,
                message,
                emotes,
                badges,
                is_subscriber: self.flags[0],
                is_moderator: self.flags[1],
                sentiment: 0,
            }),
            EventKind::Viewer => Event::Viewer(ViewerCount {
                header,
                viewer_count: self.counts[0].unwrap_or(u64::MAX),
                unique_viewers: self.counts[1],
                peak_viewers: self.counts[2],
            }),
            EventKind::Transaction => Event::Transaction(Transaction {
                header,
                user_id,
                username,
                transaction_type: *self.pick[0].get(TransactionType::ALL),
                amount: self.amount,
                currency: *self.pick[1].get(Currency::ALL),
                message: first,
            }),
            EventKind::Meta => Event::Meta(StreamMeta {
                header,
                event_type: *self.pick[0].get(MetaType::ALL),
                new_title: first,
                new_category: second,
                started_at,
                ended_at,
                duration_minutes: self.counts[0],
            }),
        }
    }
}

proptest! {
    #[test]
    fn json_round_trips(parts in parts()) {
        for kind in EventKind::ALL {
            let arena = Arena::default();
            let event = parts.event(kind, &arena);
            for (encode, decoder) in [
                (encode_json as fn(&Event<'_>, &mut Vec<u8>), JsonDecoder::of(kind)),
                (encode_json, JsonDecoder::mixed()),
                (encode_json_with_topic, JsonDecoder::mixed()),
            ] {
                let mut record = Vec::new();
                encode(&event, &mut record);
                prop_assert_eq!(decode(&decoder, &record, &arena), Ok(vec![event]));
                // And it is JSON to others.
                prop_assert!(serde_json::from_slice::<serde_json::Value>(&record).is_ok());
            }
        }
    }

    #[test]
    fn bincode_round_trips(parts in parts()) {
        for kind in EventKind::ALL {
            let (arena, mut record) = (Arena::default(), Vec::new());
            let event = parts.event(kind, &arena);
            encode_bincode(&event, &mut record);
            prop_assert_eq!(decode(&BincodeDecoder, &record, &arena), Ok(vec![event]));
        }
    }
}

#[test]
fn encoders_append() {
    let chat = |message| {
        let header = Header { event_id: "e", time: EventTime(0), stream_id: "s" };
        let (emotes, badges) = (&[][..], &[][..]);
        Event::Chat(ChatMessage {
            header,
            user_id: "u",
            username: "",
            message,
            emotes,
            badges,
            is_subscriber: false,
            is_moderator: true,
            sentiment: 5,
        })
    };
    for encode in [encode_json, encode_json_with_topic, encode_bincode] {
        let (mut once, mut twice) = (Vec::new(), b"before".to_vec());
        encode(&chat("a"), &mut once);
        encode(&chat("a"), &mut twice);
        assert_eq!(twice, [b"before", &once[..]].concat());
    }
    let mut json = Vec::new();
    encode_json(&chat("\"\u{1}\n\u{e9}"), &mut json);
    let expected = r#"{"event_id":"e","timestamp":"1970-01-01T00:00:00.000Z","stream_id":"s","user_id":"u","username":"","message":"\"\u0001\né","is_subscriber":false,"is_moderator":true}"#;
    assert_eq!(String::from_utf8(json).unwrap(), expected);
    // What is too long is for the decoder to refuse.
    let mut json = Vec::new();
    encode_json(&chat(&"x".repeat(MAX_TEXT_BYTES + 1)), &mut json);
    assert!(decode(&JsonDecoder::mixed(), &json, &Arena::default()).is_err());
}
