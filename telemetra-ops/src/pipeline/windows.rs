//! The windows of groupings: tumbling, sliding and session windows, and helpers for spans of time.

use std::time::Duration;

use telemetra_core::engine::millis;
use telemetra_core::{ConfigError, TimeConfig, WindowSpec};

/// The window assigner of a grouping. It is made by [`tumbling`], [`sliding`] and [`sessions`]; the default
/// is the windows of the pipeline's [time settings](crate::Pipeline::time).
///
/// Tumbling and sliding windows are aligned with the Unix epoch and half-open: a window contains its start
/// and not its end. [`Pipeline::start`](crate::Pipeline::start) refuses sizes, slides and gaps that are zero
/// or not a whole number of milliseconds, and windows longer than a year.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Default)]
pub struct WindowKind {
    kind: Kind,
    /// The event time between early results.
    early: Option<Duration>,
}

/// The shape of the windows.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Default)]
enum Kind {
    /// The windows of the pipeline's time settings.
    #[default]
    Settings,
    Sliding {
        size: Duration,
        slide: Duration,
    },
    Sessions {
        gap: Duration,
    },
}

/// The longest pane of a grouping by sessions, in milliseconds, so that a session is closed soon after its
/// end.
const SESSION_PANE: u64 = 10_000;

/// Tumbling windows: windows of `size`, each beginning where the one before ends.
///
/// ```
/// use telemetra_ops::{minutes, sliding, tumbling};
/// assert_eq!(tumbling(minutes(1)), sliding(minutes(1), minutes(1)));
/// ```
#[must_use]
pub const fn tumbling(size: Duration) -> WindowKind {
    sliding(size, size)
}

/// Sliding windows: windows of `size`, one beginning every `slide`. SQL calls them hopping windows. The size
/// must be a multiple of the slide; [`Pipeline::start`](crate::Pipeline::start) refuses others.
///
/// An event is added to one pane of length `slide`, and windows are merged from panes, so the cost of an
/// event does not depend on `size / slide`. The number of rows does: there is one for each key and slide.
///
/// ```
/// use telemetra_ops::{hours, minutes, sliding};
/// let last_hour = sliding(hours(1), minutes(5));
/// ```
#[must_use]
pub const fn sliding(size: Duration, slide: Duration) -> WindowKind {
    WindowKind { kind: Kind::Sliding { size, slide }, early: None }
}

/// Session windows: a session is a run of a key's events, each less than `gap` after the one before. Its
/// window reaches from the first event to `gap` after the last. It is closed at the first pane boundary at or
/// after its end; panes are as long as the greatest common divisor of the gap and ten seconds. Choose a gap
/// of whole seconds, as a gap of 1001 ms would make panes of 1 ms.
///
/// A late event may merge sessions: their rows are withdrawn and one row is inserted. A grouping by sessions
/// has no moments, as rules compare windows of equal length; [`Pipeline::start`](crate::Pipeline::start)
/// refuses rules on it.
///
/// ```
/// # #[derive(serde::Deserialize)] struct Reading { device: String, time: telemetra_core::EventTime }
/// # impl telemetra_core::Event for Reading {
/// #     type Key = String;
/// #     fn time(&self) -> telemetra_core::EventTime { self.time }
/// #     fn key(&self) -> &str { &self.device }
/// # }
/// # use telemetra_core::{Batch, ExternalError, Sink, Table};
/// # #[derive(Clone, Default)] struct Rows(std::sync::Arc<std::sync::Mutex<Vec<String>>>);
/// # impl Sink for Rows {
/// #     fn name(&self) -> &str { "rows" }
/// #     fn open(&mut self, _: &[std::sync::Arc<Table>], _: Option<telemetra_core::EventTime>) -> Result<Option<telemetra_core::EventTime>, ExternalError> { Ok(None) }
/// #     fn apply(&mut self, batches: &[Batch]) -> Result<(), ExternalError> {
/// #         let tables = batches.iter().flat_map(|batch| &batch.changes).map(|change| change.table().to_owned());
/// #         Ok(self.0.lock().unwrap().extend(tables))
/// #     }
/// # }
/// use telemetra_core::{SerdeJson, source::Memory};
/// use telemetra_ops::{Pipeline, minutes, sessions};
///
/// let rows = Rows::default(); // A sink that lists the tables of the rows that it gets.
/// // Two sessions: from the first minute to the 20th, and from the 80th.
/// let lines = [1, 20, 80].map(|minute| format!(r#"{{"device": "d1", "time": {}}}"#, minute * 60_000));
/// Pipeline::<Reading>::new()
///     .source(Memory::default().partition("readings", lines), SerdeJson::new())
///     .sink(rows.clone())
///     .group("visits", sessions(minutes(30)), |a| a.count("readings"))
///     .start()?
///     .wait()?;
/// assert_eq!(*rows.0.lock().unwrap(), ["visits", "visits"]);
/// # Ok::<(), telemetra_ops::PipelineError>(())
/// ```
#[must_use]
pub const fn sessions(gap: Duration) -> WindowKind {
    WindowKind { kind: Kind::Sessions { gap }, early: None }
}

