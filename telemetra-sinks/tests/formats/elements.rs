//! Files that are one JSON array.

use std::fs;
use std::io::Write;
use std::time::Duration;

use proptest::prelude::*;
use telemetra_core::testkit::source_compliance;
use telemetra_core::{Polled, RecordBatch, SerdeJson};
use telemetra_sinks::Lines;

use crate::support::{Reading, events, open, read, reading};

fn file(content: &[u8]) -> (tempfile::TempDir, Lines) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.json");
    fs::write(&path, content).unwrap();
    (folder, Lines::file(&path).json_array())
}

fn elements(content: &str) -> Vec<String> {
    let (_folder, mut source) = file(content.as_bytes());
    read(&mut *open(&mut source, None)).0.into_iter().map(|(text, ..)| text).collect()
}

#[test]
fn each_element_is_a_record() {
    let content = "\u{feff} [\n{\"a\": \"]}\\\"\"}, [1,[2]],3 ,\"x,\\\\\",null\t,{},-1e5\n]\r\n";
    let expected = ["{\"a\": \"]}\\\"\"}", "[1,[2]]", "3", "\"x,\\\\\"", "null", "{}", "-1e5"];
    assert_eq!(elements(content), expected);
    for empty in ["[]", " [ ] ", ""] {
        assert_eq!(elements(empty), <[&str; 0]>::default());
    }
}

#[test]
fn an_element_over_several_lines_is_an_event_and_a_bad_one_is_none() {
    let content = br#"[
      {"device": "d1",
       "time": 1, "celsius": null, "place": {"site": 4}},
      {"device": "d2", "time": 2}, {"device": 3}, }
    ]"#;
    let (_folder, mut source) = file(content);
    let (readings, errors) = events::<Reading>(&mut source, &SerdeJson::new(), None);
    assert_eq!(readings, [reading("d1", 1, None, 4), reading("d2", 2, None, 0)]);
    assert_eq!(errors.len(), 2, "{errors:?}");
}

#[test]
fn what_is_no_array_is_said_after_the_records_before() {
    for (content, given, expected) in [
        ("{\"a\": 1}\n{\"a\": 2}", 0, "does not begin with `[` at byte 0"),
        ("[1, 2] [3]", 2, "something stands behind its end at byte 7"),
        ("[1, {\"a\": 2}", 2, "has no end"),
        ("[1, {\"a\": ", 2, "has no end"),
    ] {
        let (_folder, mut source) = file(content.as_bytes());
        let (mut partition, mut batch) = (open(&mut source, None), RecordBatch::default());
        let error = loop {
            match partition.poll(&mut batch) {
                Ok(polled) => assert_ne!(polled, Polled::Done, "{content}"),
                Err(error) => break error,
            }
        };
        let text = format!("{error}: {}", std::error::Error::source(&error).unwrap());
        assert!(text.contains(expected) && text.contains("a.json"), "{text}");
        assert_eq!(error.retry(), telemetra_core::Retry::Permanent);
        assert_eq!(batch.records().len(), given, "{content}");
    }
}

#[test]
fn an_array_larger_than_memory_allows_for_is_streamed() {
    let long = "y".repeat(RecordBatch::MAX_RECORD_BYTES);
    let (folder, mut source) = file(format!("[1,\"{long}\",2]").as_bytes());
    let (records, resumes) = read(&mut *open(&mut source, None));
    let lengths: Vec<_> = records.iter().map(|(text, _, oversize)| (text.len(), *oversize)).collect();
    let length = RecordBatch::MAX_RECORD_BYTES as u64 + 2;
    assert_eq!(lengths, [(1, None), (RecordBatch::OVERSIZE_PREFIX, Some(length)), (1, None)]);
    // Elements come before the end has been seen.
    assert_eq!(resumes[0].0, 1);
    drop(folder);
}

#[test]
fn an_array_that_grows_is_followed() {
    let (folder, source) = file(b"[1,2");
    let mut source = source.follow(Duration::from_millis(1));
    let mut partition = open(&mut source, None);
    let mut texts = |expected: usize| {
        let (mut batch, mut texts) = (RecordBatch::default(), Vec::new());
        while !matches!(partition.poll(&mut batch).unwrap(), Polled::Idle(_)) || texts.len() < expected {
            texts = batch.records().iter().map(|place| batch.bytes_of(place).to_vec()).collect();
            if texts.len() == expected {
                break;
            }
        }
        texts
    };
    // Whether the 2 is a whole number is not known yet.
    assert_eq!(texts(1), [b"1"]);
    let mut file = fs::OpenOptions::new().append(true).open(folder.path().join("a.json")).unwrap();
    file.write_all(b"3, {}").unwrap();
    assert_eq!(texts(2), [&b"23"[..], b"{}"]);
}

#[test]
fn an_array_keeps_the_contract_of_sources() {
    let content: Vec<_> =
        (0..5000).map(|n| format!("{{\"n\": [{n}, \"{}\"]}}", "]".repeat(n % 40))).collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.json");
    fs::write(&path, format!("[{}]", content.join(", "))).unwrap();
    source_compliance(|| Box::new(Lines::file(&path).json_array()));
}

fn value() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::Value;
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a\\\\\"\\]}\\[{,\n é]{0,5}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[a\"{\\]]{0,3}", inner, 0..4)
                .prop_map(|map| Value::from(map.into_iter().collect::<serde_json::Map<_, _>>())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// The records of any array, as serde_json writes it, are its elements, from any of them on.
    #[test]
    fn any_array_gives_its_elements(
        values in proptest::collection::vec(value(), 0..8),
        pretty in any::<bool>(),
    ) {
        let array = serde_json::Value::from(values.clone());
        let text = if pretty { serde_json::to_string_pretty(&array) } else { serde_json::to_string(&array) };
        let (_folder, mut source) = file(text.unwrap().as_bytes());
        let parse = |records: &[(String, u64, Option<u64>)]| -> Vec<serde_json::Value> {
            records.iter().map(|(text, ..)| serde_json::from_str(text).unwrap()).collect()
        };
        let (all, _) = read(&mut *open(&mut source, None));
        prop_assert_eq!(parse(&all), values.clone());
        for (n, (_, offset, _)) in all.iter().enumerate() {
            let (rest, _) = read(&mut *open(&mut source, Some(*offset)));
            prop_assert_eq!(parse(&rest), values[n..].to_vec());
        }
    }
}
