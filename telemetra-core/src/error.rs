//! Errors of the contracts. Each says what was tried, where, and what to do about it.

use std::fmt;

/// A setting that cannot work. Found when the pipeline is built, before anything runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    setting: String,
    detail: String,
    hint: String,
}

impl ConfigError {
    /// The setting's name, what is wrong with it, and what to do.
    pub fn new(setting: impl Into<String>, detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { setting: setting.into(), detail: detail.into(), hint: hint.into() }
    }

    /// The name of the setting.
    #[must_use]
    pub fn setting(&self) -> &str {
        &self.setting
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot use the setting `{}`: {}; {}", self.setting, self.detail, self.hint)
    }
}
impl std::error::Error for ConfigError {}

/// Whether trying again can help.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Retry {
    /// A passing trouble: a lost connection, a busy database. Tried again with backoff.
    Transient,
    /// Trying again gives the same: a full disk, a wrong password, a row that does not fit.
    Permanent,
}

/// An error of a source, a sink or a checkpoint store: of something outside the process.
#[derive(Debug)]
pub struct ExternalError {
    what: String,
    retry: Retry,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl ExternalError {
    /// An error that trying again will not cure. `what` says what was tried, on which file, table or row.
    pub fn permanent(what: impl Into<String>) -> Self {
        Self { what: what.into(), retry: Retry::Permanent, source: None }
    }

    /// An error that may pass.
    pub fn transient(what: impl Into<String>) -> Self {
        Self { what: what.into(), retry: Retry::Transient, source: None }
    }

    /// Adds the error underneath.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Whether trying again can help.
    #[must_use]
    pub fn retry(&self) -> Retry {
        self.retry
    }
}

impl fmt::Display for ExternalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}
impl std::error::Error for ExternalError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|e| e as &(dyn std::error::Error + 'static))
    }
}
