//! The same answers from a pipeline elsewhere: by real Postgres and Redis, and with each of them down.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use telemetra::core::source::Channel as Pushed;
use telemetra::livestream::{self, JsonDecoder, Lexicon, WithSentiment, default_rules};
use telemetra::prelude::*;
use telemetra::sinks::{Postgres, PostgresConfig, RedisSink};

use crate::server::app::Options;
use crate::server::store::Store;
use crate::server::store::servers::{Channel, Servers, Tables};
use crate::service::{Feeder, Serving, wait};
use crate::services::{Kind, Server};

/// A pipeline that writes to servers, and an API that reads from them.
struct Elsewhere {
    postgres: Server,
    redis: Server,
    feeder: Feeder,
    running: Option<Running>,
    api: Serving,
}

impl Elsewhere {
    fn start() -> Self {
        Self::over(Server::postgres(), &[])
    }

    fn over(postgres: Server, settings: &[(&str, &str)]) -> Self {
        let redis = Server::redis();
        let (handle, source) = Pushed::bounded("test", 100_000).unwrap();
        let running = livestream::pipeline()
            .time(TimeConfig { idle_after: None, ..TimeConfig::default() })
            .source(source, JsonDecoder::mixed().with_sentiment(Arc::new(Lexicon::english())))
            .rules(default_rules(3.0).unwrap())
            .sink(Postgres::new(PostgresConfig::from_url(&postgres.url()).unwrap()))
            .sink(
                RedisSink::new(redis.url())
                    .keys(livestream::redis_keys())
                    .horizon(Duration::from_secs(2 * 3600)),
            )
            .start()
            .unwrap();
        let api = api(&postgres, &redis, settings);
        Self { postgres, redis, feeder: Feeder::new(handle), running: Some(running), api }
    }

    fn until(&mut self, minute: u64) {
        let running = self.running.as_ref().unwrap();
        self.feeder.until(minute, || running.status().durable);
    }

    fn components(&self) -> (u16, Value, Value) {
        let health = self.api.get("/health");
        let components = &health.json()["components"];
        (health.status, components["postgres"]["status"].clone(), components["redis"]["status"].clone())
    }
}

/// A store as the program makes it of these variables, and of those that say where the servers are.
fn servers(postgres: &Server, redis: &str, settings: &[(&str, &str)]) -> Arc<Servers> {
    let port = postgres.port().to_string();
    let servers = [("POSTGRES_HOST", "localhost"), ("POSTGRES_PORT", &*port), ("REDIS_URL", redis)];
    let settings = crate::arguments::settings(&[], &[&servers, settings].concat()).unwrap();
    let tables = Arc::new(Tables::new(settings.postgres.config().unwrap(), &settings.pipeline));
    Arc::new(Servers { tables, channel: Some(Channel::new(redis, &settings.redis.prefix).unwrap()) })
}

fn api(postgres: &Server, redis: &Server, settings: &[(&str, &str)]) -> Serving {
    Serving::start(servers(postgres, &redis.url(), settings), Options::default())
}

/// What the server has of the connections of APIs.
fn connections<T: postgres::types::FromSqlOwned>(server: &Server, what: &str) -> T {
    let of = "pg_stat_activity LEFT JOIN pg_stat_ssl USING (pid) WHERE application_name = 'telemetra_api'";
    let mut client = postgres::Client::connect(&server.url(), postgres::NoTls).unwrap();
    client.query_one(&format!("SELECT {what} FROM {of}"), &[]).unwrap().get(0)
}

/// A spike that was found, at minute 12; all of it in the past of minute 14.
fn story(feeder: &mut Feeder) {
    feeder.title("ada", 0, true, "Evening chat");
    feeder.viewers("ada", 0, 50);
    feeder.gift("ada", 3, 12_345_678);
    feeder.spike("ada");
    feeder.chat("bob", 13, 5);
}