/// Returns a span of `n` seconds.
///
/// ```
/// use std::time::Duration;
/// use telemetra_ops::{hours, minutes, seconds};
/// assert_eq!((seconds(90), minutes(2), hours(1)), (Duration::from_secs(90), Duration::from_secs(120), Duration::from_secs(3600)));
/// ```
#[must_use]
pub const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Returns a span of `n` minutes.
#[must_use]
pub const fn minutes(n: u64) -> Duration {
    Duration::from_secs(60 * n)
}

/// Returns a span of `n` hours.
#[must_use]
pub const fn hours(n: u64) -> Duration {
    Duration::from_secs(3600 * n)
}

impl WindowKind {
    /// Enables early results, as Flink's `ContinuousEventTimeTrigger`: at every multiple of `every` of event
    /// time, each open window whose contents changed is written to the table. The row is revised at later
    /// ticks and when the window ends. Default: windows are written when they end. Rules, `latest` and other
    /// operators on the summaries receive complete windows only.
    ///
    /// Panes become as short as the greatest common divisor of the slide and `every`. The state and work of
    /// the grouping double. At each tick, every key that changed costs one merge for each pane of each open
    /// window.
    ///
    /// [`Pipeline::start`](crate::Pipeline::start) refuses zero, fractions of a millisecond and, for tumbling
    /// and sliding windows, a time that is not less than the size of the windows.
    ///
    /// ```
    /// # #[derive(serde::Deserialize)] struct Reading { device: String, time: telemetra_core::EventTime }
    /// # impl telemetra_core::Event for Reading {
    /// #     type Key = String;
    /// #     fn time(&self) -> telemetra_core::EventTime { self.time }
    /// #     fn key(&self) -> &str { &self.device }
    /// # }
    /// # use telemetra_core::{Batch, ExternalError, Sink, Table};
    /// # #[derive(Clone, Default)] struct Rows(std::sync::Arc<std::sync::Mutex<Vec<String>>>);
    /// # impl Sink for Rows {
    /// #     fn name(&self) -> &str { "rows" }
    /// #     fn open(&mut self, _: &[std::sync::Arc<Table>], _: Option<telemetra_core::EventTime>) -> Result<Option<telemetra_core::EventTime>, ExternalError> { Ok(None) }
    /// #     fn apply(&mut self, batches: &[Batch]) -> Result<(), ExternalError> {
    /// #         let tables = batches.iter().flat_map(|batch| &batch.changes).map(|change| change.table().to_owned());
    /// #         Ok(self.0.lock().unwrap().extend(tables))
    /// #     }
    /// # }
    /// use telemetra_core::{SerdeJson, source::Memory};
    /// use telemetra_ops::{Pipeline, hours, minutes, tumbling};
    ///
    /// let rows = Rows::default(); // A sink that lists the tables of the rows that it gets.
    /// let lines = [1, 25, 45].map(|minute| format!(r#"{{"device": "d1", "time": {}}}"#, minute * 60_000));
    /// Pipeline::<Reading>::new()
    ///     .source(Memory::default().partition("readings", lines), SerdeJson::new())
    ///     .sink(rows.clone())
    ///     .group("device_hour", tumbling(hours(1)).early(minutes(20)), |a| a.count("readings"))
    ///     .start()?
    ///     .wait()?;
    /// assert_eq!(rows.0.lock().unwrap().len(), 3, "upserts of one row: after 20, 40 and 60 minutes");
    /// # Ok::<(), telemetra_ops::PipelineError>(())
    /// ```
    #[must_use]
    pub const fn early(mut self, every: Duration) -> Self {
        self.early = Some(every);
        self
    }

    /// Returns the event time between early results in milliseconds, if they are enabled.
    pub(crate) fn early_every(self) -> Result<Option<u64>, ConfigError> {
        match self.early.map(|every| millis::whole("early", every)).transpose()? {
            Some(0) => {
                let detail = "early results every 0 ms have no end";
                Err(ConfigError::new("early", detail, "give the time between them"))
            }
            Some(every) => match self.kind {
                Kind::Sliding { size, .. } if Duration::from_millis(every) >= size => {
                    let detail =
                        format!("early results every {every} ms come after windows of {size:?} have ended");
                    Err(ConfigError::new("early", detail, "give less than the size of the windows"))
                }
                _ => Ok(Some(every)),
            },
            None => Ok(None),
        }
    }

    /// Returns the windows of the grouping, those of `time` if it uses the settings; for sessions, their
    /// panes.
    pub(crate) fn spec(self, time: &TimeConfig) -> Result<WindowSpec, ConfigError> {
        match self.kind {
            Kind::Settings => Ok(time.windows),
            Kind::Sliding { size, slide } => WindowSpec::sliding(size, slide),
            Kind::Sessions { gap } => WindowSpec::tumbling(match millis::whole("sessions", gap)? {
                0 => {
                    return Err(ConfigError::new(
                        "sessions",
                        "a gap of 0 separates every event",
                        "give a longer gap",
                    ));
                }
                gap => Duration::from_millis(gcd(gap, SESSION_PANE)),
            }),
        }
    }

    /// Returns the gap in milliseconds, if these are sessions.
    pub(crate) fn gap(self) -> Option<u64> {
        match self.kind {
            Kind::Sessions { gap } => millis::whole("sessions", gap).ok(),
            _ => None,
        }
    }
}

/// Returns the greatest common divisor.
pub(crate) fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}
