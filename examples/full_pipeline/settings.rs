//! The settings, and where they come from: a flag goes before a variable of the environment, that before the file, that
//! before the default.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use telemetra::core::generate::GeneratorConfig;
use telemetra::prelude::*;

use crate::options::{self, Setting};

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

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Files, `-` for standard input; none for the generator.
    pub(crate) inputs: Vec<String>,
    pub(crate) outputs: Vec<Output>,
    pub(crate) workers: usize,
    pub(crate) processes: usize,
    pub(crate) checkpoint: Option<PathBuf>,
    /// Milliseconds of event time, as are the next three.
    pub(crate) checkpoint_every: u64,
    pub(crate) checkpoint_pause: Duration,
    pub(crate) window: u64,
    pub(crate) slide: u64,
    pub(crate) lead: u64,
    pub(crate) pace: Option<f64>,
    /// `vader`, `lexicon`, `off` or a file of words.
    pub(crate) sentiment: String,
    pub(crate) json: bool,
    pub(crate) log_level: Option<tracing::Level>,
    pub(crate) time: TimeConfig,
    /// If it was given.
    pub(crate) idle_after: Option<Option<Duration>>,
    pub(crate) threshold: f64,
    pub(crate) generator: GeneratorConfig,
    pub(crate) events: Option<u64>,
    pub(crate) plant: bool,
    /// This process and the addresses of all, given to those that the first one starts.
    pub(crate) cluster: Option<(usize, Vec<String>)>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            inputs: Vec::new(),
            outputs: Vec::new(),
            workers: std::thread::available_parallelism().map_or(1, |cores| cores.get().min(4)),
            processes: 1,
            checkpoint: None,
            checkpoint_every: 60_000,
            checkpoint_pause: Duration::from_secs(1),
            window: 60_000,
            slide: 10_000,
            lead: 120_000,
            pace: None,
            sentiment: "vader".to_owned(),
            json: false,
            log_level: Some(tracing::Level::WARN),
            time: TimeConfig { deduplicate: true, ..TimeConfig::default() },
            idle_after: None,
            threshold: 3.0,
            generator: GeneratorConfig::default(),
            events: None,
            plant: true,
            cluster: None,
        }
    }
}

impl Settings {
    /// Whether there are planted moments to be found.
    pub(crate) fn is_scored(&self) -> bool {
        self.inputs.is_empty() && self.plant
    }

    /// What becomes of open windows when the run is broken off.
    pub(crate) fn drain(&self) -> Drain {
        if self.checkpoint.is_some() { Drain::KeepWindows } else { Drain::CloseWindows }
    }
}

/// What the command line asks for.
pub(crate) enum Command {
    Run(Box<Settings>),
    Help,
    Version,
}

/// Values, and who gave them.
type Layer = BTreeMap<&'static str, (String, Vec<String>)>;

/// A wrong argument, variable or file of settings, in words.
#[derive(Debug)]
pub(crate) struct Wrong(pub(crate) String);

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl std::error::Error for Wrong {}

/// Reads the settings from the arguments (without the program's name), the environment, and the file that one of them names.
pub(crate) fn read(
    arguments: impl IntoIterator<Item = std::ffi::OsString>,
    variable: impl Fn(&str) -> Option<String>,
) -> anyhow::Result<Command> {
    let mut flags = Layer::new();
    let (mut config, mut process, mut addresses) = (None, None, None);
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next().map_err(wrong)? {
        let name = match argument {
            lexopt::Arg::Short('h') => return Ok(Command::Help),
            lexopt::Arg::Short('V') => return Ok(Command::Version),
            lexopt::Arg::Long(name) => name.to_owned(),
            other => return Err(wrong(other.unexpected())),
        };
        let mut text = || parser.value().and_then(lexopt::ValueExt::string).map_err(wrong);
        match &*name {
            "help" => return Ok(Command::Help),
            "version" => return Ok(Command::Version),
            "config" => config = Some(text()?),
            "process" => process = Some(text()?),
            "addresses" => addresses = Some(text()?),
            _ => {
                let (positive, switched) = match name.strip_prefix("no-") {
                    Some(rest) => (rest, "off"),
                    None => (&*name, "on"),
                };
                let setting = Setting::of(positive).filter(|s| s.value.is_empty() || switched == "on");
                let setting =
                    setting.ok_or_else(|| unknown("the flag", &format!("--{name}"), "--", &name))?;
                let value = if setting.value.is_empty() {
                    let given = parser.optional_value().and_then(|value| value.into_string().ok());
                    given.unwrap_or_else(|| switched.to_owned())
                } else {
                    text()?
                };
                flags.entry(setting.name).or_insert_with(|| (format!("--{name}"), Vec::new())).1.push(value);
            }
        }
    }
    let mut layer = match config.or_else(|| variable("TELEMETRA_CONFIG")) {
        Some(path) => file(&path)?,
        None => Layer::new(),
    };
    for setting in options::all() {
        if let Some(value) = variable(&setting.env()) {
            let several = ["input", "output"].contains(&setting.name);
            let values = if several { value.split(',').map(Into::into).collect() } else { vec![value] };
            layer.insert(setting.name, (setting.env(), values));
        }
    }
    layer.extend(flags);
    let mut settings = apply(&layer)?;
    if let (Some(process), Some(addresses)) = (process, addresses) {
        let process = crate::parse::number(&process, 1..=64).map_err(Wrong)?;
        settings.cluster = Some((process, addresses.split(',').map(ToOwned::to_owned).collect()));
    }
    Ok(Command::Run(Box::new(settings)))
}

fn apply(layer: &Layer) -> anyhow::Result<Settings> {
    let mut settings = Settings::default();
    for setting in options::all() {
        let Some((origin, values)) = layer.get(setting.name) else { continue };
        for value in values {
            (setting.set)(&mut settings, value)
                .map_err(|error| Wrong(format!("cannot use {origin}: {error}")))?;
        }
    }
    options::settle(&mut settings)?;
    Ok(settings)
}

fn file(path: &str) -> anyhow::Result<Layer> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("could not read the settings in {path}"))?;
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        Wrong(format!("could not read the settings in {path}: {}", error.to_string().trim_end()))
    })?;
    let mut layer = Layer::new();
    for (key, value) in table {
        let setting =
            Setting::of(&key).ok_or_else(|| unknown("the key", &format!("`{key}` in {path}"), "", &key))?;
        let values = match value {
            toml::Value::Array(values) => values.iter().map(plain).collect(),
            value => plain(&value).map(|value| vec![value]),
        };
        let values = values.ok_or_else(|| {
            Wrong(format!(
                "cannot use `{key}` in {path}: give a number, a text, a truth value, or a list of them"
            ))
        })?;
        layer.insert(setting.name, (format!("`{key}` in {path}"), values));
    }
    Ok(layer)
}

fn plain(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Float(number) => Some(number.to_string()),
        toml::Value::Boolean(on) => Some(on.to_string()),
        _ => None,
    }
}

fn wrong(error: lexopt::Error) -> anyhow::Error {
    Wrong(format!("{error}; `--help` lists what there is")).into()
}

fn unknown(what: &str, place: &str, prefix: &str, name: &str) -> anyhow::Error {
    let hint = match Setting::like(name) {
        Some(like) => format!("did you mean `{prefix}{like}`?"),
        None => "`--help` lists what there is".to_owned(),
    };
    Wrong(format!("do not know {what} {place}; {hint}")).into()
}