#[test]
fn answers_are_those_of_a_pipeline_in_the_same_process() {
    let mut there = Elsewhere::start();
    story(&mut there.feeder);
    there.until(14);
    let mut here = crate::service::Service::start();
    story(&mut here.feeder);
    here.until(14);
    for path in [
        "/streams?order=rate",
        "/streams?order=viewers&limit=1",
        "/streams?order=name&offset=1",
        "/streams?live=true",
        "/streams?search=EVENING",
        "/streams/ada",
        "/streams/nobody",
        "/streams/ada/metrics",
        "/streams/ada/metrics?resolution=60&from=2026-01-01T00:02:00Z&to=2026-01-01T00:09:00Z",
        "/streams/ada/metrics?limit=3",
        "/streams/nobody/metrics",
        "/streams/ada/moments",
        "/streams/ada/moments?type=chat_spike&from=2026-01-01T00:02:00Z",
        "/streams/ada/moments?open=true&type=viewer_drop",
        "/streams/bob/moments",
        "/streams/ada/broadcasts?max_chance=1",
        "/streams/nobody/broadcasts",
        "/moments",
        "/moments?order=strongest&type=chat_spike&stream_id=ada",
        "/moments?open=true&from=2026-01-01T00:02:00Z",
        "/overview",
        "/overview?minutes=10&limit=1",
    ] {
        let strip = |answer: crate::client::Answer| {
            let mut json = answer.json();
            // Of a request; and of a stream the newest change, which the tables know only roughly.
            for field in ["request_id", "updated_at"] {
                json.as_object_mut().unwrap().remove(field);
            }
            for listed in json.get_mut("streams").and_then(Value::as_array_mut).into_iter().flatten() {
                let listed = listed.as_object_mut().unwrap();
                listed.remove("updated_at");
                listed.get_mut("stream").and_then(|stream| stream.as_object_mut()?.remove("updated_at"));
            }
            (answer.status, json)
        };
        assert_eq!(strip(there.api.get(path)), strip(here.get(path)), "{path}");
    }
    for order in ["newest", "strongest"] {
        let pages = |get: &dyn Fn(&str) -> crate::client::Answer| {
            let (mut seen, mut query) = (Vec::new(), format!("order={order}&limit=1"));
            loop {
                let page = get(&format!("/moments?{query}")).json();
                seen.push(page["moments"].clone());
                let Some(cursor) = page["next_cursor"].as_str() else { break seen };
                query = format!("order={order}&limit=1&cursor={cursor}");
            }
        };
        assert_eq!(pages(&|path| there.api.get(path)), pages(&|path| here.get(path)), "{order}");
    }
    let moments = there.api.get("/streams/ada/moments").json();
    let first = &moments["moments"][0];
    let cursor = format!("9999999999999-{}", first["moment_id"].as_str().unwrap());
    assert_eq!(there.api.get(&format!("/streams/ada/moments?cursor={cursor}")).json(), moments);
}

#[test]
fn operators_are_told_what_the_tables_hold_and_that_the_rest_is_not_known() {
    let (mut there, mut here) = (Elsewhere::start(), crate::service::Service::start());
    crate::ops::bad_input(&mut there.feeder);
    crate::ops::bad_input(&mut here.feeder);
    there.until(2);
    here.until(2);
    for query in
        ["", "?limit=2", "?search=json+at", "?fate=malformed&limit=1", "?fate=duplicate", "?search=nothing"]
    {
        let path = format!("/ops/dead-letters{query}");
        assert_eq!(there.api.get(&path).json(), here.get(&path).json(), "{path}");
    }
    let page = there.api.get("/ops/dead-letters?limit=3").json();
    let next = format!("/ops/dead-letters?cursor={}", page["next_cursor"].as_str().unwrap());
    assert_eq!(there.api.get(&next).json()["letters"].as_array().unwrap().len(), 2);

    let ops = there.api.get("/ops").json();
    let document = there.api.get("/openapi.json").json();
    crate::document::check_answer(&document, "/ops", &ops);
    assert_eq!(
        (&ops["pipeline"], &ops["durable"]),
        (&json!("elsewhere"), &json!("2026-01-01T00:01:59.999Z"))
    );
    assert_eq!(ops["fates"], json!({"malformed": 5}), "of letters alone");
    for unknown in ["partitions", "operators", "state_bytes", "moments", "checkpoints"] {
        assert_eq!(ops[unknown], Value::Null, "{unknown} is not known here");
    }
    assert_eq!((&ops["sinks"][0]["name"], &ops["sinks"][0]["queued"]), (&json!("postgres"), &Value::Null));

    // Where the pipeline keeps its checkpoints there, too, they are seen.
    let mut client = postgres::Client::connect(&there.postgres.url(), postgres::NoTls).unwrap();
    client
        .batch_execute(
            "CREATE TABLE telemetra_checkpoints (pipeline text, name text, part bigint, blob bytea);
            INSERT INTO telemetra_checkpoints VALUES ('telemetra', '00000001767225660000/complete', 0, 'abc'),
            ('telemetra', '00000001767225660000/worker-0000', 0, 'abcdefg'),
            ('telemetra', '00000001767225670000/worker-0000', 0, ''), ('other', '00000009/complete', 0, 'x')",
        )
        .unwrap();
    let checkpoints = there.api.get("/ops").json()["checkpoints"].clone();
    assert_eq!(checkpoints["boundary"], "2026-01-01T00:01:00.000Z");
    assert_eq!((&checkpoints["age_seconds"], &checkpoints["bytes"]), (&json!(59.999), &json!(10)));
    assert_eq!(checkpoints["completed"], Value::Null);
}

