//! Settings, defined once in a table, and their origins in order of precedence: a flag, an environment
//! variable, the settings file, the default.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::error::{ContextKind, ContextValue};
use clap::parser::ValueSource;

use super::screen::tell;
use super::secrets;

/// One setting of the settings `S`. `name` is the flag, and with `-` or `_` the key in the file.
pub(crate) struct Setting<S: 'static> {
    pub(crate) name: &'static str,
    /// The variable, if it is not `TELEMETRA_` and the name.
    env: Option<&'static str>,
    /// The placeholder for the value in the help; empty for a switch.
    pub(super) value: &'static str,
    pub(super) help: &'static str,
    /// Whether the setting may be given several times; a variable then contains values separated by commas.
    pub(super) several: bool,
    /// Whether only the variable can set it: other users see arguments, and files are copied.
    pub(super) secret: bool,
    /// Whether its value is never shown, though arguments and the file may set it.
    hides: bool,
    /// The setting that this one depends on, and those that disable it. If it has no effect, its variable is
    /// ignored, as it may be there for another program or set by Kubernetes.
    needs: Option<&'static str>,
    unless: &'static [&'static str],
    /// The other program with a variable of this name, and the values that only that program accepts.
    shared_with: Option<(&'static str, fn(&str) -> bool)>,
    /// The library's name of the setting, if it differs.
    pub(super) sets: Option<&'static str>,
    set: fn(&mut S, &str) -> Result<(), String>,
}

impl<S> Setting<S> {
    pub(crate) const fn new(
        name: &'static str,
        value: &'static str,
        help: &'static str,
        set: fn(&mut S, &str) -> Result<(), String>,
    ) -> Self {
        Self {
            name,
            env: None,
            value,
            help,
            several: false,
            secret: false,
            hides: false,
            needs: None,
            unless: &[],
            shared_with: None,
            sets: None,
            set,
        }
    }

    /// Sets another name for the variable.
    pub(crate) const fn known_as(self, env: &'static str) -> Self {
        Self { env: Some(env), ..self }
    }

    /// Lets the setting be given several times.
    pub(crate) const fn several(self) -> Self {
        Self { several: true, ..self }
    }

    /// Lets only the variable set it.
    pub(crate) const fn secret(self) -> Self {
        Self { secret: true, ..self }
    }

    /// Never shows its value, which may hold a secret.
    pub(crate) const fn hides(self) -> Self {
        Self { hides: true, ..self }
    }

    /// Makes the setting depend on another one.
    pub(crate) const fn needs(self, other: &'static str) -> Self {
        Self { needs: Some(other), ..self }
    }

    /// Disables the setting if any of these others is given.
    pub(crate) const fn unless(self, others: &'static [&'static str]) -> Self {
        Self { unless: others, ..self }
    }

    /// Marks a variable that another program shares and that has more values there: these values are ignored
    /// here.
    pub(crate) const fn shared_with(self, program: &'static str, is_theirs: fn(&str) -> bool) -> Self {
        Self { shared_with: Some((program, is_theirs)), ..self }
    }

    /// Sets the library's name of the setting.
    pub(crate) const fn sets(self, field: &'static str) -> Self {
        Self { sets: Some(field), ..self }
    }

    /// Sets the help text, which programs show.
    pub(crate) const fn told(self, help: &'static str) -> Self {
        Self { help, ..self }
    }

    /// Returns the setting if arguments or a file may set it.
    fn open(&self, place: &str) -> Result<&Self> {
        if self.secret {
            let why = format!("cannot use {place}: it is a secret; give it by the variable {}", self.env());
            return Err(Wrong(why).into());
        }
        Ok(self)
    }

    /// Whether the setting has an effect, with those others given.
    fn is_used(&self, is_given: impl Fn(&str) -> bool) -> bool {
        self.needs.is_none_or(&is_given) && !self.unless.iter().any(|other| is_given(other))
    }

    /// The error for a wrong value, with its origin.
    fn refused(&self, origin: &str, value: &str, error: &str) -> Wrong {
        let link = origin.strip_suffix("_PORT").filter(|_| value.contains("://"));
        let hint = link.map(|service| {
            let service = service.to_lowercase().replace('_', "-");
            format!(
                "; Kubernetes sets it so beside a service called `{service}`: set it to a number, or give the \
                 pod `enableServiceLinks: false`"
            )
        });
        Wrong(format!("cannot use {}: {error}{}", self.from(Some(origin)), hint.unwrap_or_default()))
    }

    /// The origin of the value, for a sentence; the flag if the value was not given.
    pub(super) fn from(&self, origin: Option<&str>) -> String {
        match origin {
            Some(origin) if origin != self.env() => origin.to_owned(),
            None if !self.secret => format!("--{}", self.name),
            _ => format!("the variable {}", self.env()),
        }
    }

    /// The setting's value in the environment, with its origin: the variable, or the file named by the
    /// variable with `_FILE` at the end of its name, as containers get secrets.
    fn of_environment(&self, variable: impl Fn(&str) -> Option<String>) -> Result<Option<(String, String)>> {
        let (name, by_file) = (self.env(), format!("{}_FILE", self.env()));
        if let Some(value) = variable(&name) {
            return Ok(Some((name, value)));
        }
        let Some(path) = variable(&by_file) else { return Ok(None) };
        let text = std::fs::read_to_string(&path)
            .map_err(|error| Wrong(format!("cannot read {path}, which {by_file} names: {error}")))?;
        let value = text.trim_end_matches(['\n', '\r']).to_owned();
        if value.is_empty() {
            let hint = "write the value into it, or unset the variable";
            return Err(Wrong(format!("{path}, which {by_file} names, is empty; {hint}")).into());
        }
        Ok(Some((by_file, value)))
    }

    pub(super) fn env(&self) -> String {
        let made = || format!("TELEMETRA_{}", self.name.replace('-', "_").to_uppercase());
        self.env.map_or_else(made, ToOwned::to_owned)
    }
}

