//! All settings in one table: name, environment variable and meaning.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use telemetra::livestream::generate::{Generator, GeneratorConfig, Planting};
use telemetra::prelude::*;
use tracing::Level;

use crate::common::generator::{Flags, Generates, made};
use crate::common::log::Format;
use crate::common::parse::{self, boolean, number, optional, ratio, real, real_in, span, text};
use crate::common::settings::{Secret, Setting, Table, put};

/// The rate at which events are sent.
#[derive(Copy, Clone, Debug, PartialEq)]
pub(crate) enum Rate {
    /// In real time, with this many chat messages per second.
    Paced(f64),
    /// As fast as the broker accepts them.
    Max,
}

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) servers: String,
    pub(crate) properties: Secret<Vec<(String, String)>>,
    pub(crate) topic_prefix: String,
    pub(crate) create_topics: bool,
    pub(crate) partitions: i32,
    pub(crate) replication: i32,
    pub(crate) flush_for: Duration,
    pub(crate) rate: Rate,
    event_rate: f64,
    /// The duration, if it was given; `Some(None)` is endless.
    duration: Option<Option<u64>>,
    pub(crate) start: Option<EventTime>,
    seed: Option<u64>,
    plant: Option<bool>,
    warm_up: Option<u64>,
    moment_length: Option<u64>,
    raids_per_hour: Option<f64>,
    drops_per_hour: Option<f64>,
    pub(crate) truth: Option<PathBuf>,
    pub(crate) json: bool,
    /// Whether only errors and the result are printed.
    pub(crate) quiet: bool,
    pub(crate) log_level: Option<Level>,
    pub(crate) log_format: Format,
    pub(crate) generator: GeneratorConfig,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            servers: "localhost:9092".to_owned(),
            properties: Secret::default(),
            topic_prefix: "telemetra.events".to_owned(),
            create_topics: true,
            partitions: 4,
            replication: 1,
            flush_for: Duration::from_secs(30),
            rate: Rate::Paced(100.0),
            event_rate: 1000.0,
            duration: None,
            start: None,
            seed: None,
            plant: None,
            warm_up: None,
            moment_length: None,
            raids_per_hour: None,
            drops_per_hour: None,
            truth: None,
            json: false,
            quiet: false,
            log_level: Some(Level::WARN),
            log_format: Format::Text,
            generator: GeneratorConfig { streams: 10, partitions: 1, ..GeneratorConfig::default() },
        }
    }
}

type Flag = Setting<Settings>;

impl Generates for Settings {
    fn generator(&mut self) -> &mut GeneratorConfig {
        &mut self.generator
    }
}

pub(crate) const TABLE: Table<Settings> = Table {
    program: "mock_producer",
    about: "Makes up live streams and writes their events to Kafka: chat messages, numbers of viewers, donations, and \
            starts, titles and ends of streams. A few events are late, damaged or sent twice, as in real data.\n\n\
            Without settings it writes a hundred chat messages a second of ten streams until Ctrl-C. With --rate max \
            it writes half an hour of events at once, which ends now.",
    groups: &[
        ("Kafka", KAFKA),
        ("Run", RUN),
        ("Streams", STREAMS),
        ("What is wrong with some events", FLAWS),
    ],
    hidden: &[],
};

const KAFKA: &[Flag] = &[
    Flag::new("kafka", "HOST:PORT,…", "the servers to ask first [localhost:9092]", |s, v| {
        put(&mut s.servers, parse::servers(v))
    })
    .known_as("KAFKA_BOOTSTRAP_SERVERS"),
    Flag::new(
        "kafka-property",
        "NAME=VALUE",
        "any property of the Kafka client, librdkafka; may be repeated [none]",
        |s, v| {
            s.properties.0.push(parse::pair(v)?);
            Ok(())
        },
    )
    .several(),
    Flag::new("topic-prefix", "NAME", "what the four topics' names begin with [telemetra.events]", |s, v| {
        put(&mut s.topic_prefix, text(v))
    }),
    Flag::new("create-topics", "", "create topics that do not exist [on]", |s, v| {
        put(&mut s.create_topics, boolean(v))
    }),
    Flag::new("topic-partitions", "N", "partitions of a topic that is created [4]", |s, v| {
        put(&mut s.partitions, number(v, 1..=10_000))
    }),
    Flag::new("topic-replication", "N", "replicas of a topic that is created [1]", |s, v| {
        put(&mut s.replication, number(v, 1..=64))
    }),
    Flag::new(
        "flush-for",
        "TIME",
        "how long to wait at the end until everything is delivered [30s]",
        |s, v| put(&mut s.flush_for, parse::duration(v)),
    ),
];

