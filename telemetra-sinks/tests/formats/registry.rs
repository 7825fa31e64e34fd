//! Schemas from a registry: a real one, which is away, comes back, refuses and hangs.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;
use telemetra_core::testkit::decoder_compliance;
use telemetra_core::{Decoder, ExternalError, Preparation, Prepared, RecordBatch, Retry};
use telemetra_sinks::SchemaRegistry;
use telemetra_sinks::formats::{Avro, Protobuf};

use crate::avro::{READING, Site, Written, datum, written};
use crate::protobuf::{Measured, framed, measured};
use crate::services::{Kind, Server, shared};
use crate::support::{Reading, decode, error, reading};

/// A time that is longer than anything here takes.
const LONG: Duration = Duration::from_secs(60);

/// Registers a schema, and returns its id.
fn register(url: &str, subject: &str, body: &serde_json::Value) -> u32 {
    let mut answer = ureq::post(format!("{url}/subjects/{subject}/versions"))
        .header("content-type", "application/vnd.schemaregistry.v1+json")
        .send(body.to_string())
        .unwrap();
    let text = answer.body_mut().read_to_string().unwrap();
    let answer: serde_json::Value = serde_json::from_str(&text).unwrap();
    u32::try_from(answer["id"].as_u64().unwrap()).unwrap()
}

fn record(id: u32, schema: &serde_avro_fast::Schema, value: &impl Serialize) -> Vec<u8> {
    [&[0], &id.to_be_bytes()[..], &datum(schema, value)].concat()
}

fn batch(records: &[&[u8]]) -> RecordBatch {
    let mut batch = RecordBatch::default();
    (0..).zip(records).for_each(|(offset, record)| batch.push(record, offset));
    batch
}

/// Asks until everything is there, or there is an error.
fn prepare(registry: &SchemaRegistry, records: &[&[u8]]) -> Result<(), ExternalError> {
    let (batch, begin) = (batch(records), Instant::now());
    while let Prepared::Pending(pause) = registry.prepare(&batch, "topic")? {
        assert!(begin.elapsed() < LONG, "nothing has come");
        std::thread::sleep(pause);
    }
    Ok(())
}

/// The error, with its cause.
fn text(error: &ExternalError) -> String {
    let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    format!("{error}: {cause}")
}

