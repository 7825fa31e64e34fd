//! Events that are pushed by HTTP, over a socket, into a pipeline.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use telemetra::core::source::{Channel, Polled, RecordBatch};
use telemetra::prelude::*;
use telemetra::sinks::HttpPush;

use crate::prepare::{Answer, Outside, Waiting};

#[derive(Debug, PartialEq, serde::Deserialize)]
struct Reading {
    device: String,
    time: EventTime,
}

impl Event for Reading {
    type Key = String;
    fn time(&self) -> EventTime {
        self.time
    }
    fn key(&self) -> &str {
        &self.device
    }
}

/// Serves the handler at `/events` for as long as the runtime lives.
struct Served {
    address: SocketAddr,
    _runtime: tokio::runtime::Runtime,
}

impl Served {
    fn new<D: Decoder<Reading> + 'static>(push: HttpPush<Reading, D>) -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let app = axum::Router::new().route("/events", push.route());
        runtime.spawn(async move { axum::serve(listener, app).await });
        Self { address, _runtime: runtime }
    }

    /// Sends a request, and returns the head and the body of the answer.
    fn send(&self, method: &str, headers: &str, body: &str) -> (String, serde_json::Value) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        let length = body.len();
        let request = format!(
            "{method} /events HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_lowercase(), serde_json::from_str(body).unwrap_or_default())
    }

    fn push(&self, body: &str) -> (String, serde_json::Value) {
        self.send("POST", "", body)
    }
}

fn line(device: &str, time: u64) -> String {
    format!("{{\"device\": \"{device}\", \"time\": {time}}}\n")
}

#[test]
fn events_that_are_pushed_come_out_of_a_pipeline() {
    let (handle, source, decoder) = Channel::<Reading>::typed("pushed", 100).unwrap();
    let served = Served::new(HttpPush::json_lines(handle.clone()));
    let tables = MemorySink::new();
    let running = Pipeline::<Reading>::new()
        .source(source, decoder)
        .sink(tables.clone())
        .group("device_minute", tumbling(minutes(1)), |a| a.count("readings"))
        .key_columns(["device"])
        .start()
        .unwrap();
    let (head, body) = served.push(&(line("d1", 1) + "\r\n\n" + &line("d2", 2) + line("d1", 3).trim_end()));
    assert!(head.starts_with("http/1.1 202") && head.contains("content-type: application/json"), "{head}");
    assert_eq!(body, serde_json::json!({"accepted": 3}));
    assert_eq!(served.push("").1, serde_json::json!({"accepted": 0}));
    handle.close();
    assert_eq!(running.wait().unwrap().fates.on_time, 3);
    assert_eq!(tables.table("device_minute").len(), 2);
    let (head, body) = served.push(&line("d1", 4));
    assert!(head.starts_with("http/1.1 503"), "{head}");
    assert_eq!(body["detail"], "the pipeline that reads the events has ended");
}

#[test]
fn a_body_with_a_bad_line_is_not_taken_and_the_lines_are_named() {
    let (handle, _source, _) = Channel::<Reading>::typed("pushed", 100).unwrap();
    let served = Served::new(HttpPush::json_lines(handle.clone()));
    let bad = line("d1", 1) + "\n" + "{\"device\": \"d2\"}\n" + &line("d3", 3) + "not JSON";
    let (head, body) = served.push(&bad);
    assert!(head.starts_with("http/1.1 400") && head.contains("application/problem+json"), "{head}");
    assert_eq!((&body["status"], &body["title"]), (&400.into(), &"Bad Request".into()));
    let lines: Vec<_> =
        body["lines"].as_array().unwrap().iter().map(|bad| bad["line"].as_u64().unwrap()).collect();
    assert_eq!(lines, [3, 5]);
    assert!(body["lines"][0]["reason"].as_str().unwrap().contains("missing field `time`"), "{body}");
    let detail = body["detail"].as_str().unwrap();
    assert!(detail.contains("line 3: missing field `time`") && detail.contains("1 other lines"), "{detail}");
    let (_, body) = served.push(&"x\n".repeat(30));
    assert_eq!(body["lines"].as_array().unwrap().len(), 20);
    assert_eq!(handle.waiting(), 0);
}

