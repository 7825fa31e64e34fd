//! The settings of the program.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use telemetra::livestream::generate::GeneratorConfig;
use telemetra::prelude::*;

use crate::common::log::Format;
use crate::common::settings::{Command, Secret};
use crate::common::stores::{Postgres, Redis};
use crate::kafka::Kafka;
use crate::options;
use crate::places::Source;
use crate::savepoint::Start;

/// The target of results.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    Sqlite(PathBuf),
    JsonLines(PathBuf),
    Parquet(PathBuf),
    /// Parquet files under the URL of an object store.
    ParquetObjects(String),
}

impl Output {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("sqlite", path)) if !path.is_empty() => Ok(Self::Sqlite(path.into())),
            Some(("jsonl", path)) if !path.is_empty() => Ok(Self::JsonLines(path.into())),
            Some(("parquet", url)) if url.contains("://") => Ok(Self::ParquetObjects(url.to_owned())),
            Some(("parquet", path)) if !path.is_empty() => Ok(Self::Parquet(path.into())),
            _ => Err(format!("`{text}` is none of sqlite:FILE, jsonl:DIR, parquet:DIR and parquet:URL")),
        }
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::JsonLines(path) => write!(f, "jsonl:{}", path.display()),
            Self::Parquet(path) => write!(f, "parquet:{}", path.display()),
            Self::ParquetObjects(url) => write!(f, "parquet:{url}"),
        }
    }
}

/// The place of checkpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Store {
    Off,
    Folder(PathBuf),
    /// In Postgres, under this name; `None` for the name of the pipeline.
    Postgres(Option<String>),
    /// Under this URL of an object store.
    Objects(String),
}

