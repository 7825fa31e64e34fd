//! Every setting once: its name, environment variable and meaning.

use std::time::Duration;

use telemetra::prelude::*;

use crate::common::parse::{self, boolean, number, optional, ratio, real, span};
use crate::common::settings::{Setting, Table, put};
use crate::settings::{Output, Settings};

type Flag = Setting<Settings>;

pub(crate) const TABLE: Table<Settings> = Table {
    program: "full_pipeline",
    about: "Reads events, computes windows and moments, and keeps tables in step with the answer.\n\n\
            Usage: full_pipeline [SETTINGS]\n\n\
            Without settings it makes half an hour of events and writes the answer to telemetra.db, afresh.",
    groups: &[("Run", RUN), ("Time and windows", TIME), ("Generator, where there is no --input", GENERATOR)],
    hidden: &["process", "addresses"],
};

const RUN: &[Flag] = &[
    Flag::new(
        "input",
        "FILE|-",
        "JSON lines to read, of any kinds of event; may be repeated [the generator]",
        |s, v| {
            s.inputs.push(v.to_owned());
            Ok(())
        },
    )
    .several(),
    Flag::new(
        "output",
        "KIND:PATH",
        "`sqlite:FILE` or `jsonl:DIR`; may be repeated [sqlite:telemetra.db]",
        |s, v| {
            s.outputs.push(Output::parse(v)?);
            Ok(())
        },
    )
    .several(),
    Flag::new("workers", "N", "threads per process [the cores, up to 4]", |s, v| {
        put(&mut s.workers, number(v, 1..=256))
    }),
    Flag::new("processes", "N", "processes, connected on this machine [1]", |s, v| {
        put(&mut s.processes, number(v, 1..=64))
    }),
    Flag::new("checkpoint", "DIR", "keep state there, and go on from it after a restart [off]", |s, v| {
        s.checkpoint = (v != "off").then(|| v.into());
        Ok(())
    }),
    Flag::new("checkpoint-every", "TIME", "event time between checkpoints [1m]", |s, v| {
        put(&mut s.checkpoint_every, span(v))
    }),
    Flag::new("checkpoint-pause", "TIME", "the least time on the wall between checkpoints [1s]", |s, v| {
        put(&mut s.checkpoint_pause, parse::duration(v))
    }),
    Flag::new(
        "pace",
        "FACTOR",
        "read files at the pace recorded, times this [as fast as it goes]",
        |s, v| {
            s.pace = optional(v, real)?;
            Ok(())
        },
    ),
    Flag::new("json", "", "make the last line of standard output one JSON object", |s, v| {
        put(&mut s.json, boolean(v))
    }),
    Flag::new("log-level", "LEVEL", "error, warn, info, debug or off [warn]", |s, v| {
        put(&mut s.log_level, parse::level(v))
    })
    .known_as("LOG_LEVEL"),
];

const TIME: &[Flag] = &[
    Flag::new("window", "TIME", "the size of windows [60s]", |s, v| put(&mut s.window, span(v)))
        .known_as("CHAT_WINDOW_DURATION_SECONDS"),
    Flag::new("slide", "TIME", "the slide of windows [10s]", |s, v| put(&mut s.slide, span(v)))
        .known_as("CHAT_WINDOW_SLIDE_SECONDS"),
    Flag::new("threshold", "Z", "the z-score that makes a moment [3.0]", |s, v| {
        put(&mut s.threshold, real(v))
    })
    .known_as("ANOMALY_DETECTION_THRESHOLD"),
    Flag::new("out-of-orderness", "TIME", "how far behind events may be and not be late [10s]", |s, v| {
        put(&mut s.time.out_of_orderness, span(v))
    }),
    Flag::new("allowed-lateness", "TIME", "how late events may be and still revise windows [5m]", |s, v| {
        put(&mut s.time.allowed_lateness, span(v))
    }),
    Flag::new("max-future-skew", "TIME|off", "how far ahead of the clock events may be [10m]", |s, v| {
        put(&mut s.time.max_future_skew, optional(v, span))
    }),
    Flag::new(
        "idle-after",
        "TIME|off",
        "silence after which a partition holds back nobody [5s for -, else off]",
        |s, v| {
            s.idle_after = Some(optional(v, parse::duration)?);
            Ok(())
        },
    ),
    Flag::new("deduplicate", "", "drop events whose id was seen before, within the lateness [on]", |s, v| {
        put(&mut s.time.deduplicate, boolean(v))
    }),
    Flag::new(
        "horizon",
        "TIME",
        "how long summaries stay live [as long as lateness and baselines need]",
        |s, v| put(&mut s.time.horizon, span(v).map(Some)),
    ),
    Flag::new("lead", "TIME", "how far reading may be ahead of the outputs, in event time [2m]", |s, v| {
        put(&mut s.lead, span(v))
    }),
];

