//! Followers: a snapshot, what comes after, and how they go on after a cut.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use telemetra::http::{Limits, Settings};

use crate::client::Socket;
use crate::devices::{Devices, wait};
use crate::follower::{Events, Follower, Known};

/// All rows that the routes answer with, by table and key columns.
fn asked(devices: &Devices) -> BTreeMap<String, Value> {
    let mut known = Known::default();
    for table in ["device_minute", "device_minute_moments", "alarms"] {
        for key in devices.json(&format!("/devices/tables/{table}/keys"))["keys"].as_array().unwrap() {
            let key = key["key"].as_str().unwrap().replace('/', "%2F");
            let page = devices.json(&format!("/devices/tables/{table}/keys/{key}?limit=1000"));
            let message = serde_json::json!({ "type": "snapshot", "rows": page["rows"] });
            let before = std::mem::take(&mut known.rows);
            known.take((None, message));
            known.rows.extend(before);
        }
    }
    known.rows
}

/// Takes in messages until one is of the last minute of the last device.
fn catch_up(follower: &mut impl Follower, known: &mut Known, last: &str) {
    while !known.rows.keys().any(|key| key.starts_with("device_minute ") && key.contains(last)) {
        known.take(follower.next());
    }
}

/// A follower that is cut off again and again is told each change once, and in the end knows what is asked.
fn cut_off_again_and_again<F: Follower>(path: &str) {
    let devices = Devices::start();
    let names = ["d1", "d2", "d3"];
    let mut known = Known::default();
    let mut rest = F::open(devices.address, path, None);
    let mut undisturbed = Known::default();
    let mut follower = F::open(devices.address, path, None);
    undisturbed.take(follower.next());
    let mut cuts = 0;
    for minute in 0..16 {
        for device in names {
            let hot = device == "d2" && minute == 12;
            devices.read(device, minute, 3, if hot { 80.0 } else { 20.0 + (minute % 3) as f64 / 10.0 });
        }
        if minute == 14 {
            // Late readings as hot as the departure: it was none. It is told in the same times as other
            // changes.
            for late in 10..12 {
                devices.read("d2", late, 30, 80.0);
            }
        }
        devices.until(minute + 1);
        let last = format!("\"d3\" \"2026-01-01T00:{minute:02}:00.000Z\"");
        if minute % 4 == 3 {
            // After all of it, whatever came in between.
            catch_up(&mut rest, &mut known, &last);
        } else if known.cursor.is_some() || minute > 0 {
            // In the middle of a time, between two keys of it.
            for _ in 0..=minute % 3 {
                known.take(rest.next());
            }
        }
        if known.cursor.is_some() {
            drop(rest);
            cuts += 1;
            rest = F::open(devices.address, path, known.cursor.as_deref());
        }
        catch_up(&mut follower, &mut undisturbed, &last);
    }
    // In the first time of all, before which nothing is known, only a snapshot will do.
    assert!(known.snapshots <= 3 && known.resumed >= cuts - 2 && cuts > 10, "{known:?}");
    assert_eq!(known.rows, undisturbed.rows);
    let mut asked = asked(&devices);
    // Its last window is not over for the others.
    asked.retain(|key, _| undisturbed.rows.contains_key(key));
    assert_eq!(undisturbed.rows, asked);
    assert!(undisturbed.corrected > 1, "the late readings correct windows");
    assert!(undisturbed.withdrawn > 0, "and withdraw the moment");
    assert!(undisturbed.rows.keys().any(|key| key.starts_with("alarms")));
}

#[test]
fn a_websocket_that_is_cut_off_goes_on_without_gap_or_double_change() {
    cut_off_again_and_again::<Socket>("/devices/live?history=3600");
}

#[test]
fn server_sent_events_that_are_cut_off_go_on_without_gap_or_double_change() {
    cut_off_again_and_again::<Events>("/devices/live?history=3600");
}

/// A late correction is a change with a revision above 0.
#[test]
fn a_late_correction_is_a_change() {
    let devices = Devices::start();
    devices.read("d1", 0, 3, 20.0);
    devices.until(1);
    let mut socket = devices_socket(&devices, "/devices/live/d1");
    let snapshot = socket.find(|message| message["type"] == "snapshot");
    assert_eq!(snapshot["rows"][0]["row"]["readings"], 3);
    devices.read("d1", 0, 2, 20.0);
    devices.until(2);
    let change = socket.find(|message| message["type"] == "changes");
    let change = &change["changes"][0];
    assert_eq!((&change["action"], &change["revision"]), (&"upsert".into(), &1.into()));
    assert_eq!(change["row"]["readings"], 5);
}

fn devices_socket(devices: &Devices, path: &str) -> Socket {
    Socket::open(devices.address, path)
}

#[test]
fn a_key_that_is_not_there_yet_can_be_followed_and_others_are_not_told() {
    let devices = Devices::start();
    devices.until(1);
    let mut events = Events::open(devices.address, "/devices/live/d%2F9", None);
    assert_eq!(events.next().1["rows"], serde_json::json!([]));
    devices.read("d1", 1, 3, 20.0);
    devices.read("d/9", 1, 3, 20.0);
    devices.until(3);
    let (cursor, message) = events.next();
    assert_eq!(message["key"], "d/9");
    assert_eq!(cursor.as_deref(), message["cursor"].as_str());
}

