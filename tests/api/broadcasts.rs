//! Broadcasts: where one ends and the next begins, and what each comes to.

use serde_json::{Value, json};

use crate::service::{Feeder, Service};

/// Two broadcasts with a silence of ten minutes between them; the second has a spike and goes on.
pub(crate) fn two_evenings(feeder: &mut Feeder) {
    feeder.viewers("ada", 0, 10);
    feeder.chat("ada", 0, 20);
    feeder.viewers("ada", 1, 30);
    feeder.chat("ada", 1, 10);
    feeder.gift("ada", 2, 12_345_678);
    feeder.title("ada", 12, true, "Second evening");
    for minute in 12..24 {
        feeder.chat("ada", minute, 20);
        feeder.viewers("ada", minute, 100);
    }
    feeder.chat("ada", 24, 200);
    feeder.gift("ada", 25, 2_000_000);
    feeder.chat("ada", 25, 20);
}

#[test]
fn a_silence_of_five_minutes_ends_a_broadcast() {
    let mut service = Service::start();
    two_evenings(&mut service.feeder);
    service.until(26);
    let answer = service.get("/streams/ada/broadcasts?max_chance=1").json();
    let all = answer["broadcasts"].as_array().unwrap();
    assert_eq!(all.len(), 2, "{answer}");
    let (newest, oldest) = (&all[0], &all[1]);
    assert_eq!(
        (&oldest["started_at"], &oldest["ended_at"]),
        (&json!("2026-01-01T00:00:00.000Z"), &json!("2026-01-01T00:03:00.000Z"))
    );
    assert_eq!(
        (&newest["started_at"], &newest["ended_at"]),
        (&json!("2026-01-01T00:12:00.000Z"), &json!("2026-01-01T00:26:00.000Z"))
    );
    assert_eq!((&oldest["messages"], &newest["messages"]), (&json!(30), &json!(460)));
    assert_eq!((&oldest["mean_viewers"], &oldest["peak_viewers"]), (&json!(20.0), &json!(30)));
    assert_eq!(
        (&oldest["revenue"], &newest["revenue"]),
        (&json!({"EUR": "12.345678"}), &json!({"EUR": "2.00"}))
    );
    assert_eq!((&newest["peak_chatters"], &newest["top_emotes"][0]["name"]), (&json!(7), &json!("Kappa")));
    assert_eq!((&oldest["is_open"], &newest["is_open"]), (&json!(false), &json!(true)));
    assert_eq!((&oldest["moments"], &oldest["strongest"]), (&json!(0), &Value::Null));
    assert_eq!(newest["strongest"]["moment_type"], "chat_spike");
    assert!(newest["moments"].as_u64().unwrap() >= 1);

    let early = service.get("/streams/ada/broadcasts?to=2026-01-01T00:10:00Z").json();
    assert_eq!(early["broadcasts"].as_array().unwrap().len(), 1);
    let late = service.get("/streams/ada/broadcasts?from=2026-01-01T00:13:00Z").json();
    assert_eq!((&late["broadcasts"][0]["is_cut"], &newest["is_cut"]), (&json!(true), &json!(false)));
    service.title("ada", 26, false, "Second evening");
    service.until(27);
    let ended = service.get("/streams/ada/broadcasts").json()["broadcasts"][0].clone();
    let end = (&ended["is_open"], &ended["ended_at"]);
    assert_eq!(end, (&json!(false), &json!("2026-01-01T00:26:00.000Z")), "its end was said");
}

#[test]
fn a_silence_within_what_metadata_calls_one_broadcast_does_not_end_it() {
    let mut service = Service::start();
    service.title("ada", 0, true, "A long evening");
    for minute in [0, 1, 20, 21] {
        service.chat("ada", minute, 20);
    }
    service.until(22);
    let answer = service.get("/streams/ada/broadcasts").json();
    let all = answer["broadcasts"].as_array().unwrap();
    assert_eq!((all.len(), &all[0]["messages"]), (1, &json!(80)), "{answer}");
    assert_eq!(all[0]["started_at"], "2026-01-01T00:00:00.000Z");
}

#[test]
fn what_is_wrong_with_a_question_about_broadcasts_is_said() {
    let mut service = Service::start();
    service.chat("ada", 0, 20);
    service.until(1);
    assert_eq!(service.get("/streams/nobody/broadcasts").status, 404);
    for query in ["from=then", "max_chance=2", "limit=1"] {
        assert_eq!(service.get(&format!("/streams/ada/broadcasts?{query}")).status, 400, "{query}");
    }
    let far = service.get("/streams/ada/broadcasts?from=2025-11-01T00:00:00Z&to=2026-01-01T00:01:00Z").json();
    assert_eq!(far["from"], "2025-12-01T00:01:00.000Z", "31 days are looked at");
    let none =
        service.get("/streams/ada/broadcasts?from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z").json();
    assert_eq!(none["broadcasts"], json!([]));
}
