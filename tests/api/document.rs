//! The OpenAPI document says what the service does: its answers and messages are held against it.

use std::collections::BTreeSet;

use serde_json::Value;
use telemetra::core::parse_timestamp;

use crate::service::Service;

/// Checks a value against a schema, as far as the document's schemas go. A keyword that is not known here is an error.
fn check(document: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    let wrong = |what: &str| Err(format!("{at}: {value} {what}"));
    let number = |limit: &Value| limit.as_f64().unwrap();
    for (keyword, said) in schema.as_object().unwrap() {
        match keyword.as_str() {
            "description" | "pattern" | "discriminator" | "required" => {}
            "$ref" => {
                let target = document.pointer(said.as_str().unwrap().trim_start_matches('#')).unwrap();
                check(document, target, value, at)?;
            }
            "type" => {
                let is = |kind: &Value| match kind.as_str().unwrap() {
                    "object" => value.is_object(),
                    "array" => value.is_array(),
                    "string" => value.is_string(),
                    "boolean" => value.is_boolean(),
                    "integer" => value.is_u64() || value.is_i64(),
                    "number" => value.is_number(),
                    "null" => value.is_null(),
                    other => panic!("{at}: type {other}"),
                };
                if !said.as_array().map_or_else(|| is(said), |kinds| kinds.iter().any(is)) {
                    return wrong(&format!("is not {said}"));
                }
            }
            "format" if value.is_string() => {
                assert_eq!(said, "date-time");
                if parse_timestamp(value.as_str().unwrap().as_bytes()).is_err() {
                    return wrong("is no time");
                }
            }
            "const" if said != value => return wrong(&format!("is not {said}")),
            "enum" if !said.as_array().unwrap().contains(value) => {
                return wrong(&format!("is not one of {said}"));
            }
            "minimum" if value.as_f64().is_some_and(|value| value < number(said)) => {
                return wrong("is too small");
            }
            "maximum" if value.as_f64().is_some_and(|value| value > number(said)) => {
                return wrong("is too large");
            }
            "maxItems" if value.as_array().unwrap().len() > number(said) as usize => {
                return wrong("is too long");
            }
            "format" | "const" | "enum" | "minimum" | "maximum" | "maxItems" => {}
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(document, said, item, &format!("{at}[{index}]"))?;
                }
            }
            "oneOf" => {
                let fits = |one: &&Value| check(document, one, value, at).is_ok();
                if said.as_array().unwrap().iter().filter(fits).count() != 1 {
                    return wrong("is not exactly one of those it may be");
                }
            }
            "properties" => {
                for field in schema["required"].as_array().unwrap() {
                    if value.get(field.as_str().unwrap()).is_none() {
                        return wrong(&format!("has no {field}"));
                    }
                }
                for (name, of) in said.as_object().unwrap() {
                    if let Some(value) = value.get(name) {
                        check(document, of, value, &format!("{at}.{name}"))?;
                    }
                }
            }
            "additionalProperties" => {
                let empty = serde_json::Map::new();
                let known = schema.get("properties").and_then(Value::as_object).unwrap_or(&empty);
                let Some(fields) = value.as_object() else { continue };
                for (name, value) in fields.iter().filter(|(name, _)| !known.contains_key(*name)) {
                    if *said == false {
                        return wrong(&format!("has the field {name}, of which nothing is said"));
                    }
                    check(document, said, value, &format!("{at}.{name}"))?;
                }
            }
            other => panic!("{at}: this test does not know `{other}`"),
        }
    }
    Ok(())
}

/// Checks an answer of a path.
pub(crate) fn check_answer(document: &Value, path: &str, answer: &Value) {
    check(document, schema(document, path, 200, "application/json"), answer, path).unwrap();
}

/// Checks what a WebSocket was told.
pub(crate) fn check_message(document: &Value, message: &Value) {
    check(document, &document["components"]["schemas"]["Message"], message, "message").unwrap();
}

/// Where the document has the schema of an answer.
fn schema<'a>(document: &'a Value, path: &str, status: u16, kind: &str) -> &'a Value {
    let mut response = &document["paths"][path]["get"]["responses"][status.to_string()];
    if let Some(target) = response["$ref"].as_str() {
        response = document.pointer(target.trim_start_matches('#')).unwrap();
    }
    let schema = &response["content"][kind]["schema"];
    assert!(schema.is_object(), "the document does not say that {path} may answer {status} as {kind}");
    schema
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
    let problems: BTreeSet<_> =
        document["x-problems"].as_object().unwrap().keys().map(String::as_str).collect();
    let source = include_str!("../../examples/api/server/problem.rs");
    for problem in &problems {
        assert!(source.contains(&format!("\"{problem}\"")), "no problem is called `{problem}`");
    }
    let kinds = source
        .split('"')
        .filter(|text| text.contains('-') && text.bytes().all(|b| b == b'-' || b.is_ascii_lowercase()));
    for kind in kinds.filter(|kind| *kind != "x-request-id") {
        assert!(problems.contains(kind), "`{kind}` is not explained");
    }
}

#[test]
fn what_is_wrong_is_found() {
    let document: Value = serde_json::from_str(include_str!("../../examples/api/openapi.json")).unwrap();
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
