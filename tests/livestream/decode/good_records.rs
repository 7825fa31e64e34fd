//! JSON records and the events that they decode to.

use telemetra::core::testkit::decoder_compliance;
use telemetra::core::{Arena, Decoder, EventTime, Record};
use telemetra::livestream::{
    ChatMessage, Currency, Event, EventKind, Header, JsonDecoder, LiveEvents, MAX_TEXT_BYTES, MetaType,
    StreamMeta, Transaction, TransactionType, ViewerCount,
};

use super::decode;
use super::records::{CHAT, META, TRANSACTION, VIEWER, with, without};

const NOON: EventTime = EventTime(1_767_268_800_000);

fn header(event_id: &str, time: EventTime) -> Header<'_> {
    Header { event_id, time, stream_id: "s1" }
}

fn all() -> [(&'static str, EventKind, Event<'static>); 4] {
    let chat = ChatMessage {
        header: header("e1", NOON.plus(500)),
        user_id: "u1",
        username: "Ann",
        message: "hi there",
        emotes: &["Kappa", "Kappa"],
        badges: &["vip"],
        is_subscriber: true,
        is_moderator: false,
        sentiment: 0,
    };
    let viewer = ViewerCount {
        header: header("e2", NOON),
        viewer_count: 42,
        unique_viewers: Some(100),
        peak_viewers: Some(60),
    };
    let transaction = Transaction {
        header: header("e3", NOON),
        user_id: "u1",
        username: "Ann",
        transaction_type: TransactionType::Donation,
        amount: 12_500_000,
        currency: Currency::Eur,
        message: Some("keep going"),
    };
    let meta = StreamMeta {
        header: header("e4", NOON),
        event_type: MetaType::StreamEnd,
        new_title: Some("Bye"),
        new_category: Some("Talk"),
        started_at: Some(NOON.minus(7_200_000)),
        ended_at: Some(NOON),
        duration_minutes: Some(120),
    };
    [
        (CHAT, EventKind::Chat, Event::Chat(chat)),
        (VIEWER, EventKind::Viewer, Event::Viewer(viewer)),
        (TRANSACTION, EventKind::Transaction, Event::Transaction(transaction)),
        (META, EventKind::Meta, Event::Meta(meta)),
    ]
}

/// The chat message of a record.
fn chat<'a>(record: &'a str, arena: &'a Arena) -> ChatMessage<'a> {
    match decode(&JsonDecoder::mixed(), record.as_bytes(), arena).unwrap()[..] {
        [Event::Chat(chat)] => chat,
        ref other => panic!("not one chat message: {other:?}"),
    }
}

#[test]
fn each_kind_decodes_with_all_its_fields() {
    for (record, kind, event) in all() {
        for decoder in [JsonDecoder::mixed(), JsonDecoder::of(kind)] {
            assert_eq!(decode(&decoder, record.as_bytes(), &Arena::default()), Ok(vec![event]));
        }
    }
}

#[test]
fn decoders_comply() {
    let good = [CHAT, VIEWER, TRANSACTION, META, "", " \r\n\t"].map(str::as_bytes);
    let bad = ["{}", "[]", "null", "{\"event_id\":\"\\ud800\"}"].map(str::as_bytes);
    decoder_compliance::<LiveEvents>(&JsonDecoder::mixed(), &good, &bad);
    decoder_compliance::<LiveEvents>(&JsonDecoder::of(EventKind::Chat), &good[..1], &bad);
}

