//! Answers across all streams: moments in one list, and the overview.

use serde_json::{Value, json};

use crate::client::request;
use crate::service::{Service, wait};

fn ids(page: &Value) -> Vec<&str> {
    let moments = page["moments"].as_array().unwrap();
    moments.iter().map(|moment| moment["moment_id"].as_str().unwrap()).collect()
}

/// Spikes of different strength in three streams, and a surge of viewers in one of them.
fn busy() -> Service {
    let mut service = Service::start();
    for minute in 0..15 {
        service.viewers("ada", minute, if minute == 13 { 9000 } else { 1000 + minute % 2 });
        service.chats(&["ada", "bob", "cyd"], minute, 20);
        match minute {
            11 => service.chats(&["bob"], minute, 400),
            12 => service.chats(&["ada"], minute, 150),
            13 => service.chats(&["cyd"], minute, 90),
            // Still open at the end.
            14 => service.chats(&["bob"], minute, 300),
            _ => {}
        }
    }
    service.until(15);
    service
}

#[test]
fn moments_of_all_streams_are_one_list_newest_or_strongest_first() {
    let service = busy();
    let list = |query: &str| service.get(&format!("/moments?{query}")).json();
    let newest = list("");
    let all = newest["moments"].as_array().unwrap();
    let of = |field: &str| all.iter().map(|moment| moment[field].as_str().unwrap()).collect::<Vec<_>>();
    for stream in ["ada", "bob", "cyd"] {
        assert!(of("stream_id").contains(&stream), "{stream} is missing in {newest}");
    }
    assert!(of("started_at").is_sorted_by(|a, b| a >= b), "{newest}");
    assert_eq!(newest["as_of"], "2026-01-01T00:14:59.999Z");

    let strongest = list("order=strongest");
    let strength = |moment: &Value| moment["score"].as_f64().unwrap().abs();
    let ranked = strongest["moments"].as_array().unwrap();
    assert!(ranked.iter().map(strength).is_sorted_by(|a, b| a >= b), "{strongest}");
    assert_eq!(ranked.len(), all.len());
    assert_ne!(ids(&newest), ids(&strongest), "the two orders differ here");
    let spikes = list("order=strongest&type=chat_spike");
    assert_eq!(spikes["moments"][0]["stream_id"], "bob");

    let of_ada = list("stream_id=ada&type=chat_spike");
    assert_eq!(ids(&of_ada), ids(&service.get("/streams/ada/moments?type=chat_spike").json()));
    assert_eq!(list("stream_id=nobody")["moments"], json!([]));
    let (early, late) = (list("to=2026-01-01T00:12:00Z"), list("from=2026-01-01T00:12:00Z"));
    assert_eq!([ids(&late), ids(&early)].concat(), ids(&newest));
    assert!(!ids(&early).is_empty() && !ids(&late).is_empty());
    let open = list("open=true");
    assert!(open["moments"].as_array().unwrap().iter().all(|moment| moment["ended_at"].is_null()));
    assert!(!ids(&open).is_empty() && ids(&open).len() < all.len(), "{open}");
}

#[test]
fn moments_are_filtered_by_chance() {
    let mut service = busy();
    // Chance is known once the windows cannot change any more.
    for minute in 15..20 {
        service.chats(&["ada", "bob", "cyd"], minute, 20);
    }
    service.until(20);
    let all = service.get("/moments").json();
    let chance = |moment: &Value| moment["chance"].as_f64();
    let moments = all["moments"].as_array().unwrap();
    let least = moments.iter().filter_map(chance).fold(1.0, f64::min);
    assert!(least < 1.0, "some chance is known: {all}");
    let few = service.get(&format!("/moments?max_chance={least}")).json();
    let wanted = moments.iter().filter(|moment| chance(moment).is_some_and(|chance| chance <= least));
    assert_eq!(few["moments"].as_array().unwrap().iter().collect::<Vec<_>>(), wanted.collect::<Vec<_>>());
}

#[test]
fn pages_of_both_orders_meet_without_gap_or_overlap() {
    let service = busy();
    for order in ["newest", "strongest"] {
        let all = service.get(&format!("/moments?order={order}")).json();
        let (mut seen, mut query) = (Vec::new(), format!("order={order}&limit=1"));
        loop {
            let page = service.get(&format!("/moments?{query}")).json();
            seen.extend(ids(&page).into_iter().map(str::to_owned));
            let Some(cursor) = page["next_cursor"].as_str() else { break };
            query = format!("order={order}&limit=1&cursor={cursor}");
        }
        assert!(seen.len() > 2, "{all}");
        assert_eq!(seen, ids(&all), "{order}");
    }
}

