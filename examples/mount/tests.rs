//! The whole way: readings go in by the service's own route, and windows come out by the library's, while
//! they change.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::*;

fn ask(address: SocketAddr, head: &str, body: &str) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let length = body.len();
    write!(
        stream,
        "{head} HTTP/1.0\r\nhost: x\r\naccept: */*, text/event-stream\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    )?;
    Ok(stream)
}

fn answer(address: SocketAddr, head: &str, body: &str) -> anyhow::Result<String> {
    let mut text = String::new();
    ask(address, head, body)?.read_to_string(&mut text)?;
    Ok(text)
}

#[test]
fn a_reading_becomes_a_window_that_followers_are_told() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    let (router, _running) = service()?;
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))?;
    let address = listener.local_addr()?;
    runtime.spawn(async move { axum::serve(listener, router).await });

    let mut events = BufReader::new(ask(address, "GET /devices/live/d1", "")?).lines();
    // What is told before it follows is in the snapshot.
    let snapshot = events.find(|line| line.as_ref().is_ok_and(|line| line.contains(r#""snapshot""#)));
    assert!(snapshot.transpose()?.is_some());
    // The minute of the first reading is over once the second has passed it by more than ten seconds.
    for (time, celsius) in [(60_000, 21.5), (140_000, 22.0)] {
        let body = format!(r#"{{"device": "d1", "time": {time}, "celsius": {celsius}}}"#);
        let taken = answer(address, "POST /readings", &body)?;
        assert!(taken.starts_with("HTTP/1.0 202"), "{taken}");
    }
    let change = events.find(|line| line.as_ref().is_ok_and(|line| line.contains(r#""changes""#)));
    let change = change.transpose()?.unwrap_or_default();
    assert!(change.contains(r#""celsius":21.5"#), "{change}");
    let rows = answer(address, "GET /devices/tables/device_minute/keys/d1", "")?;
    assert!(rows.contains(r#""window_start":"1970-01-01T00:01:00.000Z""#), "{rows}");
    Ok(())
}
