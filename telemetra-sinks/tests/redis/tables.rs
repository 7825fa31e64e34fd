//! The tables that are kept, and their keys.

use std::collections::BTreeMap;
use std::sync::Arc;

use redis::Commands;
use telemetra_core::{Column, ColumnKind, Layout, Retry, Row, Table, Value};

use super::common::{Alert, alert, device};
use super::model::of_row;
use super::services::{Kind, shared};
use super::*;

fn hash(connection: &mut Connection, key: String) -> BTreeMap<String, String> {
    connection.hgetall(key).unwrap()
}

#[test]
fn without_names_all_windows_and_moments_are_kept() {
    let place = shared(Kind::Redis);
    let mut sink = RedisSink::new(&*place.url).prefix(&*place.name);
    let keys = sink.key_names().clone();
    let mut tables = all_tables();
    tables.push(Arc::clone(readings_in("device_hour").table()));
    sink.open(&tables, None).unwrap();
    let changes = vec![
        of_row(device("d1", None, 1), 0, Action::Upsert),
        readings("d1", 0, 4, 0, Action::Upsert),
        readings_of("device_hour", "d1", 0, 40, 0, Action::Upsert),
        moment("d1", 0, 1, true, 0, Action::Upsert),
    ];
    sink.apply(&[common::batch(0, changes)]).unwrap();
    let mut connection = connect(&place.url);
    let mut names: Vec<String> =
        connection.scan_match(format!("{}:*", place.name)).unwrap().map(Result::unwrap).collect();
    names.sort();
    let expected =
        ["as_of:{d1}", "device_hour:{d1}:latest", "device_minute:{d1}:latest", "moments:{d1}", "progress"];
    assert_eq!(names, expected.map(|name| format!("{}:{name}", place.name)));
    assert_eq!(hash(&mut connection, keys.latest("device_minute", "d1"))["readings"], "4");
    assert_eq!(hash(&mut connection, keys.latest("device_hour", "d1"))["readings"], "40");
    assert_eq!(connection.llen::<_, u64>(keys.moments("moments", "d1")).unwrap(), 1);
}

