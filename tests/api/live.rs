//! WebSockets: a snapshot, what comes after, and how they end.

use std::io::{Read, Write};
use std::time::Duration;

use serde_json::{Value, json};

use crate::client::{Socket, connect};
use crate::server::app::Options;
use crate::service::{Service, wait};
use telemetra::http::Limits;

fn is(kind: &'static str) -> impl Fn(&Value) -> bool {
    move |message| message["type"] == kind
}

/// The ends of the windows in a snapshot.
fn ends(snapshot: &Value) -> Vec<&str> {
    snapshot["metrics"]
        .as_array()
        .unwrap()
        .iter()
        .map(|window| window["window_end"].as_str().unwrap())
        .collect()
}

#[test]
fn a_snapshot_comes_first_and_each_change_after_it() {
    let mut service = Service::start();
    service.title("ada", 0, true, "Evening chat");
    for minute in 0..3 {
        service.chat("ada", minute, 30);
    }
    service.until(3);
    let mut socket = service.socket("/live/ada?history=60");
    let snapshot = socket.next().unwrap();
    assert_eq!(
        (&snapshot["type"], &snapshot["stream"]["title"]),
        (&json!("snapshot"), &json!("Evening chat"))
    );
    assert_eq!(snapshot["as_of"], "2026-01-01T00:02:59.999Z");
    let (first, last) = (ends(&snapshot)[0], *ends(&snapshot).last().unwrap());
    assert_eq!(
        (first, last),
        ("2026-01-01T00:02:00.000Z", "2026-01-01T00:03:00.000Z"),
        "a minute of history"
    );

    service.chat("ada", 3, 60);
    service.chat("bob", 3, 60);
    service.title("ada", 3, false, "Good night");
    service.until(4);
    let mut windows = Vec::new();
    let mut title = None;
    while windows.last().is_none_or(|end| end != "2026-01-01T00:04:00.000Z") {
        let message = socket.next().unwrap();
        assert_eq!(message["stream_id"], "ada", "other streams are none of its business");
        match message["type"].as_str().unwrap() {
            "metrics" => {
                assert_eq!((&message["kind"], &message["revision"]), (&json!("published"), &json!(0)));
                windows.push(message["metrics"]["window_end"].as_str().unwrap().to_owned());
            }
            "stream" => title = Some(message["stream"]["title"].clone()),
            other => panic!("{other}: {message}"),
        }
    }
    assert_eq!(windows.len(), 6, "one with every slide, and none of those in the snapshot: {windows:?}");
    assert_eq!(title, Some(json!("Good night")));
    socket.close();
}

#[test]
fn a_stream_may_be_followed_before_it_is_there() {
    let mut service = Service::start();
    let mut socket = service.socket("/live/new%20stream");
    let snapshot = socket.next().unwrap();
    assert_eq!(
        (&snapshot["stream"], &snapshot["metrics"], &snapshot["as_of"]),
        (&Value::Null, &json!([]), &Value::Null)
    );
    service.chat("new stream", 0, 5);
    service.until(1);
    assert_eq!(socket.find(is("metrics"))["stream_id"], "new stream");
}

#[test]
fn all_streams_may_be_followed_at_once() {
    let mut service = Service::start();
    service.chat("ada", 0, 5);
    service.spike("bob");
    service.until(15);
    let mut socket = service.socket("/live");
    let overview = socket.next().unwrap();
    let mut ids: Vec<_> = overview["streams"]
        .as_array()
        .unwrap()
        .iter()
        .map(|stream| stream["stream_id"].as_str().unwrap())
        .collect();
    ids.sort_unstable();
    assert_eq!((&overview["type"], ids), (&json!("overview"), vec!["ada", "bob", "clock"]));
    service.chat("ada", 15, 5);
    service.chat("cyd", 15, 5);
    service.until(16);
    for wanted in ["ada", "cyd"] {
        let message = socket.find(|message| message["stream_id"] == wanted);
        assert!(message["time"].as_str() > overview["as_of"].as_str(), "{message}");
        socket = service.socket("/live?since=2026-01-01T00:14:59.999Z");
    }
}

/// Who comes back is told what it missed, each window once, and goes on from there.
#[test]
fn a_client_goes_on_from_where_it_was() {
    let mut service = Service::start();
    service.chat("ada", 0, 30);
    service.until(1);
    let mut socket = service.socket("/live/ada");
    let snapshot = socket.next().unwrap();
    let (life, since) = (snapshot["life"].as_str().unwrap(), snapshot["as_of"].as_str().unwrap());
    socket.close();
    service.chat("ada", 1, 30);
    service.until(2);

    for path in ["/live/ada", "/live"] {
        let mut socket = service.socket(&format!("{path}?since={since}&life={life}"));
        assert_eq!(socket.next().unwrap()["type"], "resumed");
        let mut ends = Vec::new();
        while ends.len() < 6 {
            let message = socket.find(|message| message["stream_id"] == "ada");
            ends.push(message["metrics"]["window_end"].as_str().unwrap().to_owned());
        }
        assert!(ends[0].as_str() > since && ends.is_sorted(), "{ends:?}");
        ends.dedup();
        assert_eq!(ends.len(), 6);
    }
    // Of another life, before all that is known, and ahead of it: then only a snapshot will do.
    for query in [
        format!("since={since}&life=0123"),
        format!("since=2025-01-01T00:00:00Z&life={life}"),
        format!("since=2027-01-01T00:00:00Z&life={life}"),
    ] {
        assert_eq!(
            service.socket(&format!("/live/ada?{query}")).next().unwrap()["type"],
            "snapshot",
            "{query}"
        );
    }
}