#[test]
fn what_is_wrong_with_a_question_is_said() {
    let service = busy();
    let page = service.get("/moments?limit=1").json();
    let (newest, other) = (page["next_cursor"].as_str().unwrap(), "0".repeat(32));
    for (query, parameter) in [
        ("order=best".to_owned(), "order"),
        ("type=".to_owned(), "type"),
        ("max_chance=2".to_owned(), "max_chance"),
        ("limit=0".to_owned(), "limit"),
        ("stream_id=a%00".to_owned(), "stream_id"),
        (format!("order=strongest&cursor=sfff0000000000000-{other}"), "cursor"),
        (format!("order=strongest&cursor=s0-{other}"), "cursor"),
        ("colour=red".to_owned(), "colour"),
    ] {
        let answer = service.get(&format!("/moments?{query}"));
        let detail = answer.json()["detail"].as_str().unwrap_or_default().to_owned();
        assert_eq!(answer.status, 400, "{query}");
        assert!(detail.contains(&format!("`{parameter}`")), "{query}: {detail}");
    }
    let next = service.get(&format!("/moments?order=strongest&cursor={newest}")).json();
    assert_eq!(next, service.get(&format!("/moments?cursor={newest}")).json(), "a page goes on as it began");
    assert_eq!(service.get("/overview?minutes=5").status, 400);
    assert_eq!(request(service.address, "POST", "/moments", &[]).status, 405);
}

#[test]
fn the_overview_has_totals_and_a_line_for_each_stream() {
    let mut service = Service::start();
    service.title("ada", 0, true, "Evening chat");
    for minute in 0..5 {
        service.viewers("ada", minute, 40);
        service.chats(&["ada", "bob"], minute, 30);
    }
    service.chat("ada", 5, 60);
    service.viewers("ada", 5, 40);
    service.until(6);
    let glance = service.get("/overview?minutes=10").json();
    assert_eq!(
        (&glance["from"], &glance["to"]),
        (&json!("2025-12-31T23:57:00.000Z"), &json!("2026-01-01T00:06:00.000Z"))
    );
    let (ada, totals) = (&glance["streams"][0], &glance["totals"]);
    assert_eq!(ada["stream"]["stream_id"], "ada", "those that chat most come first");
    assert_eq!(ada["chat_rate"], json!([null, null, null, null, 0.5, 0.5, 0.5, 0.5, 0.5, 1.0]));
    assert_eq!(ada["avg_viewers"][9], json!(40.0));
    let bob = glance["streams"].as_array().unwrap().iter().find(|line| line["stream"]["stream_id"] == "bob");
    assert_eq!(bob.unwrap()["chat_rate"][9], Value::Null, "there was nothing in that minute");
    assert_eq!((&totals["streams"], &totals["live"]), (&json!(2), &json!(2)), "{glance}");
    let now = |line: &Value| line["stream"]["current"]["chat_rate"].as_f64().unwrap();
    let rates: f64 = glance["streams"].as_array().unwrap().iter().map(now).sum();
    assert_eq!((&totals["viewers"], &totals["chat_rate"]), (&json!(40.0), &json!(rates)));
    assert_eq!(service.get("/overview?limit=1").json()["streams"].as_array().unwrap().len(), 1);
}

#[test]
fn a_stream_that_fell_silent_does_not_stay_live() {
    let mut service = Service::start();
    service.title("ada", 0, true, "Evening chat");
    service.title("bob", 0, true, "Piano");
    service.chats(&["ada", "bob"], 0, 20);
    service.chat("bob", 1, 20);
    service.until(1);
    let stream = |service: &Service, id: &str| service.get(&format!("/streams/{id}")).json();
    assert_eq!(
        (&stream(&service, "ada")["presence"], &stream(&service, "ada")["silent_since"]),
        (&json!("live"), &Value::Null)
    );

    service.chat("bob", 4, 20);
    service.until(5);
    let ada = stream(&service, "ada");
    assert_eq!((&ada["presence"], &ada["is_live"]), (&json!("silent"), &json!(true)), "its end was not said");
    assert_eq!(ada["silent_since"], "2026-01-01T00:00:50.000Z", "where its last window began");
    let live = |service: &Service| {
        let list = service.get("/streams?live=true&order=name").json();
        list["streams"].as_array().unwrap().iter().map(|it| it["stream_id"].to_string()).collect::<Vec<_>>()
    };
    assert_eq!(live(&service), ["\"ada\"", "\"bob\""], "a short silence is no end");
    assert_eq!(service.get("/overview").json()["totals"]["silent"], 1);

    service.chat("bob", 11, 20);
    service.until(12);
    wait(|| live(&service) == ["\"bob\""]);
    service.title("bob", 12, false, "Piano");
    service.until(13);
    assert_eq!(stream(&service, "bob")["presence"], "offline");
}
