//! The OpenAPI document says what the service does: its answers and messages are held against it.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::schema::{check, schema};
use crate::server::document::document;
use crate::service::Service;

/// Checks an answer of a path.
pub(crate) fn check_answer(document: &Value, path: &str, answer: &Value) {
    check(document, schema(document, path, 200, "application/json"), answer, path).unwrap();
}

/// Checks what a WebSocket was told.
pub(crate) fn check_message(document: &Value, message: &Value) {
    check(document, &document["components"]["schemas"]["Message"], message, "message").unwrap();
}

fn busy() -> Service {
    let mut service = Service::start();
    service.title("ada", 0, true, "Evening chat");
    service.viewers("ada", 0, 50);
    service.gift("ada", 3, 12_340_000);
    service.raw(b"no event");
    service.raw(b"\xff");
    service.spike("ada");
    service
}

#[test]
fn answers_are_as_documented() {
    let service = busy();
    let document = service.get("/openapi.json").json();
    for (path, request) in [
        ("/streams", "/streams"),
        ("/streams", "/streams?limit=0"),
        ("/streams/{id}", "/streams/ada"),
        ("/streams/{id}", "/streams/nobody"),
        ("/streams/{id}", "/streams/ada?x"),
        ("/streams/{id}/metrics", "/streams/ada/metrics"),
        ("/streams/{id}/metrics", "/streams/ada/metrics?limit=2"),
        ("/streams/{id}/metrics", "/streams/nobody/metrics"),
        ("/streams/{id}/moments", "/streams/ada/moments"),
        ("/streams/{id}/moments", "/streams/nobody/moments"),
        ("/streams/{id}/broadcasts", "/streams/ada/broadcasts?max_chance=1"),
        ("/streams/{id}/broadcasts", "/streams/nobody/broadcasts"),
        ("/streams/{id}/broadcasts", "/streams/ada/broadcasts?max_chance=x"),
        ("/moments", "/moments"),
        ("/moments", "/moments?order=strongest&limit=1"),
        ("/moments", "/moments?order=worst"),
        ("/overview", "/overview"),
        ("/overview", "/overview?minutes=1"),
        ("/ops", "/ops"),
        ("/ops", "/ops?x"),
        ("/ops/dead-letters", "/ops/dead-letters"),
        ("/ops/dead-letters", "/ops/dead-letters?fate=good"),
        ("/live", "/live"),
        ("/live/{id}", "/live/ada?since=then"),
        ("/health", "/health"),
        ("/ready", "/ready"),
        ("/ready", "/ready?now"),
    ] {
        let answer = service.get(request);
        let schema = schema(&document, path, answer.status, &answer.headers["content-type"]);
        check(&document, schema, &answer.json(), request).unwrap();
    }
}

#[test]
fn messages_are_as_documented() {
    let mut service = busy();
    let document = service.get("/openapi.json").json();
    let mut sockets =
        ["/live", "/live/ada", "/live/ada?since=2026-01-01T00:12:00Z"].map(|path| service.socket(path));
    service.chat("ada", 11, 250);
    service.title("ada", 14, false, "Good night");
    service.until(15);
    let mut kinds = BTreeSet::new();
    for socket in &mut sockets {
        let mut ended = false;
        while !ended {
            let told = socket.next().unwrap();
            check_message(&document, &told);
            kinds.insert(format!("{} {}", told["type"], told["kind"]).replace('"', ""));
            ended =
                told["metrics"]["window_end"] == "2026-01-01T00:15:00.000Z" || told["stream_id"] == "clock";
        }
    }
    for kind in ["snapshot null", "overview null", "resumed null", "metrics published", "metrics corrected"] {
        assert!(kinds.contains(kind), "{kind} is missing in {kinds:?}");
    }
    for kind in ["moment withdrawn", "stream null"] {
        assert!(kinds.contains(kind), "{kind} is missing in {kinds:?}");
    }
}

#[test]
fn every_path_is_documented_and_every_documented_path_is_there() {
    let service = Service::start();
    let document = service.get("/openapi.json").json();
    let documented: BTreeSet<_> = document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    let source = include_str!("../../examples/api/server/app.rs");
    let routes: BTreeSet<_> =
        source.split(".route(\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(documented, routes);
    assert_eq!(document["info"]["title"], "Test", "the service's own title");
    let operations = document["paths"].as_object().unwrap().values();
    assert!(!operations.into_iter().any(|item| item["get"].get("parameters").is_some_and(Value::is_null)));
    let problems: BTreeSet<_> =
        document["x-problems"].as_object().unwrap().keys().map(String::as_str).collect();
    let source = concat!(
        include_str!("../../src/http/problem.rs"),
        include_str!("../../examples/api/server/routes/mod.rs")
    );
    for problem in &problems {
        assert!(source.contains(&format!("\"{problem}\"")), "no problem is called `{problem}`");
    }
    let code: String = source.lines().filter(|line| !line.trim().starts_with("//")).collect();
    let kinds = code
        .split('"')
        .filter(|text| text.contains('-') && text.bytes().all(|b| b == b'-' || b.is_ascii_lowercase()));
    for kind in kinds {
        assert!(problems.contains(kind), "`{kind}` is not explained");
    }
}

#[test]
fn what_is_wrong_is_found() {
    let document = document("Test");
    let emote = &document["components"]["schemas"]["Emote"];
    let is_right =
        |text: &str| check(&document, emote, &serde_json::from_str(text).unwrap(), "emote").is_ok();
    assert!(is_right(r#"{"name":"LUL","count":1}"#));
    for text in [
        r#"{"name":"LUL"}"#,
        r#"{"name":"LUL","count":-1}"#,
        r#"{"name":1,"count":1}"#,
        r#"{"name":"a","count":1,"x":1}"#,
    ] {
        assert!(!is_right(text), "{text}");
    }
}