#[test]
fn followers_have_a_snapshot_and_every_change_after_it() {
    let mut there = Elsewhere::start();
    story(&mut there.feeder);
    there.until(14);
    let (mut one, mut all) = (there.api.socket("/live/ada?history=3600"), there.api.socket("/live"));
    let snapshot = one.next().unwrap();
    let spike = snapshot["moments"][0].clone();
    assert_eq!(
        (&snapshot["type"], &snapshot["stream"]["title"]),
        (&json!("snapshot"), &json!("Evening chat"))
    );
    assert_eq!(spike["moment_type"], "chat_spike");
    assert_eq!(all.next().unwrap()["streams"].as_array().unwrap().len(), 2);

    there.feeder.chat("ada", 11, 250);
    there.until(15);
    let document = there.api.get("/openapi.json").json();
    let corrected = one.find(|message| message["kind"] == "corrected");
    let withdrawn = one.find(|message| message["kind"] == "withdrawn");
    assert_eq!(withdrawn["moment"]["moment_id"], spike["moment_id"]);
    for message in [&snapshot, &corrected, &withdrawn, &all.find(|message| message["type"] == "moment")] {
        crate::document::check_message(&document, message);
    }
    // Coming back is beginning again: the tables do not say what was withdrawn.
    let again = there.api.socket("/live/ada?since=2026-01-01T00:13:59.999Z").next().unwrap();
    assert_eq!(again["type"], "snapshot");
}

#[test]
fn without_postgres_nothing_is_answered_and_then_all_is_again() {
    let mut there = Elsewhere::start();
    story(&mut there.feeder);
    there.until(14);
    assert_eq!(there.components(), (200, json!("ok"), json!("ok")));
    there.postgres.stop();
    assert_eq!(there.components(), (503, json!("down"), json!("ok")));
    for path in ["/streams", "/streams/ada", "/streams/ada/metrics", "/streams/ada/moments"] {
        let answer = there.api.get(path);
        assert_eq!((answer.status, &answer.json()["type"]), (503, &json!("/docs#unavailable")), "{path}");
    }
    let (code, _) = there.api.socket("/live/ada").next().unwrap_err();
    assert_eq!(code, 1012, "a follower is told to come again");
    there.postgres.start_again();
    wait(|| there.components() == (200, json!("ok"), json!("ok")));
    assert_eq!(there.api.get("/streams/ada").status, 200);
}

#[test]
fn without_redis_what_is_in_the_tables_is_answered_and_followers_begin_again() {
    let mut there = Elsewhere::start();
    story(&mut there.feeder);
    there.until(14);
    let mut socket = there.api.socket("/live/ada");
    socket.next().unwrap();
    there.redis.kill();
    assert_eq!(there.components(), (503, json!("ok"), json!("down")));
    assert_eq!(there.api.get("/streams/ada/metrics").status, 200);
    there.redis.start_again();
    wait(|| there.components() == (200, json!("ok"), json!("ok")));
    // Something may have been missed: who followed is told to begin again, and misses nothing.
    let (code, reason) = socket.next().unwrap_err();
    assert_eq!(code, 1012, "{reason}");
    let mut socket = there.api.socket("/live/ada");
    socket.next().unwrap();
    there.feeder.chat("ada", 14, 30);
    there.until(15);
    socket.find(|message| message["metrics"]["window_end"] == "2026-01-01T00:15:00.000Z");
}

