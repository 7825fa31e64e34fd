//! Versions of the program beside each other: each comes up to date from a savepoint of the one before it, takes over Postgres
//! and Redis while records come, and the one before it ends and says why. The last one is the first one again.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};

use crate::life::Place;
use crate::log::{self, Log, Size};
use crate::program;
use crate::services::Server;
use crate::state;

/// How many parts the log is appended in, and after which of them one version waits for the next to take over.
const PARTS: usize = 200;
const STOPS: [usize; 3] = [80, 140, PARTS];

fn create_topics(servers: &str, log: &Log) {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", servers).create().unwrap();
    let topics = log.keys().filter_map(|partition| partition.strip_suffix("/0"));
    let topics: Vec<_> = topics.map(|topic| NewTopic::new(topic, 2, TopicReplication::Fixed(1))).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let made = runtime.block_on(admin.create_topics(&topics, &AdminOptions::new())).unwrap();
    made.into_iter().for_each(|made| drop(made.unwrap()));
}

/// Appends the log to its partitions part by part, at a pace, as far as `stop` says.
fn append(servers: &str, log: Log, stop: Arc<AtomicUsize>) -> JoinHandle<()> {
    let producer: ThreadedProducer<DefaultProducerContext> = ClientConfig::new()
        .set("bootstrap.servers", servers)
        .set("enable.idempotence", "true")
        .create()
        .unwrap();
    let send = |producer: &ThreadedProducer<_>, topic: &str, partition: i32, payload: &[u8]| {
        let mut record = BaseRecord::<(), [u8]>::to(topic).payload(payload).partition(partition);
        while let Err((error, back)) = producer.send(record) {
            let is_full = matches!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull));
            assert!(is_full, "{error}");
            std::thread::sleep(Duration::from_millis(2));
            record = back;
        }
    };
    std::thread::spawn(move || {
        for part in 0..PARTS {
            while part >= stop.load(Ordering::Acquire) {
                std::thread::sleep(Duration::from_millis(2));
            }
            for (place, records) in &log {
                let (topic, partition) = place.rsplit_once('/').unwrap();
                let at = |part: usize| records.len() * part / PARTS;
                let partition = partition.parse().unwrap();
                records[at(part)..at(part + 1)]
                    .iter()
                    .for_each(|record| send(&producer, topic, partition, record));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        producer.flush(Duration::from_secs(60)).unwrap();
    })
}

/// A version that runs.
struct Version {
    name: &'static str,
    child: Child,
    lines: std::io::Lines<BufReader<ChildStderr>>,
    said: String,
}

impl Version {
    fn start(name: &'static str, mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        Self { name, child, lines, said: String::new() }
    }

    /// Waits until it says this.
    fn until(&mut self, text: &str) {
        for line in self.lines.by_ref() {
            let line = line.unwrap();
            self.said.push_str(&line);
            self.said.push('\n');
            if line.contains(text) {
                return;
            }
        }
        panic!("{} ended without saying `{text}`:\n{}", self.name, self.said);
    }

    fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{signal}"), &id]).status().unwrap().success());
    }

    /// Waits for its end; what it said, and its exit code.
    fn end(mut self) -> (String, Option<i32>) {
        let rest =
            std::thread::spawn(move || self.lines.map_while(Result::ok).collect::<Vec<_>>().join("\n"));
        let mut told = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut told).unwrap();
        let code = self.child.wait().unwrap().code();
        (self.said + &rest.join().unwrap(), code)
    }

    /// It ends because another one has taken its place.
    fn end_replaced(self) {
        let name = self.name;
        let (said, code) = self.end();
        let why = "error: could not write to the sink `postgres";
        let line =
            said.lines().find(|line| line.starts_with(why)).unwrap_or_else(|| panic!("{name}:\n{said}"));
        assert!(line.contains("another process has taken over shard"), "{name}: {line}");
        assert!(said.contains("has taken the place of this one: do not start it again"), "{name}: {said}");
        assert_eq!(code, Some(3), "{name}: {said}");
    }
}

