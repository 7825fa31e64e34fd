//! Translation of the library's errors, which name its own settings, into the names of a program's settings.

use std::collections::BTreeMap;

use telemetra::prelude::{ConfigError, PipelineError};

use super::settings::{Setting, Table, Wrong};

impl<S: Default> Table<S> {
    /// The error, with the library's name of a setting replaced by its origin, or else by its flag; other
    /// errors are unchanged.
    pub(crate) fn explained(
        &self,
        error: anyhow::Error,
        origins: &BTreeMap<&'static str, String>,
    ) -> anyhow::Error {
        let config = match error.downcast_ref() {
            Some(PipelineError::Config(config)) => Some(config),
            _ => error.downcast_ref::<ConfigError>(),
        };
        let Some(config) = config else { return error };
        let text = config.to_string().replace("the setting `", "`");
        // Every other part is between backticks.
        let told = |(at, part): (usize, &str)| match self.meant_by(part) {
            _ if at % 2 == 0 => part.to_owned(),
            Some(setting) => setting.from(origins.get(setting.name).map(String::as_str)),
            None => format!("`{part}`"),
        };
        Wrong(text.split('`').enumerate().map(told).collect()).into()
    }

    /// The program's setting for a name of the library.
    fn meant_by(&self, word: &str) -> Option<&'static Setting<S>> {
        let field = word.strip_prefix("generator.").unwrap_or(word);
        self.all()
            .find(|setting| setting.sets == Some(field))
            .or_else(|| self.of(field.strip_suffix("_ms").unwrap_or(field)))
    }
}