#[test]
fn a_row_is_a_hash_until_it_is_withdrawn() {
    let place = shared(Kind::Redis);
    let keys = RedisKeys::new(&place.name).table(RedisTable::rows("devices").subject_field("device"));
    let mut sink = RedisSink::new(&*place.url).keys(keys.clone());
    open(&mut sink, None).unwrap();
    let mut connection = connect(&place.url);
    let mut listener = connect(&place.url);
    let mut messages = listener.as_pubsub();
    messages.subscribe(keys.live("d1")).unwrap();
    let time = |nth: u64| common::batch(nth, vec![]).time.0;
    let key = || keys.row("devices", "d1", &["d1"]);
    for (nth, label) in [(0, Some("first")), (1, None)] {
        let row = of_row(device("d1", label, -7), nth as u32, Action::Upsert);
        sink.apply(&[common::batch(nth, vec![row])]).unwrap();
        let mut fields = hash(&mut connection, key());
        assert_eq!(fields.remove("label").as_deref(), label, "a column without a value has no field");
        let expected = [
            ("device", "d1".to_owned()),
            ("digits", "[-7,0]".to_owned()),
            ("offset", "-7".to_owned()),
            ("raw", "00ff27".to_owned()),
            ("revision", nth.to_string()),
            ("shares", "[0.5,-2.5]".to_owned()),
            ("tags", r#"["a \"quoted\" text",""]"#.to_owned()),
            ("time", time(nth).to_string()),
        ];
        assert!(fields.iter().map(|(name, text)| (name.as_str(), text.clone())).eq(expected), "{fields:?}");
    }
    assert_eq!(
        connection.pttl::<_, i64>(key()).unwrap(),
        -1,
        "it is about now, however long it does not change"
    );
    assert_eq!(
        connection.pttl::<_, i64>(keys.as_of("d1")).unwrap(),
        -1,
        "what guards it does not go before it"
    );
    // However much time passes.
    sink.apply(&[common::batch(10_000, vec![])]).unwrap();
    assert!(connection.exists::<_, bool>(key()).unwrap());
    sink.apply(&[common::batch(10_001, vec![of_row(device("d1", None, -7), 2, Action::Withdraw)])]).unwrap();
    assert!(!connection.exists::<_, bool>(key()).unwrap());
    assert!(connection.pttl::<_, i64>(keys.as_of("d1")).unwrap() > 0);
    let columns = |label: &str, revision: u32| {
        let before = format!(r#""device":"d1","label":{label},"offset":-7,"raw":"00ff27","digits":[-7,0]"#);
        let tags = r#"["a \"quoted\" text",""]"#;
        format!(r#"{before},"shares":[0.5,-2.5],"tags":{tags},"revision":{revision}"#)
    };
    for (nth, kind, label, revision) in
        [(0, "published", "\"first\"", 0), (1, "updated", "null", 1), (10_001, "withdrawn", "null", 2)]
    {
        let text: String = messages.get_message().unwrap().get_payload().unwrap();
        let head = format!(r#""type":"devices","kind":"{kind}","device":"d1","time":{}"#, time(nth));
        let row = columns(label, revision);
        let expected = format!(r#"{{{head},"revision":{revision},"row":{{{row}}}}}"#);
        assert_eq!(text, expected);
    }
}

#[test]
fn rows_of_a_time_are_kept_for_the_horizon() {
    let place = shared(Kind::Redis);
    let keys = RedisKeys::new(&place.name).table(RedisTable::rows("alerts"));
    let mut sink = RedisSink::new(&*place.url).keys(keys.clone()).horizon(Duration::from_secs(60));
    open(&mut sink, None).unwrap();
    let mut connection = connect(&place.url);
    let there = |connection: &mut Connection, alert: &Alert| -> bool {
        let key = keys.row("alerts", &alert.device, &[&alert.device, &alert.raised_at.to_string()]);
        connection.exists(key).unwrap()
    };
    // More than one script writes.
    let alerts: Vec<_> = (0..1_200).map(|n| Alert { level: n, ..alert("d1", n as u64 % 3, n) }).collect();
    let alerts: Vec<_> = alerts
        .into_iter()
        .enumerate()
        .map(|(n, alert)| Alert { raised_at: alert.raised_at.plus(n as u64), ..alert })
        .collect();
    let mut changes: Vec<_> = alerts.iter().map(|alert| of_row(alert.clone(), 0, Action::Upsert)).collect();
    common::sort(&mut changes);
    sink.apply(&[common::batch(3, changes)]).unwrap();
    assert!(alerts.iter().all(|alert| there(&mut connection, alert)));
    sink.apply(&[common::batch(7, vec![])]).unwrap();
    let since = common::batch(7, vec![]).time.minus(60_000);
    let left: Vec<_> = alerts.iter().filter(|alert| there(&mut connection, alert)).collect();
    assert!(left.iter().all(|alert| alert.raised_at >= since));
    assert_eq!(left.len(), alerts.iter().filter(|alert| alert.raised_at >= since).count());
    assert!(!left.is_empty() && left.len() < alerts.len());
    sink.apply(&[common::batch(30, vec![])]).unwrap();
    assert!(!alerts.iter().any(|alert| there(&mut connection, alert)));
}

/// A job, about the device that it runs on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
struct Job(String);

impl Row for Job {
    fn table() -> Table {
        Table::new("jobs")
            .key(Column::new("job", ColumnKind::Text))
            .column(Column::new("time", ColumnKind::Integer))
    }
    fn values(&self, put: &mut dyn FnMut(Value<'_>)) {
        put(Value::Text(&self.0));
        put(Value::Signed(-1));
    }
    fn subject(&self) -> std::borrow::Cow<'_, str> {
        self.0.split('/').next().unwrap().into()
    }
}

#[test]
fn rows_of_one_subject_do_not_overwrite_each_other() {
    let place = shared(Kind::Redis);
    let jobs = vec![Arc::clone(Layout::<Job>::of_row().table())];
    let changes = || ["d1/a", "d1/b"].map(|job| of_row(Job(job.into()), 0, Action::Upsert)).into();
    let mut sink = RedisSink::new(&*place.url).prefix(&*place.name).table(RedisTable::rows("jobs"));
    sink.open(&jobs, None).unwrap();
    let error = sink.apply(&[common::batch(0, changes())]).unwrap_err();
    assert_eq!(error.retry(), Retry::Permanent);
    let text = error.to_string();
    assert!(
        text.contains("the row jobs (d1/a)") && text.contains("put `{key}` into the pattern `jobs:{}`"),
        "{text}"
    );
    let table = RedisTable::rows("jobs").key("jobs:{}:{key}");
    let mut sink = RedisSink::new(&*place.url).keys(RedisKeys::new(&place.name).table(table));
    let keys = sink.key_names().clone();
    sink.open(&jobs, None).unwrap();
    sink.apply(&[common::batch(0, changes())]).unwrap();
    for job in ["d1/a", "d1/b"] {
        let key = keys.row("jobs", "d1", &[job]);
        assert_eq!(key, format!("{}:jobs:{{d1}}:{}", place.name, job.replace('/', "%2F")));
        let expected = [("job", job), ("time", "-1")].map(|(name, text)| (name.to_owned(), text.to_owned()));
        assert_eq!(hash(&mut connect(&place.url), key), expected.into(), "a column may be called `time`");
    }
}

/// Sessions of a device do not overlap, and one that a late reading makes longer is the same row.
#[test]
fn a_session_that_grows_is_one_window() {
    let place = shared(Kind::Redis);
    let mut writer = sink(&place.url, &place.name);
    open(&mut writer, None).unwrap();
    let session = |start: u64, end: u64, count: u64, revision| {
        let mut row = readings_row("d1", 0, Readings { count, ..Readings::default() });
        let epoch = common::window(0).start.or_epoch();
        row.summary.window = telemetra_core::Window { start: epoch.plus(start).into(), end: epoch.plus(end) };
        common::change(&readings_in("device_minute"), row, revision, Action::Upsert)
    };
    let gone = |mut change: Change| {
        change.action = Action::Withdraw;
        change
    };
    writer.apply(&[common::batch(0, vec![session(0, 10_000, 1, 0), session(20_000, 30_000, 2, 0)])]).unwrap();
    // A late reading joins the two.
    let joined = vec![session(0, 30_000, 4, 1), gone(session(20_000, 30_000, 2, 1))];
    writer.apply(&[common::batch(1, joined)]).unwrap();
    let mut connection = connect(&place.url);
    let count = |connection: &mut Connection| hash(connection, latest(&place.name, "d1"))["readings"].clone();
    assert_eq!(count(&mut connection), "4");
    // Withdrawn, it uncovers nothing: neither was it two rows.
    writer.apply(&[common::batch(2, vec![gone(session(0, 30_000, 4, 2))])]).unwrap();
    assert!(!connection.exists::<_, bool>(latest(&place.name, "d1")).unwrap());
}

#[test]
fn two_tables_may_be_ranked_each_by_its_own_windows() {
    let place = shared(Kind::Redis);
    let keys = RedisKeys::new(&place.name)
        .table(RedisTable::latest("device_minute").rank("minute", "readings"))
        .table(RedisTable::latest("device_hour").rank("hour", "readings"));
    let mut sink = RedisSink::new(&*place.url).keys(keys.clone()).silent_after(Duration::from_secs(30));
    sink.open(
        &[Arc::clone(readings_in("device_minute").table()), Arc::clone(readings_in("device_hour").table())],
        None,
    )
    .unwrap();
    let hour = |nth, count| readings_of("device_hour", "d1", nth, count, 0, Action::Upsert);
    sink.apply(&[common::batch(0, vec![readings("d1", 0, 3, 0, Action::Upsert), hour(0, 9)])]).unwrap();
    let mut connection = connect(&place.url);
    let mut rank =
        |key: &str| -> BTreeMap<String, f64> { connection.zrange_withscores(keys.rank(key), 0, -1).unwrap() };
    assert_eq!((rank("minute")["d1"], rank("hour")["d1"]), (3.0, 9.0));
    // Only one of the two goes on.
    for nth in 1..6 {
        sink.apply(&[common::batch(nth, vec![hour(nth, 9 + nth)])]).unwrap();
    }
    assert_eq!((rank("minute").len(), rank("hour")["d1"]), (0, 14.0));
}
