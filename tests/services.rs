//! The servers of the tests start, answer, keep their data over a restart, and are gone when their owner is.
#![allow(clippy::unwrap_used)]

#[path = "support/services.rs"]
mod services;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use postgres::NoTls;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use redis::Commands;
use services::{Kind, Server, shared};

const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn postgres_keeps_its_rows() {
    let mut server = Server::postgres();
    let mut client = postgres::Client::connect(&server.url(), NoTls).unwrap();
    client.batch_execute("CREATE TABLE t (n INT); INSERT INTO t VALUES (42)").unwrap();
    server.kill();
    assert!(postgres::Client::connect(&server.url(), NoTls).is_err(), "it answers after its end");
    for crash in [false, true] {
        server.start_again();
        let mut client = postgres::Client::connect(&server.url(), NoTls).unwrap();
        let n: i32 = client.query_one("SELECT n FROM t", &[]).unwrap().get(0);
        assert_eq!(n, 42);
        if crash { server.kill() } else { server.stop() }
    }
}

#[test]
fn redis_keeps_its_keys_if_it_is_to() {
    for durable in [false, true] {
        let setup = Server::of(Kind::Redis).set("maxmemory", "64mb");
        let mut server = if durable { setup.durable() } else { setup }.start();
        let connect = |server: &Server| redis::Client::open(server.url()).unwrap().get_connection().unwrap();
        let mut connection = connect(&server);
        connection.set::<_, _, ()>("n", 42).unwrap();
        let settings: Vec<String> =
            redis::cmd("CONFIG").arg("GET").arg("maxmemory").query(&mut connection).unwrap();
        assert_eq!(settings[1], (64 << 20).to_string());
        server.kill();
        server.start_again();
        assert_eq!(connect(&server).get::<_, Option<u32>>("n").unwrap(), durable.then_some(42));
    }
}

#[test]
fn kafka_keeps_its_records() {
    let mut server = Server::of(Kind::Kafka).set("auto.create.topics.enable", "true").start();
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", server.url());
    let producer: BaseProducer = config.create().unwrap();
    producer.send(BaseRecord::<(), _>::to("t").payload("42")).unwrap();
    producer.flush(PATIENCE).unwrap();
    drop(producer);
    server.stop();
    server.start_again();
    server.kill();
    server.start_again();
    let consumer: BaseConsumer = config.set("group.id", "g").create().unwrap();
    assert_eq!(consumer.fetch_watermarks("t", 0, PATIENCE).unwrap(), (0, 1));
}

#[test]
fn the_object_store_keeps_its_bucket() {
    let mut server = Server::of(Kind::S3).start();
    let object = server.folder().join("data/telemetra/object");
    std::fs::write(&object, b"42").unwrap();
    server.kill();
    server.start_again();
    assert_eq!(std::fs::read(&object).unwrap(), b"42");
    let answer = health(&server);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

/// The answer of the server to the question whether it is well.
fn health(server: &Server) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn tls_is_spoken_where_it_is_asked_for() {
    for kind in [Kind::Postgres, Kind::Redis, Kind::Kafka, Kind::S3] {
        let server = Server::of(kind).tls().start();
        let mut command = Command::new("openssl");
        command.args(["s_client", "-verify_return_error", "-verify_hostname", "localhost", "-CAfile"]);
        command.arg(server.authority()).args(["-connect", &format!("127.0.0.1:{}", server.port())]);
        if kind == Kind::Postgres {
            command.args(["-starttls", "postgres"]);
        }
        let output = command.stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{kind:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn a_frozen_server_answers_when_it_is_thawed() {
    let server = Server::redis();
    let mut stream = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    let mut answer = [0; 7];
    server.freeze();
    stream.write_all(b"PING\r\n").unwrap();
    let state = std::fs::read_to_string(format!("/proc/{}/stat", server.pid())).unwrap();
    assert!(state.contains(") T "), "{state}");
    server.thaw();
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"+PONG\r\n");
}

#[test]
fn shared_servers_are_shared_and_places_are_not() {
    let (one, two) = (shared(Kind::Redis), shared(Kind::Redis));
    assert_eq!(one.url, two.url);
    assert_ne!(one.name, two.name);
    let mut connection = redis::Client::open(one.url).unwrap().get_connection().unwrap();
    assert_eq!(redis::cmd("PING").query::<String>(&mut connection).unwrap(), "PONG");
}

/// Set in the process that [`nothing_outlives_an_owner_that_was_killed`] starts and kills.
const VICTIM: &str = "TELEMETRA_SERVICES_TEST_VICTIM";

#[test]
#[ignore = "the part of an owner that is killed; another test runs it"]
fn owner() {
    if std::env::var_os(VICTIM).is_none() {
        return;
    }
    let servers = [Server::postgres(), Server::redis(), Server::kafka()];
    // One that does not react is ended too.
    servers[1].freeze();
    for server in &servers {
        println!("{} {}", server.pid(), server.folder().display());
    }
    println!("all");
    sleep(PATIENCE * 4);
}

fn spawn_owner() -> (Child, Vec<(u32, PathBuf)>) {
    let program = std::env::current_exe().unwrap();
    let mut owner = Command::new(program)
        .args(["owner", "--exact", "--ignored", "--nocapture"])
        .env(VICTIM, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(owner.stdout.take().unwrap()).lines().map(Result::unwrap);
    let own = |line: String| {
        let (pid, folder) = line.rsplit_once(" /")?;
        let pid = pid.rsplit(' ').next()?;
        Some((pid.parse().ok()?, Path::new("/").join(folder)))
    };
    let servers: Vec<_> = lines.take_while(|line| line != "all").filter_map(own).collect();
    (owner, servers)
}

#[test]
fn nothing_outlives_an_owner_that_was_killed() {
    let (mut owner, servers) = spawn_owner();
    assert_eq!(servers.len(), 3, "{servers:?}");
    let there =
        |(pid, folder): &(u32, PathBuf)| Path::new(&format!("/proc/{pid}")).exists() || folder.exists();
    assert!(servers.iter().all(there));
    owner.kill().unwrap();
    owner.wait().unwrap();
    let until = Instant::now() + PATIENCE;
    while servers.iter().any(there) {
        assert!(
            Instant::now() < until,
            "of {servers:?} is still there: {:?}",
            servers.iter().find(|s| there(s))
        );
        sleep(Duration::from_millis(20));
    }
}
