//! The errors of settings, sources, sinks and stores. Each says what was tried, where, and what to do about
//! it.

use std::fmt;
use std::time::Duration;

/// The error of a setting that cannot work, returned when a part is made or the pipeline starts, before
/// anything is read. Its text names the setting, says what is wrong, and what to do instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    setting: String,
    detail: String,
    hint: String,
}

impl ConfigError {
    /// Creates an error from the setting's name, a description of the problem, and a hint what to do. They
    /// are shown as "cannot use the setting `…`: …; …".
    pub fn new(setting: impl Into<String>, detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { setting: setting.into(), detail: detail.into(), hint: hint.into() }
    }

    /// Returns the name of the setting.
    #[must_use]
    pub fn setting(&self) -> &str {
        &self.setting
    }

    /// The same error with another name of the setting: the one by which a program's user knows it.
    ///
    /// ```
    /// # use telemetra_core::ConfigError;
    /// let error = ConfigError::new("object store", "`s3://` has no bucket", "give s3://BUCKET/PREFIX");
    /// let error = error.of("--checkpoint").to_string();
    /// assert!(error.starts_with("cannot use the setting `--checkpoint`: `s3://` has no bucket"), "{error}");
    /// ```
    #[must_use]
    pub fn of(mut self, setting: impl Into<String>) -> Self {
        self.setting = setting.into();
        self
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot use the setting `{}`: {}; {}", self.setting, self.detail, self.hint)
    }
}
impl std::error::Error for ConfigError {}

/// The classification of a failure: whether the operation may succeed if it is repeated. Every source, sink and
/// checkpoint store classifies its errors in this way, by [`ExternalError`].
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Retry {
    /// It may: a lost connection, a busy database, a server whose disk is full. The operation is repeated with backoff.
    Transient,
    /// It cannot: a full disk of this machine, a wrong password, a row that does not fit. The pipeline stops.
    Permanent,
}

/// The error of a system outside the process, from a source, a sink or a checkpoint store: what was tried,
/// whether a retry may help, and the cause.
///
/// ```
/// use telemetra_core::{ExternalError, Retry};
///
/// let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
/// let error = ExternalError::transient("could not connect to db.example.org:5432").because(refused);
/// assert_eq!(error.retry(), Retry::Transient);
/// assert_eq!(error.to_string(), "could not connect to db.example.org:5432");
/// assert!(std::error::Error::source(&error).is_some());
/// ```
#[derive(Debug)]
pub struct ExternalError {
    what: String,
    retry: Retry,
    retry_after: Option<Duration>,
    taken_over: bool,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl ExternalError {
    /// Creates a [permanent](Retry::Permanent) error. `what` says what was tried, on which file, table or
    /// row.
    pub fn permanent(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            retry: Retry::Permanent,
            retry_after: None,
            taken_over: false,
            source: None,
        }
    }

    /// A [permanent](Retry::Permanent) error because another process has taken over what this one wrote to. This process
    /// must not be restarted, as it would take it back. `what` says what was taken over.
    ///
    /// ```
    /// use telemetra_core::ExternalError;
    /// assert!(ExternalError::taken_over("the table `readings`").is_taken_over());
    /// assert!(!ExternalError::permanent("the disk is full").is_taken_over());
    /// ```
    pub fn taken_over(what: impl Into<String>) -> Self {
        Self { taken_over: true, ..Self::permanent(what) }
    }

    /// Creates a [transient](Retry::Transient) error. `what` says what was tried, on which file, table or
    /// row.
    pub fn transient(what: impl Into<String>) -> Self {
        Self { retry: Retry::Transient, ..Self::permanent(what) }
    }

    /// Returns the same error with its cause, which [`source`](std::error::Error::source) returns.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The same error with the time after which the system wants the operation to be repeated, as `Retry-After`
    /// of HTTP says it. The pipeline waits at least so long.
    ///
    /// ```
    /// use std::time::Duration;
    /// use telemetra_core::ExternalError;
    /// let error = ExternalError::transient("too many requests").with_retry_after(Duration::from_secs(3));
    /// assert_eq!(error.retry_after(), Some(Duration::from_secs(3)));
    /// ```
    #[must_use]
    pub fn with_retry_after(mut self, pause: Duration) -> Self {
        self.retry_after = Some(pause);
        self
    }

    /// Returns the time after which the system wants the operation to be repeated; `None` if it named none.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Returns whether the operation may succeed if it is repeated.
    #[must_use]
    pub fn retry(&self) -> Retry {
        self.retry
    }

    /// Returns whether another process has [taken over](Self::taken_over) what this one wrote to.
    #[must_use]
    pub fn is_taken_over(&self) -> bool {
        self.taken_over
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