impl Store {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("postgres", "")) => Err("`postgres:` is without a name".to_owned()),
            Some(("postgres", name)) => Ok(Self::Postgres(Some(name.to_owned()))),
            _ if text == "postgres" => Ok(Self::Postgres(None)),
            _ if text == "off" => Ok(Self::Off),
            _ if text.contains("://") => Ok(Self::Objects(text.to_owned())),
            _ => Ok(Self::Folder(text.into())),
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Derived from the settings: the source, and a text that says where everything is and why.
    pub(crate) source: Source,
    pub(crate) places: Vec<String>,
    /// The input files; `-` for standard input.
    pub(crate) inputs: Vec<String>,
    pub(crate) outputs: Vec<Output>,
    pub(crate) workers: usize,
    pub(crate) processes: usize,
    /// The place of checkpoints; the other settings decide it if it is not given.
    pub(crate) store: Option<Store>,
    pub(crate) name: String,
    pub(crate) kafka: Kafka,
    pub(crate) postgres: Postgres,
    pub(crate) redis: Redis,
    pub(crate) start_over: bool,
    /// The time for which changes are kept in Postgres.
    pub(crate) change_log: Option<Duration>,
    /// The address that moments are posted to.
    pub(crate) webhook: Secret<Option<String>>,
    pub(crate) webhook_secret: Secret<Option<String>>,
    pub(crate) webhook_state: PathBuf,
    pub(crate) start: Start,
    /// The event time between checkpoints, in milliseconds, as are the next three.
    pub(crate) checkpoint_every: u64,
    pub(crate) checkpoint_pause: Duration,
    pub(crate) window: u64,
    pub(crate) slide: u64,
    pub(crate) lead: u64,
    pub(crate) pace: Option<f64>,
    /// The scorer: `chat`, `vader`, `lexicon`, `off` or a file of words.
    pub(crate) sentiment: String,
    pub(crate) json: bool,
    /// Whether only errors and the result are printed.
    pub(crate) quiet: bool,
    /// The host, and the port of the first process.
    pub(crate) metrics_address: Option<(String, u16)>,
    pub(crate) operator_times: bool,
    /// The folder for state that does not fit in memory.
    pub(crate) spill: Option<PathBuf>,
    /// The number of bytes of state that are kept in memory then.
    pub(crate) memory: u64,
    pub(crate) log_level: Option<tracing::Level>,
    pub(crate) log_format: Format,
    pub(crate) time: TimeConfig,
    /// The idle time, if it was given.
    pub(crate) idle_after: Option<Option<Duration>>,
    pub(crate) threshold: f64,
    /// Whether bursts shorter than a window are detected.
    pub(crate) short_bursts: bool,
    /// Whether moments say which words carried them.
    pub(crate) words: bool,
    /// The greatest chance of moments that are trusted.
    pub(crate) chance: f64,
    pub(crate) generator: GeneratorConfig,
    pub(crate) events: Option<u64>,
    /// Whether to plant moments, if it was given.
    pub(crate) plant: Option<bool>,
    /// The addresses of the processes of a cluster.
    pub(crate) addresses: Vec<String>,
    /// The index of this process among them.
    pub(crate) process: usize,
    /// Whether this process was started by the first of them.
    pub(crate) assists: bool,
    /// Derived from these: the index of this process and the addresses of all.
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
            change_log: None,
            webhook: Secret::default(),
            webhook_secret: Secret::default(),
            webhook_state: "telemetra.webhook".into(),
            start: Start::default(),
            checkpoint_every: 60_000,
            checkpoint_pause: Duration::from_secs(1),
            window: 60_000,
            slide: 10_000,
            lead: 120_000,
            pace: None,
            sentiment: "chat".to_owned(),
            json: false,
            quiet: false,
            metrics_address: None,
            operator_times: false,
            spill: None,
            memory: 1 << 30,
            log_level: Some(tracing::Level::WARN),
            log_format: Format::Text,
            time: TimeConfig { deduplicate: true, ..TimeConfig::default() },
            idle_after: None,
            threshold: 3.0,
            short_bursts: false,
            words: false,
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
    /// Whether there are planted moments to compare with.
    pub(crate) fn is_scored(&self) -> bool {
        let first = self.cluster.as_ref().is_none_or(|(process, _)| *process == 0);
        matches!(self.source, Source::Generator | Source::Embedded)
            && !self.generator.planted.is_empty()
            && first
    }

    pub(crate) fn has_checkpoints(&self) -> bool {
        self.store.as_ref().is_some_and(|store| *store != Store::Off)
    }

    /// The address at which this process serves metrics, if it does: each process has a port of its own.
    pub(crate) fn metrics_address(&self) -> Option<String> {
        let (host, port) = self.metrics_address.as_ref()?;
        let process = self.cluster.as_ref().map_or(0, |(process, _)| *process);
        let offset = if *port == 0 { 0 } else { u16::try_from(process).unwrap_or(0) };
        Some(format!("{host}:{}", port.saturating_add(offset)))
    }

    /// Each URL of an object store that is used, and the setting that gives it.
    pub(crate) fn objects(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let stores =
            [("checkpoint", self.store.as_ref()), ("savepoint-in", self.start.savepoint_in.as_ref())];
        let stores = stores.into_iter().filter_map(|(name, store)| match store {
            Some(Store::Objects(url)) => Some((name, url.as_str())),
            _ => None,
        });
        stores.chain(self.outputs.iter().filter_map(|output| match output {
            Output::ParquetObjects(url) => Some(("output", url.as_str())),
            _ => None,
        }))
    }

    /// The folder of checkpoints, if they are stored in one.
    pub(crate) fn checkpoint_folder(&self) -> Option<&Path> {
        match &self.store {
            Some(Store::Folder(folder)) => Some(folder),
            _ => None,
        }
    }

    /// Whether rows are counted since the first start, and not since that of this run: only a folder of
    /// checkpoints keeps the counts.
    pub(crate) fn counts_all_runs(&self) -> bool {
        self.checkpoint_folder().is_some() || !self.has_checkpoints()
    }

    /// The treatment of open windows when the run is interrupted.
    pub(crate) fn drain(&self) -> Drain {
        if self.has_checkpoints() { Drain::KeepWindows } else { Drain::CloseWindows }
    }
}

/// Reads the settings from the arguments (without the program's name), the environment, and the settings file
/// that is named by one of them.
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
