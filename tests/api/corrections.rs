//! Corrections by late events reach readers and followers.

use serde_json::{Value, json};

use crate::service::Service;

/// The spike of minute 12 is part of a longer one once minute 11 turns out to have had more messages still.
fn correct(service: &mut Service) {
    service.chat("ada", 11, 250);
    service.until(15);
}

#[test]
fn a_follower_is_told_that_windows_changed_and_a_moment_began_earlier() {
    let mut service = Service::start();
    service.spike("ada");
    let mut socket = service.socket("/live/ada?history=3600");
    let snapshot = socket.next().unwrap();
    let spike = snapshot["moments"][0].clone();
    assert_eq!(spike["moment_type"], "chat_spike");

    correct(&mut service);
    let corrected = socket.find(|message| message["type"] == "metrics" && message["kind"] == "corrected");
    assert_eq!(corrected["revision"], 1);
    let withdrawn = socket.find(|message| message["kind"] == "withdrawn");
    assert_eq!((&withdrawn["type"], &withdrawn["stream_id"]), (&json!("moment"), &json!("ada")));
    assert_eq!(withdrawn["moment"]["moment_id"], spike["moment_id"]);
    assert!(withdrawn["revision"].as_u64() > spike["revision"].as_u64());

    let moments = service.get("/streams/ada/moments").json();
    let ids = |moments: &Value| -> Vec<Value> {
        moments["moments"].as_array().unwrap().iter().map(|moment| moment["moment_id"].clone()).collect()
    };
    assert!(!ids(&moments).contains(&spike["moment_id"]), "{moments}");
    let window =
        service.get("/streams/ada/metrics?from=2026-01-01T00:12:00Z&limit=1&to=2026-01-01T00:12:01Z").json();
    assert_eq!(
        (&window["metrics"][0]["chat_count"], &window["metrics"][0]["revision"]),
        (&json!(270), &json!(1))
    );
}

#[test]
fn one_who_was_away_is_told_what_was_withdrawn_meanwhile() {
    let mut service = Service::start();
    service.spike("ada");
    let mut socket = service.socket("/live/ada?history=3600");
    let snapshot = socket.next().unwrap();
    socket.close();
    correct(&mut service);
    let (life, since) = (snapshot["life"].as_str().unwrap(), snapshot["as_of"].as_str().unwrap());
    let mut socket = service.socket(&format!("/live/ada?since={since}&life={life}"));
    assert_eq!(socket.next().unwrap()["type"], "resumed");
    let withdrawn = socket.find(|message| message["kind"] == "withdrawn");
    assert_eq!(withdrawn["moment"]["moment_id"], snapshot["moments"][0]["moment_id"]);
}

#[test]
fn a_moment_is_told_from_its_beginning_to_its_end() {
    let mut service = Service::start();
    for minute in 0..12 {
        service.chat("ada", minute, 20);
    }
    service.until(12);
    let mut socket = service.socket("/live/ada");
    socket.next().unwrap();
    service.chat("ada", 12, 150);
    for minute in 13..16 {
        service.chat("ada", minute, 20);
    }
    service.until(16);
    let (mut kinds, mut revisions) = (Vec::new(), Vec::new());
    while kinds.last().is_none_or(|kind| kind != "closed") {
        let message = socket.find(|message| message["type"] == "moment");
        kinds.push(message["kind"].as_str().unwrap().to_owned());
        revisions.push(message["revision"].as_u64().unwrap());
    }
    assert_eq!((kinds[0].as_str(), revisions[0]), ("opened", 0));
    assert!(
        kinds[1..kinds.len() - 1].iter().all(|kind| kind == "updated") && revisions.is_sorted(),
        "{kinds:?}"
    );
}
