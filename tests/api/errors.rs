//! Errors have one shape, and say what to do about them.

use crate::client::{connect, read_answer, request};
use crate::server::app::Options;
use crate::service::{Service, wait};
use std::io::Write;
use telemetra::http::Limits;

#[test]
fn every_error_is_a_problem_that_says_what_to_do() {
    let mut service = Service::start();
    service.chat("ada", 0, 5);
    service.until(1);
    let long = "x".repeat(300);
    for (path, status, kind, says) in [
        ("/nothing", 404, "unknown-path", "/docs"),
        ("/streams/nobody", 404, "unknown-stream", "`nobody`"),
        ("/streams/nobody/metrics", 404, "unknown-stream", "`nobody`"),
        ("/streams/nobody/moments", 404, "unknown-stream", "`nobody`"),
        ("/streams/a%00b/moments", 404, "unknown-stream", "no stream"),
        (&format!("/streams/{long}"), 404, "unknown-stream", "no stream"),
        ("/streams/%ff", 400, "invalid-parameter", "`id`"),
        ("/streams?limit=0", 400, "invalid-parameter", "`limit`: it has to be a whole number from 1 to 500"),
        ("/streams?limit=501", 400, "invalid-parameter", "`limit`"),
        ("/streams?limit=+5", 400, "invalid-parameter", "`limit`"),
        ("/streams?limit=99999999999999999999", 400, "invalid-parameter", "`limit`"),
        ("/streams?limit=5&limit=6", 400, "invalid-parameter", "`limit`: it is given twice"),
        ("/streams?order=loudness", 400, "invalid-parameter", "one of `rate`, `viewers`, `name`"),
        ("/streams?live=maybe", 400, "invalid-parameter", "`live`"),
        ("/streams?lmit=5", 400, "invalid-parameter", "`lmit`: there is no such parameter"),
        ("/streams/ada?limit=5", 400, "invalid-parameter", "`limit`"),
        ("/streams/ada/metrics?from=yesterday", 400, "invalid-parameter", "`from`: it has to be a time"),
        ("/streams/ada/metrics?from=2026-02-29T00:00:00Z", 400, "invalid-parameter", "`from`"),
        ("/streams/ada/metrics?to=2026-01-01T00:00:00+01:00", 400, "invalid-parameter", "%2B"),
        ("/streams/ada/metrics?to=2026-01-01%2000:00:00Z", 400, "invalid-parameter", "`to`"),
        ("/streams/ada/metrics?resolution=0", 400, "invalid-parameter", "`resolution`"),
        ("/streams/ada/moments?type=", 400, "invalid-parameter", "`type`"),
        ("/streams/ada/moments?cursor=7", 400, "invalid-parameter", "`cursor`"),
        ("/health?verbose", 400, "invalid-parameter", "`verbose`"),
        ("/live?history=-1", 400, "invalid-parameter", "`history`"),
        ("/live", 426, "no-websocket", "WebSocket"),
        ("/live/ada", 426, "no-websocket", "WebSocket"),
    ] {
        let answer = service.get(path);
        let problem = answer.json();
        assert_eq!(answer.status, status, "{path}: {problem}");
        assert_eq!(answer.headers["content-type"], "application/problem+json", "{path}");
        assert_eq!(problem["status"], status, "{path}");
        assert_eq!(problem["type"], format!("/docs#{kind}"), "{path}");
        assert!(problem["detail"].as_str().unwrap().contains(says), "{path}: {problem}");
        assert_eq!(problem["request_id"], answer.headers["x-request-id"].as_str(), "{path}");
        assert_eq!(answer.body.len().to_string(), answer.headers["content-length"], "{path}");
    }
}

#[test]
fn other_methods_are_refused_and_head_has_no_body() {
    let service = Service::start();
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        let answer = request(service.address, method, "/streams", &[("content-length", "0")]);
        assert_eq!(
            (answer.status, &answer.json()["type"]),
            (405, &"/docs#method-not-allowed".into()),
            "{method}"
        );
        assert_eq!(answer.headers["allow"], "GET,HEAD");
    }
    for (path, status) in [("/streams", 200), ("/streams/nobody", 404)] {
        let head = request(service.address, "HEAD", path, &[]);
        assert_eq!((head.status, head.body.len()), (status, 0), "{path}");
    }
}

#[test]
fn a_body_that_nobody_asked_for_is_not_read() {
    let service = Service::start();
    let mut stream = connect(service.address);
    write!(stream, "POST /streams HTTP/1.0\r\nhost: x\r\ncontent-length: 1000000000\r\n\r\n").unwrap();
    let answer = read_answer(&mut stream);
    assert_eq!((answer.status, &answer.json()["type"]), (413, &"/docs#body-too-large".into()));
}

/// The tables go, and with them part of the answers: that is said, without the reason to strangers, and the rest goes on.
#[test]
fn a_store_that_is_down_is_said_and_what_is_in_memory_goes_on() {
    let mut service = Service::start();
    service.chat("ada", 0, 5);
    service.until(1);
    std::fs::rename(service.folder().join("telemetra.db"), service.folder().join("moved.db")).unwrap();
    let answer = service.get("/streams/ada/metrics?from=2025-01-01T00:00:00Z");
    assert_eq!((answer.status, &answer.json()["type"]), (503, &"/docs#unavailable".into()));
    assert!(
        answer.headers.contains_key("retry-after") && !answer.text().contains("telemetra.db"),
        "{}",
        answer.text()
    );
    let health = service.get("/health");
    assert_eq!((health.status, &health.json()["status"]), (503, &"degraded".into()));
    assert_eq!(health.json()["components"]["sqlite"]["status"], "down");
    assert_eq!(health.json()["components"]["pipeline"]["status"], "ok");
    assert_eq!(service.get("/streams/ada").status, 200);
}

#[test]
fn an_answer_that_takes_too_long_is_given_up() {
    let limits = Limits { answer_timeout: std::time::Duration::ZERO, ..Limits::default() };
    let service = Service::with(Options { limits, ..Options::default() }, std::time::Duration::from_secs(60));
    // The tables are read on another thread, which mostly takes longer than nothing.
    wait(|| {
        let answer = service.get("/health");
        let is_late = answer.status == 503;
        assert!(
            !is_late || answer.json()["detail"].as_str().unwrap().contains("too long"),
            "{}",
            answer.text()
        );
        is_late
    });
}