#[test]
fn writers_schemas_are_fetched_with_what_they_refer_to() {
    let url = shared(Kind::Registry).url;
    let old = READING
        .replace(r#"{"name": "what_else", "type": {"type": "array", "items": "int"}, "default": []},"#, "");
    let first = register(&url, "readings-value", &serde_json::json!({"schema": old}));
    let second = register(&url, "readings-value", &serde_json::json!({"schema": READING}));
    // Two levels: the room of a place of a reading.
    let place = r#"{"type": "record", "name": "Place", "namespace": "plant", "fields": [{"name": "site", "type": "plant.Site"}]}"#;
    let site = r#"{"type": "record", "name": "Site", "namespace": "plant", "fields": [{"name": "number", "type": "int"}]}"#;
    let main = r#"{"type": "record", "name": "Reading", "namespace": "plant", "fields": [{"name": "place", "type": "plant.Place"}]}"#;
    register(&url, "the%20site", &serde_json::json!({"schema": site}));
    let refer =
        |name: &str, subject: &str| serde_json::json!([{"name": name, "subject": subject, "version": 1}]);
    register(
        &url,
        "place",
        &serde_json::json!({"schema": place, "references": refer("plant.Site", "the site")}),
    );
    let third = register(
        &url,
        "main",
        &serde_json::json!({"schema": main, "references": refer("plant.Place", "place")}),
    );

    let registry = SchemaRegistry::new(&url).unwrap();
    let decoder = Avro::<Reading>::from_registry(registry.clone());
    #[derive(Serialize)]
    struct Old {
        device: &'static str,
        time: i64,
        celsius: Option<f64>,
        place: Site,
    }
    let old = record(
        first,
        &old.parse().unwrap(),
        &Old { device: "d0", time: 1, celsius: None, place: Site { site: 2 } },
    );
    let new = record(second, &READING.parse().unwrap(), &written());
    // Nobody has asked for the schema.
    assert!(error(&decoder, &old).contains(&format!(
        "was not fetched: prepare batches before they are decoded, as a pipeline does (schema {first})"
    )));
    prepare(&registry, &[&old, &new, &old]).unwrap();
    assert_eq!(decode(&decoder, &old).unwrap(), reading("d0", 1, None, 2));
    assert_eq!(decode(&decoder, &new).unwrap(), reading("d1", 5, Some(20.5), 4));
    decoder_compliance::<Reading>(&decoder, &[&new, &old], &[b"", b"\0\0", &old[1..]]);
    let negative =
        record(second, &READING.parse().unwrap(), &Written { place: Site { site: -1 }, ..written() });
    let found = error(&decoder, &negative);
    assert!(found.starts_with("`place.site`: ") && found.ends_with(&format!("(schema {second})")), "{found}");

    let schema = serde_avro_fast::Schema::from_schemata(main, [site, place]).unwrap();
    let nested = BTreeMap::from([("place", BTreeMap::from([("site", BTreeMap::from([("number", 4)]))]))]);
    let nested = record(third, &schema, &nested);
    prepare(&registry, &[&nested]).unwrap();
    #[derive(Clone, Debug, serde::Deserialize)]
    struct Nested {
        place: BTreeMap<String, BTreeMap<String, u32>>,
    }
    impl telemetra_core::Event for Nested {
        type Key = u64;
        fn time(&self) -> telemetra_core::EventTime {
            telemetra_core::EventTime(0)
        }
        fn key(&self) -> u64 {
            0
        }
    }
    let decoded = decode(&Avro::<Nested>::from_registry(registry), &nested).unwrap();
    assert_eq!(decoded.place["site"]["number"], 4);
}

#[test]
fn what_the_registry_does_not_have_or_is_no_avro_is_malformed() {
    let url = shared(Kind::Registry).url;
    let proto =
        "syntax = \"proto3\"; message Site { string name = 1; } message Measured { string device = 1; }";
    let body = serde_json::json!({"schemaType": "PROTOBUF", "schema": proto});
    let id = register(&url, "measured-value", &body);
    let registry = SchemaRegistry::new(&url).unwrap();
    let decoder = Avro::<Reading>::from_registry(registry.clone());
    let (unknown, other) = (b"\0\0\0\x03\xe7abc", framed(id, b"\x02\x02", &measured()));
    prepare(&registry, &[unknown, &other, b"no id"]).unwrap();
    assert_eq!(error(&decoder, unknown), "the registry has no such schema (schema 999)");
    let found = error(&decoder, &other);
    assert_eq!(found, format!("the registered schema is of PROTOBUF, not of Avro (schema {id})"));
    // As which it is read, without the registry.
    let second = Protobuf::<Measured>::confluent_message([1]);
    assert_eq!(decode(&second, &other).unwrap(), measured());
}

#[test]
fn partitions_that_wait_for_a_schema_do_not_ask_for_it_all_at_once() {
    let missing = r#"{"error_code": 40403, "message": "Schema not found"}"#;
    let (url, asked, _) = answering(http("404 Not Found", missing));
    let registry = SchemaRegistry::new(&url).unwrap();
    let (batch, begin) = (batch(&[b"\0\0\0\0\x07"]), Instant::now());
    while registry.prepare(&batch, "").unwrap() != Prepared::Ready {
        assert!(begin.elapsed() < LONG, "nothing has come");
    }
    // As documented, the last request is made half a second after the first.
    assert!(begin.elapsed() >= Duration::from_millis(500), "{:?}", begin.elapsed());
    assert_eq!(asked.load(Ordering::Acquire), 3);
}

#[test]
fn a_schema_that_comes_late_is_asked_for_again() {
    let server = Server::of(Kind::Registry).start();
    let registry = SchemaRegistry::new(&server.url()).unwrap();
    let hasty = SchemaRegistry::new(&server.url()).unwrap().missing_ttl(Duration::ZERO);
    let record = record(1, &READING.parse().unwrap(), &written());
    let [decoder, again] = [&registry, &hasty].map(|client| Avro::<Reading>::from_registry(client.clone()));
    for (client, decoder) in [(&registry, &decoder), (&hasty, &again)] {
        prepare(client, &[&record]).unwrap_or_else(|error| panic!("{}", text(&error)));
        assert_eq!(error(decoder, &record), "the registry has no such schema (schema 1)");
    }
    assert_eq!(register(&server.url(), "readings-value", &serde_json::json!({"schema": READING})), 1);
    // By default the answer holds for a minute.
    assert_eq!(registry.prepare(&batch(&[&record]), "").unwrap(), Prepared::Ready);
    assert_eq!(error(&decoder, &record), "the registry has no such schema (schema 1)");
    // No record waits for it.
    let begin = Instant::now();
    while decode(&again, &record).is_err() {
        assert_eq!(hasty.prepare(&batch(&[&record]), "").unwrap(), Prepared::Ready);
        assert!(begin.elapsed() < LONG, "it is not asked for again");
    }
    assert_eq!(decode(&again, &record).unwrap(), reading("d1", 5, Some(20.5), 4));
}

#[test]
fn a_pipeline_that_is_started_again_asks_again_after_a_permanent_error() {
    let body = serde_json::json!({"schema": READING}).to_string();
    let (url, ..) = answering_in_turn(vec![http("401 Unauthorized", ""), http("200 OK", &body)]);
    let registry = SchemaRegistry::new(&url).unwrap();
    let record = record(7, &READING.parse().unwrap(), &written());
    assert_eq!(prepare(&registry, &[&record]).unwrap_err().retry(), Retry::Permanent);
    prepare(&registry, &[&record]).unwrap();
    let decoder = Avro::<Reading>::from_registry(registry);
    assert_eq!(decode(&decoder, &record).unwrap(), reading("d1", 5, Some(20.5), 4));
}

#[test]
fn a_registry_that_is_away_is_a_transient_error_until_it_is_back() {
    let mut server = Server::of(Kind::Registry).start();
    let id = register(&server.url(), "readings-value", &serde_json::json!({"schema": READING}));
    let record = record(id, &READING.parse().unwrap(), &written());
    let registry = SchemaRegistry::new(&server.url()).unwrap().timeout(Duration::from_millis(500));
    server.stop();
    for _ in 0..2 {
        let error = prepare(&registry, &[&record]).unwrap_err();
        assert_eq!(error.retry(), Retry::Transient);
        assert!(text(&error).contains(&server.url()), "{}", text(&error));
    }
    server.start_again();
    // It hangs: the connection is taken, and nothing is said.
    server.freeze();
    let error = prepare(&registry, &[&record]).unwrap_err();
    assert_eq!(error.retry(), Retry::Transient, "{}", text(&error));
    server.thaw();
    let begin = Instant::now();
    while let Err(error) = prepare(&registry, &[&record]) {
        assert!(error.retry() == Retry::Transient && begin.elapsed() < LONG, "{}", text(&error));
    }
    let decoder = Avro::<Reading>::from_registry(registry.clone());
    assert_eq!(decode(&decoder, &record).unwrap(), reading("d1", 5, Some(20.5), 4));
    // What is known is not asked for again.
    server.stop();
    assert_eq!(registry.prepare(&batch(&[&record]), "").unwrap(), Prepared::Ready);
}

#[test]
fn a_registry_by_tls_is_checked_by_its_authority() {
    let server = Server::of(Kind::Registry).tls().start();
    let registry = SchemaRegistry::new(&server.url()).unwrap();
    let record = b"\0\0\0\0\x07";
    let error = prepare(&registry, &[record]).unwrap_err();
    assert!(text(&error).contains("UnknownIssuer"), "{}", text(&error));
    assert_eq!(error.retry(), Retry::Permanent, "it does not become trusted by asking again");
    let trusted = registry.authority(server.authority());
    prepare(&trusted, &[record]).unwrap();
    let decoder = Avro::<Reading>::from_registry(trusted);
    assert_eq!(crate::support::error(&decoder, record), "the registry has no such schema (schema 7)");
}

#[test]
fn an_address_that_is_none_is_permanent() {
    for url in ["http://no host", "https://no host"] {
        let error = prepare(&SchemaRegistry::new(url).unwrap(), &[b"\0\0\0\0\x07"]).unwrap_err();
        assert_eq!(error.retry(), Retry::Permanent, "{}", text(&error));
        assert!(text(&error).contains(url), "{}", text(&error));
    }
}

/// A server that gives the same answer to each request.
fn answering(answer: impl Into<String>) -> (String, Arc<AtomicUsize>, std::sync::mpsc::Receiver<String>) {
    answering_in_turn(vec![answer.into()])
}

/// A server that gives these answers in turn, and then always the last. Returns its URL, the number of requests, and the
/// requests.
fn answering_in_turn(answers: Vec<String>) -> (String, Arc<AtomicUsize>, std::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let (sender, requests) = std::sync::mpsc::channel();
    let counted = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                request.push(byte[0]);
            }
            let number = counted.fetch_add(1, Ordering::AcqRel);
            let _ = sender.send(String::from_utf8(request).unwrap());
            stream.write_all(answers[number.min(answers.len() - 1)].as_bytes()).unwrap();
        }
    });
    (url, asked, requests)
}

