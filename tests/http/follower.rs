//! Followers by both protocols, and what they know.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use crate::client::{Socket, connect};

/// A client that follows changes.
pub(crate) trait Follower: Sized {
    /// Connects at a path, behind a cursor.
    fn open(address: SocketAddr, path: &str, cursor: Option<&str>) -> Self;

    /// The next message, and the cursor that came with it.
    fn next(&mut self) -> (Option<String>, Value);
}

impl Follower for Socket {
    fn open(address: SocketAddr, path: &str, cursor: Option<&str>) -> Self {
        let sign = if path.contains('?') { '&' } else { '?' };
        let query = cursor.map(|cursor| format!("{sign}cursor={cursor}")).unwrap_or_default();
        Self::open(address, &format!("{path}{query}"))
    }

    fn next(&mut self) -> (Option<String>, Value) {
        let message = Self::next(self).unwrap();
        (message["cursor"].as_str().map(ToOwned::to_owned), message)
    }
}

/// A client of server-sent events.
pub(crate) struct Events(BufReader<TcpStream>);

impl Events {
    /// Opens them, and returns the head of the answer.
    pub(crate) fn try_open(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> (Self, String) {
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let mut stream = connect(address);
        let accept = "accept: text/event-stream";
        write!(stream, "GET {path} HTTP/1.0\r\nhost: {address}\r\n{accept}\r\n{headers}\r\n").unwrap();
        let mut events = Self(BufReader::new(stream));
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(events.0.read_line(&mut head).unwrap() > 0, "{head}");
        }
        (events, head)
    }

    /// The fields of the next event, a comment as a field without a name; `None` at the end.
    pub(crate) fn event(&mut self) -> Option<Vec<(String, String)>> {
        let mut fields = Vec::new();
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            let line = line.trim_end_matches('\n');
            match line.split_once(": ") {
                Some((name, value)) => fields.push((name.to_owned(), value.to_owned())),
                None if line.is_empty() && !fields.is_empty() => return Some(fields),
                None => {}
            }
        }
    }
}

impl Follower for Events {
    fn open(address: SocketAddr, path: &str, cursor: Option<&str>) -> Self {
        let headers: Vec<_> = cursor.map(|cursor| ("last-event-id", cursor)).into_iter().collect();
        let (events, head) = Self::try_open(address, path, &headers);
        assert!(head.contains("content-type: text/event-stream"), "{head}");
        events
    }

    fn next(&mut self) -> (Option<String>, Value) {
        let fields = self.event().expect("the events go on");
        let field =
            |wanted: &str| fields.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone());
        (field("id"), serde_json::from_str(&field("data").unwrap()).unwrap())
    }
}

/// What a follower knows: rows by table and key columns, and each change that it was told.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) rows: BTreeMap<String, Value>,
    pub(crate) told: BTreeSet<String>,
    pub(crate) cursor: Option<String>,
    pub(crate) snapshots: usize,
    pub(crate) resumed: usize,
    pub(crate) withdrawn: usize,
    pub(crate) corrected: usize,
}

impl Known {
    /// Takes in a message.
    ///
    /// # Panics
    ///
    /// If a change comes twice, or one with an earlier revision.
    pub(crate) fn take(&mut self, (cursor, message): (Option<String>, Value)) {
        match message["type"].as_str().unwrap() {
            "snapshot" => {
                self.rows.clear();
                self.told.clear();
                self.snapshots += 1;
                for row in message["rows"].as_array().unwrap() {
                    self.put(row, "upsert");
                }
            }
            "resumed" => self.resumed += 1,
            "changes" => {
                for change in message["changes"].as_array().unwrap() {
                    self.put(change, change["action"].as_str().unwrap());
                }
            }
            "heartbeat" => {}
            other => panic!("{other}"),
        }
        self.cursor = cursor.or(self.cursor.take());
    }

    fn put(&mut self, change: &Value, action: &str) {
        let (table, row) = (change["table"].as_str().unwrap(), &change["row"]);
        let key = match table {
            "device_minute" => format!("{table} {} {}", row["device"], row["window_start"]),
            "device_minute_moments" => format!("{table} {}", row["moment_id"]),
            _ => format!("{table} {} {}", row["device"], row["raised_at"]),
        };
        let revision = change["revision"].as_u64().unwrap();
        assert!(self.told.insert(format!("{key} {revision} {action}")), "{key} came twice: {change}");
        if let Some(before) = self.rows.get(&key) {
            assert!(before["revision"].as_u64().unwrap() <= revision, "{before}, then {change}");
        }
        self.corrected += usize::from(action == "upsert" && revision > 0);
        if action == "upsert" {
            let mut row = row.clone();
            row["revision"] = revision.into();
            self.rows.insert(key, row);
        } else {
            self.withdrawn += 1;
            self.rows.remove(&key);
        }
    }
}