/// The rates that the generator makes.
const RATES: RangeInclusive<f64> = 0.0..=1e7;

const RUN: &[Flag] = &[
    Flag::new("rate", "N|max", "chat messages a second, or as fast as possible [100]", |s, v| {
        s.rate = if v == "max" { Rate::Max } else { Rate::Paced(real_in(v, RATES)?) };
        Ok(())
    })
    .known_as("PRODUCER_RATE_PER_SEC"),
    Flag::new("event-rate", "N", "with --rate max, chat messages per second of event time [1000]", |s, v| {
        put(&mut s.event_rate, real_in(v, RATES))
    })
    .sets("events_per_second"),
    Flag::new(
        "duration",
        "TIME|off",
        "how much event time to make up [without end; 30m with --rate max]",
        |s, v| put(&mut s.duration, optional(v, span).map(Some)),
    ),
    Flag::new(
        "start",
        "TIME|now",
        "the first event time [now; with --rate max, so that it ends now]",
        |s, v| {
            s.start = if v == "now" { None } else { Some(parse::instant(v)?) };
            Ok(())
        },
    )
    .shared_with("full_pipeline", |v| ["earliest", "latest", "committed"].contains(&v)),
    Flag::new(
        "seed",
        "N",
        "the same seed makes the same events, whose ids are the same at any start [from the clock]",
        |s, v| put(&mut s.seed, number(v, 0..=u64::MAX).map(Some)),
    ),
    Flag::new(
        "truth",
        "FILE",
        "a file for what was made up, written at the end: counts and planted moments [none]",
        |s, v| put(&mut s.truth, text(v).map(Some)),
    ),
    Flag::new(
        "json",
        "",
        "print the result as one JSON object, too: the last line of standard output [off]",
        |s, v| put(&mut s.json, boolean(v)),
    ),
    Flag::new(
        "quiet",
        "",
        "print only errors, and at the end the result in one line (the JSON object with --json) [off]",
        |s, v| put(&mut s.quiet, boolean(v)),
    ),
    Flag::new("log-level", "LEVEL", "error, warn, info, debug or off [warn; error with --quiet]", |s, v| {
        put(&mut s.log_level, parse::level(v))
    })
    .known_as("LOG_LEVEL"),
    Flag::new("log-format", "text|json", "how the log on standard error looks [text]", |s, v| {
        put(&mut s.log_format, parse::format(v))
    })
    .known_as("LOG_FORMAT"),
];