fn http(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

#[test]
fn an_answer_says_whether_to_try_again() {
    for (answer, retry, expected) in [
        (http("503 Busy", ""), Retry::Transient, "it answered 503"),
        (http("429 Too Many Requests", ""), Retry::Transient, "it answered 429"),
        (
            http("500 Error", r#"{"error_code": 50001, "message": "Error in the backend data store"}"#),
            Retry::Transient,
            "it answered 500, Error in the backend data store",
        ),
        (http("401 Unauthorized", ""), Retry::Permanent, "it answered 401"),
        (http("404 Not Found", "<html>"), Retry::Permanent, "there is no schema registry at this address"),
        (http("200 OK", "<html>"), Retry::Permanent, "its answer is not that of a schema registry"),
        (String::new(), Retry::Transient, "could not fetch"),
    ] {
        let (url, _, _) = answering(answer);
        let error = prepare(&SchemaRegistry::new(&url).unwrap(), &[b"\0\0\0\0\x07"]).unwrap_err();
        assert_eq!(error.retry(), retry, "{}", text(&error));
        assert!(text(&error).contains(expected), "{}", text(&error));
    }
}

#[test]
fn a_schema_is_fetched_once_for_all_and_by_who_says_who_he_is() {
    let body = serde_json::json!({"schema": READING}).to_string();
    let (url, asked, requests) = answering(http("200 OK", &body));
    let registry = SchemaRegistry::new(&format!("{url}/v7/")).unwrap().basic_auth("me", "secret");
    assert!(!format!("{registry:?}").contains("secret"));
    let record = record(7, &READING.parse().unwrap(), &written());
    let decoders = [(); 2].map(|()| Avro::<Reading>::from_registry(registry.clone()));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| prepare(&registry, &[&record, &record]).unwrap());
        }
    });
    for decoder in &decoders {
        assert!(decoder.preparation().is_some());
        assert_eq!(decode(decoder, &record).unwrap(), reading("d1", 5, Some(20.5), 4));
    }
    assert_eq!(asked.load(Ordering::Acquire), 1);
    let request = requests.recv().unwrap();
    assert!(request.starts_with("GET /v7/schemas/ids/7 HTTP/1.1\r\n"), "{request}");
    assert!(request.to_lowercase().contains("authorization: basic bwu6c2vjcmv0"), "{request}");
}

#[test]
fn an_address_that_cannot_be_one_is_refused() {
    for url in ["registry:8081", "ftp://registry", "http://", "http://:8081", "https://me:secret@registry"] {
        let error = SchemaRegistry::new(url).unwrap_err().to_string();
        assert!(error.contains("`schema registry`") && !error.contains("secret"), "{error}");
    }
}
