//! Versions beside each other on Kafka and Postgres, with other numbers of workers and shards, while 20,000 events come per second.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use postgres::{Client, NoTls};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use telemetra::core::*;
use telemetra::ops::{Pipeline, PipelineError, Running, Savepoints};
use telemetra::sinks::{KafkaConfig, KafkaSource, Postgres, PostgresConfig, PostgresStore};

use crate::lives::time;
use crate::rules::{Rules, with_rules};
use crate::services::Server;
use crate::support::watch::chain;
use crate::support::{Saying, Words};

const TOPIC: &str = "sayings";
const PARTITIONS: i32 = 4;
const PER_SECOND: u64 = 20_000;

/// What all versions read, and where.
struct Place {
    kafka: String,
    postgres: String,
}

impl Place {
    /// Another database.
    fn database(&self, name: &str) -> Self {
        let mut client = Client::connect(&self.postgres, NoTls).unwrap();
        client.batch_execute(&format!("CREATE DATABASE {name}")).unwrap();
        let postgres = format!("{}/{name}", self.postgres.rsplit_once('/').unwrap().0);
        Self { kafka: self.kafka.clone(), postgres }
    }

    fn config(&self) -> PostgresConfig {
        PostgresConfig::from_url(&self.postgres).unwrap()
    }

    fn store(&self, version: &str) -> PostgresStore {
        PostgresStore::new(self.config()).pipeline(version)
    }

    /// A pipeline with as many shards as workers.
    fn pipeline(&self, workers: usize, until_end: bool) -> Pipeline<Saying, Rules> {
        let source = KafkaSource::new(KafkaConfig::new(&self.kafka), [TOPIC]).unwrap();
        let source = if until_end { source.until_end() } else { source };
        let config = self.config();
        let pipeline = Pipeline::<Saying>::new()
            .name("sayings")
            .source(source, Words)
            .time(time())
            .max_watermark_drift(Duration::from_secs(10))
            .workers(workers)
            .sharded_sink(workers, move |shard| Postgres::new(config.clone()).shard(shard));
        with_rules("a")(pipeline)
    }

    fn version(&self, name: &str, workers: usize, until_end: bool) -> Pipeline<Saying, Rules> {
        self.pipeline(workers, until_end)
            .checkpoints(self.store(name), Duration::from_millis(200))
            .checkpoint_pause(Duration::from_millis(20))
    }

    /// The rows of both tables but for the time at which they were written.
    fn rows(&self) -> Vec<String> {
        let mut client = Client::connect(&self.postgres, NoTls).unwrap();
        let mut all = Vec::new();
        for table in ["sayings", "sayings_moments"] {
            let sql = format!("SELECT '{table} ' || (to_jsonb(t) - 'updated_at')::text FROM {table} t");
            all.extend(client.query(&sql, &[]).unwrap().iter().map(|row| row.get::<_, String>(0)));
        }
        all.sort();
        all
    }

    /// How far all shards are.
    fn progress(&self) -> Option<String> {
        let mut client = Client::connect(&self.postgres, NoTls).unwrap();
        let least =
            "SELECT CASE WHEN count(*) = count(time) THEN min(time)::text END FROM telemetra_progress";
        client.query_one(least, &[]).unwrap().get(0)
    }
}

/// Sends events of now at the rate, up to the number that `limit` says, so that a version can catch up on a machine that is too
/// slow for the rate; ends when that is `u64::MAX`. Returns how many there were.
fn produce(servers: &str, limit: Arc<AtomicU64>) -> JoinHandle<u64> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", servers).set("linger.ms", "5").set("enable.idempotence", "true");
    let producer: ThreadedProducer<DefaultProducerContext> = config.create().unwrap();
    std::thread::spawn(move || {
        let (clock, mut sent, mut due, mut last) = (Clock::system(), 0_u64, 0_u64, Instant::now());
        loop {
            let limit = limit.load(Ordering::Acquire);
            if limit == u64::MAX {
                producer.flush(Duration::from_secs(60)).unwrap();
                return sent;
            }
            due += u64::try_from(last.elapsed().as_micros()).unwrap() * PER_SECOND;
            last = Instant::now();
            due = due.min((limit - sent.min(limit)) * 1_000_000);
            for n in sent..sent + due / 1_000_000 {
                // One key has a burst now and then, which is a moment.
                let key = if (n / 4_000) % 5 == 0 && n % 3 == 0 { 0 } else { n % 8 };
                let record = format!("k{key} {} e{n} u{} hello", clock.now().0, n % 50);
                let partition = i32::try_from(n % PARTITIONS as u64).unwrap();
                let mut record = BaseRecord::<(), str>::to(TOPIC).payload(&record).partition(partition);
                while let Err((_, back)) = producer.send(record) {
                    // The queue is full.
                    std::thread::sleep(Duration::from_millis(1));
                    record = back;
                }
            }
            sent += due / 1_000_000;
            due %= 1_000_000;
            std::thread::sleep(Duration::from_millis(1));
        }
    })
}

