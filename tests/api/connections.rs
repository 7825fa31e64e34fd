//! Limits of connections: who may connect, how many, and for how long.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use crate::client::{Socket, connect, read_answer, request};
use crate::server::app::Options;
use crate::service::{Service, wait};
use telemetra::http::Limits;
use telemetra::http::Origins;
use telemetra::http::Token;

fn origins(text: &str) -> Origins {
    let mut origins = Origins::default();
    origins.add(text).unwrap();
    origins
}

fn service(options: Options) -> Service {
    Service::with(options, std::time::Duration::from_secs(3600))
}

#[test]
fn pages_of_allowed_origins_may_read_and_connect() {
    let service = service(Options { origins: origins("https://example.org"), ..Options::default() });
    let origin = |origin: &'static str| request(service.address, "GET", "/streams", &[("origin", origin)]);
    assert_eq!(origin("https://example.org").headers["access-control-allow-origin"], "https://example.org");
    assert!(!origin("https://example.net").headers.contains_key("access-control-allow-origin"));
    let preflight = request(
        service.address,
        "OPTIONS",
        "/streams",
        &[
            ("origin", "https://example.org"),
            ("access-control-request-method", "GET"),
            ("access-control-request-headers", "authorization"),
        ],
    );
    assert_eq!(
        (preflight.status, &*preflight.headers["access-control-allow-headers"]),
        (200, "authorization,last-event-id")
    );

    let own = format!("http://{}", service.address);
    for (origin, opens) in
        [("https://example.org", Ok(())), ("https://example.net", Err(403)), (&own, Ok(()))]
    {
        let socket = Socket::try_open(service.address, "/live/ada", &[("origin", origin)]);
        assert_eq!(socket.map(|_| ()), opens, "{origin}");
    }
}

/// Opens a WebSocket as a browser does whose page is of `origin`, at the service that it calls `host`.
fn opens(address: SocketAddr, host: &str, origin: &str) -> u16 {
    let mut stream = connect(address);
    let key = "dGhlIHNhbXBsZSBub25jZQ==";
    write!(
        stream,
        "GET /live HTTP/1.1\r\nhost: {host}\r\norigin: {origin}\r\nconnection: upgrade\r\n\
         upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: {key}\r\n\r\n"
    )
    .unwrap();
    let mut line = [0; 12];
    stream.read_exact(&mut line).unwrap();
    std::str::from_utf8(&line[9..]).unwrap().parse().unwrap()
}

#[test]
fn origins_are_equal_as_urls_are() {
    let service = service(Options { origins: origins("HTTPS://Other.Example:443/"), ..Options::default() });
    for (host, origin, status) in [
        ("dash.example:443", "https://dash.example", 101),
        ("dash.example", "https://dash.example:443", 101),
        ("dash.example:80", "http://dash.example", 101),
        ("Dash.Example", "https://dash.example", 101),
        ("[0:0:0:0:0:0:0:1]:8000", "http://[::1]:8000", 101),
        ("dash.example", "https://other.example", 101),
        ("dash.example:80", "https://dash.example", 403),
        ("dash.example", "https://dash.example:8443", 403),
        ("dash.example", "https://dash.example.evil.example", 403),
        ("dash.example", "https://evil.example@dash.example", 403),
        ("dash.example", "http://other.example", 403),
        ("dash.example", "https://other.example:+443", 403),
        ("dash.example", "null", 403),
    ] {
        assert_eq!(opens(service.address, host, origin), status, "{origin} at {host}");
    }
    let asked = [("origin", "https://other.example")];
    let answer = request(service.address, "GET", "/streams", &asked);
    assert_eq!(answer.headers["access-control-allow-origin"], "https://other.example");
}