#[test]
fn heartbeats_say_how_far_the_answers_are_and_pings_are_answered() {
    let limits = Limits { heartbeat: Duration::from_millis(20), ..Limits::default() };
    let mut service =
        Service::with(Options { limits, ..Options::default() }, std::time::Duration::from_secs(3600));
    let mut socket = service.socket("/live/ada");
    service.chat("ada", 0, 5);
    service.until(1);
    // Many more than would be let pass unanswered.
    for _ in 0..20 {
        socket.find(is("heartbeat"));
    }
    let beat = socket.find(|message| message["type"] == "heartbeat" && !message["as_of"].is_null());
    assert_eq!(beat["as_of"], "2026-01-01T00:00:59.999Z");
}

#[test]
fn a_client_that_answers_no_ping_is_sent_away() {
    let limits = Limits {
        heartbeat: Duration::from_millis(20),
        pong_timeout: Duration::from_millis(100),
        ..Limits::default()
    };
    let service =
        Service::with(Options { limits, ..Options::default() }, std::time::Duration::from_secs(3600));
    // A client that reads and never writes.
    let mut stream = connect(service.address);
    let key = "dGhlIHNhbXBsZSBub25jZQ==";
    write!(
        stream,
        "GET /live/ada HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: {key}\r\n\r\n"
    )
    .unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.contains("no ping was answered"), "{text}");
}

/// Who falls behind is not waited for: it is sent away with a reason, and nobody else misses anything.
#[test]
fn a_client_that_falls_behind_is_sent_away_and_holds_up_nobody() {
    let limits = Limits { queue: 8, ..Limits::default() };
    let mut service =
        Service::with(Options { limits, ..Options::default() }, std::time::Duration::from_secs(3600));
    let (mut slow, mut quick) = (service.socket("/live/s0"), service.socket("/live/s1"));
    for minute in 0..2 {
        service.chats(&["s0", "s1"], minute, 30);
        service.until(minute + 1);
        for socket in [&mut slow, &mut quick] {
            let end = format!("2026-01-01T00:0{}:00.000Z", minute + 1);
            socket.find(|message| message["metrics"]["window_end"] == end.as_str());
        }
    }
    // Late events correct all windows at one time: that is more than may wait.
    service.chat("s0", 0, 60);
    service.chat("s1", 2, 30);
    service.until(3);
    let (code, reason) = loop {
        if let Err(end) = slow.next() {
            break end;
        }
    };
    assert_eq!(code, 4008, "{reason}");
    assert!(reason.starts_with("too slow: ") && reason.contains("since"), "{reason}");
    quick.find(|message| message["metrics"]["window_end"] == "2026-01-01T00:03:00.000Z");
    let counted = r#"telemetra_api_websocket_ends_total{reason="slow"}"#;
    wait(|| service.get("/metrics").text().contains(counted));
}

/// A client whose connection is full is given up, and what waits for it is dropped.
#[test]
fn a_client_that_accepts_nothing_is_given_up() {
    let limits = Limits { send_timeout: Duration::from_millis(100), ..Limits::default() };
    let mut service =
        Service::with(Options { limits, ..Options::default() }, std::time::Duration::from_secs(7200));
    let mut deaf = service.socket("/live");
    let mut windows = 0;
    let streams: Vec<_> = (0..200).map(|stream| format!("s{stream}")).collect();
    let streams: Vec<_> = streams.iter().map(String::as_str).collect();
    for minute in 0..30 {
        service.chats(&streams, minute, 6);
        service.until(minute + 1);
        windows += 200 * 6;
    }
    // More than 20 megabytes were to be sent: more than the connection holds.
    let received = std::iter::from_fn(|| deaf.next().ok()).take(windows).count();
    assert!(received < windows, "{received} of {windows} messages came: it was never given up");
}

#[test]
fn a_client_is_told_when_the_service_stops() {
    let mut service = Service::start();
    let mut sockets: Vec<Socket> = (0..3).map(|_| service.socket("/live/ada")).collect();
    for socket in &mut sockets {
        socket.next().unwrap();
    }
    service.stop();
    for mut socket in sockets {
        let (code, reason) = socket.next().unwrap_err();
        assert_eq!(code, 1001, "{reason}");
    }
}

#[test]
fn a_client_that_sends_too_much_or_nonsense_is_sent_away() {
    let service = Service::start();
    for bytes in [&b"\x81\xff\x00\x00\x00\x7f\x00\x00\x00\x00abcd"[..], b"\xff\x80abcd", &[b'G'; 200]] {
        let mut socket = service.socket("/live/ada");
        socket.next().unwrap();
        socket.stream().write_all(bytes).unwrap();
        assert!(socket.next().is_err());
    }
    assert_eq!(service.get("/streams").status, 200);
}
