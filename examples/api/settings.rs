//! Every setting once: its flag, environment variable and meaning.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::Result;
use telemetra::prelude::*;
use telemetra::sinks::PostgresConfig;

use crate::server::app::Options;
use crate::server::guard::Token;

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) host: String,
    pub(crate) port: u16,
    title: String,
    origins: Vec<String>,
    token: Option<Token>,
    pub(crate) servers: Elsewhere,
    pub(crate) input: Input,
    pub(crate) database: Option<PathBuf>,
    pub(crate) streams: u32,
    pub(crate) rate: f64,
    pub(crate) history: u64,
    pub(crate) seed: u64,
    pub(crate) time: TimeConfig,
    window: u64,
    slide: u64,
    pub(crate) threshold: f64,
    pub(crate) log_level: String,
    pub(crate) log_json: bool,
}

/// The servers that a pipeline elsewhere writes to; without a host and a URL the pipeline is here.
#[derive(Clone, Default)]
pub(crate) struct Elsewhere {
    pub(crate) postgres: Option<String>,
    pub(crate) port: u16,
    pub(crate) user: String,
    pub(crate) password: String,
    pub(crate) database: String,
    pub(crate) redis: Option<String>,
    pub(crate) pipeline: String,
}

impl std::fmt::Debug for Elsewhere {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Elsewhere").field("postgres", &self.postgres).finish_non_exhaustive()
    }
}

