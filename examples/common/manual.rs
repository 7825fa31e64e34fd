//! The settings as clap's command, which parses and prints them, and as the table of the documentation.

use std::ffi::OsString;

use clap::{Arg, ArgAction, value_parser};

use super::settings::{Setting, Table};

const FILE: &str = "a TOML file of settings [none]";
const AFTER: &str = "\
A setting is a flag, a variable of the environment, or a key of the file that --config names. If several of these are \
given, the flag counts, then the variable, then the file; of a flag that is given twice, the last. A variable with _FILE at the end of its name names a file \
that holds the value. Times are in seconds, or with ms, s, m or h, as 90s or 5m. --no-NAME turns off what is on or \
off. The defaults are in brackets.";

impl<S> Setting<S> {
    /// Its argument. All values are texts: what has no effect is not parsed.
    fn argument(&self, heading: &'static str) -> Arg {
        let argument = Arg::new(self.name)
            .long(self.name)
            .help(self.help)
            .help_heading(heading)
            .env(self.env())
            .hide_env_values(true)
            .hide(self.secret)
            .allow_negative_numbers(true)
            // Of `-5s` too the error is about the value, and not about an unknown flag `-5`.
            .allow_hyphen_values(self.value.starts_with("TIME") || self.value == "SIZE")
            .value_parser(value_parser!(OsString))
            .action(if self.several { ArgAction::Append } else { ArgAction::Set });
        match self.negative() {
            Some(off) => argument
                .value_name("on|off")
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value("on")
                .overrides_with(off),
            // A secret on the command line is refused, with a value or without.
            None => argument.value_name(self.value).num_args(if self.secret { 0..=1 } else { 1..=1 }),
        }
    }

    /// The flag that turns it off, if it is a switch.
    pub(super) fn negative(&self) -> Option<String> {
        (self.value.is_empty() && !self.secret).then(|| format!("no-{}", self.name))
    }
}

impl<S: Default> Table<S> {
    pub(crate) fn command(&self) -> clap::Command {
        let internal = |name: &'static str| Arg::new(name).long(name).hide(true);
        let mut command = clap::Command::new(self.program)
            .version(env!("CARGO_PKG_VERSION"))
            .about(self.about)
            .args_override_self(true)
            .arg(Arg::new("config").long("config").value_name("FILE").env("TELEMETRA_CONFIG").help(FILE))
            .arg(internal("help-markdown").action(ArgAction::SetTrue))
            .args(self.hidden.iter().map(|name| internal(name)));
        let mut secrets = String::new();
        for (title, group) in self.groups {
            for setting in *group {
                command = command.arg(setting.argument(title));
                if let Some(off) = setting.negative() {
                    let off = Arg::new(off.clone()).long(off).hide(true).action(ArgAction::SetTrue);
                    command = command.arg(off.overrides_with(setting.name));
                }
                if setting.secret {
                    secrets += &format!("\n  {}: {}", setting.env(), setting.help);
                }
            }
        }
        if !secrets.is_empty() {
            secrets = format!("Secrets, which only variables can set:{secrets}\n\n");
        }
        command.after_help(secrets + AFTER)
    }

    /// All settings as a Markdown table.
    pub(crate) fn markdown(&self) -> String {
        let mut text = "| flag | variable | meaning, and default |\n|---|---|---|\n".to_owned();
        let mut command = self.command();
        command.build();
        for argument in command.get_arguments() {
            let Some(variable) = argument.get_env() else { continue };
            let flag = if argument.is_hide_set() { String::new() } else { format!("`{argument}`") };
            let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
            let cells = [flag, format!("`{}`", variable.display()), help];
            text += &format!("| {} |\n", cells.map(|cell| cell.replace('|', "\\|")).join(" | "));
        }
        text
    }
}
