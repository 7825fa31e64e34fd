//! A receiver of webhooks: an HTTP server on a thread for each connection, which answers as it is told.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use serde_json::Value as Json;

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) line: String,
    /// The values by their names in small letters.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn id(&self) -> &str {
        &self.headers["webhook-id"]
    }

    pub(crate) fn json(&self) -> Json {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// The receiver's reaction to a request.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    Good,
    /// A status, further headers and a body.
    Status(u16, String, String),
    /// Takes the request, and cuts the connection without an answer.
    Cut,
    /// Takes the request, and answers only when it is stopped.
    Silent,
}

impl Reply {
    pub(crate) fn status(status: u16) -> Self {
        Self::Status(status, String::new(), "no".to_owned())
    }
}

type Decide = dyn Fn(&Request) -> Reply + Send + Sync;

struct Inner {
    requests: Mutex<Vec<Request>>,
    decide: Mutex<Arc<Decide>>,
    stopped: AtomicBool,
    silence: (Mutex<()>, Condvar),
}

/// The server. It stops when it is dropped.
pub(crate) struct Receiver {
    address: SocketAddr,
    inner: Arc<Inner>,
    accepts: Option<std::thread::JoinHandle<()>>,
}

impl Receiver {
    /// Starts a receiver that answers everything with 200.
    pub(crate) fn start() -> Self {
        Self::at("127.0.0.1:0".parse().unwrap())
    }

    pub(crate) fn at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let good: Arc<Decide> = Arc::new(|_| Reply::Good);
        let inner = Arc::new(Inner {
            requests: Mutex::default(),
            decide: Mutex::new(good),
            stopped: AtomicBool::new(false),
            silence: Default::default(),
        });
        let shared = Arc::clone(&inner);
        let accepts = std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if shared.stopped.load(Ordering::SeqCst) {
                    return;
                }
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || shared.serve(&stream));
            }
        });
        Self { address, inner, accepts: Some(accepts) }
    }

    pub(crate) fn answer(&self, decide: impl Fn(&Request) -> Reply + Send + Sync + 'static) {
        *self.inner.decide.lock().unwrap() = Arc::new(decide);
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hooks?token=s3cret", self.address)
    }

    /// All requests so far, also those that were not answered well.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.inner.requests.lock().unwrap().clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.inner.stopped.store(true, Ordering::SeqCst);
        self.inner.silence.1.notify_all();
        let _ = TcpStream::connect(self.address);
        let _ = self.accepts.take().unwrap().join();
    }
}

impl Inner {
    fn serve(&self, mut stream: &TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        while let Some(request) = read_request(&mut reader) {
            if self.stopped.load(Ordering::SeqCst) {
                return;
            }
            let decide = Arc::clone(&self.decide.lock().unwrap());
            self.requests.lock().unwrap().push(request.clone());
            let answer = match decide(&request) {
                Reply::Good => "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
                Reply::Status(status, headers, body) => {
                    format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len())
                }
                Reply::Cut => return,
                Reply::Silent => {
                    let held = self.silence.0.lock().unwrap();
                    let stopped = |_: &mut ()| !self.stopped.load(Ordering::SeqCst);
                    drop(self.silence.1.wait_while(held, stopped));
                    return;
                }
            };
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    }
}

/// Reads a request; `None` at the end of the connection.
pub(crate) fn read_request(reader: &mut impl BufRead) -> Option<Request> {
    let mut line = String::new();
    if reader.read_line(&mut line).ok()? == 0 {
        return None;
    }
    let mut headers = BTreeMap::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim().split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").map_or(0, |text| text.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request { line: line.trim().to_owned(), headers, body })
}