impl Elsewhere {
    /// How to reach the tables.
    pub(crate) fn tables(&self) -> PostgresConfig {
        let config = PostgresConfig::new(self.postgres.as_deref().unwrap_or_default())
            .port(self.port)
            .user(&self.user)
            .database(&self.database);
        if self.password.is_empty() { config } else { config.password(&self.password) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// Made-up streams.
    Demo,
    /// A file, or `-` for standard input.
    Lines(String),
}

pub(crate) enum Command {
    Run(Box<Settings>),
    Help,
    /// The same for the documentation.
    Markdown,
}

/// A setting that cannot be used.
#[derive(Debug)]
pub(crate) struct Wrong(String);

impl std::fmt::Display for Wrong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
impl std::error::Error for Wrong {}

struct Setting {
    /// Empty for what only the environment may say: other users see arguments.
    flag: &'static str,
    env: &'static str,
    value: &'static str,
    help: &'static str,
    set: fn(&mut Settings, &str) -> Result<(), String>,
}

const fn setting(
    flag: &'static str,
    env: &'static str,
    value: &'static str,
    help: &'static str,
    set: fn(&mut Settings, &str) -> Result<(), String>,
) -> Setting {
    Setting { flag, env, value, help, set }
}

fn put<T: std::str::FromStr>(
    place: &mut T,
    text: &str,
    fits: impl Fn(&T) -> bool,
    what: &str,
) -> Result<(), String> {
    *place = text.trim().parse().ok().filter(fits).ok_or_else(|| format!("`{text}` is not {what}"))?;
    Ok(())
}

const SETTINGS: &[Setting] = &[
    setting(
        "host",
        "API_HOST",
        "ADDRESS",
        "where to listen [127.0.0.1]; 0.0.0.0 is every network",
        |s, v| put(&mut s.host, v, |host| !host.is_empty(), "an address"),
    ),
    setting("port", "API_PORT", "N", "where to listen [8000]; 0 is any that is free", |s, v| {
        put(&mut s.port, v, |_| true, "a port")
    }),
    setting("title", "API_TITLE", "TEXT", "what the service calls itself [Telemetra]", |s, v| {
        put(&mut s.title, v, |_| true, "a title")
    }),
    setting(
        "cors-origins",
        "CORS_ORIGINS",
        "LIST",
        "pages that may use it, `*` for all [its own]",
        |s, v| {
            s.origins = v.split(',').map(|origin| origin.trim().trim_end_matches('/').to_owned()).collect();
            s.origins.retain(|origin| !origin.is_empty());
            match s.origins.iter().find(|origin| *origin != "*" && !origin.contains("://")) {
                Some(origin) => Err(format!("`{origin}` is not an origin like https://example.org")),
                None => Ok(()),
            }
        },
    ),
    setting("", "API_TOKEN", "TOKEN", "what clients have to send as a bearer token [none]", |s, v| {
        let why = "it has to be of letters, digits and `-._~+`, as WebSockets can send no other";
        s.token = Some(Token::new(v).ok_or(why)?);
        Ok(())
    }),
    setting(
        "input",
        "API_INPUT",
        "FILE|-",
        "JSON lines to read, `-` for standard input [made-up streams]",
        |s, v| {
            s.input = Input::Lines(v.to_owned());
            Ok(())
        },
    ),
    setting(
        "database",
        "API_DATABASE",
        "FILE",
        "keep the tables there [a folder that goes at the end]",
        |s, v| {
            s.database = Some(v.into());
            Ok(())
        },
    ),
    setting("streams", "PRODUCER_CHANNELS", "N", "made-up streams [24]", |s, v| {
        put(&mut s.streams, v, |n| (1..=100_000).contains(n), "a number from 1 to 100000")
    }),
    setting("rate", "PRODUCER_RATE_PER_SEC", "N", "made-up chat messages a second [80]", |s, v| {
        put(&mut s.rate, v, |rate| (0.1..=1e6).contains(rate), "a number from 0.1 to 1000000")
    }),
    setting("history", "API_HISTORY_MINUTES", "N", "minutes of their past to begin with [60]", |s, v| {
        put(&mut s.history, v, |n| *n <= 1440, "a number up to 1440")?;
        s.history *= 60_000;
        Ok(())
    }),
    setting("seed", "API_SEED", "N", "the same seed makes the same streams [1]", |s, v| {
        put(&mut s.seed, v, |_| true, "a whole number")
    }),
    setting("window", "CHAT_WINDOW_DURATION_SECONDS", "N", "the size of windows in seconds [60]", |s, v| {
        put(&mut s.window, v, |n| (1..=86_400).contains(n), "a number of seconds")
    }),
    setting("slide", "CHAT_WINDOW_SLIDE_SECONDS", "N", "the slide of windows in seconds [10]", |s, v| {
        put(&mut s.slide, v, |n| (1..=86_400).contains(n), "a number of seconds")
    }),
    setting(
        "threshold",
        "ANOMALY_DETECTION_THRESHOLD",
        "Z",
        "the z-score that makes a moment [3.0]",
        |s, v| put(&mut s.threshold, v, |z| *z > 0.0, "a number above 0"),
    ),
    setting(
        "",
        "POSTGRES_HOST",
        "HOST",
        "read the tables there that a pipeline elsewhere writes [none]",
        |s, v| {
            s.servers.postgres = Some(v.to_owned());
            Ok(())
        },
    ),
    setting("", "POSTGRES_PORT", "N", "its port [5432]", |s, v| {
        put(&mut s.servers.port, v, |_| true, "a port")
    }),
    setting("", "POSTGRES_USER", "USER", "who asks [telemetra]", |s, v| {
        put(&mut s.servers.user, v, |_| true, "a user")
    }),
    setting("", "POSTGRES_PASSWORD", "SECRET", "its password [none]", |s, v| {
        v.clone_into(&mut s.servers.password);
        Ok(())
    }),
    setting("", "POSTGRES_DB", "NAME", "the database [telemetra]", |s, v| {
        put(&mut s.servers.database, v, |_| true, "a database")
    }),
    setting("", "REDIS_URL", "URL", "follow what that pipeline tells there [none]", |s, v| {
        s.servers.redis = Some(v.to_owned());
        Ok(())
    }),
    setting("pipeline", "TELEMETRA_PIPELINE", "NAME", "the name of that pipeline [telemetra]", |s, v| {
        put(&mut s.servers.pipeline, v, |_| true, "a name")
    }),
    setting("log-level", "LOG_LEVEL", "LEVEL", "error, warn, info, debug or trace [warn]", |s, v| {
        let level = if v.eq_ignore_ascii_case("warning") { "warn".to_owned() } else { v.to_lowercase() };
        put(
            &mut s.log_level,
            &level,
            |level| tracing_subscriber::EnvFilter::try_new(level).is_ok(),
            "a level",
        )
    }),
    setting("log-format", "LOG_FORMAT", "FORMAT", "text or json [text]", |s, v| {
        s.log_json = v == "json";
        if ["json", "text"].contains(&v) { Ok(()) } else { Err(format!("`{v}` is not text or json")) }
    }),
];

impl Settings {
    fn new() -> Self {
        // Made-up events are disordered by less than a second on average.
        let time = TimeConfig { out_of_orderness: 5_000, deduplicate: true, ..TimeConfig::default() };
        Self {
            host: "127.0.0.1".to_owned(),
            port: 8000,
            title: "Telemetra".to_owned(),
            origins: Vec::new(),
            token: None,
            servers: Elsewhere {
                port: 5432,
                user: "telemetra".to_owned(),
                database: "telemetra".to_owned(),
                pipeline: "telemetra".to_owned(),
                ..Elsewhere::default()
            },
            input: Input::Demo,
            database: None,
            streams: 24,
            rate: 80.0,
            history: 60 * 60_000,
            seed: 1,
            time,
            window: 60,
            slide: 10,
            threshold: 3.0,
            log_level: "warn".to_owned(),
            log_json: false,
        }
    }

    pub(crate) fn options(&self) -> Options {
        let (title, origins, token) = (self.title.clone(), self.origins.clone(), self.token.clone());
        Options { title, origins, token, ..Options::default() }
    }
}

/// Reads flags over environment variables over defaults.
pub(crate) fn read(
    args: impl IntoIterator<Item = OsString>,
    env: impl Fn(&str) -> Option<String>,
) -> Result<Command> {
    let mut settings = Settings::new();
    for setting in SETTINGS {
        if let Some(value) = env(setting.env).filter(|value| !value.is_empty()) {
            (setting.set)(&mut settings, &value).map_err(|why| Wrong(format!("{}: {why}", setting.env)))?;
        }
    }
    let mut args = lexopt::Parser::from_args(args);
    while let Some(arg) = args.next().map_err(|error| Wrong(error.to_string()))? {
        let name = match arg {
            lexopt::Arg::Short('h') | lexopt::Arg::Long("help") => return Ok(Command::Help),
            lexopt::Arg::Long("help-markdown") => return Ok(Command::Markdown),
            lexopt::Arg::Long(name) => name.to_owned(),
            other => return Err(Wrong(format!("{}; see --help", other.unexpected())).into()),
        };
        let known = SETTINGS.iter().find(|setting| !setting.flag.is_empty() && setting.flag == name);
        let setting = known.ok_or_else(|| Wrong(format!("there is no option --{name}; see --help")))?;
        let value = args.value().map_err(|error| Wrong(error.to_string()))?;
        (setting.set)(&mut settings, &value.to_string_lossy())
            .map_err(|why| Wrong(format!("--{name}: {why}")))?;
    }
    if settings.servers.postgres.is_some() != settings.servers.redis.is_some() {
        let why = "answers from elsewhere need both POSTGRES_HOST and REDIS_URL; give both, or none for a pipeline here";
        return Err(Wrong(why.to_owned()).into());
    }
    settings.time.windows = WindowSpec::sliding(settings.window * 1000, settings.slide * 1000)?;
    Ok(Command::Run(Box::new(settings)))
}

/// All settings as a table of Markdown, for the documentation.
pub(crate) fn markdown() -> String {
    let mut text = "| flag | variable | meaning, and default |\n|---|---|---|\n".to_owned();
    for Setting { flag, env, value, help, .. } in SETTINGS {
        let flag = if flag.is_empty() { String::new() } else { format!("`--{flag} {value}`") };
        let cells = [flag, format!("`{env}`"), (*help).to_owned()];
        let _ = writeln!(text, "| {} |", cells.map(|cell| cell.replace('|', "\\|")).join(" | "));
    }
    text
}

pub(crate) fn help() -> String {
    let mut text = "api: events, a pipeline, an API and a dashboard in one process\n\n".to_owned();
    for Setting { flag, env, value, help, .. } in SETTINGS {
        let flag = if flag.is_empty() { String::new() } else { format!("--{flag} {value}") };
        let _ = writeln!(text, "  {flag:<24} {env:<30} {help}");
    }
    text.push_str("\nFlags win over environment variables.\n");
    text
}