/// Assigns a parsed value.
pub(crate) fn put<T>(place: &mut T, value: Result<T, String>) -> Result<(), String> {
    *place = value?;
    Ok(())
}

/// All settings of a program, in groups with titles.
pub(crate) struct Table<S: 'static> {
    /// The program's name.
    pub(crate) program: &'static str,
    /// A description of the program, for the help.
    pub(crate) about: &'static str,
    pub(crate) groups: &'static [(&'static str, &'static [Setting<S>])],
    /// Flags with a value for internal use, without help, variable or key.
    pub(crate) hidden: &'static [&'static str],
}

/// The command that the command line asks for.
pub(crate) enum Command<S> {
    Run(Box<Given<S>>),
    /// Print this text: the help, or the version.
    Show(String),
}

/// Settings, and their origins.
pub(crate) struct Given<S> {
    pub(crate) settings: S,
    /// The origin of each given setting: `--name`, a variable, or a key of the file.
    pub(crate) origins: BTreeMap<&'static str, String>,
    /// Notes about variables that were ignored because they are for another program.
    pub(crate) notes: Vec<String>,
    /// The values of hidden flags.
    pub(crate) hidden: BTreeMap<&'static str, String>,
}

impl<S> Given<S> {
    /// Prints the ignored variables to standard error.
    pub(crate) fn tell_notes(&self) {
        for note in &self.notes {
            tell(note);
        }
    }
}

/// A value that is never shown.
#[derive(Clone, Default)]
pub(crate) struct Secret<T>(pub(crate) T);

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

/// A variable of this process. What is not UTF-8 in it is replaced, so that the value is refused and not missed.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

/// Values, and their origins.
type Layer = BTreeMap<&'static str, (String, Vec<String>)>;

/// The error for a wrong argument, variable or settings file, as text.
#[derive(Debug)]
pub(crate) struct Wrong(pub(crate) String);

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl std::error::Error for Wrong {}

