//! Every setting once: its flag, environment variable and meaning.

use std::ffi::OsString;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use telemetra::http::{Origins, Token};
use telemetra::prelude::*;
use tracing::Level;

use crate::common::log::Format;
use crate::common::parse::{self, boolean, number, real, real_in, span_in, text};
use crate::common::settings::{Command, Setting, Table, Wrong, put};
use crate::common::stores::{self, Postgres, Redis, Stores};
use crate::server::app::Options;

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) host: String,
    pub(crate) port: u16,
    title: String,
    origins: Origins,
    token: Option<Token>,
    /// The stores that a pipeline elsewhere writes; without Postgres the pipeline is here.
    pub(crate) postgres: Postgres,
    pub(crate) redis: Redis,
    pub(crate) pipeline: String,
    pub(crate) input: Input,
    pub(crate) database: Option<PathBuf>,
    pub(crate) streams: u32,
    pub(crate) rate: f64,
    /// In milliseconds of event time, as are the windows.
    pub(crate) history: u64,
    pub(crate) seed: u64,
    pub(crate) time: TimeConfig,
    window: u64,
    slide: u64,
    pub(crate) threshold: f64,
    pub(crate) log_level: Option<Level>,
    pub(crate) log_format: Format,
    /// Whether only errors and the address are printed.
    pub(crate) quiet: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// Made-up streams.
    Demo,
    /// A file, or `-` for standard input.
    Lines(String),
}

impl Default for Settings {
    fn default() -> Self {
        // Made-up events are disordered by less than a second on average.
        let time = TimeConfig {
            out_of_orderness: Duration::from_secs(5),
            deduplicate: true,
            ..TimeConfig::default()
        };
        Self {
            host: "127.0.0.1".to_owned(),
            port: 8000,
            title: "Telemetra".to_owned(),
            origins: Origins::default(),
            token: None,
            postgres: Postgres::default(),
            redis: Redis::default(),
            pipeline: "telemetra".to_owned(),
            input: Input::Demo,
            database: None,
            streams: 24,
            rate: 80.0,
            history: 60 * 60_000,
            seed: 1,
            time,
            window: 60_000,
            slide: 10_000,
            threshold: 3.0,
            log_level: Some(Level::WARN),
            log_format: Format::Text,
            quiet: false,
        }
    }
}

impl Settings {
    pub(crate) fn options(&self) -> Options {
        let (title, origins, token) = (self.title.clone(), self.origins.clone(), self.token.clone());
        Options { title, origins, token, ..Options::default() }
    }

    /// The text on what is shown, and how to have something else, in lines for a terminal.
    pub(crate) fn told(&self) -> String {
        let (what, how) = match &self.input {
            _ if self.postgres.host.is_some() => {
                ("what a pipeline elsewhere writes to Postgres and Redis".to_owned(), "")
            }
            Input::Demo => {
                (format!("{} made-up streams", self.streams), "for your own events: --input FILE\n")
            }
            Input::Lines(path) if path == "-" => ("events from standard input".to_owned(), ""),
            Input::Lines(path) => (format!("events from {path}"), ""),
        };
        format!("it shows {what}\n{how}")
    }

    /// The secrets, which must be in no answer: tokens, passwords, and URLs that hold one.
    pub(crate) fn secrets(&self) -> Vec<String> {
        let token = self.token.as_ref().map(|token| token.secret().to_owned());
        [token, self.postgres.password.0.clone(), self.redis.url.0.clone()].into_iter().flatten().collect()
    }
}

impl Stores for Settings {
    fn postgres(&mut self) -> &mut Postgres {
        &mut self.postgres
    }

    fn redis(&mut self) -> &mut Redis {
        &mut self.redis
    }
}

type Flag = Setting<Settings>;

/// The greatest length of windows and slides, in seconds.
const A_DAY: RangeInclusive<u64> = 1..=86_400;

pub(crate) const TABLE: Table<Settings> = Table {
    program: "api",
    about: "An API and a dashboard of live streams. The pipeline that computes the answers runs in this process, or \
            elsewhere.\n\n\
             Without settings it makes up live streams, and answers at port 8000 of this machine. With POSTGRES_HOST it \
             answers from what another pipeline writes there, and follows its log of changes, or with REDIS_URL what \
             it publishes through Redis.",
    groups: &[("Service", SERVICE), ("Pipeline here", HERE), ("Pipeline elsewhere", ELSEWHERE)],
    hidden: &[],
};

const SERVICE: &[Flag] = &[
    Flag::new("host", "ADDRESS", "the address to listen at; 0.0.0.0 is every network [127.0.0.1]", |s, v| {
        s.host = v.to_owned();
        Ok(())
    })
    .known_as("API_HOST"),
    Flag::new("port", "N", "the port to listen at; 0 is any that is free [8000]", |s, v| {
        put(&mut s.port, number(v, 0..=u16::MAX))
    })
    .known_as("API_PORT"),
    Flag::new("title", "TEXT", "the title of the pages [Telemetra]", |s, v| put(&mut s.title, text(v)))
        .known_as("API_TITLE"),
    Flag::new(
        "cors-origins",
        "ORIGIN",
        "the origins of other pages that may use the API, `*` for all; may be repeated [none]",
        |s, v| {
            let mut given = v.split(',').map(str::trim).filter(|origin| !origin.is_empty());
            given.try_for_each(|origin| s.origins.add(origin))
        },
    )
    .known_as("CORS_ORIGINS")
    .several(),
    Flag::new("token", "TEXT", "the bearer token that clients have to send [none]", |s, v| {
        let why = "it has to be of letters, digits and `-._~+`, as WebSockets can send no other";
        s.token = Some(Token::new(v).ok_or(why)?);
        Ok(())
    })
    .known_as("API_TOKEN")
    .secret(),
    Flag::new(
        "log-level",
        "LEVEL",
        "error, warn, info, debug, trace or off [warn; error with --quiet]",
        |s, v| put(&mut s.log_level, parse::level(v)),
    )
    .known_as("LOG_LEVEL"),
    Flag::new("log-format", "text|json", "how the log on standard error looks [text]", |s, v| {
        put(&mut s.log_format, parse::format(v))
    })
    .known_as("LOG_FORMAT"),
    Flag::new("quiet", "", "print only errors, and at the start the address [off]", |s, v| {
        put(&mut s.quiet, boolean(v))
    }),
];