const GENERATOR: &[Flag] = &[
    Flag::new("seed", "N", "the same seed makes the same events [1]", |s, v| {
        put(&mut s.generator.seed, number(v, 0..=u64::MAX))
    }),
    Flag::new("minutes", "N", "event time to make [30]", |s, v| {
        put(&mut s.generator.duration_ms, number(v, 1..=44_640).map(|minutes: u64| minutes * 60_000))
    }),
    Flag::new("streams", "N", "how many streams [1000]", |s, v| {
        put(&mut s.generator.streams, number(v, 1..=1_000_000))
    }),
    Flag::new("partitions", "N", "how many partitions [4]", |s, v| {
        put(&mut s.generator.partitions, number(v, 1..=4096))
    }),
    Flag::new("events", "N", "chat messages in all [1000 a second]", |s, v| {
        put(&mut s.events, number(v, 0..=u64::MAX).map(Some))
    }),
    Flag::new("plant", "", "plant moments to be found [on]", |s, v| put(&mut s.plant, boolean(v))),
    Flag::new("zipf-exponent", "X", "how unequal streams are [0.9]", |s, v| {
        put(&mut s.generator.zipf_exponent, real(v))
    }),
    Flag::new("users-per-stream", "N", "different users in one stream [2000]", |s, v| {
        put(&mut s.generator.users_per_stream, number(v, 1..=10_000_000))
    }),
    Flag::new(
        "viewer-interval",
        "TIME",
        "how often a stream reports its viewers, 0 for never [15s]",
        |s, v| put(&mut s.generator.viewer_interval_ms, span(v)),
    ),
    Flag::new("transaction-ratio", "SHARE", "transactions per message [0.01]", |s, v| {
        put(&mut s.generator.transaction_ratio, real(v))
    }),
    Flag::new("disorder", "TIME", "how late events arrive on average [800ms]", |s, v| {
        put(&mut s.generator.disorder_mean_ms, span(v))
    }),
    Flag::new("late-ratio", "SHARE", "events that are late [0.005]", |s, v| {
        put(&mut s.generator.late_ratio, ratio(v))
    }),
    Flag::new("too-late-ratio", "SHARE", "events that are too late [0.0005]", |s, v| {
        put(&mut s.generator.too_late_ratio, ratio(v))
    }),
    Flag::new("duplicate-ratio", "SHARE", "events that come twice [0.001]", |s, v| {
        put(&mut s.generator.duplicate_ratio, ratio(v))
    }),
    Flag::new("malformed-ratio", "SHARE", "records that are damaged [0.0005]", |s, v| {
        put(&mut s.generator.malformed_ratio, ratio(v))
    }),
    Flag::new("future-ratio", "SHARE", "events far in the future [0.0001]", |s, v| {
        put(&mut s.generator.future_ratio, ratio(v))
    }),
];

/// What the idea of a default depends on other settings for is decided last.
pub(crate) fn settle(settings: &mut Settings) -> Result<(), ConfigError> {
    settings.time.windows = WindowSpec::sliding(settings.window, settings.slide)?;
    if settings.outputs.is_empty() {
        settings.outputs.push(Output::Sqlite("telemetra.db".into()));
    }
    let live = settings.inputs.iter().any(|input| input == "-");
    let replay = || live.then_some(Duration::from_secs(5));
    settings.time.idle_after = settings.idle_after.unwrap_or_else(replay);
    if let Some(events) = settings.events {
        settings.generator.events_per_second = events as f64 * 1000.0 / settings.generator.duration_ms as f64;
    }
    if !settings.plant {
        settings.generator.planted = telemetra::core::generate::Planting::none();
    }
    if settings.pace.is_some() && settings.inputs.is_empty() {
        return Err(ConfigError::new(
            "pace",
            "the generator has no pace",
            "give an --input, or leave it out",
        ));
    }
    Ok(())
}
