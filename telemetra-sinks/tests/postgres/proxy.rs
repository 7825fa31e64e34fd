//! A proxy between client and server, which cuts or holds a connection where a test wants it.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The action when the message that a test waits for comes by.
#[derive(Copy, Clone, PartialEq, Eq)]
pub(crate) enum Then {
    /// Cut both ends before the server sees it.
    CutBefore,
    /// Cut both ends when the server has done it and says so: the client never hears.
    CutAfter,
    /// Keep it back until it is released.
    Hold,
}

struct Rule {
    wanted: &'static [u8],
    then: Then,
}

#[derive(Clone, Default)]
struct State {
    rule: Arc<Mutex<Option<Rule>>>,
    held: Arc<AtomicBool>,
    triggered: Arc<AtomicU32>,
}

impl State {
    /// Takes the rule if it waits for these bytes to do one of this.
    fn met(&self, bytes: &[u8], thens: &[Then]) -> Option<Then> {
        let mut rule = self.rule.lock().unwrap();
        let found = rule.as_ref().is_some_and(|rule| {
            thens.contains(&rule.then) && bytes.windows(rule.wanted.len()).any(|window| window == rule.wanted)
        });
        let Rule { then, .. } = found.then(|| rule.take()).flatten()?;
        self.held.store(then == Then::Hold, Ordering::SeqCst);
        self.triggered.fetch_add(1, Ordering::SeqCst);
        Some(then)
    }

    fn may_ask(&self, bytes: &[u8]) -> bool {
        let met = self.met(bytes, &[Then::CutBefore, Then::Hold]);
        while met == Some(Then::Hold) && self.held.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(2));
        }
        met != Some(Then::CutBefore)
    }

    /// The server's answer to a command begins with the command's name.
    fn may_answer(&self, bytes: &[u8]) -> bool {
        self.met(bytes, &[Then::CutAfter]).is_none()
    }
}

pub(crate) struct Proxy {
    pub(crate) port: u16,
    state: State,
}

impl Proxy {
    pub(crate) fn to(server: (String, u16)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let state = State::default();
        let proxy = Self { port: listener.local_addr().unwrap().port(), state: state.clone() };
        let proxy_end = state;
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect((&*server.0, server.1)) else { continue };
                let (to_server, to_client) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                let (asked, answered) = (proxy_end.clone(), proxy_end.clone());
                std::thread::spawn(move || pass(client, to_server, |bytes| asked.may_ask(bytes)));
                std::thread::spawn(move || pass(server, to_client, |bytes| answered.may_answer(bytes)));
            }
        });
        proxy
    }

    /// Waits for these bytes, once.
    pub(crate) fn when(&self, wanted: &'static str, then: Then) {
        *self.state.rule.lock().unwrap() = Some(Rule { wanted: wanted.as_bytes(), then });
    }

    pub(crate) fn go_on(&self) {
        self.state.held.store(false, Ordering::SeqCst);
    }

    /// The number of times that the message has come.
    pub(crate) fn triggered(&self) -> u32 {
        self.state.triggered.load(Ordering::SeqCst)
    }
}

/// Passes bytes on as long as `may` says so.
fn pass(mut from: TcpStream, mut to: TcpStream, may: impl Fn(&[u8]) -> bool) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        if !may(&buffer[..read]) || to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