#[test]
fn a_frozen_server_holds_up_nobody_for_ever() {
    let mut there = Elsewhere::start();
    story(&mut there.feeder);
    there.until(14);
    there.redis.freeze();
    assert_eq!(there.components(), (503, json!("ok"), json!("down")));
    there.redis.thaw();
    wait(|| there.components() == (200, json!("ok"), json!("ok")));
    there.postgres.freeze();
    assert_eq!(there.components(), (503, json!("down"), json!("ok")));
    there.postgres.thaw();
    wait(|| there.components() == (200, json!("ok"), json!("ok")));
}

#[test]
fn tables_are_read_over_tls_from_a_server_that_is_who_it_says() {
    let clear = [("TELEMETRA_POSTGRES_TLS", "disable")];
    let mut there = Elsewhere::over(Server::of(Kind::Postgres).tls().start(), &clear);
    story(&mut there.feeder);
    there.until(14);
    assert_eq!(there.components(), (200, json!("ok"), json!("ok")));
    assert!(!connections::<bool>(&there.postgres, "bool_or(ssl)"));
    let verified = |root: &Path| {
        let root =
            [("TELEMETRA_POSTGRES_TLS", "verify-full"), ("TELEMETRA_POSTGRES_CA", root.to_str().unwrap())];
        api(&there.postgres, &there.redis, &root)
    };
    let trusting = verified(&there.postgres.authority());
    assert_eq!(trusting.get("/health").json()["status"], "ok");
    assert_eq!(trusting.get("/streams/ada").status, 200);
    assert!(connections::<bool>(&there.postgres, "bool_or(ssl)"));

    // Any other authority will do.
    let other = Server::of(Kind::Redis).tls().start();
    let wary = verified(&other.authority());
    let health = wary.get("/health");
    let (status, postgres) = (&health.json()["status"], &health.json()["components"]["postgres"]);
    assert_eq!((health.status, status, &postgres["status"]), (503, &json!("degraded"), &json!("down")));
    let error = postgres["error"].as_str().unwrap();
    for words in [
        "could not read the tables in postgres",
        "its certificate is not trusted",
        "invalid peer certificate",
    ] {
        assert!(error.contains(words), "{error}");
    }
    assert_eq!(wary.get("/streams/ada").status, 503);
}

#[test]
fn connections_are_few_and_kept_also_when_nobody_waits_for_the_answer() {
    let server = Server::postgres();
    let mut client = postgres::Client::connect(&server.url(), postgres::NoTls).unwrap();
    client
        .batch_execute("CREATE TABLE telemetra_progress (pipeline text, shard int, time timestamptz)")
        .unwrap();
    let store = servers(&server, "redis://127.0.0.1:1/", &[]);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut lock = client.transaction().unwrap();
    lock.batch_execute("LOCK TABLE telemetra_progress IN ACCESS EXCLUSIVE MODE").unwrap();
    runtime.block_on(async {
        for _ in 0..20 {
            tokio::time::timeout(Duration::from_millis(100), store.as_of()).await.unwrap_err();
        }
    });
    let most: i64 = connections(&server, "count(*)");
    assert!((1..=8).contains(&most), "{most} connections");
    lock.rollback().unwrap();
    // Their transactions end before others begin.
    assert_eq!(runtime.block_on(store.as_of()).unwrap(), None);
    wait(|| connections::<bool>(&server, "bool_and(state = 'idle')"));
    assert_eq!(connections::<i64>(&server, "count(*)"), most, "they are kept");
    // Of those that ended meanwhile none is seen.
    let ended: i64 = connections(&server, "count(pg_terminate_backend(pid))");
    assert_eq!((ended, runtime.block_on(store.as_of()).unwrap()), (most, None));
    assert_eq!(connections::<i64>(&server, "count(*)"), 1);
}

#[test]
fn before_any_pipeline_the_service_says_so() {
    let (postgres, redis) = (Server::postgres(), Server::redis());
    let api = api(&postgres, &redis, &[]);
    wait(|| {
        let health = api.get("/health").json();
        let error = health["components"]["postgres"]["error"].as_str().unwrap_or_default().to_owned();
        error.contains("no pipeline has written to this database yet")
    });
    assert_eq!(api.get("/streams").status, 503);
}
