//! A client that follows at one service and then at another, and checks what it is told.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use serde_json::Value;

use super::Database;
use crate::client::Socket;
use crate::follower::Events;

enum Connection {
    Socket(Box<Socket>),
    Events(Events),
}

/// A client that follows one stream or all, at one service and then at another.
pub(super) struct Client {
    pub(super) stream: Option<&'static str>,
    by_socket: bool,
    connection: Option<Connection>,
    cursor: Option<String>,
    pub(super) rows: BTreeMap<String, String>,
    told: BTreeSet<String>,
    pub(super) resumed: usize,
    pub(super) withdrawn: usize,
    heartbeats: usize,
    connections: usize,
    /// Why it was sent snapshots; nothing where it asked for none.
    pub(super) snapshots: Vec<String>,
}

impl Client {
    pub(super) fn new(stream: Option<&'static str>, by_socket: bool) -> Self {
        let (rows, told, snapshots) = (BTreeMap::new(), BTreeSet::new(), Vec::new());
        let (connection, cursor, resumed, withdrawn, heartbeats, connections) = (None, None, 0, 0, 0, 0);
        Self {
            stream,
            by_socket,
            connection,
            cursor,
            rows,
            told,
            resumed,
            withdrawn,
            heartbeats,
            connections,
            snapshots,
        }
    }

    fn connect(&mut self, address: SocketAddr) {
        let path = match self.stream {
            Some(stream) => format!("/live/{stream}?history=86400"),
            None => "/live?history=86400".to_owned(),
        };
        let after = self.cursor.as_deref().filter(|_| self.by_socket);
        let path = path + &after.map(|cursor| format!("&after={cursor}")).unwrap_or_default();
        let headers: Vec<_> =
            self.cursor.as_deref().map(|cursor| ("last-event-id", cursor)).into_iter().collect();
        self.connection = Some(match self.by_socket {
            true => Connection::Socket(Box::new(Socket::open(address, &path))),
            false => Connection::Events(Events::try_open(address, &path, &headers).0),
        });
    }

    /// The next message, and where to go on after it. Who is told to come again does so.
    fn next(&mut self, address: SocketAddr) -> (Option<String>, Value) {
        loop {
            match self.connection.as_mut() {
                None => {
                    self.connections += 1;
                    assert!(self.connections < 200, "it is sent away again and again");
                    self.connect(address);
                }
                Some(Connection::Socket(socket)) => match socket.next() {
                    Ok(message) => return (message["cursor"].as_str().map(str::to_owned), message),
                    Err((1012, _)) => self.connection = None,
                    Err(error) => panic!("{error:?}"),
                },
                Some(Connection::Events(events)) => match events.event() {
                    None => self.connection = None,
                    Some(fields) => {
                        let field = |name: &str| fields.iter().find(|(known, _)| known == name);
                        if let Some((_, data)) = field("data") {
                            let cursor = field("id").map(|(_, id)| id.clone());
                            return (cursor, serde_json::from_str(data).unwrap());
                        }
                    }
                },
            }
        }
    }

    /// Takes in a message; the tables have these rows.
    fn take(&mut self, rows: &BTreeMap<String, String>, (cursor, message): (Option<String>, Value)) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let stream = text(&message["stream_id"]);
        let key = match message["type"].as_str().unwrap() {
            "heartbeat" => {
                self.heartbeats += 1;
                assert!(self.heartbeats < 40, "nothing is told: {:?} of {rows:?}", self.rows);
                return;
            }
            "resumed" => {
                self.resumed += 1;
                assert_eq!(message["cursor"].as_str(), self.cursor.as_deref());
                None
            }
            kind @ ("snapshot" | "overview") => {
                self.rows = rows.clone();
                self.told.clear();
                self.snapshots.push(text(&message["not_resumed"]));
                if kind == "snapshot" {
                    let is_row = |(key, _): &(&String, &String)| !key.starts_with("s ");
                    let told = message["metrics"].as_array().unwrap().len()
                        + message["moments"].as_array().unwrap().len();
                    assert_eq!(told, self.rows.iter().filter(is_row).count(), "{message}");
                }
                // Of what is in the tables nothing may come again.
                self.told.extend(self.rows.iter().map(|(key, revision)| format!("{key} {revision} false")));
                self.cursor = None;
                None
            }
            "metrics" => Some(format!("w {stream} {}", text(&message["metrics"]["window_start"]))),
            "moment" => Some(format!("m {}", text(&message["moment"]["moment_id"]))),
            "stream" => Some(format!("s {stream}")),
            other => panic!("{other}"),
        };
        if let Some(key) = key {
            let withdrawn = message["kind"] == "withdrawn";
            let state = match message["type"].as_str() {
                Some("stream") => text(&message["stream"]["title"]),
                _ => message["revision"].to_string(),
            };
            assert!(self.told.insert(format!("{key} {state} {withdrawn}")), "it came twice: {message}");
            self.withdrawn += usize::from(withdrawn);
            if withdrawn {
                self.rows.remove(&key)
            } else {
                self.rows.insert(key, state)
            };
        }
        self.cursor = cursor.or(self.cursor.take());
    }

    /// Reads at a service until everything is known, or so many messages.
    pub(super) fn read(&mut self, database: &Database, at: SocketAddr, most: usize) {
        // Nothing is written meanwhile.
        let rows = database.rows(self.stream);
        let mut read = 0;
        // Of messages that belong together the last has a cursor: cut off among them, they come again.
        let mut between = false;
        while between || (read < most && !(self.cursor.is_some() && self.rows == rows)) {
            let message = self.next(at);
            between = message.0.is_none() && message.1["stream_id"].is_string();
            self.take(&rows, message);
            read += 1;
        }
    }

    pub(super) fn leave(&mut self) {
        self.connection = None;
    }
}
