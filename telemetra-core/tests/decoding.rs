//! The view of a record that decoders have, the JSON decoder for every event type, and how event times are written and
//! read.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use telemetra_core::testkit::decoder_compliance;
use telemetra_core::{
    Arena, DecodeError, Decoder, Event, EventId, EventTime, Record, RecordBatch, SerdeJson,
};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Reading {
    device: String,
    at: EventTime,
    #[serde(default)]
    celsius: Option<f64>,
}

impl Event for Reading {
    type Key = String;
    fn time(&self) -> EventTime {
        self.at
    }
    fn key(&self) -> &str {
        &self.device
    }
    fn id(&self) -> Option<EventId> {
        Some(EventId::of(&self.device))
    }
}

fn decode(record: &[u8]) -> Result<Vec<Reading>, DecodeError> {
    let (arena, mut events) = (Arena::default(), Vec::new());
    SerdeJson::<Reading>::new().decode(Record::new(record), &arena, &mut events)?;
    Ok(events)
}

fn error(record: &[u8]) -> String {
    decode(record).unwrap_err().to_string()
}

#[test]
fn json_by_serde_keeps_the_contract() {
    decoder_compliance::<Reading>(
        &SerdeJson::new(),
        &[
            br#"{"device":"d1","at":"2026-01-01T00:00:00Z","celsius":-12.5}"#,
            br#" { "at" : 1767225600000 , "device" : "\u00e9\n", "unknown": [1, {}] } "#,
            b" \t\r\n",
            b"",
        ],
        &[b"{}", b"not JSON", br#"{"device":1,"at":0}"#, b"\xff", br#"[{"device":"d1","at":0}]"#],
    );
}

#[test]
fn json_by_serde_says_what_is_wrong_and_where() {
    assert_eq!(error(br#"{"at": 5}"#), "missing field `device` at line 1 column 9");
    assert_eq!(error(b"{"), "EOF while parsing an object at line 1 column 1");
    assert_eq!(error(br#"{"device":"d","#), "EOF while parsing a value at line 1 column 14");
    assert_eq!(
        error(br#"{"device": 7, "at": 5}"#),
        "`device`: invalid type: integer `7`, expected a string at line 1 column 12"
    );
    assert_eq!(error(br#"{"device":"d","at":5} {}"#), "trailing characters at line 1 column 23");
    assert_eq!(
        error(br#"{"device":"d","device":"d","at":5}"#),
        "duplicate field `device` at line 1 column 22"
    );
    assert_eq!(
        error(b"{\"device\":\"\xff\",\"at\":5}"),
        "`device`: invalid unicode code point at line 1 column 12"
    );
    assert_eq!(
        error(br#"{"device":"d","at":"2026-02-29T00:00:00Z"}"#),
        "`at`: the time `2026-02-29T00:00:00Z` names a day that does not exist at line 1 column 41"
    );
    // What is deep overflows no stack.
    let deep = [br#"{"device":"d","at":5,"x":"#.to_vec(), vec![b'['; 200_000]].concat();
    assert_eq!(error(&deep), "`x`: EOF while parsing a list at line 1 column 200025");
    let deep = [br#"{"device":"d","at":"#.to_vec(), vec![b'['; 200_000]].concat();
    assert!(error(&deep).starts_with("`at`: invalid type: sequence"), "{}", error(&deep));
}

#[test]
fn json_by_serde_borrows_nothing_and_leaves_what_was_there() {
    let (arena, mut events) = (Arena::default(), Vec::new());
    let decoder = SerdeJson::<Reading>::default();
    for record in [&br#"{"device":"d1","at":1}"#[..], b" ", br#"{"device":"d2","at":2}"#] {
        let short_lived = record.to_vec();
        decoder.decode(Record::new(&short_lived), &arena, &mut events).unwrap();
    }
    assert!(decoder.decode(Record::new(b"{"), &arena, &mut events).is_err());
    assert_eq!(events.iter().map(|event| event.device.as_str()).collect::<Vec<_>>(), ["d1", "d2"]);
    assert_eq!(format!("{decoder:?}"), "SerdeJson<decoding::Reading>");
    assert_eq!(Decoder::<Reading>::identity(&decoder), "");
    let letter = Decoder::<Reading>::letter_bytes(&decoder, Record::new(b"as it came"), &events[0]);
    assert_eq!(*letter, *b"as it came");
}

#[test]
fn a_decoder_may_be_shared() {
    struct Named;
    impl Decoder<Reading> for Named {
        fn decode<'a>(&self, _: Record<'a>, _: &'a Arena, _: &mut Vec<Reading>) -> Result<(), DecodeError> {
            Err(DecodeError::field("at", "is odd").at(3))
        }
        fn identity(&self) -> String {
            "named".to_owned()
        }
        fn letter_bytes(&self, _: Record<'_>, _: &Reading) -> Box<[u8]> {
            (*b"letter").into()
        }
    }
    let shared: Arc<dyn Decoder<Reading>> = Arc::new(Named);
    let arena = Arena::default();
    let error = shared.decode(Record::new(b""), &arena, &mut Vec::new()).unwrap_err();
    assert_eq!(error.to_string(), "`at`: is odd (at byte 3)");
    let shared = Arc::new(shared);
    assert_eq!(Decoder::<Reading>::identity(&shared), "named");
    let event = Reading { device: "d".into(), at: EventTime(0), celsius: None };
    assert_eq!(*Decoder::<Reading>::letter_bytes(&shared, Record::new(b""), &event), *b"letter");
}

#[test]
fn times_in_json_are_texts_or_milliseconds() {
    let read = |text: &str| serde_json::from_str::<EventTime>(text).map_err(|error| error.to_string());
    assert_eq!(read("\"2026-01-01T01:00:00.250+01:00\""), Ok(EventTime(1_767_225_600_250)));
    assert_eq!(read("1767225600250"), Ok(EventTime(1_767_225_600_250)));
    assert_eq!(read("0"), Ok(EventTime::MIN));
    assert_eq!(read("253402300799999"), Ok(EventTime::LATEST));
    assert_eq!(read(r#""1970-01-01T00:00:00\u005a""#), Ok(EventTime::MIN), "a text with an escape");
    assert_eq!(serde_json::to_string(&EventTime(1_767_225_600_250)).unwrap(), "\"2026-01-01T00:00:00.250Z\"");
    assert_eq!(read("-1").unwrap_err(), "a time before 1970 cannot be used at line 1 column 2");
    assert_eq!(
        read("253402300800000").unwrap_err(),
        "a time after the year 9999 cannot be used at line 1 column 15"
    );
    let no_offset =
        "the time `2026-01-01T00:00:00` has no offset; end it with `Z`, or with one such as `+01:00`";
    assert_eq!(read("\"2026-01-01T00:00:00\"").unwrap_err(), format!("{no_offset} at line 1 column 21"));
    for other in ["1.5", "null", "true", "[0]", "{}"] {
        let error = read(other).unwrap_err();
        let expected = "expected a time as RFC 3339 text or in milliseconds since the Unix epoch";
        assert!(error.contains(expected), "{other}: {error}");
    }
    assert!("yesterday".parse::<EventTime>().is_err());
}

#[test]
fn times_in_bincode_are_eight_bytes() {
    for time in [EventTime::MIN, EventTime(1_767_225_600_250), EventTime::LATEST, EventTime::MAX] {
        let bytes = bincode::serialize(&time).unwrap();
        assert_eq!(bytes, time.0.to_le_bytes());
        assert_eq!(bincode::deserialize::<EventTime>(&bytes).unwrap(), time);
    }
    assert!(bincode::deserialize::<EventTime>(&[0; 7]).is_err());
}

proptest! {
    #[test]
    fn times_read_back_from_json(millis in 0..=EventTime::LATEST.0) {
        let time = EventTime(millis);
        let text = serde_json::to_string(&time).unwrap();
        prop_assert_eq!(serde_json::from_str::<EventTime>(&text).unwrap(), time);
        prop_assert_eq!(serde_json::from_str::<EventTime>(&millis.to_string()).unwrap(), time);
        prop_assert_eq!(serde_json::from_value::<EventTime>(serde_json::json!(millis)).unwrap(), time);
        prop_assert_eq!(time.to_string().parse::<EventTime>().unwrap(), time);
    }
}

/// All that a decoder can ask of a record.
fn seen(record: &Record<'_>) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers: Vec<String> = record
        .headers()
        .map(|(name, value)| format!("{name}={}", value.map_or("none".to_owned(), text)))
        .collect();
    format!(
        "{} {:?} {:?} {} {} [{}]",
        text(record.value),
        record.key.map(text),
        record.timestamp.map(|time| time.0),
        record.topic,
        record.offset,
        headers.join(" ")
    )
}

#[test]
fn a_record_has_what_its_source_said_of_it() {
    let mut batch = RecordBatch::default();
    batch.annotate(Some(b"nobody's"), None, [("name", Some(&b"value"[..]))]);
    assert!(batch.is_empty());
    batch.push(b"plain", 3);
    batch.push(b"full", 5);
    let headers = [("unit", Some(&b"C"[..])), ("empty", Some(b"")), ("none", None), ("unit", Some(b"K"))];
    batch.annotate(Some(b"key"), Some(EventTime(7)), headers);
    batch.push(b"keyed", 6);
    batch.annotate(Some(b""), None, []);
    // Some sources read straight into the buffer.
    let start = batch.buffer_mut().len();
    batch.buffer_mut().extend_from_slice(b"marked...");
    batch.mark(start..start + 6, 8);
    batch.annotate(None, Some(EventTime(9)), [("a", None)]);
    batch.push_tombstone(9);
    batch.annotate(Some(b"gone"), None, []);

    let all: Vec<String> =
        batch.records().iter().map(|place| seen(&batch.record(place, "readings"))).collect();
    assert_eq!(
        all,
        [
            "plain None None readings 3 []",
            "full Some(\"key\") Some(7) readings 5 [unit=C empty= none=none unit=K]",
            "keyed Some(\"\") None readings 6 []",
            "marked None Some(9) readings 8 [a=none]",
            " Some(\"gone\") None readings 9 []",
        ]
    );
    let full = batch.record(&batch.records()[1], "");
    assert_eq!(full.header("unit"), Some(&b"K"[..]), "the last of a name counts");
    assert_eq!(full.header("empty"), Some(&b""[..]));
    assert_eq!((full.header("none"), full.header("other")), (None, None));
    assert_eq!((full.topic, full.of_topic("elsewhere").topic), ("", "elsewhere"));
    let marks: Vec<bool> = batch.records().iter().map(|place| place.tombstone).collect();
    assert_eq!(marks, [false, false, false, false, true]);

    batch.clear();
    batch.push(b"again", 0);
    assert_eq!(
        seen(&batch.record(&batch.records()[0], "t")),
        "again None None t 0 []",
        "nothing is left over"
    );
    assert_eq!(seen(&Record::new(b"alone")), "alone None None  0 []");
    assert_eq!(format!("{:?}", Record::new(b"\n")), r#"Record { topic: "", offset: 0, value: \n, .. }"#);
}

#[test]
fn what_is_annotated_again_replaces() {
    let mut batch = RecordBatch::default();
    batch.push(b"v", 0);
    batch.annotate(Some(b"old"), Some(EventTime(1)), [("old", None)]);
    batch.annotate(Some(b"new"), None, [("new", None)]);
    assert_eq!(seen(&batch.record(&batch.records()[0], "")), "v Some(\"new\") None  0 [new=none]");
}

#[test]
fn a_value_attached_to_a_batch_is_seen_with_each_record() {
    let mut batch = RecordBatch::default();
    batch.push(b"", 0);
    batch.push(b"", 1);
    batch.attach(Arc::new(vec!["zero", "one"]));
    let record = batch.record(&batch.records()[1], "");
    let (values, number) = record.attached::<Vec<&str>>().unwrap();
    assert_eq!((values[number], number), ("one", 1));
    assert!(record.attached::<String>().is_none(), "of another type");
    let copy = batch.clone();
    assert!(copy.record(&copy.records()[0], "").attached::<Vec<&str>>().is_some());
    batch.clear();
    batch.push(b"", 2);
    assert!(batch.record(&batch.records()[0], "").attached::<Vec<&str>>().is_none());
    assert!(Record::new(b"").attached::<Vec<&str>>().is_none());
}

#[test]
fn a_record_that_is_too_long_is_cut_and_marked() {
    let mut batch = RecordBatch::default();
    batch.push(&vec![b'x'; RecordBatch::MAX_RECORD_BYTES], 0);
    batch.push(&vec![b'x'; RecordBatch::MAX_RECORD_BYTES + 1], 1);
    let [whole, cut] = batch.records() else { panic!("two records") };
    assert_eq!((whole.oversize, batch.bytes_of(whole).len()), (None, RecordBatch::MAX_RECORD_BYTES));
    assert_eq!(cut.oversize, Some(RecordBatch::MAX_RECORD_BYTES as u64 + 1));
    assert_eq!(batch.bytes_of(cut).len(), RecordBatch::OVERSIZE_PREFIX);
    assert!(batch.is_full());
    batch.clear();
    (0..4095).for_each(|offset| batch.push(b"", offset));
    assert!(!batch.is_full());
    batch.push(b"", 4095);
    assert!(batch.is_full(), "a batch of empty records ends too");
}
