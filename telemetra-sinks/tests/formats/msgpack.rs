//! MessagePack.

use telemetra_core::testkit::decoder_compliance;
use telemetra_sinks::formats::MsgPack;

use crate::support::{Reading, decode, error, reading};

#[test]
fn maps_and_arrays_are_read_and_times_as_numbers_or_text() {
    let decoder = MsgPack::<Reading>::new();
    let expected = reading("d1", 1_767_225_600_000, Some(20.5), 4);
    assert_eq!(decode(&decoder, &rmp_serde::to_vec_named(&expected).unwrap()).unwrap(), expected);
    assert_eq!(decode(&decoder, &rmp_serde::to_vec(&expected).unwrap()).unwrap(), expected);
    let other = serde_json::json!({
        "what else": [1, {"x": null}], "celsius": 20.5, "time": "2026-01-01T00:00:00Z", "device": "d1",
        "place": {"site": 4}
    });
    assert_eq!(decode(&decoder, &rmp_serde::to_vec(&other).unwrap()).unwrap(), expected);
}

#[test]
fn an_error_names_the_field() {
    let decoder = MsgPack::<Reading>::new();
    let pack = |value: serde_json::Value| rmp_serde::to_vec(&value).unwrap();
    let bad = serde_json::json!({"device": "d1", "time": 1, "celsius": 1.5, "place": {"site": "here"}});
    let found = error(&decoder, &pack(bad));
    assert!(found.starts_with("`place.site`: "), "{found}");
    let found = error(&decoder, &pack(serde_json::json!({"device": "d1"})));
    assert!(found.contains("missing field `time`"), "{found}");
    let mut two = pack(serde_json::json!({"device": "d1", "time": 1, "celsius": null}));
    let length = two.len();
    two.push(1);
    assert_eq!(error(&decoder, &two), format!("there are bytes behind the value (at byte {length})"));
}

#[test]
fn msgpack_keeps_the_contract() {
    let good = rmp_serde::to_vec_named(&reading("d1", 1, Some(20.5), 4)).unwrap();
    // An array that says it has four thousand million items.
    decoder_compliance::<Reading>(&MsgPack::new(), &[&good], &[b"", b"\xdd\xff\xff\xff\xff", b"{}"]);
}