#[test]
fn a_snapshot_holds_what_is_newest_and_what_history_says() {
    let devices = Devices::busy();
    let rows = |query: &str| {
        let mut socket = devices_socket(&devices, &format!("/devices/live{query}"));
        let snapshot = socket.find(|message| message["type"] == "snapshot");
        let rows = snapshot["rows"].as_array().unwrap().clone();
        rows.iter().filter(|row| row["table"] == "device_minute" && row["key"] != "clock").count()
    };
    assert_eq!(rows(""), 2, "the newest window of each device");
    assert_eq!(rows("?history=120"), 6);
    assert_eq!(rows("/d1?history=86400"), 14);
    assert_eq!(rows("/d1"), 11, "ten minutes");
}

/// Of another life, before all that is known, ahead of it, or no cursor at all: then there is a snapshot.
#[test]
fn what_cannot_be_resumed_begins_with_a_snapshot() {
    let devices = Devices::with(Settings::new(), 300);
    for minute in 0..20 {
        devices.read("d1", minute, 3, 20.0);
        devices.until(minute + 1);
    }
    let (cursor, _) = Events::open(devices.address, "/devices/live", None).next();
    let cursor = cursor.unwrap();
    let (life, time) = cursor.split_once('-').unwrap();
    let first = Events::open(devices.address, "/devices/live", Some(&cursor)).next().1;
    assert_eq!(first["type"], "resumed");
    let old = time.parse::<u64>().unwrap() - 600_000;
    for cursor in [format!("0123-{time}"), format!("{life}-{old}"), format!("{life}-9{time}"), "7".to_owned()]
    {
        let first = Events::open(devices.address, "/devices/live", Some(&cursor)).next().1;
        assert_eq!(first["type"], "snapshot", "{cursor}");
    }
}

/// A browser sends the path with which it began, and the id of the last event: the id is newer.
#[test]
fn the_last_event_id_goes_before_the_cursor() {
    let devices = Devices::busy();
    let (cursor, _) = Events::open(devices.address, "/devices/live", None).next();
    let path = "/devices/live?cursor=0123-7";
    let message = Events::open(devices.address, path, cursor.as_deref()).next().1;
    assert_eq!(message["cursor"].as_str(), cursor.as_deref());
}

#[test]
fn heartbeats_come_by_both_protocols_and_keep_connections_that_say_nothing() {
    let (heartbeat, silence) = (Duration::from_millis(20), Duration::from_millis(200));
    let limits = Limits { heartbeat, idle_timeout: silence, ..Limits::default() };
    let devices = Devices::with(Settings::new().limits(limits), 3600);
    devices.until(1);
    let mut events = Events::open(devices.address, "/devices/live", None);
    let mut socket = devices_socket(&devices, "/devices/live");
    // Longer than either may be silent.
    for _ in 0..30 {
        socket.find(|message| message["type"] == "heartbeat");
        while events.next().1["type"] != "heartbeat" {}
    }
}

#[test]
fn a_client_that_falls_behind_is_disconnected_and_goes_on() {
    let limits = Limits { queue_all: 4, send_timeout: Duration::from_secs(60), ..Limits::default() };
    let devices = Devices::with(Settings::new().limits(limits), 3600);
    devices.read("d1", 0, 3, 20.0);
    devices.until(1);
    let mut events = Events::open(devices.address, "/devices/live", None);
    let (cursor, _) = events.next();
    // At one time more than may wait.
    for device in 0..2_000 {
        devices.read(&format!("device-{device:04}"), 1, 1, 20.0);
    }
    devices.until(2);
    let slow = |line: &String| line.contains("Left") && line.contains("slow");
    wait(|| devices.seen.lock().unwrap().iter().any(slow));
    let mut known = Known { cursor, ..Known::default() };
    while let Some(fields) = events.event() {
        if let Some((_, data)) = fields.iter().find(|(name, _)| name == "data") {
            let cursor = fields.iter().find(|(name, _)| name == "id").map(|(_, id)| id.clone());
            known.take((cursor, serde_json::from_str(data).unwrap()));
        }
    }
    let mut again = Events::open(devices.address, "/devices/live", known.cursor.as_deref());
    while known.rows.len() < 2_000 {
        known.take(again.next());
    }
    assert_eq!(known.resumed, 1, "{}", known.snapshots);
}

#[test]
fn followers_are_told_when_the_service_stops() {
    let mut devices = Devices::busy();
    let mut socket = devices_socket(&devices, "/devices/live");
    let mut events = Events::open(devices.address, "/devices/live", None);
    socket.find(|message| message["type"] == "snapshot");
    events.next();
    devices.stop();
    assert_eq!(socket.next().unwrap_err().0, 1001);
    assert_eq!(events.event().unwrap()[0].1, "the service stops; connect again");
    assert_eq!(events.event(), None, "the events end");
}
