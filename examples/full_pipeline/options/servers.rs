//! Kafka, Postgres and Redis.

use super::Flag;
use crate::common::parse::{self, boolean, choice, duration, number, text};
use crate::common::settings::{Secret, put};
use crate::common::stores::{self, Postgres, Redis, Stores};
use crate::kafka::Start;
use crate::settings::Settings;

pub(super) const KAFKA: &[Flag] = &[
    Flag::new("kafka", "HOST:PORT,…", "read the topics of these servers [off]", |s, v| {
        put(&mut s.kafka.servers, parse::servers(v).map(Some))
    })
    .known_as("KAFKA_BOOTSTRAP_SERVERS"),
    Flag::new("embedded-kafka", "", "read made-up events through a Kafka in this process [off]", |s, v| {
        put(&mut s.kafka.embedded, boolean(v))
    }),
    Flag::new(
        "kafka-property",
        "NAME=VALUE",
        "any property of the Kafka client, librdkafka; may be repeated [none]",
        |s, v| {
            s.kafka.properties.0.push(parse::pair(v)?);
            Ok(())
        },
    )
    .several(),
    Flag::new("topic-prefix", "NAME", "what the topics' names begin with [telemetra.events]", |s, v| {
        put(&mut s.kafka.topic_prefix, text(v))
    }),
    Flag::new(
        "name",
        "NAME",
        "the name of this pipeline, which its offsets, rows and checkpoints have [telemetra]",
        |s, v| put(&mut s.name, text(v)),
    ),
    Flag::new(
        "start",
        "earliest|latest|committed|TIME",
        "where to begin reading, where no checkpoint says it [earliest]",
        |s, v| {
            let words =
                [("earliest", Start::Earliest), ("latest", Start::Latest), ("committed", Start::Committed)];
            s.kafka.start = match choice(v, &words) {
                Ok(start) => start,
                Err(none) => {
                    let time = parse::instant(v).map_err(|error| format!("{none}, and {error}"))?;
                    Start::At(time)
                }
            };
            Ok(())
        },
    )
    .needs("kafka")
    .unless(&["input", "embedded-kafka"])
    .shared_with("mock_producer", |v| v == "now"),
    Flag::new(
        "until-end",
        "",
        "read what the topics hold at the start, close all windows, and end [off]",
        |s, v| put(&mut s.kafka.until_end, boolean(v)),
    ),
    Flag::new(
        "on-lost",
        "stop|go-on",
        "what to do if Kafka has removed records that were to be read [stop]",
        |s, v| put(&mut s.kafka.go_on_if_lost, choice(v, &[("stop", false), ("go-on", true)])),
    ),
    Flag::new(
        "wait-for-topics",
        "TIME",
        "how long to wait for topics that do not exist yet [30s]",
        |s, v| put(&mut s.kafka.wait_for_topics, parse::duration(v)),
    ),
    Flag::new(
        "dead-letter-topic",
        "NAME|off",
        "the topic for records that are not counted [PREFIX.dead_letter]",
        |s, v| put(&mut s.kafka.dead_letters, Ok(Some(topic(v)))),
    ),
    Flag::new("summary-topic", "NAME|off", "a topic for the results of windows [off]", |s, v| {
        put(&mut s.kafka.summaries, Ok(topic(v)))
    }),
    Flag::new("moment-topic", "NAME|off", "a topic for moments [off]", |s, v| {
        put(&mut s.kafka.moments, Ok(topic(v)))
    }),
    Flag::new("create-topics", "", "create topics that are written to and do not exist [on]", |s, v| {
        put(&mut s.kafka.create_topics, boolean(v))
    }),
    Flag::new("topic-replication", "N", "replicas of topics that are created [1]", |s, v| {
        put(&mut s.kafka.replication, number(v, 1..=64))
    }),
];

pub(super) const STORES: &[Flag] = &[
    stores::Flags::POSTGRES_HOST.told("write tables, and checkpoints, to Postgres there [off]"),
    stores::Flags::POSTGRES_PORT,
    stores::Flags::POSTGRES_USER,
    stores::Flags::POSTGRES_PASSWORD,
    stores::Flags::POSTGRES_DB,
    stores::Flags::POSTGRES_TLS,
    stores::Flags::POSTGRES_CA,
    Flag::new(
        "start-over",
        "",
        "empty the tables on servers first, if there is no checkpoint to continue from [off]",
        |s, v| put(&mut s.start_over, boolean(v)),
    ),
    Flag::new(
        "change-log",
        "TIME",
        "keep a log of changes in Postgres so long, for services that follow it [off]",
        |s, v| put(&mut s.change_log, parse::optional(v, duration)),
    )
    .needs("postgres-host"),
    stores::Flags::REDIS.told("write what is current to Redis there [off]"),
    stores::Flags::REDIS_PREFIX,
    Flag::new("webhook", "URL", "send moments there by HTTP POST [off]", |s, v| {
        put(&mut s.webhook, text(v).map(|text| Secret(Some(text))))
    })
    .hides()
    .sets("url"),
    Flag::new(
        "webhook-secret",
        "",
        "the key that signs what is posted: `whsec_` and base64 [none]",
        |s, v| put(&mut s.webhook_secret, text(v).map(|text| Secret(Some(text)))),
    )
    .secret()
    .needs("webhook"),
    Flag::new(
        "webhook-state",
        "DIR",
        "where to keep which moments were posted [telemetra.webhook]",
        |s, v| put(&mut s.webhook_state, text(v)),
    )
    .needs("webhook"),
];

impl Stores for Settings {
    fn postgres(&mut self) -> &mut Postgres {
        &mut self.postgres
    }

    fn redis(&mut self) -> &mut Redis {
        &mut self.redis
    }
}

fn topic(text: &str) -> Option<String> {
    (text != "off").then(|| text.to_owned())
}
