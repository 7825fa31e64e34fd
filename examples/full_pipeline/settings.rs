//! The settings.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use telemetra::livestream::generate::GeneratorConfig;
use telemetra::prelude::*;

use crate::common::log::Format;
use crate::common::settings::Command;
use crate::common::stores::{Postgres, Redis};
use crate::kafka::Kafka;
use crate::options;
use crate::places::Source;
use crate::savepoint::Start;

/// Where answers go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    Sqlite(PathBuf),
    JsonLines(PathBuf),
}

impl Output {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("sqlite", path)) if !path.is_empty() => Ok(Self::Sqlite(path.into())),
            Some(("jsonl", path)) if !path.is_empty() => Ok(Self::JsonLines(path.into())),
            _ => Err(format!("`{text}` is neither sqlite:FILE nor jsonl:DIR")),
        }
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::JsonLines(path) => write!(f, "jsonl:{}", path.display()),
        }
    }
}

/// Where checkpoints are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Store {
    Off,
    Folder(PathBuf),
    Postgres,
}

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Decided by the settings: what is read, and for people, where everything is and why.
    pub(crate) source: Source,
    pub(crate) places: Vec<String>,
    /// Files, `-` for standard input.
    pub(crate) inputs: Vec<String>,
    pub(crate) outputs: Vec<Output>,
    pub(crate) workers: usize,
    pub(crate) processes: usize,
    /// Decided by the other settings if it is not given.
    pub(crate) store: Option<Store>,
    pub(crate) name: String,
    pub(crate) kafka: Kafka,
    pub(crate) postgres: Postgres,
    pub(crate) redis: Redis,
    pub(crate) start_over: bool,
    pub(crate) start: Start,
    /// Milliseconds of event time, as are the next three.
    pub(crate) checkpoint_every: u64,
    pub(crate) checkpoint_pause: Duration,
    pub(crate) window: u64,
    pub(crate) slide: u64,
    pub(crate) lead: u64,
    pub(crate) pace: Option<f64>,
    /// `chat`, `vader`, `lexicon`, `off` or a file of words.
    pub(crate) sentiment: String,
    pub(crate) json: bool,
    /// Host and port of the first process.
    pub(crate) metrics_address: Option<(String, u16)>,
    pub(crate) operator_times: bool,
    pub(crate) log_level: Option<tracing::Level>,
    pub(crate) log_format: Format,
    pub(crate) time: TimeConfig,
    /// If it was given.
    pub(crate) idle_after: Option<Option<Duration>>,
    pub(crate) threshold: f64,
    /// The chance up to which moments are trusted.
    pub(crate) chance: f64,
    pub(crate) generator: GeneratorConfig,
    pub(crate) events: Option<u64>,
    /// If it was given.
    pub(crate) plant: Option<bool>,
    /// Where the processes of a cluster are, and which this one is.
    pub(crate) addresses: Vec<String>,
    pub(crate) process: usize,
    /// Whether it was started by the first of them.
    pub(crate) assists: bool,
    /// Decided by these: this process and the addresses of all.
    pub(crate) cluster: Option<(usize, Vec<String>)>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            source: Source::Generator,
            places: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            workers: std::thread::available_parallelism().map_or(1, |cores| cores.get().min(4)),
            processes: 1,
            store: None,
            name: "telemetra".to_owned(),
            kafka: Kafka::default(),
            postgres: Postgres::default(),
            redis: Redis::default(),
            start_over: false,
            start: Start::default(),
            checkpoint_every: 60_000,
            checkpoint_pause: Duration::from_secs(1),
            window: 60_000,
            slide: 10_000,
            lead: 120_000,
            pace: None,
            sentiment: "chat".to_owned(),
            json: false,
            metrics_address: None,
            operator_times: false,
            log_level: Some(tracing::Level::WARN),
            log_format: Format::Text,
            time: TimeConfig { deduplicate: true, ..TimeConfig::default() },
            idle_after: None,
            threshold: 3.0,
            chance: 0.1,
            generator: GeneratorConfig::default(),
            events: None,
            plant: None,
            addresses: Vec::new(),
            process: 0,
            assists: false,
            cluster: None,
        }
    }
}

impl Settings {
    /// Whether there are planted moments to be found.
    pub(crate) fn is_scored(&self) -> bool {
        let first = self.cluster.as_ref().is_none_or(|(process, _)| *process == 0);
        matches!(self.source, Source::Generator | Source::Embedded)
            && !self.generator.planted.is_empty()
            && first
    }

    pub(crate) fn has_checkpoints(&self) -> bool {
        self.store.as_ref().is_some_and(|store| *store != Store::Off)
    }

    /// Where this process serves metrics, if it does: each at a port of its own.
    pub(crate) fn metrics_address(&self) -> Option<String> {
        let (host, port) = self.metrics_address.as_ref()?;
        let process = self.cluster.as_ref().map_or(0, |(process, _)| *process);
        let offset = if *port == 0 { 0 } else { u16::try_from(process).unwrap_or(0) };
        Some(format!("{host}:{}", port.saturating_add(offset)))
    }

    /// The folder of checkpoints, if that is where they are.
    pub(crate) fn checkpoint_folder(&self) -> Option<&Path> {
        match &self.store {
            Some(Store::Folder(folder)) => Some(folder),
            _ => None,
        }
    }

    /// What becomes of open windows when the run is broken off.
    pub(crate) fn drain(&self) -> Drain {
        if self.has_checkpoints() { Drain::KeepWindows } else { Drain::CloseWindows }
    }
}

/// Reads the settings from the arguments (without the program's name), the environment, and the file that one of them names.
pub(crate) fn read(
    arguments: impl IntoIterator<Item = OsString>,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Command<Settings>> {
    let mut command = options::TABLE.read(arguments, variable)?;
    if let Command::Run(given) = &mut command {
        if let Some(servers) = given.hidden.get("embedded-servers") {
            given.settings.kafka.servers = Some(servers.clone());
        }
        given.settings.assists = given.hidden.contains_key("assist");
        options::settle(&mut given.settings, &given.origins)
            .map_err(|error| options::TABLE.explained(error.into(), &given.origins))?;
    }
    Ok(command)
}