const STREAMS: &[Flag] = &[
    Flag::new("channels", "N|NAME,…", "how many streams, or their ids, the busiest first [10]", |s, v| {
        let (streams, ids) = channels(v)?;
        (s.generator.streams, s.generator.stream_ids) = (streams, ids);
        Ok(())
    })
    .known_as("PRODUCER_CHANNELS")
    .sets("streams"),
    Flags::ZIPF_EXPONENT,
    Flags::USERS_PER_STREAM,
    Flags::VIEWER_INTERVAL,
    Flags::TRANSACTION_RATIO,
    Flag::new("metadata", "", "make up starts, titles, categories and ends of streams [on]", |s, v| {
        put(&mut s.generator.metadata, boolean(v))
    }),
    Flag::new("changes-per-hour", "X", "new titles and categories per stream and hour [1]", |s, v| {
        put(&mut s.generator.changes_per_hour, real(v))
    }),
    Flag::new(
        "end-ratio",
        "SHARE",
        "streams that end with the last second, or every half hour [0.3]",
        |s, v| put(&mut s.generator.stream_end_ratio, ratio(v)),
    ),
    Flag::new("raids-per-hour", "X", "raids per stream and hour [0.5; 0 with --truth]", |s, v| {
        put(&mut s.raids_per_hour, real(v).map(Some))
    }),
    Flag::new("drops-per-hour", "X", "drops of viewers per stream and hour [0.5; 0 with --truth]", |s, v| {
        put(&mut s.drops_per_hour, real(v).map(Some))
    }),
    Flag::new(
        "plant",
        "",
        "plant moments for the pipeline to find, anew every half hour [as many as fit]",
        |s, v| put(&mut s.plant, boolean(v).map(Some)),
    )
    .sets("planted"),
    Flag::new(
        "plant-after",
        "TIME",
        "how long nothing is planted, so that there is a baseline [10m]",
        |s, v| put(&mut s.warm_up, span(v).map(Some)),
    )
    .sets("planted.warm_up_ms"),
    Flag::new("plant-length", "TIME", "how long a planted moment lasts [2m]", |s, v| {
        put(&mut s.moment_length, span(v).map(Some))
    })
    .sets("planted.duration_ms"),
];

const FLAWS: &[Flag] = &[
    Flags::DISORDER,
    Flags::LATE_RATIO,
    Flag::new("late-delay", "FROM..TO", "how much later the late events arrive [35s..270s]", |s, v| {
        put(&mut s.generator.late_delay_ms, parse::spans(v))
    }),
    Flags::TOO_LATE_RATIO,
    Flag::new(
        "too-late-delay",
        "FROM..TO",
        "how much later the events that are too late arrive [345s..600s]",
        |s, v| put(&mut s.generator.too_late_delay_ms, parse::spans(v)),
    ),
    Flags::DUPLICATE_RATIO,
    Flags::MALFORMED_RATIO,
    Flags::FUTURE_RATIO,
];

/// Parses a number of streams, or their ids.
fn channels(text: &str) -> Result<(u32, Vec<String>), String> {
    if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_') {
        return Ok((number(text, 1..=1_000_000)?, Vec::new()));
    }
    let ids: Vec<String> = text.split(',').map(|id| id.trim().to_owned()).collect();
    let count = u32::try_from(ids.len()).map_err(|_| "there are too many".to_owned())?;
    Ok((count, ids))
}

/// Computes the settings that depend on others and on the time, and creates the generator.
pub(crate) fn settle(settings: &mut Settings, now: EventTime) -> Result<Generator, ConfigError> {
    const ACT: u64 = 30 * 60_000;
    let Settings { generator, .. } = settings;
    let duration = settings.duration.unwrap_or((settings.rate == Rate::Max).then_some(ACT));
    (generator.duration_ms, generator.endless) = (duration.unwrap_or(ACT), duration.is_none());
    generator.events_per_second = match settings.rate {
        Rate::Paced(rate) => rate,
        Rate::Max => settings.event_rate,
    };
    if settings.rate == Rate::Max && generator.endless {
        let detail = "as fast as it goes, it would run ahead of the clock without end";
        return Err(ConfigError::new("duration", detail, "give a --duration, or a --rate in numbers"));
    }
    let past = if settings.rate == Rate::Max { generator.duration_ms } else { 0 };
    generator.start = settings.start.unwrap_or(now.minus(past));
    // Two runs must not make events with the same ids, unless they are asked to.
    generator.seed = settings.seed.unwrap_or(now.0);
    let leaps = if settings.truth.is_some() { 0.0 } else { 0.5 };
    generator.raids_per_hour = settings.raids_per_hour.unwrap_or(leaps);
    generator.drops_per_hour = settings.drops_per_hour.unwrap_or(leaps);
    generator.planted = Planting {
        warm_up_ms: settings.warm_up.unwrap_or(Planting::default().warm_up_ms),
        duration_ms: settings.moment_length.unwrap_or(Planting::default().duration_ms),
        ..if settings.plant == Some(false) { Planting::none() } else { Planting::default() }
    };
    made(generator, settings.plant)
}
