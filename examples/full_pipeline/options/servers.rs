//! Kafka, Postgres and Redis.

use telemetra::sinks::{OnLost, Start, TlsMode};

use super::Flag;
use crate::common::parse::{self, boolean, choice, number};
use crate::common::settings::{Secret, put};

pub(super) const KAFKA: &[Flag] = &[
    Flag::new("kafka", "HOST:PORT,…", "read the topics of these servers [off]", |s, v| {
        s.kafka.servers = Some(v.to_owned());
        Ok(())
    })
    .known_as("KAFKA_BOOTSTRAP_SERVERS"),
    Flag::new("embedded-kafka", "", "read generated events through a Kafka in the process [off]", |s, v| {
        put(&mut s.kafka.embedded, boolean(v))
    }),
    Flag::new("kafka-property", "NAME=VALUE", "any property of librdkafka; may be repeated", |s, v| {
        s.kafka.properties.0.push(parse::pair(v)?);
        Ok(())
    })
    .several(),
    Flag::new("topic-prefix", "NAME", "what the topics' names begin with [telemetra.events]", |s, v| {
        s.kafka.topic_prefix = v.to_owned();
        Ok(())
    }),
    Flag::new("name", "NAME", "whose offsets, rows and checkpoints these are [telemetra]", |s, v| {
        s.name = v.to_owned();
        Ok(())
    }),
    Flag::new(
        "start",
        "earliest|latest|committed|TIME",
        "where to begin what no checkpoint knows [earliest]",
        |s, v| {
            let words =
                [("earliest", Start::Earliest), ("latest", Start::Latest), ("committed", Start::Committed)];
            s.kafka.start = match choice(v, &words) {
                Ok(start) => start,
                Err(none) => {
                    let time = parse::instant(v).map_err(|error| format!("{none}, and {error}"))?;
                    Start::Timestamp(time)
                }
            };
            Ok(())
        },
    ),
    Flag::new(
        "until-end",
        "",
        "read to the end that the log has now, close all windows, and end [off]",
        |s, v| put(&mut s.kafka.until_end, boolean(v)),
    ),
    Flag::new(
        "on-lost",
        "stop|go-on",
        "what to do where retention removed what was to be read [stop]",
        |s, v| put(&mut s.kafka.on_lost, choice(v, &[("stop", OnLost::Stop), ("go-on", OnLost::GoOn)])),
    ),
    Flag::new(
        "wait-for-topics",
        "TIME",
        "how long to wait for topics that are not there yet [30s]",
        |s, v| put(&mut s.kafka.wait_for_topics, parse::duration(v)),
    ),
    Flag::new(
        "dead-letter-topic",
        "NAME|off",
        "where records go that do not count [PREFIX.dead_letter]",
        |s, v| {
            s.kafka.dead_letters = Some(topic(v));
            Ok(())
        },
    ),
    Flag::new("summary-topic", "NAME|off", "publish summaries there, too [off]", |s, v| {
        s.kafka.summaries = topic(v);
        Ok(())
    }),
    Flag::new("moment-topic", "NAME|off", "publish moments there, too [off]", |s, v| {
        s.kafka.moments = topic(v);
        Ok(())
    }),
    Flag::new("create-topics", "", "create the topics written to that are not there [on]", |s, v| {
        put(&mut s.kafka.create_topics, boolean(v))
    }),
    Flag::new("topic-replication", "N", "replicas of topics that are created [1]", |s, v| {
        put(&mut s.kafka.replication, number(v, 1..=64))
    }),
];

pub(super) const STORES: &[Flag] = &[
    Flag::new("postgres-host", "HOST", "keep tables, and checkpoints, in Postgres there [off]", |s, v| {
        s.postgres.host = Some(v.to_owned());
        Ok(())
    })
    .known_as("POSTGRES_HOST"),
    Flag::new("postgres-port", "PORT", "its port [5432]", |s, v| {
        put(&mut s.postgres.port, number(v, 1..=u16::MAX))
    })
    .known_as("POSTGRES_PORT"),
    Flag::new("postgres-user", "NAME", "whom to log in as [telemetra]", |s, v| {
        s.postgres.user = v.to_owned();
        Ok(())
    })
    .known_as("POSTGRES_USER"),
    Flag::new("postgres-password", "TEXT", "the password; better given by the variable [none]", |s, v| {
        s.postgres.password = Secret(Some(v.to_owned()));
        Ok(())
    })
    .known_as("POSTGRES_PASSWORD"),
    Flag::new("postgres-db", "NAME", "the database [telemetra]", |s, v| {
        s.postgres.database = v.to_owned();
        Ok(())
    })
    .known_as("POSTGRES_DB"),
    Flag::new(
        "postgres-tls",
        "MODE",
        "disable, prefer, require, verify-ca or verify-full [prefer]",
        |s, v| {
            let modes = [
                ("disable", TlsMode::Disable),
                ("prefer", TlsMode::Prefer),
                ("require", TlsMode::Require),
                ("verify-ca", TlsMode::VerifyCa),
                ("verify-full", TlsMode::VerifyFull),
            ];
            put(&mut s.postgres.tls, choice(v, &modes))
        },
    ),
    Flag::new("postgres-ca", "FILE", "root certificates in PEM [the system's]", |s, v| {
        s.postgres.roots = Some(v.into());
        Ok(())
    }),
    Flag::new(
        "start-over",
        "",
        "empty the servers' tables where no checkpoint is gone on from [off]",
        |s, v| put(&mut s.start_over, boolean(v)),
    ),
    Flag::new("redis", "URL", "keep what is current in Redis there [off]", |s, v| {
        s.redis.url = Secret(Some(v.to_owned()));
        Ok(())
    })
    .known_as("REDIS_URL"),
    Flag::new("redis-prefix", "NAME", "what the keys begin with [telemetra]", |s, v| {
        s.redis.prefix = v.to_owned();
        Ok(())
    }),
];

fn topic(text: &str) -> Option<String> {
    (text != "off").then(|| text.to_owned())
}