/// With these the pipeline is elsewhere, and with those no streams are made up.
const ELSEWHERE_GIVEN: &[&str] = &["postgres-host", "redis"];
const NOT_MADE_UP: &[&str] = &["postgres-host", "redis", "input"];

const HERE: &[Flag] = &[
    Flag::new(
        "input",
        "FILE|-",
        "a file of events to read, one JSON object a line; - is standard input [made-up streams]",
        |s, v| put(&mut s.input, text(v).map(Input::Lines)),
    )
    .known_as("API_INPUT")
    .unless(ELSEWHERE_GIVEN),
    Flag::new("database", "FILE", "the SQLite file of the tables [a temporary one]", |s, v| {
        put(&mut s.database, text(v).map(Some))
    })
    .known_as("API_DATABASE")
    .unless(ELSEWHERE_GIVEN),
    Flag::new("streams", "N", "how many streams to make up [24]", |s, v| {
        put(&mut s.streams, number(v, 1..=100_000))
    })
    .known_as("PRODUCER_CHANNELS")
    .shared_with("mock_producer", |v| !v.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_'))
    .unless(NOT_MADE_UP),
    Flag::new("rate", "N", "how many chat messages a second to make up [80]", |s, v| {
        put(&mut s.rate, real_in(v, 0.1..=1e6))
    })
    .known_as("PRODUCER_RATE_PER_SEC")
    .shared_with("mock_producer", |v| v == "max")
    .unless(NOT_MADE_UP),
    Flag::new("history", "N", "how many minutes of the past to make up first [60]", |s, v| {
        put(&mut s.history, number(v, 0..=1440).map(|minutes: u64| minutes * 60_000))
    })
    .known_as("API_HISTORY_MINUTES")
    .unless(NOT_MADE_UP),
    Flag::new("seed", "N", "the same seed makes up the same streams [1]", |s, v| {
        put(&mut s.seed, number(v, 0..=u64::MAX))
    })
    .known_as("API_SEED")
    .unless(NOT_MADE_UP),
    Flag::new("window", "TIME", "the length of a window [60s]", |s, v| put(&mut s.window, span_in(v, A_DAY)))
        .known_as("CHAT_WINDOW_DURATION_SECONDS")
        .unless(ELSEWHERE_GIVEN),
    Flag::new("slide", "TIME", "the time from the begin of a window to that of the next [10s]", |s, v| {
        put(&mut s.slide, span_in(v, A_DAY))
    })
    .known_as("CHAT_WINDOW_SLIDE_SECONDS")
    .unless(ELSEWHERE_GIVEN),
    Flag::new(
        "threshold",
        "Z",
        "how unusual a window has to be to make a moment: a z-score [3.0]",
        |s, v| put(&mut s.threshold, real(v)),
    )
    .known_as("ANOMALY_DETECTION_THRESHOLD")
    .unless(ELSEWHERE_GIVEN),
];

const ELSEWHERE: &[Flag] = &[
    stores::Flags::POSTGRES_HOST.told("read the tables there that a pipeline elsewhere writes [none]"),
    stores::Flags::POSTGRES_PORT,
    stores::Flags::POSTGRES_USER,
    stores::Flags::POSTGRES_PASSWORD.told("the password [none]").secret(),
    stores::Flags::POSTGRES_DB,
    stores::Flags::POSTGRES_TLS,
    stores::Flags::POSTGRES_CA,
    // It may hold a password.
    stores::Flags::REDIS
        .told("follow what that pipeline publishes there [its log of changes in Postgres]")
        .secret(),
    stores::Flags::REDIS_PREFIX,
    Flag::new("pipeline", "NAME", "the name of that pipeline [telemetra]", |s, v| {
        put(&mut s.pipeline, text(v))
    }),
];

/// Reads the settings from the arguments (without the program's name), the environment, and the file that one of them names.
pub(crate) fn read(
    arguments: impl IntoIterator<Item = OsString>,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Command<Settings>> {
    let mut command = TABLE.read(arguments, variable)?;
    if let Command::Run(given) = &mut command {
        let settings = &mut given.settings;
        if settings.quiet && !given.origins.contains_key("log-level") {
            settings.log_level = Some(Level::ERROR);
        }
        if settings.postgres.host.is_none() && settings.redis.url.0.is_some() {
            let why = "answers from elsewhere need POSTGRES_HOST beside REDIS_URL; give both, or none for a pipeline here";
            return Err(Wrong(why.to_owned()).into());
        }
        settings.time.windows = WindowSpec::sliding(
            Duration::from_millis(settings.window),
            Duration::from_millis(settings.slide),
        )
        .map_err(|error| TABLE.explained(error.into(), &given.origins))?;
    }
    Ok(command)
}