#[test]
fn a_service_with_a_token_tells_nothing_without_it() {
    let service = service(Options { token: Token::new("s3cret.Token~"), ..Options::default() });
    let address = service.address;
    for path in
        ["/streams", "/streams/ada", "/streams/ada/metrics", "/streams/ada/moments", "/metrics", "/live/ada"]
    {
        for given in [None, Some("Bearer wrong"), Some("Basic s3cret.Token~"), Some("Bearer s3cret.Token")] {
            let headers: Vec<_> = given.map(|given| ("authorization", given)).into_iter().collect();
            let answer = request(address, "GET", path, &headers);
            assert_eq!(
                (answer.status, &answer.json()["type"]),
                (401, &"/docs#no-token".into()),
                "{path} {given:?}"
            );
            assert_eq!(answer.headers["www-authenticate"], "Bearer");
        }
    }
    let known = ("authorization", "bearer s3cret.Token~");
    assert_eq!(request(address, "GET", "/streams", &[known]).status, 200);
    for path in ["/", "/docs", "/openapi.json", "/health", "/ready"] {
        assert_ne!(service.get(path).status, 401, "{path} holds no answers");
    }
    // A page cannot set the header, but it can name subprotocols.
    let protocols = |protocols| [("sec-websocket-protocol", protocols)];
    assert!(Socket::try_open(address, "/live", &protocols("telemetra, bearer.s3cret.Token~")).is_ok());
    assert_eq!(Socket::try_open(address, "/live", &protocols("telemetra, bearer.wrong")).err(), Some(401));
    assert!(Socket::try_open(address, "/live", &[known]).is_ok());
}

#[test]
fn answers_are_compressed_for_those_who_can_read_it() {
    let mut service = service(Options::default());
    for minute in 0..5 {
        service.chat("ada", minute, 10);
    }
    service.until(5);
    let plain = service.get("/streams/ada/metrics");
    let packed = request(service.address, "GET", "/streams/ada/metrics", &[("accept-encoding", "gzip")]);
    assert_eq!((&*packed.headers["content-encoding"], &packed.body[..2]), ("gzip", &b"\x1f\x8b"[..]));
    assert!(packed.body.len() * 4 < plain.body.len(), "{} of {}", packed.body.len(), plain.body.len());
}

#[test]
fn there_are_only_so_many_connections_and_each_makes_place_for_the_next() {
    let limits = Limits { connections: 2, ..Limits::default() };
    let service = service(Options { limits, ..Options::default() });
    let (mut first, _second) = (service.socket("/live"), service.socket("/live"));
    first.next().unwrap();
    // The third waits for a place, and is answered when there is one.
    let mut third = connect(service.address);
    write!(third, "GET /health HTTP/1.0\r\nhost: x\r\n\r\n").unwrap();
    third.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    assert!(third.read(&mut [0]).is_err(), "there is no place");
    third.set_read_timeout(None).unwrap();
    first.close();
    assert_eq!(read_answer(&mut third).status, 200);
}

#[test]
fn a_connection_that_says_nothing_is_ended() {
    let limits = Limits { idle_timeout: Duration::from_millis(100), ..Limits::default() };
    let service = service(Options { limits, ..Options::default() });
    for said in ["", "GET /health HTTP/1.1\r\nhost: x\r\n", "GET /health HTTP/1.1\r\nhost: x\r\n\r\n"] {
        let mut stream = connect(service.address);
        stream.write_all(said.as_bytes()).unwrap();
        let mut answer = Vec::new();
        // It ends, whether by an end or by a reset.
        let _ = stream.read_to_end(&mut answer);
        assert_eq!(answer.starts_with(b"HTTP/1.1 200"), said.ends_with("\r\n\r\n"), "{said:?}");
    }
}

#[test]
fn it_stops_although_connections_are_open_and_loses_nothing() {
    let limits = Limits { shutdown_timeout: Duration::from_millis(200), ..Limits::default() };
    let mut service = service(Options { limits, ..Options::default() });
    service.chat("ada", 0, 50);
    // What waits in the channel has not been read, and is the host's to push again.
    wait(|| service.store.status().is_some_and(|status| status.fates.read == 50));
    let idle = connect(service.address);
    let mut half = connect(service.address);
    half.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n").unwrap();
    service.stop();
    assert!(std::net::TcpStream::connect(service.address).is_err(), "nobody listens any more");
    let report = service.store.stop().unwrap().unwrap();
    assert_eq!((report.fates.read, report.fates.on_time), (50, 50), "what was read is finished");
    drop((idle, half));
}