/// Waits until something is so. Several programs and servers share the machine, so this is patient.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(300), "waited until {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn is_replaced(old: Running) {
    let error = old.wait().unwrap_err();
    assert!(error.is_taken_over(), "{}", chain(&error));
    let PipelineError::Sink { sink, .. } = &error else { panic!("{}", chain(&error)) };
    assert!(sink.starts_with("postgres"), "{sink}");
    assert!(chain(&error).contains("another process has taken over shard"), "{}", chain(&error));
}

#[test]
fn at_20_000_events_a_second_each_version_takes_over_and_the_rows_are_those_of_one_run() {
    let (kafka, postgres) = (Server::kafka(), Server::postgres());
    let place = Place { kafka: kafka.url(), postgres: postgres.url() };
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", &place.kafka).create().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let topic = NewTopic::new(TOPIC, PARTITIONS, TopicReplication::Fixed(1));
    let made = runtime.block_on(admin.create_topics(&[topic], &AdminOptions::new())).unwrap();
    made.into_iter().for_each(|made| drop(made.unwrap()));
    let limit = Arc::new(AtomicU64::new(2 * PER_SECOND));
    let more = |seconds: u64| limit.fetch_add(seconds * PER_SECOND, Ordering::AcqRel);
    let producer = produce(&place.kafka, Arc::clone(&limit));

    let mut name = "of-1".to_owned();
    let mut old = place.version(&name, 1, false).start().unwrap();
    until("the first one writes", || place.progress().is_some());
    // Another number of workers and shards each, and back to what it was.
    for (number, workers) in [4, 2, 1].into_iter().enumerate() {
        more(3);
        let savepoint = old.savepoint("for-the-next").unwrap();
        let listed = Savepoints::new(place.store(&name)).list().unwrap();
        assert_eq!(listed, std::slice::from_ref(&savepoint));
        let next = format!("of-{workers}-{number}");
        let pipeline = place.version(&next, workers, false);
        let new = pipeline.from_savepoint_in(place.store(&name), "for-the-next").standby().start().unwrap();
        let restored = new.restored().unwrap();
        assert_eq!(
            (restored.boundary, restored.savepoint.as_deref()),
            (savepoint.boundary, Some("for-the-next"))
        );
        until("it has caught up", || new.has_caught_up());
        assert!(old.status().failure.is_none(), "{:?}", old.status().failure);
        new.take_over().unwrap();
        more(1);
        is_replaced(old);
        let before = place.progress();
        more(1);
        until("it writes", || place.progress() > before);
        // The old one has gone on with its checkpoints since, and its savepoint is there still.
        assert_eq!(Savepoints::new(place.store(&name)).list().unwrap(), [savepoint]);
        (old, name) = (new, next);
    }
    limit.store(u64::MAX, Ordering::Release);
    let all = producer.join().unwrap();
    old.drain(telemetra::ops::Drain::KeepWindows).unwrap();
    let report = place.version(&name, 1, true).start().unwrap().wait().unwrap();
    assert!(report.fates.is_balanced());
    assert_eq!(report.fates.read, all, "each event was read once, by all versions together");

    let undisturbed = place.database("undisturbed");
    undisturbed.pipeline(2, true).start().unwrap().wait().unwrap();
    let (found, expected) = (place.rows(), undisturbed.rows());
    assert!(expected.iter().filter(|row| row.starts_with("sayings_moments")).count() > 10);
    assert!(expected.len() > 2_000, "{}", expected.len());
    let differ = found.iter().zip(&expected).find(|(found, expected)| found != expected);
    assert_eq!(differ, None);
    assert_eq!(found.len(), expected.len());
}
