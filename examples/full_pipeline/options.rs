//! Every setting once: its name, environment variable and meaning. Flags, environment and file are read by this table.

use std::time::Duration;

use telemetra::prelude::*;
use tracing::Level;

use crate::parse::{self, boolean, choice, number, optional, ratio};
use crate::settings::{Output, Settings};

/// One setting. `name` is the flag, and with `-` or `_` the key in the file.
pub(crate) struct Setting {
    pub(crate) name: &'static str,
    /// Where the variable is not `TELEMETRA_` and the name.
    env: Option<&'static str>,
    /// What stands for the value in the help; empty for a switch.
    pub(crate) value: &'static str,
    pub(crate) help: &'static str,
    pub(crate) set: fn(&mut Settings, &str) -> Result<(), String>,
}

impl Setting {
    pub(crate) fn env(&self) -> String {
        let made = || format!("TELEMETRA_{}", self.name.replace('-', "_").to_uppercase());
        self.env.map_or_else(made, ToOwned::to_owned)
    }

    /// The setting of that name, `-` and `_` being the same.
    pub(crate) fn of(name: &str) -> Option<&'static Self> {
        let name = name.replace('_', "-");
        all().find(|setting| setting.name == name)
    }

    /// The name that is most like this one, if any is.
    pub(crate) fn like(name: &str) -> Option<&'static str> {
        let name = name.replace('_', "-");
        let near = all().map(|setting| (parse::distance(&name, setting.name), setting.name)).min()?;
        (near.0 <= 1 + name.len() / 4).then_some(near.1)
    }
}

pub(crate) fn all() -> impl Iterator<Item = &'static Setting> {
    GROUPS.iter().flat_map(|(_, group)| *group)
}

const fn setting(
    name: &'static str,
    value: &'static str,
    help: &'static str,
    set: fn(&mut Settings, &str) -> Result<(), String>,
) -> Setting {
    Setting { name, env: None, value, help, set }
}

const fn known_as(env: &'static str, setting: Setting) -> Setting {
    Setting { env: Some(env), ..setting }
}

/// Assigns and is done.
fn put<T>(place: &mut T, value: Result<T, String>) -> Result<(), String> {
    *place = value?;
    Ok(())
}