/// What no store can hold costs its character, wherever it is but in an id, and not the event.
#[test]
fn half_a_character_is_replaced() {
    for (json, text) in [
        (r#""\u0000""#, "\u{fffd}"),
        (r#""a\ud83d""#, "a\u{fffd}"),
        (r#""\ude00b""#, "\u{fffd}b"),
        (r#""\ud83d\ud83d\ude00""#, "\u{fffd}\u{1f600}"),
        (r#""\ud83d\n\udc00x""#, "\u{fffd}\n\u{fffd}x"),
        (r#""\ud83d\u0041""#, "\u{fffd}A"),
    ] {
        let arena = Arena::default();
        let message = with(CHAT, "message", json);
        assert_eq!(chat(&message, &arena).message, text, "{json}");
        let list = with(CHAT, "badges", &format!("[{json}]"));
        assert_eq!(chat(&list, &arena).badges, [text], "{json}");
        let unread = with(CHAT, "nobody_reads_this", json);
        assert_eq!(chat(&unread, &arena), chat(CHAT, &arena), "{json}");
    }
    let longest = format!("\"{}\"", r"\u0000".repeat(MAX_TEXT_BYTES));
    let arena = Arena::default();
    assert_eq!(chat(&with(CHAT, "message", &longest), &arena).message.chars().count(), MAX_TEXT_BYTES);
}

#[test]
fn a_byte_order_mark_is_passed_over() {
    let record = format!("\u{feff}{CHAT}");
    let arena = Arena::default();
    assert_eq!(chat(&record, &arena), chat(CHAT, &arena));
}

#[test]
fn records_without_anything_have_no_event() {
    for record in ["", " ", "\n", " \t\r\n "] {
        assert_eq!(decode(&JsonDecoder::mixed(), record.as_bytes(), &Arena::default()), Ok(vec![]));
    }
}

#[test]
fn a_topic_tells_the_kind_by_full_name_or_last_part() {
    for (record, kind, event) in all() {
        for topic in [kind.topic(), kind.topic().rsplit('.').next().unwrap()] {
            // A field of another kind does not mislead.
            let misleading = if kind == EventKind::Meta { "viewer_count" } else { "event_type" };
            let record = with(&with(record, misleading, "[]"), "topic", &format!("\"{topic}\""));
            assert_eq!(decode(&JsonDecoder::mixed(), record.as_bytes(), &Arena::default()), Ok(vec![event]));
        }
    }
}

#[test]
fn a_fixed_kind_does_not_look_at_the_topic() {
    for topic in ["7", "\"telemetra.events.chat\"", "\"no such\""] {
        let record = with(VIEWER, "topic", topic);
        let decoder = JsonDecoder::of(EventKind::Viewer);
        assert_eq!(decode(&decoder, record.as_bytes(), &Arena::default()).map(|e| e.len()), Ok(1));
    }
}

#[test]
fn null_is_as_if_the_field_were_absent() {
    for (record, _, _) in all() {
        for field in [
            "emotes",
            "badges",
            "is_subscriber",
            "peak_viewers",
            "new_title",
            "ended_at",
            "topic",
            "event_type",
        ] {
            if record == META && field == "event_type" {
                continue;
            }
            let (null, absent) = (with(record, field, "null"), without(record, field));
            let (arena, decoder) = (Arena::default(), JsonDecoder::mixed());
            assert_eq!(
                decode(&decoder, null.as_bytes(), &arena),
                decode(&decoder, absent.as_bytes(), &arena)
            );
            assert!(decode(&decoder, absent.as_bytes(), &arena).is_ok());
        }
    }
}

#[test]
fn unknown_fields_are_skipped_whatever_they_hold() {
    for value in [
        "null",
        "-0.5e+10",
        "\"a\\u00e9\\\"\"",
        "[[],{\"event_id\":[1]},[{}]]",
        "{\"message\":\"no\"}",
        "1e999",
    ] {
        let record = with(CHAT, "unknown", value);
        assert_eq!(chat(&record, &Arena::default()).message, "hi there");
    }
}

#[test]
fn the_last_of_equal_keys_wins() {
    let arena = Arena::default();
    let record = CHAT.replace("\"message\"", "\"message\":7,\"m\\u0065ssage\":\"first\",\"message\"");
    assert_eq!(chat(&record, &arena).message, "hi there");
    let record = CHAT.replace(",\"emotes\"", ",\"\\u006dessage\":\"second\",\"emotes\"");
    assert_eq!(chat(&record, &arena).message, "second");
}

#[test]
fn escapes_are_unescaped_and_other_text_is_borrowed() {
    let cases = [
        (r#""a\"\\\/\b\f\n\r\tz""#, "a\"\\/\u{8}\u{c}\n\r\tz"),
        (r#""\u0041\u00e9\u20AC""#, "A\u{e9}\u{20ac}"),
        (r#""\ud83d\ude00 \uDBFF\uDFFF""#, "\u{1f600} \u{10ffff}"),
        ("\"\u{e9}\u{20ac}\u{1f600}\u{7f}\"", "\u{e9}\u{20ac}\u{1f600}\u{7f}"),
        (r#""""#, ""),
    ];
    for (json, text) in cases {
        let (record, arena) = (with(CHAT, "message", json), Arena::default());
        let message = chat(&record, &arena).message;
        assert_eq!(message, text);
        let borrowed = record.as_bytes().as_ptr_range().contains(&message.as_ptr());
        assert_eq!(borrowed, !json.contains('\\'), "{json}");
        let record = with(CHAT, "emotes", &format!("[ {json} ,{json}]"));
        assert_eq!(chat(&record, &arena).emotes, [text, text]);
    }
}

#[test]
fn counts_are_numbers_whose_value_is_an_integer() {
    let max = u64::MAX.to_string();
    let cases = [
        ("0", 0),
        ("-0", 0),
        ("-0.0e5", 0),
        ("12.0", 12),
        ("1e3", 1000),
        ("1.5E+1", 15),
        ("1200e-2", 12),
        (&max, u64::MAX),
        ("1.8446744073709551615e19", u64::MAX),
        ("0e99999999999999999999", 0),
        ("0.000e-99999999999999999999", 0),
    ];
    for (json, count) in cases {
        let record = with(VIEWER, "viewer_count", json);
        match decode(&JsonDecoder::mixed(), record.as_bytes(), &Arena::default()).unwrap()[..] {
            [Event::Viewer(viewer)] => assert_eq!(viewer.viewer_count, count, "{json}"),
            ref other => panic!("{other:?}"),
        }
    }
}

#[test]
fn amounts_are_exact_and_rounded_half_to_even() {
    let cases = [
        ("0", 0),
        ("-0.00", 0),
        ("4.99", 4_990_000),
        ("0.1", 100_000),
        ("1e2", 100_000_000),
        ("\"12.345678\"", 12_345_678),
        ("\"\\u0031.5\"", 1_500_000),
        ("0.0000005", 0),
        ("0.0000015", 2),
        ("0.0000025", 2),
        ("0.00000250000000000000000000001", 3),
        ("0.00000149999999999999999999999", 1),
        ("5e-8", 0),
        ("9007199254740.993", 9_007_199_254_740_993_000),
        ("9223372036854.775807", i64::MAX),
        ("9223372036854.77580749", i64::MAX),
        ("1e-99999999999999999999", 0),
    ];
    for (json, amount) in cases {
        let record = with(TRANSACTION, "amount", json);
        match decode(&JsonDecoder::mixed(), record.as_bytes(), &Arena::default()).unwrap()[..] {
            [Event::Transaction(transaction)] => assert_eq!(transaction.amount, amount, "{json}"),
            ref other => panic!("{other:?}"),
        }
    }
}

#[test]
fn limits_are_inclusive() {
    let arena = Arena::default();
    let text = |len| format!("\"{}\"", "x".repeat(len));
    let items = |len| format!("[{}]", vec!["\"x\""; len].join(","));
    // An escape counts as the character it stands for.
    let escaped = format!("\"{}\"", "\\n".repeat(256));
    for (field, value) in [
        ("event_id", text(256)),
        ("stream_id", escaped),
        ("message", text(16_384)),
        ("username", text(0)),
        ("emotes", items(512)),
        ("badges", items(0)),
    ] {
        chat(&with(CHAT, field, &value), &arena);
    }
}

#[test]
fn events_are_appended() {
    let (arena, mut events) = (Arena::default(), Vec::new());
    for record in [CHAT, VIEWER, ""] {
        JsonDecoder::mixed().decode(Record::new(record.as_bytes()), &arena, &mut events).unwrap();
    }
    assert_eq!(events.iter().map(Event::kind).collect::<Vec<_>>(), [EventKind::Chat, EventKind::Viewer]);
}
