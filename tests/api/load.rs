//! The load of many followers at once, and the latency of their updates. Not part of a test run:
//! `cargo test --release --test api -- --ignored --nocapture load`.

use std::collections::HashMap;
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use serde_json::Value;
use telemetra::sinks::Notice;

use crate::service::Service;

const CLIENTS: usize = 1000;
const STREAMS: usize = 100;
/// Slides of ten seconds while all are connected.
const SLIDES: u64 = 30;

/// Each of a thousand clients is told every window of its stream. Prints how long after it could be read from the view.
#[test]
#[ignore = "a measurement"]
fn a_thousand_clients_are_told_every_update_of_their_stream() {
    let mut service = Service::start();
    let names: Vec<String> = (0..STREAMS).map(|n| format!("stream_{n}")).collect();
    let streams: Vec<&str> = names.iter().map(String::as_str).collect();
    service.chats(&streams, 0, 6);
    service.until(1);

    let (visible_tx, visible) = mpsc::channel();
    let changes = service.reader.subscribe(1 << 16);
    thread::spawn(move || {
        while let Some(Notice::Changed(update)) = changes.recv() {
            let _ = visible_tx.send(((update.subject.to_string(), update.time.to_string()), Instant::now()));
        }
    });
    let (told_tx, told) = mpsc::channel();
    for client in 0..CLIENTS {
        let mut socket = service.socket(&format!("/live/{}?history=0", names[client % STREAMS]));
        assert_eq!(socket.next().unwrap()["type"], "snapshot");
        let told = told_tx.clone();
        let follow = move || {
            while let Ok(message) = socket.next() {
                let now = Instant::now();
                let text = |field: &str| message[field].as_str().map(ToOwned::to_owned);
                if let (Some(stream), Some(time), Value::Object(_)) =
                    (text("stream_id"), text("time"), &message["metrics"])
                {
                    let _ = told.send(((stream, time), now));
                }
            }
        };
        thread::Builder::new().stack_size(256 * 1024).spawn(follow).unwrap();
    }
    drop(told_tx);
    let expected = CLIENTS * SLIDES as usize;
    let mut received = Vec::with_capacity(expected);
    for slide in 6..6 + SLIDES {
        service.chats_within(&streams, slide * 10_000, 10_000, 2);
        service.pass((slide + 1) * 10_000);
        // In real time the next slide is ten seconds away.
        received.extend(told.iter().take(CLIENTS));
    }
    let visible: HashMap<_, _> = visible.try_iter().collect();
    let mut micros: Vec<_> = received
        .iter()
        .filter_map(|(key, at)| Some(at.saturating_duration_since(*visible.get(key)?).as_micros()))
        .collect();
    micros.sort_unstable();
    assert_eq!(micros.len(), expected, "every client is told every window of its stream");
    let at = |share: f64| micros[((micros.len() - 1) as f64 * share) as usize] as f64 / 1000.0;
    println!(
        "{CLIENTS} clients, {expected} messages: median {:.1} ms, p99 {:.1} ms, last {:.1} ms after it was visible",
        at(0.5),
        at(0.99),
        at(1.0)
    );
}