#[test]
fn a_full_channel_says_when_to_come_again_and_takes_nothing_by_halves() {
    let (handle, mut source, _) = Channel::<Reading>::typed("pushed", 3).unwrap();
    let served = Served::new(HttpPush::json_lines(handle.clone()));
    assert!(served.push(&line("d", 1).repeat(2)).0.starts_with("http/1.1 202"));
    let (head, body) = served.push(&line("d", 2).repeat(2));
    assert!(head.starts_with("http/1.1 429") && head.contains("retry-after: 1"), "{head}");
    assert_eq!(body["title"], "Too Many Requests");
    assert_eq!(handle.waiting(), 2);
    // More than will ever fit.
    let (head, body) = served.push(&line("d", 3).repeat(4));
    assert!(
        head.starts_with("http/1.1 413") && body["detail"].as_str().unwrap().contains("holds 3"),
        "{head} {body}"
    );
    let id = source.id().clone();
    let mut batch = RecordBatch::default();
    assert_eq!(source.open(&id, None).unwrap().poll(&mut batch).unwrap(), Polled::Ready);
    assert!(served.push(&line("d", 2).repeat(2)).0.starts_with("http/1.1 202"));
}

#[test]
fn a_body_whose_schemas_are_not_there_is_sent_again_and_taken_once() {
    let (handle, _source, _) = Channel::<Reading>::typed("pushed", 100).unwrap();
    let outside = Outside::default();
    let served = Served::new(HttpPush::new(handle.clone(), Waiting(outside.clone())));
    let body = line("d1", 1) + "\n" + &line("d2", 2);
    for answer in [Answer::Pending, Answer::Away] {
        outside.says(answer);
        let (head, answer) = served.push(&body);
        assert!(head.starts_with("http/1.1 503") && head.contains("retry-after: 1\r\n"), "{head}");
        assert!(answer["detail"].as_str().unwrap().contains("send the body again"), "{answer}");
    }
    outside.says(Answer::Refuses);
    let (head, answer) = served.push(&body);
    assert!(head.starts_with("http/1.1 500") && !head.contains("retry-after"), "{head}");
    assert!(answer["detail"].as_str().unwrap().contains("cannot be had"), "{answer}");
    assert_eq!(handle.waiting(), 0);
    // Nothing is asked about nothing.
    assert_eq!(served.push("\n").1, serde_json::json!({"accepted": 0}));
    outside.says(Answer::Ready);
    assert_eq!(served.push(&body).1, serde_json::json!({"accepted": 2}));
    assert_eq!(handle.waiting(), 2);
}

#[test]
fn what_is_no_body_of_lines_is_refused() {
    let (handle, _source, _) = Channel::<Reading>::typed("pushed", 100).unwrap();
    let served = Served::new(HttpPush::json_lines(handle.clone()).max_body(100));
    let (head, body) = served.push(&line("d", 1).repeat(10));
    assert!(
        head.starts_with("http/1.1 413") && body["detail"].as_str().unwrap().contains("100 bytes"),
        "{head} {body}"
    );
    let (head, _) = served.send("POST", "content-encoding: gzip\r\n", &line("d", 1));
    assert!(head.starts_with("http/1.1 415"), "{head}");
    assert!(served.send("GET", "", "").0.starts_with("http/1.1 405"));
    // The client goes in the middle of a body.
    let mut stream = TcpStream::connect(served.address).unwrap();
    let half = format!("POST /events HTTP/1.1\r\nhost: x\r\ncontent-length: 90\r\n\r\n{}", line("d", 1));
    stream.write_all(half.as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.is_empty() || answer.contains("the body broke off"), "{answer}");
    assert_eq!(handle.waiting(), 0);
}
