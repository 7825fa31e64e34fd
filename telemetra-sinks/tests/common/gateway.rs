//! A place in the shared object store, and a server between that loses answers.
#![allow(dead_code, reason = "each test uses its part")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use telemetra_sinks::ObjectStoreConfig;

/// The key and the secret of `scripts/services run s3`.
pub(crate) const KEY: &str = "telemetra";
pub(crate) const SECRET: &str = "telemetra-secret";

/// The configuration of a prefix at this endpoint.
pub(crate) fn config(endpoint: &str, prefix: &str) -> ObjectStoreConfig {
    let mut config = ObjectStoreConfig::from_url(&format!("s3://telemetra/{prefix}")).unwrap();
    for (name, value) in [
        ("aws_endpoint", endpoint),
        ("aws_region", "us-east-1"),
        ("aws_access_key_id", KEY),
        ("aws_secret_access_key", SECRET),
        ("aws_allow_http", "true"),
    ] {
        config = config.option(name, value).unwrap();
    }
    config
}

/// The folder in which the server keeps the objects under a prefix.
pub(crate) fn folder(server: &std::path::Path, prefix: &str) -> PathBuf {
    server.join("data/telemetra").join(prefix)
}

/// Passes requests on, one after the other, and loses one: the request itself, or the answer to it.
pub(crate) struct Lossy {
    pub(crate) url: String,
    /// The number of requests until one is lost.
    left: Arc<AtomicI64>,
}

impl Lossy {
    pub(crate) fn to(port: u16, loses_answer: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let left = Arc::new(AtomicI64::new(-1));
        let counter = Arc::clone(&left);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let counter = Arc::clone(&counter);
                std::thread::spawn(move || serve(client, port, &counter, loses_answer));
            }
        });
        Self { url, left }
    }

    /// Loses the request after so many others, once.
    pub(crate) fn lose_after(&self, requests: i64) {
        self.left.store(requests, Ordering::SeqCst);
    }

    /// Returns whether the request has been lost.
    pub(crate) fn has_lost(&self) -> bool {
        self.left.load(Ordering::SeqCst) < 0
    }
}

/// A connection. The client says how long its bodies are, so requests can be told apart.
fn serve(client: TcpStream, port: u16, left: &AtomicI64, loses_answer: bool) {
    let mut requests = BufReader::new(client.try_clone().unwrap());
    while let Some(request) = message(&mut requests, false) {
        let is_lost = left.fetch_sub(1, Ordering::SeqCst) == 0;
        if is_lost && !loses_answer {
            break;
        }
        let mut server = TcpStream::connect(("127.0.0.1", port)).unwrap();
        server.write_all(&request).unwrap();
        let is_head = request.starts_with(b"HEAD");
        let Some(answer) = message(&mut BufReader::new(server), is_head) else { break };
        if is_lost {
            break;
        }
        if (&client).write_all(&answer).is_err() {
            break;
        }
    }
    let _ = client.shutdown(Shutdown::Both);
}

/// The bytes of a request or an answer. `None` at the end.
fn message(from: &mut impl BufRead, is_head: bool) -> Option<Vec<u8>> {
    let (mut all, mut length, mut chunked) = (Vec::new(), 0, false);
    loop {
        let start = all.len();
        if from.read_until(b'\n', &mut all).ok()? == 0 {
            return None;
        }
        let line = String::from_utf8_lossy(&all[start..]).trim().to_ascii_lowercase();
        if let Some(n) = line.strip_prefix("content-length:") {
            length = n.trim().parse().unwrap();
        }
        chunked |= line.starts_with("transfer-encoding:") && line.contains("chunked");
        if line.is_empty() {
            break;
        }
    }
    if is_head {
        return Some(all);
    }
    if !chunked {
        from.take(length).read_to_end(&mut all).ok()?;
        return Some(all);
    }
    loop {
        let start = all.len();
        from.read_until(b'\n', &mut all).ok()?;
        let size = u64::from_str_radix(String::from_utf8_lossy(&all[start..]).trim(), 16).unwrap();
        from.take(size + 2).read_to_end(&mut all).ok()?;
        if size == 0 {
            return Some(all);
        }
    }
}