/// Runs the program for something else than a run; what it printed.
fn manage(place: &Place, arguments: &[&str]) -> Result<String, String> {
    let output = place.command_on(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// Takes a savepoint of a version that runs, as soon as it has a checkpoint.
fn savepoint(place: &Place, store: &str, name: &str) {
    loop {
        match manage(place, &["--checkpoint", store, "--savepoint", name]) {
            Ok(said) => return assert!(said.starts_with(&format!("savepoint {name} of ")), "{said}"),
            Err(said) => assert!(said.contains("there is no checkpoint yet"), "{said}"),
        }
    }
}

fn until_moved(place: &Place, since: Option<i64>) {
    while place.progress() <= since {
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn versions_take_over_from_each_other_under_load_and_the_tables_and_keys_are_those_of_one_run() {
    let folder = tempfile::tempdir().unwrap();
    let program = program::build("full_pipeline");
    let log = {
        let kafka = Server::kafka();
        let records =
            log::write(&log::producer(), folder.path(), &kafka.url(), &Size { minutes: 16, rate: 40 });
        log::read(&kafka.url(), records)
    };
    let (kafka, postgres, redis) = (Server::kafka(), Server::postgres(), Server::redis());
    create_topics(&kafka.url(), &log);
    let mut numbers = 0..;
    let mut place = |name: &str| {
        let number = numbers.next().unwrap();
        Place::new(&program, folder.path(), &kafka.url(), &postgres.url(), name, &redis.url(), number)
    };
    let upgraded = place("upgraded");
    let stop = Arc::new(AtomicUsize::new(STOPS[0]));
    let appends = append(&kafka.url(), log, Arc::clone(&stop));
    let start = |name, arguments: &[&str]| {
        // A partition that is silent is not idle: nothing may depend on when a version looks.
        Version::start(name, upgraded.command_on(&[&["--idle-after", "off"], arguments].concat()))
    };

    let blue = start("blue", &["--workers", "1", "--checkpoint", "postgres:blue"]);
    until_moved(&upgraded, None);
    savepoint(&upgraded, "postgres:blue", "for-green");
    let from = ["--checkpoint", "postgres:green", "--savepoint-in", "postgres:blue"];
    let from =
        [&from[..], &["--from-savepoint", "for-green", "--standby", "signal", "--workers", "4"]].concat();
    let mut green = start("green", &from);
    green.until("standby: has caught up");
    let before = upgraded.progress();
    green.signal("USR1");
    green.until("standby: has taken over");
    stop.store(STOPS[1], Ordering::Release);
    blue.end_replaced();
    until_moved(&upgraded, before);

    // And back, with the store that blue had.
    savepoint(&upgraded, "postgres:green", "for-blue");
    let from = ["--checkpoint", "postgres:blue", "--savepoint-in", "postgres:green"];
    let from = [&from[..], &["--from-savepoint", "for-blue", "--standby", "now", "--workers", "2"]].concat();
    let mut blue = start("blue again", &from);
    blue.until("standby: has taken over");
    let before = upgraded.progress();
    stop.store(STOPS[2], Ordering::Release);
    green.end_replaced();
    until_moved(&upgraded, before);
    appends.join().unwrap();
    blue.signal("TERM");
    let (said, code) = blue.end();
    assert_eq!(code, Some(143), "{said}");
    upgraded.live(&["--checkpoint", "postgres:blue", "--workers", "1"]);

    for (store, name) in [("postgres:blue", "for-green"), ("postgres:green", "for-blue")] {
        let listed = manage(&upgraded, &["--checkpoint", store, "--list-savepoints"]).unwrap();
        assert!(listed.starts_with(&format!("{name} ")) && listed.lines().count() == 1, "{store}: {listed}");
    }
    let undisturbed = place("undisturbed");
    undisturbed.live(&["--workers", "1"]);
    let expected = state::read(&undisturbed.url(), &undisturbed.redis);
    assert!(expected.tables.values().all(|rows| !rows.is_empty()) && expected.keys.len() > 12);
    state::read(&upgraded.url(), &upgraded.redis).assert_is(&expected, "upgraded");
}
