//! Server-sent events: what a WebSocket is told, for clients without one.

use serde_json::Value;

use crate::follower::{Events, Follower};
use crate::service::Service;

/// The start and revision of a window of a message, where it is one.
fn window(message: &Value) -> Option<(String, u64)> {
    let start = message["metrics"]["window_start"].as_str()?.to_owned();
    Some((start, message["metrics"]["revision"].as_u64()?))
}

/// A client that is cut off after each event goes on by the id of the last one, and is told each window once.
#[test]
fn a_client_that_is_cut_off_goes_on_by_the_id_of_the_last_event() {
    let mut service = Service::start();
    service.chat("ada", 0, 30);
    service.until(1);
    for path in ["/live", "/live/ada"] {
        let mut events = Events::open(service.address, path, None);
        let (mut last, first) = events.next();
        assert!(["snapshot", "overview"].contains(&first["type"].as_str().unwrap()), "{first}");
        let mut told = Vec::new();
        let minute = if path == "/live" { 1 } else { 2 };
        service.chat("ada", minute, 30);
        service.until(minute + 1);
        let end = format!("2026-01-01T00:0{}:00.000Z", minute + 1);
        loop {
            let (id, message) = events.next();
            last = id.or(last);
            if message["stream_id"] == "ada" {
                told.extend(window(&message));
                events = Events::open(service.address, path, last.as_deref());
                assert_eq!(events.next().1["type"], "resumed");
                if message["metrics"]["window_end"] == end.as_str() {
                    break;
                }
            }
        }
        let count = told.len();
        assert_eq!(count, 6, "one with every slide: {told:?}");
        told.sort();
        told.dedup();
        assert_eq!(told.len(), count);
    }
}

/// Nothing else is answered at these paths than before: neither without the header nor with `*/*`.
#[test]
fn only_who_accepts_events_is_sent_them() {
    let service = Service::start();
    for accept in ["*/*", "text/*", "application/json", "text/event-streams"] {
        let answer = crate::client::request(service.address, "GET", "/live", &[("accept", accept)]);
        assert_eq!(answer.status, 426, "{accept}");
    }
}
