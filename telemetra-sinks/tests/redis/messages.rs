//! Messages are the changes, in order, each once.

use redis::Commands;
use serde_json::{Value, json};

use super::services::{Kind, shared};
use super::*;

/// A message in brief: kind, time in pane lengths since the first batch, revision, and the row.
fn brief(message: &Value) -> (String, u64, u64, String) {
    let time = (message["time"].as_u64().unwrap() - tick(0, &[]).time.0) / 10_000;
    let row = &message["row"];
    let which = match message["type"].as_str().unwrap() {
        "metrics" => row["readings"].to_string(),
        "moment" => format!("{} {}", row["started_at"], row["ended_at"]),
        other => panic!("a message of type {other}"),
    };
    assert_eq!(message["revision"], row["revision"]);
    assert_eq!(message["device"], row["device"]);
    (message["kind"].as_str().unwrap().to_owned(), time, message["revision"].as_u64().unwrap(), which)
}

#[test]
fn every_change_is_published_once_and_in_order() {
    use Action::{Upsert, Withdraw};
    let place = shared(Kind::Redis);
    let keys = names(&place.name);
    let mut listener = connect(&place.url);
    let mut messages = listener.as_pubsub();
    messages.subscribe(keys.live("d 1")).unwrap();
    let history = [
        common::batch(0, vec![readings("d 1", 0, 1, 0, Upsert), moment("d 1", 0, 1, true, 0, Upsert)]),
        common::batch(1, vec![readings("d 1", 1, 2, 0, Upsert), moment("d 1", 0, 2, true, 1, Upsert)]),
        common::batch(2, vec![readings("d 1", 0, 3, 1, Upsert), moment("d 1", 0, 2, false, 2, Upsert)]),
        common::batch(3, vec![readings("d 1", 1, 2, 1, Withdraw), readings("d 2", 1, 9, 0, Upsert)]),
        common::batch(
            4,
            vec![moment("d 1", 0, 2, false, 3, Withdraw), moment("d 1", 3, 1, false, 0, Upsert)],
        ),
        common::batch(5, vec![moment("d 1", 3, 2, false, 1, Upsert)]),
    ];
    let mut writer = sink(&place.url, &place.name);
    open(&mut writer, None).unwrap();
    writer.apply(&history[..1]).unwrap();
    // Batches at once are published one by one; those that come again are not published again.
    writer.apply(&history[1..4]).unwrap();
    writer.apply(&history[2..4]).unwrap();
    // A restart gives the whole state: it is no news.
    let state = super::model::whole(&history[..4]).unwrap();
    let mut writer = sink(&place.url, &place.name);
    open(&mut writer, Some(state.time)).unwrap();
    writer.apply(&[state]).unwrap();
    writer.apply(&history[4..]).unwrap();
    let mut connection = connect(&place.url);
    let _: () = connection.publish(keys.live("d 1"), "null").unwrap();
    let mut seen = Vec::new();
    loop {
        let text: String = messages.get_message().unwrap().get_payload().unwrap();
        match serde_json::from_str(&text).unwrap() {
            Value::Null => break,
            message => seen.push(brief(&message)),
        }
    }
    let row = |n: u64, windows: u64, open: bool| {
        let start = common::window(n).end.minus(10_000);
        let end = if open { json!(null) } else { json!(start.plus(10_000 * windows).to_string()) };
        format!("{} {end}", json!(start.to_string()))
    };
    let expected = [
        ("published", 0, 0, "1".to_owned()),
        ("opened", 0, 0, row(0, 1, true)),
        ("published", 1, 0, "2".to_owned()),
        ("updated", 1, 1, row(0, 2, true)),
        ("corrected", 2, 1, "3".to_owned()),
        ("closed", 2, 2, row(0, 2, false)),
        ("withdrawn", 3, 1, "2".to_owned()),
        ("withdrawn", 4, 3, row(0, 2, false)),
        ("closed", 4, 0, row(3, 1, false)),
        ("updated", 5, 1, row(3, 2, false)),
    ];
    let expected: Vec<_> =
        expected.map(|(kind, time, revision, row)| (kind.to_owned(), time, revision, row)).into();
    assert_eq!(seen, expected);
}

/// A subscriber writes the name of a subject without braces.
#[test]
fn changes_are_published_on_the_channel_of_the_subject_as_it_is() {
    let place = shared(Kind::Redis);
    let mut listener = connect(&place.url);
    let mut messages = listener.as_pubsub();
    let channel = names(&place.name).live("a}b");
    assert!(channel.ends_with(":a}b"), "{channel}");
    messages.subscribe(&channel).unwrap();
    let mut writer = sink(&place.url, &place.name);
    open(&mut writer, None).unwrap();
    writer.apply(&[common::batch(0, vec![readings("a}b", 0, 6, 0, Action::Upsert)])]).unwrap();
    assert_eq!(messages.get_message().unwrap().get_channel_name(), channel);
}

/// The form that the documentation gives, whole.
#[test]
fn a_message_has_the_columns_of_its_table() {
    let place = shared(Kind::Redis);
    let keys = names(&place.name);
    let mut listener = connect(&place.url);
    let mut messages = listener.as_pubsub();
    messages.psubscribe(keys.live_pattern()).unwrap();
    let mut writer = sink(&place.url, &place.name);
    open(&mut writer, None).unwrap();
    let changes =
        vec![readings("a\"b", 0, 6, 0, Action::Upsert), moment("a\"b", 0, 1, true, 0, Action::Upsert)];
    let batch = common::batch(0, changes);
    writer.apply(std::slice::from_ref(&batch)).unwrap();
    let mut next = || -> String {
        let message = messages.get_message().unwrap();
        assert_eq!(message.get_channel_name(), keys.live("a\"b"));
        message.get_payload().unwrap()
    };
    let window = common::window(0);
    let (time, start, end) = (batch.time.0, window.start, window.end);
    let head = format!(r#""type":"metrics","kind":"published","device":"a\"b","time":{time},"revision":0"#);
    let key = format!(r#""device":"a\"b","window_start":"{start}","window_end":"{end}""#);
    let columns = r#""readings":6,"per_second":0.1,"mean":60,"peak":66,"least":-6,"tags":["a \"tag\""]"#;
    let expected = format!(r#"{{{head},"row":{{{key},{columns},"revision":0}}}}"#);
    assert_eq!(next(), expected, "byte for byte");
    let moment: Value = serde_json::from_str(&next()).unwrap();
    assert_eq!(moment["kind"], "opened");
    let row: String = connect(&place.url).lindex(keys.moments("moments", "a\"b"), 0).unwrap();
    assert_eq!(
        moment["row"],
        serde_json::from_str::<Value>(&row).unwrap(),
        "the list has what was published"
    );
    assert_eq!(moment["row"]["context"], json!({"windows": 1, "duration_ms": 10_000, "side": "above"}));
}
