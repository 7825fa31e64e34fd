//! The answers of each path.

use serde_json::{Value, json};

use crate::client::request;
use crate::service::{Service, wait};

/// The fields of a list's items.
fn column<'a>(list: &'a Value, field: &str) -> Vec<&'a Value> {
    list.as_array().unwrap().iter().map(|item| &item[field]).collect()
}

#[test]
fn streams_are_ranked_filtered_searched_and_paged() {
    let mut service = Service::start();
    service.title("ada", 0, true, "Evening chat");
    service.title("bob", 0, true, "Piano & tea");
    service.title("bob", 1, false, "Piano & tea");
    for (stream, chats, viewers) in [("ada", 30, 5), ("bob", 10, 500), ("cyd", 20, 50)] {
        service.chat(stream, 1, chats);
        service.viewers(stream, 1, viewers);
    }
    service.until(2);
    let list = |query: &str| service.get(&format!("/streams?{query}")).json();
    let ids = |query: &str| -> Vec<String> {
        let list = list(query);
        column(&list["streams"], "stream_id").iter().map(|id| id.as_str().unwrap().to_owned()).collect()
    };

    assert_eq!(ids(""), ["ada", "cyd", "bob"]);
    assert_eq!(ids("order=viewers"), ["bob", "cyd", "ada"]);
    assert_eq!(ids("order=name"), ["ada", "bob", "cyd"]);
    assert_eq!(ids("live=true"), ["ada", "cyd"], "bob has ended");
    assert_eq!(ids("search=PIANO"), ["bob"], "in titles, in any case");
    assert_eq!(ids("search=mus"), ["ada", "bob"], "in categories");
    assert_eq!(ids("search=%26"), ["bob"]);

    let (first, second) = (list("limit=2"), list("limit=2&offset=2"));
    assert_eq!((&first["total"], &first["next_offset"]), (&json!(3), &json!(2)));
    assert_eq!(
        (column(&second["streams"], "stream_id"), &second["next_offset"]),
        (vec![&json!("bob")], &Value::Null)
    );
    assert_eq!(list("offset=9")["streams"], json!([]));
    assert_eq!(first["as_of"], "2026-01-01T00:01:59.999Z");
}

#[test]
fn a_stream_has_its_row_and_its_newest_window() {
    let mut service = Service::start();
    service.title("ada", 0, true, "Evening chat");
    service.chat("ada", 0, 30);
    service.viewers("ada", 0, 40);
    service.gift("ada", 0, 12_345_678);
    service.until(1);
    let stream = service.get("/streams/ada").json();
    assert_eq!(stream["title"], "Evening chat");
    assert_eq!((&stream["is_live"], &stream["ended_at"]), (&json!(true), &Value::Null));
    assert_eq!(stream["started_at"], "2026-01-01T00:00:00.000Z");
    let current = &stream["current"];
    assert_eq!(current["window_end"], "2026-01-01T00:01:00.000Z");
    assert_eq!((&current["chat_count"], &current["chat_rate"]), (&json!(30), &json!(0.5)));
    assert_eq!((&current["unique_chatters"], &current["positive_count"]), (&json!(7), &json!(10)));
    assert_eq!(
        current["top_emotes"],
        json!([{"name": "Kappa", "count": 30}, {"name": "Rocket", "count": 15}])
    );
    assert_eq!((&current["avg_viewers"], &current["peak_viewers"]), (&json!(40.0), &json!(40)));
    assert_eq!(current["transaction_amount"], json!({"EUR": "12.345678"}), "exact");

    // Where nothing changes, it takes a moment until that is known.
    service.until(5);
    wait(|| service.get("/streams/ada").json()["current"].is_null());
    assert_eq!(service.get("/streams/ada").json()["title"], "Evening chat");
}

#[test]
fn windows_are_given_by_range_resolution_and_page() {
    let mut service = Service::start();
    for minute in 0..6 {
        service.chat("ada", minute, 60);
    }
    service.until(6);
    let metrics = |query: &str| service.get(&format!("/streams/ada/metrics?{query}")).json();
    let ends = |page: &Value| -> Vec<String> {
        column(&page["metrics"], "window_end")
            .iter()
            .map(|end| end.as_str().unwrap()[14..19].to_owned())
            .collect()
    };
    // A window ends with every slide, from the first that holds an event.
    assert_eq!(ends(&metrics("")).len(), 36);
    assert_eq!(ends(&metrics("resolution=60")), ["01:00", "02:00", "03:00", "04:00", "05:00", "06:00"]);
    let range = "from=2026-01-01T00:02:00Z&to=2026-01-01T01:03:00%2B01:00";
    assert_eq!(ends(&metrics(range)), ["02:00", "02:10", "02:20", "02:30", "02:40", "02:50"]);
    assert_eq!(metrics("from=2026-01-01T00:03:00Z&to=2026-01-01T00:02:00Z")["metrics"], json!([]));
    assert_eq!(metrics("to=1969-01-01T00:00:00Z")["metrics"], json!([]));

    // Page by page, newest first, nothing is missed and nothing comes twice.
    let (mut seen, mut query) = (Vec::new(), "limit=7".to_owned());
    loop {
        let page = metrics(&query);
        assert!(ends(&page).len() <= 7 && ends(&page).is_sorted());
        seen.splice(0..0, ends(&page));
        let Some(to) = page["next_to"].as_str() else { break };
        query = format!("limit=7&to={to}");
    }
    assert_eq!(seen, ends(&metrics("")));
}

