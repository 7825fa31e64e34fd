//! Metrics for Prometheus: a recorder, and a small server for its contents.
//!
//! The server answers one connection after the other and allows each two seconds, which is enough for the few
//! clients. It closes connections that send or receive too slowly, so no client can delay the others for long
//! or fill the memory.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// The longest time for one connection.
const PATIENCE: Duration = Duration::from_secs(2);
/// The greatest length of the head of a request.
const HEAD: usize = 8192;
/// The interval at which the samples of histograms are put into buckets, also without requests.
const UPKEEP: Duration = Duration::from_secs(5);

const SECONDS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
const ROWS: &[f64] = &[1.0, 10.0, 100.0, 1e3, 1e4, 1e5, 1e6];
const BYTES: &[f64] = &[1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10];

/// Starts recording and serves the metrics on that address. Returns the address, which differs if the port
/// was 0.
pub(crate) fn serve(address: &str) -> Result<String> {
    let failed = || format!("could not serve metrics on {address}; choose another --metrics-address");
    let listener = TcpListener::bind(address).with_context(failed)?;
    let bound = listener.local_addr().with_context(failed)?.to_string();
    let handle = record()?;
    let upkeep = handle.clone();
    let spawn = |name: &str, work: Box<dyn FnOnce() + Send>| {
        std::thread::Builder::new().name(name.to_owned()).spawn(work).with_context(failed)
    };
    spawn(
        "metrics upkeep",
        Box::new(move || {
            loop {
                std::thread::sleep(UPKEEP);
                upkeep.run_upkeep();
            }
        }),
    )?;
    spawn(
        "metrics server",
        Box::new(move || {
            for stream in listener.incoming() {
                match stream {
                    // A client that does not wait for the answer does not need it.
                    Ok(stream) => drop(answer(stream, &handle)),
                    // An error such as too many open files: retry later.
                    Err(_) => std::thread::sleep(Duration::from_millis(100)),
                }
            }
        }),
    )?;
    Ok(bound)
}

/// The recorder of this process.
fn record() -> Result<PrometheusHandle> {
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_rows".to_owned()), ROWS)?
        .set_buckets_for_metric(Matcher::Suffix("_bytes".to_owned()), BYTES)?
        .build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).context("this process records its metrics elsewhere already")?;
    Ok(handle)
}

fn answer(mut stream: TcpStream, handle: &PrometheusHandle) -> std::io::Result<()> {
    let until = Instant::now() + PATIENCE;
    let Some(head) = head(&mut stream, until)? else { return Ok(()) };
    let mut words = head.split_ascii_whitespace();
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let path = target.split('?').next().unwrap_or_default();
    let (status, body) = match (method, path) {
        ("GET" | "HEAD", "/metrics") => ("200 OK", handle.render()),
        ("GET" | "HEAD", _) => ("404 Not Found", "metrics are at /metrics\n".to_owned()),
        _ => ("405 Method Not Allowed", "only GET is answered\n".to_owned()),
    };
    let length = body.len();
    let mut text = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8\r\n\
         content-length: {length}\r\nconnection: close\r\n\r\n"
    );
    if method != "HEAD" {
        text.push_str(&body);
    }
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        stream.set_write_timeout(Some(left(until)?))?;
        let written = stream.write(rest)?;
        rest = &rest[written..];
    }
    Ok(())
}

/// The first lines of a request; `None` if it is not a request.
fn head(stream: &mut TcpStream, until: Instant) -> std::io::Result<Option<String>> {
    let mut head = Vec::new();
    let mut part = [0; 1024];
    while head.len() < HEAD {
        stream.set_read_timeout(Some(left(until)?))?;
        let read = stream.read(&mut part)?;
        head.extend_from_slice(&part[..read]);
        if head.windows(4).any(|end| end == b"\r\n\r\n") {
            return Ok(String::from_utf8(head).ok());
        }
        if read == 0 {
            break;
        }
    }
    Ok(None)
}

/// The remaining time.
fn left(until: Instant) -> std::io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(std::io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}
