//! Avro with a schema that is given.

use serde::Serialize;
use telemetra_core::testkit::decoder_compliance;
use telemetra_core::{Event, EventTime};
use telemetra_sinks::formats::Avro;

use crate::support::{Reading, decode, error, reading};

pub(crate) const READING: &str = r#"{
    "type": "record", "name": "Reading", "namespace": "plant",
    "fields": [
        {"name": "device", "type": "string"},
        {"name": "what_else", "type": {"type": "array", "items": "int"}, "default": []},
        {"name": "time", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "celsius", "type": ["null", "double"], "default": null},
        {"name": "place", "type": {"type": "record", "name": "Place", "fields": [{"name": "site", "type": "int"}]}}
    ]
}"#;

/// A record as another producer writes it by that schema.
#[derive(Serialize)]
pub(crate) struct Written {
    pub(crate) device: &'static str,
    pub(crate) what_else: Vec<i32>,
    pub(crate) time: i64,
    pub(crate) celsius: Option<f64>,
    pub(crate) place: Site,
}

#[derive(Serialize)]
pub(crate) struct Site {
    pub(crate) site: i32,
}

pub(crate) fn written() -> Written {
    Written { device: "d1", what_else: vec![1, 2], time: 5, celsius: Some(20.5), place: Site { site: 4 } }
}

/// A value by its schema.
pub(crate) fn datum(schema: &serde_avro_fast::Schema, value: &impl Serialize) -> Vec<u8> {
    serde_avro_fast::to_datum_vec(value, &mut serde_avro_fast::ser::SerializerConfig::new(schema)).unwrap()
}

#[test]
fn a_value_is_read_by_its_writers_schema() {
    let schema = READING.parse().unwrap();
    let decoder = Avro::<Reading>::with_schema(READING).unwrap();
    assert_eq!(decode(&decoder, &datum(&schema, &written())).unwrap(), reading("d1", 5, Some(20.5), 4));
    let none = Written { celsius: None, ..written() };
    assert_eq!(decode(&decoder, &datum(&schema, &none)).unwrap(), reading("d1", 5, None, 4));
}

#[test]
fn an_error_names_the_field() {
    let schema = READING.parse().unwrap();
    let decoder = Avro::<Reading>::with_schema(READING).unwrap();
    let negative = Written { place: Site { site: -1 }, ..written() };
    let found = error(&decoder, &datum(&schema, &negative));
    assert!(found.starts_with("`place.site`: ") && found.contains("-1"), "{found}");
    let mut longer = datum(&schema, &written());
    longer.push(0);
    assert_eq!(error(&decoder, &longer), "there are bytes behind the value");
    let refused = Avro::<Reading>::with_schema(r#"{"type": "record"}"#).unwrap_err().to_string();
    assert!(refused.contains("`avro schema`"), "{refused}");
}

#[test]
fn microseconds_are_read_where_the_type_says_so() {
    #[derive(Clone, Debug, serde::Deserialize)]
    struct Micros {
        #[serde(deserialize_with = "EventTime::from_micros")]
        at: EventTime,
    }
    impl Event for Micros {
        type Key = u64;
        fn time(&self) -> EventTime {
            self.at
        }
        fn key(&self) -> u64 {
            0
        }
    }
    let text = r#"{"type": "record", "name": "M", "fields": [
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}}]}"#;
    let bytes =
        datum(&text.parse().unwrap(), &std::collections::BTreeMap::from([("at", 1_767_225_600_000_999_i64)]));
    let decoder = Avro::<Micros>::with_schema(text).unwrap();
    assert_eq!(decode(&decoder, &bytes).unwrap().at, EventTime(1_767_225_600_000));
}

#[test]
fn avro_keeps_the_contract() {
    let good = datum(&READING.parse().unwrap(), &written());
    // A list that says it has a thousand million items.
    let bad = [&b"\x04d1"[..], b"\x80\xa8\xd6\xb9\x07", &[2; 40]].concat();
    decoder_compliance::<Reading>(&Avro::with_schema(READING).unwrap(), &[&good], &[b"", &bad]);
}