impl<S: Default> Table<S> {
    pub(super) fn all(&self) -> impl Iterator<Item = &'static Setting<S>> {
        self.groups.iter().flat_map(|(_, group)| *group)
    }

    /// The setting with that name, where `-` and `_` are equal.
    pub(super) fn of(&self, name: &str) -> Option<&'static Setting<S>> {
        let name = name.replace('_', "-");
        self.all().find(|setting| setting.name == name)
    }

    /// Runs a program: shows what the command line asks for, or hands the settings to `run`. Errors are told;
    /// the exit code is 2 if a setting is wrong.
    pub(crate) fn main(
        &self,
        command: Result<Command<S>>,
        run: impl FnOnce(Given<S>) -> Result<ExitCode>,
    ) -> ExitCode {
        let done = match command {
            Ok(Command::Show(text)) => super::show::print(&text).map(|()| ExitCode::SUCCESS),
            Ok(Command::Run(given)) => {
                let origins = given.origins.clone();
                run(*given).map_err(|error| self.explained(error, &origins))
            }
            Err(error) => Err(error),
        };
        done.unwrap_or_else(|error| {
            tell(&format!("error: {error:#}"));
            ExitCode::from(if error.is::<Wrong>() { 2 } else { 1 })
        })
    }

    /// Reads the settings from the arguments (without the program's name), the environment, and the settings
    /// file that is named by one of them.
    pub(crate) fn read(
        &self,
        arguments: impl IntoIterator<Item = OsString>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Command<S>> {
        // Compose files turn an unset variable into an empty one.
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let arguments = std::iter::once(self.program.into()).chain(arguments);
        let matches = match self.command().try_get_matches_from(arguments) {
            Ok(matches) => matches,
            Err(error) if !error.use_stderr() => return Ok(Command::Show(error.to_string())),
            Err(error) => return Err(Wrong(error.to_string().replacen("error: ", "", 1)).into()),
        };
        if matches.get_flag("help-markdown") {
            return Ok(Command::Show(self.markdown()));
        }
        let flags = self.flags(&matches)?;
        let text = |name| {
            let is_flag = matches.value_source(name) == Some(ValueSource::CommandLine);
            matches.get_one::<String>(name).filter(|_| is_flag).cloned()
        };
        let hidden = self.hidden.iter().filter_map(|name| Some((*name, text(name)?))).collect();
        let config = text("config");
        if config.as_deref() == Some("") {
            return Err(Wrong("cannot use --config: it is empty; name a file, or leave it out".into()).into());
        }
        let mut layer = match config.or_else(|| variable("TELEMETRA_CONFIG")) {
            Some(path) => self.file(&path)?,
            None => Layer::new(),
        };
        let names = |setting: &Setting<S>| [setting.env(), format!("{}_FILE", setting.env())];
        let is_there = |setting: &&Setting<S>| names(setting).iter().any(|name| variable(name).is_some());
        let given: BTreeSet<_> = self.all().filter(is_there).map(|setting| setting.name).collect();
        let given: BTreeSet<_> =
            given.into_iter().chain(layer.keys().copied()).chain(flags.keys().copied()).collect();
        for setting in self.all().filter(|setting| setting.is_used(|other| given.contains(other))) {
            if flags.contains_key(setting.name) {
                continue;
            }
            if let Some((origin, value)) = setting.of_environment(variable)? {
                let values =
                    if setting.several { value.split(',').map(Into::into).collect() } else { vec![value] };
                layer.insert(setting.name, (origin, values));
            }
        }
        layer.extend(flags);
        let (mut settings, mut notes) = (S::default(), Vec::new());
        for setting in self.all() {
            let Some((origin, values)) = layer.get(setting.name) else { continue };
            let is_secret = setting.secret || setting.hides;
            secrets::hide(values.iter().flat_map(|value| secrets::of_value(value, is_secret)));
            for value in values {
                let is_empty = value.is_empty() && *origin != setting.env();
                let empty = Err("it is empty; give a value, or leave it out".to_owned());
                let set = if is_empty { empty } else { (setting.set)(&mut settings, value) };
                let Err(error) = set else { continue };
                match setting.shared_with.filter(|_| *origin == setting.env()) {
                    Some((other, is_theirs)) if is_theirs(&values.join(",")) => {
                        notes.push(format!(
                            "the variable {origin} is for {other}, and passed over here: {error}"
                        ));
                    }
                    _ => return Err(setting.refused(origin, value, &error).into()),
                }
            }
        }
        let origins = layer.into_iter().map(|(name, (origin, _))| (name, origin)).collect();
        Ok(Command::Run(Box::new(Given { settings, origins, notes, hidden })))
    }

    /// The settings on the command line. Variables, which clap has read as well, are left to the caller: they
    /// may be empty, name a file, or have no effect.
    fn flags(&self, matches: &clap::ArgMatches) -> Result<Layer> {
        let mut layer = Layer::new();
        for setting in self.all() {
            let (on, off) = (format!("--{}", setting.name), setting.negative());
            if off.as_ref().is_some_and(|off| matches.get_flag(off)) {
                let origin = format!("--{}", off.unwrap_or_default());
                layer.insert(setting.name, (origin, vec!["off".to_owned()]));
            } else if matches.value_source(setting.name) == Some(ValueSource::CommandLine) {
                setting.open(&on)?;
                let values = matches.get_many::<OsString>(setting.name).into_iter().flatten();
                let values: Option<_> = values.map(|value| value.to_str().map(ToOwned::to_owned)).collect();
                let values = values.ok_or_else(|| Wrong(format!("cannot use {on}: it is not UTF-8")))?;
                layer.insert(setting.name, (on, values));
            }
        }
        Ok(layer)
    }

    fn file(&self, path: &str) -> Result<Layer> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("could not read the settings in {path}"))?;
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            Wrong(format!("could not read the settings in {path}: {}", error.to_string().trim_end()))
        })?;
        let mut layer = Layer::new();
        for (key, value) in table {
            let place = || format!("`{key}` in {path}");
            let setting = self.of(&key).ok_or_else(|| self.unknown(&place(), &key))?;
            let setting = setting.open(&place())?;
            let values = match value {
                toml::Value::Array(values) => values.iter().map(plain).collect(),
                value => plain(&value).map(|value| vec![value]),
            };
            let hint = "give a number, a text, a truth value, or a list of them";
            let values = values.ok_or_else(|| Wrong(format!("cannot use {}: {hint}", place())))?;
            layer.insert(setting.name, (place(), values));
        }
        Ok(layer)
    }

    /// The error for a key that no setting has, with the one that clap finds most like it.
    fn unknown(&self, place: &str, key: &str) -> Wrong {
        let flag = format!("--{}", key.replace('_', "-"));
        let error = self.command().try_get_matches_from([self.program, &flag]).err();
        let hint = match error.as_ref().and_then(|error| error.get(ContextKind::SuggestedArg)) {
            Some(ContextValue::String(near)) => format!("did you mean `{}`?", near.trim_start_matches("--")),
            _ => "`--help` lists what there is".to_owned(),
        };
        Wrong(format!("do not know the key {place}; {hint}"))
    }
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
