//! The choice of embedded and real servers, with the reason of each: made once, and printed at the start.

use std::collections::BTreeMap;
use std::fmt;

use telemetra::prelude::*;

use crate::settings::{Output, Settings, Store};
use crate::{savepoint, servers};

/// The source of the events.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Generator,
    Lines,
    Kafka,
    /// A Kafka in the process, to which the generator writes.
    Embedded,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Generator => "the generator",
            Self::Lines => "files",
            Self::Kafka => "Kafka",
            Self::Embedded => "the embedded Kafka",
        })
    }
}

/// Chooses the place of everything from the given settings.
pub(crate) fn choose(
    settings: &mut Settings,
    origins: &BTreeMap<&'static str, String>,
) -> Result<(), ConfigError> {
    let by = |name: &str| origins.get(name).cloned().unwrap_or_else(|| format!("--{name}"));
    let mut lines = Vec::new();
    let mut tell = |what: &str, place: String, why: String| lines.push(format!("{what:<13} {place} ({why})"));

    let kafka = settings.kafka.servers.clone();
    let passed = |name: &str| {
        if kafka.is_some() { format!("{name} goes before {}", by("kafka")) } else { name.to_owned() }
    };
    let (source, place, why) = match &kafka {
        _ if !settings.inputs.is_empty() => (Source::Lines, settings.inputs.join(", "), passed(&by("input"))),
        _ if settings.kafka.embedded => {
            let place = "a Kafka in this process, and the generator".to_owned();
            (Source::Embedded, place, passed(&by("embedded-kafka")))
        }
        Some(servers) => {
            let topics = settings.kafka.topics();
            let topics: Vec<_> = topics.names().collect();
            (Source::Kafka, format!("Kafka at {servers}, topics {}", topics.join(", ")), by("kafka"))
        }
        None => {
            let why = "neither --input nor KAFKA_BOOTSTRAP_SERVERS is given".to_owned();
            (Source::Generator, "the generator".to_owned(), why)
        }
    };
    tell("source:", place, why);
    settings.kafka.embedded = source == Source::Embedded;
    if settings.kafka.until_end && source != Source::Kafka {
        let hint = "give the servers by --kafka or KAFKA_BOOTSTRAP_SERVERS, or leave it out";
        return Err(ConfigError::new("until-end", format!("{source} has an end of its own"), hint));
    }

    let postgres = settings.postgres.host.is_some();
    let mut tables: Vec<String> = settings.outputs.iter().map(place_of).collect();
    let mut why: Vec<String> = tables.first().map(|_| by("output")).into_iter().collect();
    if postgres {
        tables.push(format!("Postgres at {}", settings.postgres.place()));
        why.push(by("postgres-host"));
    } else if tables.is_empty() {
        let output = Output::Sqlite("telemetra.db".into());
        tables.push(format!("embedded: {output}"));
        why.push("neither --output nor POSTGRES_HOST is given".to_owned());
        settings.outputs.push(output);
    }
    tell("tables:", tables.join(" and "), why.join(" and "));

    match settings.redis.url.0 {
        Some(_) => tell("keys:", format!("Redis at {}", settings.redis.place()), by("redis")),
        None => tell("keys:", "none".to_owned(), "REDIS_URL is not given".to_owned()),
    }

    let (store, why) = match settings.store.take() {
        Some(Store::Postgres(_)) if !postgres => {
            let detail = "there is no Postgres to keep checkpoints in";
            return Err(ConfigError::new("checkpoint", detail, "give POSTGRES_HOST, or a folder"));
        }
        Some(store) if source == Source::Embedded && store != Store::Off => {
            let detail = "the embedded Kafka is gone with the process, and with it what to go on with";
            return Err(ConfigError::new("checkpoint", detail, "leave it out"));
        }
        Some(store) => (store, by("checkpoint")),
        None if source == Source::Embedded => (Store::Off, "the source is gone with the process".to_owned()),
        None if postgres => {
            (Store::Postgres(None), format!("{}, and no --checkpoint is given", by("postgres-host")))
        }
        None => (Store::Off, "neither --checkpoint nor POSTGRES_HOST is given".to_owned()),
    };
    let place = match &store {
        Store::Off => "none: a restart begins anew".to_owned(),
        Store::Folder(folder) => format!("embedded: the folder {}", folder.display()),
        Store::Objects(url) => format!("the object store {url}"),
        Store::Postgres(None) => format!("Postgres at {}", settings.postgres.place()),
        Store::Postgres(Some(name)) => format!("Postgres at {}, as {name}", settings.postgres.place()),
    };
    tell("checkpoints:", place, why);
    settings.store = Some(store);

    let through_kafka = matches!(source, Source::Kafka | Source::Embedded);
    let topic = settings.kafka.dead_letter_topic().filter(|_| through_kafka);
    let (place, why) = match topic {
        Some(topic) => (format!("the topic {topic}, and the tables"), format!("the source is {source}")),
        None if through_kafka => ("the tables".to_owned(), by("dead-letter-topic")),
        None => ("the tables".to_owned(), format!("the source is {source}")),
    };
    tell("dead letters:", place, why);
    settings.source = source;
    settings.places = lines;
    savepoint::check(settings)?;
    servers::check(settings)
}

/// The place of an output, for people.
fn place_of(output: &Output) -> String {
    match output {
        Output::ParquetObjects(_) => output.to_string(),
        _ => format!("embedded: {output}"),
    }
}
