//! Tokens, origins, and what the metrics hook is told.

use telemetra::http::{Origins, Settings, Token};

use crate::client::{Socket, request};
use crate::devices::{Devices, wait};
use crate::follower::Events;

#[test]
fn a_service_with_a_token_tells_nothing_without_it() {
    let devices = Devices::with(Settings::new().token(Token::new("s3cret").unwrap()), 3600);
    let address = devices.address;
    for path in [
        "/tables",
        "/tables/device_minute/keys",
        "/tables/device_minute/keys/d1",
        "/moments",
        "/live",
        "/live/d1",
        "/metrics",
    ] {
        let path = format!("/devices{path}");
        assert_eq!(request(address, "GET", &path, &[]).status, 401, "{path}");
        assert_eq!(
            request(address, "GET", &path, &[("authorization", "Bearer wrong")]).status,
            401,
            "{path}"
        );
        assert_ne!(
            request(address, "GET", &path, &[("authorization", "Bearer s3cret")]).status,
            401,
            "{path}"
        );
    }
    for path in ["/devices/health", "/devices/ready", "/devices/openapi.json", "/own"] {
        assert_ne!(devices.get(path).status, 401, "{path} holds no answers");
    }
    let protocols = |protocols| [("sec-websocket-protocol", protocols)];
    let socket = |protocols_| Socket::try_open(address, "/devices/live", &protocols(protocols_)).map(|_| ());
    assert_eq!(socket("telemetra, bearer.s3cret"), Ok(()));
    assert_eq!(socket("telemetra, bearer.wrong"), Err(401));
    let (_, head) = Events::try_open(address, "/devices/live", &[("authorization", "Bearer s3cret")]);
    assert!(head.starts_with("HTTP/1.0 200"), "{head}");
}

#[test]
fn pages_of_allowed_origins_may_read_and_connect() {
    let mut origins = Origins::default();
    origins.add("https://example.org").unwrap();
    let devices = Devices::with(Settings::new().origins(origins), 3600);
    let own = format!("http://{}", devices.address);
    for (origin, opens) in
        [("https://example.org", Ok(())), ("https://example.net", Err(403)), (&own, Ok(()))]
    {
        let socket = Socket::try_open(devices.address, "/devices/live", &[("origin", origin)]);
        assert_eq!(socket.map(|_| ()), opens, "{origin}");
    }
    let answer = request(devices.address, "GET", "/devices/tables", &[("origin", "https://example.org")]);
    assert_eq!(answer.headers["access-control-allow-origin"], "https://example.org");
    let preflight = request(
        devices.address,
        "OPTIONS",
        "/devices/live",
        &[
            ("origin", "https://example.org"),
            ("access-control-request-method", "GET"),
            ("access-control-request-headers", "last-event-id"),
        ],
    );
    assert!(preflight.headers["access-control-allow-headers"].contains("last-event-id"));
}

#[test]
fn the_metrics_hook_is_told_of_requests_and_followers() {
    let devices = Devices::start();
    devices.until(1);
    devices.get("/devices/tables/device_minute/keys/nobody");
    drop(Events::try_open(devices.address, "/devices/live", &[]));
    Socket::open(devices.address, "/devices/live").close();
    for words in [
        &["Answered", "\"/devices/tables/{table}/keys/{key}\"", "\"GET\"", "404"][..],
        &["Followed", "Events"],
        &["Left", "Events", "gone"],
        &["Followed", "WebSocket"],
        &["Sent", "WebSocket"],
        &["Left", "WebSocket", "gone"],
    ] {
        let told = |line: &String| words.iter().all(|word| line.contains(word));
        wait(|| devices.seen.lock().unwrap().iter().any(told));
    }
}
