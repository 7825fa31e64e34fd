//! The settings as text: the help, and the table of the documentation.

use super::settings::{Setting, Table};

impl<S> Setting<S> {
    /// The flag as in the help or the table: with its value, and `[no-]` for a switch.
    fn flag(&self) -> Option<String> {
        let switch = if self.value.is_empty() { "[no-]" } else { "" };
        (!self.secret).then(|| format!("--{switch}{} {}", self.name, self.value).trim_end().to_owned())
    }
}

impl<S: Default> Table<S> {
    /// The help of all settings.
    pub(crate) fn help(&self) -> String {
        let mut text = format!(
            "{}\n\
             A setting is a flag, a variable of the environment, or a key of the file that --config names;\n\
             the first of these that has it counts. Times are in seconds, or with ms, s, m or h.\n",
            self.about
        );
        for (title, group) in self.groups {
            text += &format!("\n{title}:\n");
            for setting in *group {
                let env = setting.env();
                let alone = || (env.clone(), "by this variable alone, as it is a secret".to_owned());
                let (name, other) = setting.flag().map_or_else(alone, |flag| (flag, env.clone()));
                text += &format!("  {name:<28} {}\n  {:<28} {other}\n", setting.help, "");
            }
        }
        text + "\nAlso:\n  --config FILE                a TOML file of settings\n  \
                --help, --version            what you read, and the version\n"
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
