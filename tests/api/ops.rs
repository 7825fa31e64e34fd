//! The operator's view: the parts, the dead letters, and the log without its secrets.

use serde_json::{Value, json};
use tracing_subscriber::layer::SubscriberExt as _;

use crate::client::{Answer, request};
use crate::server::app::Options;
use crate::server::log_tail::LogTail;
use crate::service::{Feeder, Service, wait};
use telemetra::http::Token;

/// Some events, and five records that are none: one of them no text, and one larger than is shown.
pub(crate) fn bad_input(feeder: &mut Feeder) {
    feeder.chat("ada", 0, 20);
    feeder.raw(b"{\"what\": \"is this\"}");
    feeder.raw(b"not json at all");
    feeder.raw(b"\xff\xfe\x00binary");
    feeder.raw("\u{e9}".repeat(3_000).as_bytes());
    feeder.chat("ada", 1, 20);
    feeder.raw(b"the last one");
}

fn letters(answer: &Answer) -> Vec<Value> {
    answer.json()["letters"].as_array().unwrap().clone()
}

#[test]
fn the_parts_are_told_as_the_pipeline_says() {
    let mut service = Service::start();
    bad_input(&mut service.feeder);
    service.until(2);
    let ops = service.get("/ops").json();
    assert_eq!((&ops["pipeline"], &ops["failure"]), (&json!("here"), &Value::Null));
    assert_eq!(ops["durable"], "2026-01-01T00:02:00.000Z");
    assert_eq!((&ops["fates"]["malformed"], &ops["fates"]["on_time"]), (&json!(5), &json!(41)));
    let partition = &ops["partitions"][0];
    assert_eq!((&partition["name"], &partition["read"]), (&json!("test"), &json!(46)));
    assert_eq!((&partition["ended"], &partition["error"]), (&json!(false), &Value::Null));
    let names: Vec<_> =
        ops["sinks"].as_array().unwrap().iter().map(|sink| sink["name"].as_str().unwrap()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    for sink in ops["sinks"].as_array().unwrap() {
        assert_eq!((&sink["queued"], &sink["error"]), (&json!(0), &Value::Null), "{sink}");
        assert!(sink["changes"].as_u64().unwrap() > 0, "{sink}");
    }
    assert_eq!(ops["checkpoints"], Value::Null, "this pipeline takes none");
    assert!(ops["state_bytes"].as_u64().unwrap() > 0);
    let operators = ops["operators"].as_array().unwrap();
    let busy = |operator: &Value| operator["busy_seconds"].as_f64().unwrap();
    assert!(operators.iter().map(busy).is_sorted_by(|a, b| a >= b), "the busiest first: {operators:?}");
    wait(|| {
        let ops = service.get("/ops").json();
        ops["operators"].as_array().unwrap().iter().any(|operator| operator["name"] == "Ingest")
    });
    assert_eq!(service.get("/ops?all").status, 400);
}

#[test]
fn letters_are_paged_filtered_and_searched() {
    let mut service = Service::start();
    bad_input(&mut service.feeder);
    service.until(2);
    let ask = |query: &str| service.get(&format!("/ops/dead-letters?{query}"));
    let all = letters(&ask(""));
    assert_eq!(all.len(), 5);
    assert!(
        all.iter().all(|letter| letter["fate"] == "malformed" && letter["partition"] == "test"),
        "{all:?}"
    );
    assert_eq!(
        (&all[0]["text"], &all[0]["size"], &all[0]["hex"]),
        (&json!("the last one"), &json!(12), &Value::Null)
    );
    assert_eq!(all[1]["size"], 6_000);
    let text = all[1]["text"].as_str().unwrap();
    assert!(text.len() <= 4_096 && text.chars().all(|c| c == '\u{e9}'), "cut between two characters");
    assert_eq!(all[2]["hex"], "fffe0062696e617279");

    let (mut seen, mut query) = (Vec::new(), "limit=2".to_owned());
    loop {
        let page = ask(&query);
        seen.extend(letters(&page));
        let Some(cursor) = page.json()["next_cursor"].as_str().map(str::to_owned) else { break };
        query = format!("limit=2&cursor={cursor}");
    }
    assert_eq!(seen, all);
    assert_eq!(letters(&ask("search=json+at")), [all[3].clone()]);
    let reason = all[0]["reason"].as_str().unwrap();
    assert!(!reason.is_empty());
    let word = reason.split(' ').next().unwrap();
    assert!(letters(&ask(&format!("search={word}"))).contains(&all[0]), "in the reason");
    assert_eq!(letters(&ask("search=nothing+like+it")), Vec::<Value>::new());
    assert_eq!(letters(&ask("fate=duplicate")), Vec::<Value>::new());
    assert_eq!(letters(&ask("fate=malformed")), all);
    for wrong in
        ["fate=good", "limit=0", "cursor=x", "cursor=1-2", "cursor=-1-2-test", "search=%00", "order=size"]
    {
        assert_eq!(ask(wrong).status, 400, "{wrong}");
    }
}

#[test]
fn browsers_get_a_page_and_programs_get_json() {
    let token = Token::new("s3cret").unwrap();
    let service = Service::with(
        Options { title: "A & B".to_owned(), token: Some(token), ..Options::default() },
        std::time::Duration::from_secs(7200),
    );
    let ask = |accept: &[(&str, &str)]| request(service.address, "GET", "/ops", accept);
    let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    let page = ask(&[("accept", browser)]);
    assert_eq!((page.status, &*page.headers["content-type"]), (200, "text/html; charset=utf-8"));
    assert!(
        page.text().contains("<title>Operations · A &amp; B</title>"),
        "without a token, for which it asks"
    );
    for accept in ["application/json", "*/*", "application/json, text/html"] {
        assert_eq!(ask(&[("accept", accept)]).status, 401, "{accept}");
        let told = ask(&[("accept", accept), ("authorization", "Bearer s3cret")]);
        assert_eq!((told.status, &*told.headers["content-type"]), (200, "application/json"), "{accept}");
    }
    assert_eq!(request(service.address, "GET", "/ops/dead-letters", &[("accept", browser)]).status, 401);
}

#[test]
fn the_log_is_bounded_and_holds_no_secret() {
    let tail = LogTail::default();
    tail.hide(vec!["s3cret".to_owned(), "s3cret-and-longer".to_owned(), String::new()]);
    tracing::subscriber::with_default(tracing_subscriber::registry().with(tail.layer()), || {
        for n in 0..500 {
            tracing::info!(n, "a line");
        }
        tracing::warn!(
            "connect to postgres://ada:hunter2@db.example:5432/x failed, then redis://:p@ss@cache/0"
        );
        tracing::warn!(header = "Bearer abc.def", "host=db password=hunter3 token=t0ken&x=1");
        tracing::error!("the token s3cret-and-longer or s3cret is wrong");
        tracing::error!("{}", "long ".repeat(1_000));
    });
    let lines = serde_json::to_value(tail.newest()).unwrap();
    let lines = lines.as_array().unwrap();
    assert_eq!(lines.len(), 200);
    let text = |n: usize| lines[n]["text"].as_str().unwrap();
    assert_eq!((text(0).chars().count(), lines[0]["level"].as_str()), (1_000, Some("ERROR")));
    assert_eq!(text(1), "the token *** or *** is wrong");
    assert_eq!(text(2), "host=db password=*** token=***&x=1 header=\"Bearer ***\"");
    assert_eq!(text(3), "connect to postgres://***@db.example:5432/x failed, then redis://***@cache/0");
    assert_eq!(text(4), "a line n=499");
    // An address without a user stays as it is.
    assert_eq!(tail.redact("see http://localhost:8000/a@b and x@y"), "see http://localhost:8000/a@b and x@y");
}
