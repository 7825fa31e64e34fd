//! The settings as text: the help, and the table of the documentation.

use super::screen::wrapped;
use super::settings::{Setting, Table};

/// The columns of the names, and the width from which on the texts stand beside and not below them.
const NAMES: usize = 28;
const WIDE: usize = 80;

/// A name with its texts.
fn entry(name: &str, texts: &[&str], width: usize) -> String {
    let indent = if width < WIDE { 6 } else { 2 + NAMES + 1 };
    let texts = texts.iter().map(|text| {
        let text = format!("{:indent$}{text}", "");
        wrapped(&text, width, indent)
    });
    let texts: Vec<_> = texts.collect();
    let first = texts.first().map_or("", |text| text.trim_start());
    let rest = texts.get(1..).unwrap_or_default().join("\n");
    let beside = width >= WIDE && name.chars().count() <= NAMES;
    let head = if beside {
        format!("  {name:<NAMES$} {first}\n")
    } else {
        format!("  {name}\n{:indent$}{first}\n", "")
    };
    if rest.is_empty() { head } else { format!("{head}{rest}\n") }
}

impl<S> Setting<S> {
    /// The flag as in the help or the table: with its value, and `[no-]` for a switch.
    fn flag(&self) -> Option<String> {
        let switch = if self.value.is_empty() { "[no-]" } else { "" };
        (!self.secret).then(|| format!("--{switch}{} {}", self.name, self.value).trim_end().to_owned())
    }
}

impl<S: Default> Table<S> {
    /// The help of all settings, in lines of at most `width` columns.
    pub(crate) fn help(&self, width: usize) -> String {
        let mut text = format!(
            "{}\n\
             A setting is a flag, a variable of the environment, or a key of the file that --config names. If \
             several of these are given, the flag counts, then the variable, then the file. Times are in \
             seconds, or with ms, s, m or h, as 90s or 5m. The defaults are in brackets.\n",
            self.about
        );
        text = wrapped(&text, width, 0) + "\n";
        for (title, group) in self.groups {
            text += &format!("\n{title}:\n");
            for setting in *group {
                let env = setting.env();
                let alone = || (env.clone(), "by this variable alone, as it is a secret".to_owned());
                let (name, other) = setting.flag().map_or_else(alone, |flag| (flag, env.clone()));
                text += &entry(&name, &[setting.help, &other], width);
            }
        }
        text += "\nAlso:\n";
        text += &entry("--config FILE", &["a TOML file of settings"], width);
        text + &entry("--help, --version", &["what you read, and the version"], width)
    }

    /// All settings as a Markdown table.
    pub(crate) fn markdown(&self) -> String {
        let mut text = "| flag | variable | meaning, and default |\n|---|---|---|\n".to_owned();
        for setting in self.groups.iter().flat_map(|(_, group)| *group) {
            let flag = setting.flag().map(|flag| format!("`{flag}`")).unwrap_or_default();
            let cells = [flag, format!("`{}`", setting.env()), setting.help.to_owned()];
            text += &format!("| {} |\n", cells.map(|cell| cell.replace('|', "\\|")).join(" | "));
        }
        text
    }

    /// The name and version.
    pub(crate) fn version(&self) -> String {
        format!("{} {}", self.program, env!("CARGO_PKG_VERSION"))
    }
}