#[test]
fn moments_are_given_by_type_range_state_and_page() {
    let mut service = Service::start();
    service.spike("ada");
    let address = service.address;
    let moments = |query: &str| request(address, "GET", &format!("/streams/ada/moments?{query}"), &[]).json();
    let all = moments("");
    let spike = &all["moments"][0];
    assert_eq!((&spike["moment_type"], &spike["stream_id"]), (&json!("chat_spike"), &json!("ada")));
    assert_eq!(spike["context"]["side"], "above");
    let carried = &spike["context"]["carried"][0];
    assert_eq!((&carried["what"], &carried["name"]), (&json!("messages_each"), &json!("")));
    assert!(carried["now"].as_f64() >= Some(1.0) && carried["usual"].is_number(), "{carried}");
    assert!(spike["score"].as_f64() > spike["threshold"].as_f64(), "{spike}");
    let start = spike["started_at"].as_str().unwrap();
    assert_eq!(moments("type=chat_spike")["moments"], all["moments"]);
    assert_eq!(moments("type=viewer_surge")["moments"], json!([]));
    assert_eq!(moments(&format!("from={start}"))["moments"], all["moments"]);
    assert_eq!(moments(&format!("to={start}"))["moments"], json!([]));
    let open = moments("open=true");
    assert!(column(&open["moments"], "ended_at").iter().all(|end| end.is_null()));
    service.chat("calm", 14, 3);
    service.until(15);
    assert_eq!(service.get("/streams/calm/moments").json()["moments"], json!([]));
}

/// What has left memory is in the tables, and says the same.
#[test]
fn what_is_older_than_memory_comes_from_the_tables() {
    let whole = |horizon: std::time::Duration| {
        let mut service = Service::with(crate::server::app::Options::default(), horizon);
        service.title("gone", 0, true, "Once");
        service.chat("gone", 0, 20);
        service.gift("gone", 0, 12_345_678);
        service.spike("ada");
        for minute in 14..20 {
            service.chat("ada", minute, 20);
        }
        service.until(20);
        let in_memory = service.reader.history("ada", ..).len();
        let paths = [
            "/streams/ada/metrics?limit=5000",
            "/streams/ada/metrics?from=2026-01-01T00:01:00Z&to=2026-01-01T00:12:00Z&resolution=60",
            "/streams/ada/metrics?limit=5",
            "/streams/ada/metrics?limit=5&to=2026-01-01T00:03:00Z",
            "/streams/gone/metrics",
            "/streams/ada/moments",
            "/streams/ada/moments?type=chat_spike&from=2026-01-01T00:05:00Z&to=2026-01-01T00:19:00Z",
            "/streams/ada/moments?open=true",
            "/streams/gone/moments",
        ];
        (in_memory, paths.map(|path| service.get(path).json()))
    };
    let ((all, from_memory), (few, from_tables)) =
        (whole(std::time::Duration::from_secs(7200)), whole(std::time::Duration::from_secs(120)));
    assert!(few < all, "the second has most of it in its tables alone");
    assert_eq!(from_memory[4]["metrics"][0]["transaction_amount"], json!({"EUR": "12.345678"}));
    assert_eq!(column(&from_tables[5]["moments"], "moment_type"), [&json!("chat_spike")]);
    for (a, b) in from_memory.iter().zip(&from_tables) {
        assert_eq!(a, b);
    }
}

#[test]
fn several_moments_at_one_time_are_paged_one_by_one() {
    let mut service = Service::start();
    for minute in 0..12 {
        service.chat("ada", minute, 20);
        service.viewers("ada", minute, 1000 + minute % 2);
    }
    service.chat("ada", 12, 200);
    for _ in 0..3 {
        service.viewers("ada", 12, 9000);
    }
    service.until(13);
    let all = service.get("/streams/ada/moments").json();
    let wanted = column(&all["moments"], "moment_id");
    assert!(wanted.len() >= 2, "{all}");
    let (mut seen, mut query) = (Vec::new(), "limit=1".to_owned());
    loop {
        let page = service.get(&format!("/streams/ada/moments?{query}")).json();
        seen.extend(column(&page["moments"], "moment_id").into_iter().cloned());
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        query = format!("limit=1&cursor={cursor}");
    }
    assert_eq!(seen.iter().collect::<Vec<_>>(), wanted);
}
