//! Protocol Buffers.

use prost::Message;
use telemetra_core::testkit::decoder_compliance;
use telemetra_core::{Event, EventTime};
use telemetra_sinks::formats::Protobuf;

use crate::support::{decode, error};

/// A message as `prost-build` makes it of a file.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Measured {
    #[prost(string, tag = "1")]
    pub(crate) device: String,
    #[prost(uint64, tag = "2")]
    pub(crate) millis: u64,
    #[prost(message, optional, tag = "4")]
    pub(crate) place: Option<Site>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Site {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
}

impl Event for Measured {
    type Key = String;
    fn time(&self) -> EventTime {
        EventTime(self.millis)
    }
    fn key(&self) -> &str {
        &self.device
    }
}

pub(crate) fn measured() -> Measured {
    Measured { device: "d1".into(), millis: 5, place: Some(Site { name: "hall".into() }) }
}

/// A record as Confluent's serialiser writes it.
pub(crate) fn framed(id: u32, index: &[u8], message: &impl Message) -> Vec<u8> {
    [&[0], &id.to_be_bytes()[..], index, &message.encode_to_vec()].concat()
}

#[test]
fn a_message_is_read_also_by_an_older_type() {
    #[derive(Clone, PartialEq, Message)]
    struct Newer {
        #[prost(string, tag = "1")]
        device: String,
        #[prost(uint64, tag = "2")]
        millis: u64,
        #[prost(string, repeated, tag = "9")]
        notes: Vec<String>,
    }
    let newer = Newer { device: "d1".into(), millis: 5, notes: vec!["x".into()] };
    let expected = Measured { place: None, ..measured() };
    assert_eq!(decode(&Protobuf::<Measured>::new(), &newer.encode_to_vec()).unwrap(), expected);
}

#[test]
fn an_error_names_message_and_field() {
    // The name of the place is a number.
    let found = error(&Protobuf::<Measured>::new(), b"\x0a\x02d1\x22\x02\x08\x05");
    assert!(found.contains("Measured.place") && found.contains("Site.name"), "{found}");
}

#[test]
fn the_type_stands_before_the_message_in_confluents_format() {
    let first = Protobuf::<Measured>::confluent();
    // Its short form, and its long one.
    for index in [&b"\0"[..], b"\x02\x00"] {
        assert_eq!(decode(&first, &framed(7, index, &measured())).unwrap(), measured());
    }
    let other = Protobuf::<Measured>::confluent_message([2, 0]);
    assert_eq!(decode(&other, &framed(7, b"\x04\x04\x00", &measured())).unwrap(), measured());
    let found = error(&first, &framed(7, b"\x04\x04\x00", &measured()));
    assert_eq!(found, "the record is the message [2, 0] of its schema's file, not [0] (schema 7)");
    let found = error(&first, &measured().encode_to_vec());
    assert!(found.contains("without a schema registry"), "{found}");
    assert!(error(&first, b"\0\0\0\0\x07\x03").contains("cannot be read (schema 7)"));
    assert!(error(&first, b"\0\0\0").contains("ends within the id"));
    assert!(error(&first, b"\0\0\0\0\x07\0\x0a\x05d1").contains("(schema 7)"));
}

#[test]
fn protobuf_keeps_the_contract() {
    decoder_compliance::<Measured>(&Protobuf::new(), &[&measured().encode_to_vec(), b""], &[b"\xff"]);
    let good = framed(7, b"\x04\x04\x00", &measured());
    let endless = b"\0\0\0\0\x07\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01";
    decoder_compliance::<Measured>(&Protobuf::confluent_message([2, 0]), &[&good], &[b"", b"\0", endless]);
}