/// In milliseconds.
fn span(text: &str) -> Result<u64, String> {
    parse::duration(text).map(|span| u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
}

pub(crate) const GROUPS: &[(&str, &[Setting])] =
    &[("Run", RUN), ("Time and windows", TIME), ("Generator, where there is no --input", GENERATOR)];

const RUN: &[Setting] = &[
    setting(
        "input",
        "FILE|-",
        "JSON lines to read, of any kinds of event; may be repeated [the generator]",
        |s, v| {
            s.inputs.push(v.to_owned());
            Ok(())
        },
    ),
    setting(
        "output",
        "KIND:PATH",
        "`sqlite:FILE` or `jsonl:DIR`; may be repeated [sqlite:telemetra.db]",
        |s, v| {
            s.outputs.push(Output::parse(v)?);
            Ok(())
        },
    ),
    setting("workers", "N", "threads per process [the cores, up to 4]", |s, v| {
        put(&mut s.workers, number(v, 1..=256))
    }),
    setting("processes", "N", "processes, connected on this machine [1]", |s, v| {
        put(&mut s.processes, number(v, 1..=64))
    }),
    setting("checkpoint", "DIR", "keep state there, and go on from it after a restart [off]", |s, v| {
        s.checkpoint = (v != "off").then(|| v.into());
        Ok(())
    }),
    setting("checkpoint-every", "TIME", "event time between checkpoints [1m]", |s, v| {
        put(&mut s.checkpoint_every, span(v))
    }),
    setting("checkpoint-pause", "TIME", "the least time on the wall between checkpoints [1s]", |s, v| {
        put(&mut s.checkpoint_pause, parse::duration(v))
    }),
    setting("pace", "FACTOR", "read files at the pace recorded, times this [as fast as it goes]", |s, v| {
        s.pace = optional(v, |v| v.parse().map_err(|_| format!("`{v}` is no number")))?;
        Ok(())
    }),
    setting(
        "sentiment",
        "SCORER",
        "`vader`, `lexicon` (half the cost), `off`, or a file of words [vader]",
        |s, v| {
            v.clone_into(&mut s.sentiment);
            Ok(())
        },
    ),
    setting("json", "", "make the last line of standard output one JSON object", |s, v| {
        put(&mut s.json, boolean(v))
    }),
    known_as(
        "LOG_LEVEL",
        setting("log-level", "LEVEL", "error, warn, info, debug or off [warn]", |s, v| {
            let levels = [
                ("off", None),
                ("error", Some(Level::ERROR)),
                ("warn", Some(Level::WARN)),
                ("warning", Some(Level::WARN)),
                ("info", Some(Level::INFO)),
                ("debug", Some(Level::DEBUG)),
                ("trace", Some(Level::TRACE)),
            ];
            put(&mut s.log_level, choice(&v.to_lowercase(), &levels))
        }),
    ),
];

const TIME: &[Setting] = &[
    known_as(
        "CHAT_WINDOW_DURATION_SECONDS",
        setting("window", "TIME", "the size of windows [60s]", |s, v| put(&mut s.window, span(v))),
    ),
    known_as(
        "CHAT_WINDOW_SLIDE_SECONDS",
        setting("slide", "TIME", "the slide of windows [10s]", |s, v| put(&mut s.slide, span(v))),
    ),
    known_as(
        "ANOMALY_DETECTION_THRESHOLD",
        setting("threshold", "Z", "the z-score that makes a moment [3.0]", |s, v| {
            put(&mut s.threshold, v.parse().map_err(|_| format!("`{v}` is no number")))
        }),
    ),
    setting("out-of-orderness", "TIME", "how far behind events may be and not be late [10s]", |s, v| {
        put(&mut s.time.out_of_orderness, span(v))
    }),
    setting("allowed-lateness", "TIME", "how late events may be and still revise windows [5m]", |s, v| {
        put(&mut s.time.allowed_lateness, span(v))
    }),
    setting("max-future-skew", "TIME|off", "how far ahead of the clock events may be [10m]", |s, v| {
        put(&mut s.time.max_future_skew, optional(v, span))
    }),
    setting(
        "idle-after",
        "TIME|off",
        "silence after which a partition holds back nobody [5s for -, else off]",
        |s, v| {
            s.idle_after = Some(optional(v, parse::duration)?);
            Ok(())
        },
    ),
    setting("deduplicate", "", "drop events whose id was seen before, within the lateness [on]", |s, v| {
        put(&mut s.time.deduplicate, boolean(v))
    }),
    setting(
        "horizon",
        "TIME",
        "how long summaries stay live [as long as lateness and baselines need]",
        |s, v| put(&mut s.time.horizon, span(v).map(Some)),
    ),
    setting("lead", "TIME", "how far reading may be ahead of the outputs, in event time [2m]", |s, v| {
        put(&mut s.lead, span(v))
    }),
];

const GENERATOR: &[Setting] = &[
    setting("seed", "N", "the same seed makes the same events [1]", |s, v| {
        put(&mut s.generator.seed, number(v, 0..=u64::MAX))
    }),
    setting("minutes", "N", "event time to make [30]", |s, v| {
        put(&mut s.generator.duration_ms, number(v, 1..=44_640).map(|minutes: u64| minutes * 60_000))
    }),
    setting("streams", "N", "how many streams [1000]", |s, v| {
        put(&mut s.generator.streams, number(v, 1..=1_000_000))
    }),
    setting("partitions", "N", "how many partitions [4]", |s, v| {
        put(&mut s.generator.partitions, number(v, 1..=4096))
    }),
    setting("events", "N", "chat messages in all [1000 a second]", |s, v| {
        put(&mut s.events, number(v, 0..=u64::MAX).map(Some))
    }),
    setting("plant", "", "plant moments to be found [on]", |s, v| put(&mut s.plant, boolean(v))),
    setting("zipf-exponent", "X", "how unequal streams are [0.9]", |s, v| {
        put(&mut s.generator.zipf_exponent, v.parse().map_err(|_| format!("`{v}` is no number")))
    }),
    setting("users-per-stream", "N", "different users in one stream [2000]", |s, v| {
        put(&mut s.generator.users_per_stream, number(v, 1..=10_000_000))
    }),
    setting(
        "viewer-interval",
        "TIME",
        "how often a stream reports its viewers, 0 for never [15s]",
        |s, v| put(&mut s.generator.viewer_interval_ms, span(v)),
    ),
    setting("transaction-ratio", "SHARE", "transactions per message [0.01]", |s, v| {
        put(&mut s.generator.transaction_ratio, v.parse().map_err(|_| format!("`{v}` is no number")))
    }),
    setting("disorder", "TIME", "how late events arrive on average [800ms]", |s, v| {
        put(&mut s.generator.disorder_mean_ms, span(v))
    }),
    setting("late-ratio", "SHARE", "events that are late [0.005]", |s, v| {
        put(&mut s.generator.late_ratio, ratio(v))
    }),
    setting("too-late-ratio", "SHARE", "events that are too late [0.0005]", |s, v| {
        put(&mut s.generator.too_late_ratio, ratio(v))
    }),
    setting("duplicate-ratio", "SHARE", "events that come twice [0.001]", |s, v| {
        put(&mut s.generator.duplicate_ratio, ratio(v))
    }),
    setting("malformed-ratio", "SHARE", "records that are damaged [0.0005]", |s, v| {
        put(&mut s.generator.malformed_ratio, ratio(v))
    }),
    setting("future-ratio", "SHARE", "events far in the future [0.0001]", |s, v| {
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

/// All settings, for people.
pub(crate) fn help() -> String {
    let mut text = String::from(
        "Reads events, computes windows and moments, and keeps tables in step with the answer.\n\n\
         Usage: full_pipeline [SETTINGS]\n\n\
         Without settings it makes half an hour of events and writes the answer to telemetra.db, afresh.\n\
         A setting is a flag, a variable of the environment, or a key of the file that --config names;\n\
         the first of these that has it counts. Times are in seconds, or with ms, s, m or h.\n",
    );
    for (title, group) in GROUPS {
        text += &format!("\n{title}:\n");
        for setting in *group {
            let switch = if setting.value.is_empty() { "[no-]" } else { "" };
            let flag = format!("--{switch}{} {}", setting.name, setting.value);
            text += &format!("  {flag:<28} {}\n  {:<28} {}\n", setting.help, "", setting.env());
        }
    }
    text + "\nAlso:\n  --config FILE                a TOML file of settings\n  \
            --help, --version            what you read, and the version\n"
}
