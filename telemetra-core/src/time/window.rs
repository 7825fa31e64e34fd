//! Panes and windows: the arithmetic of event time cut into pieces.
//!
//! Time is cut into half-open *panes* `[start, end)` as long as the slide and aligned to it. A
//! window is `size / slide` consecutive panes, so an event is aggregated once, into its pane,
//! and not once into each of its windows.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::error::ConfigError;
use crate::time::event_time::EventTime;

/// Size and slide of the windows, in milliseconds. A slide equal to the size makes tumbling windows.
///
/// ```
/// use telemetra_core::{EventTime, WindowSpec};
/// let spec = WindowSpec::sliding(60_000, 10_000)?;
/// assert_eq!(spec.panes_per_window(), 6);
/// assert_eq!(spec.pane_start(EventTime(12_345)), EventTime(10_000));
/// assert_eq!(spec.pane_end(EventTime(10_000)), EventTime(20_000));
/// assert!(WindowSpec::sliding(60_000, 7_000).is_err());
/// # Ok::<(), telemetra_core::ConfigError>(())
/// ```
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct WindowSpec {
    size: u64,
    slide: u64,
}

impl WindowSpec {
    /// Windows of `size` milliseconds, one every `slide` milliseconds.
    ///
    /// # Errors
    ///
    /// If either is zero, or the size is not a multiple of the slide, or longer than a year.
    pub fn sliding(size: u64, slide: u64) -> Result<Self, ConfigError> {
        const YEAR: u64 = 366 * 86_400_000;
        if slide == 0 || size == 0 || !size.is_multiple_of(slide) || size > YEAR {
            return Err(ConfigError::new(
                "window",
                format!("a size of {size} ms with a slide of {slide} ms cannot be cut into panes"),
                "make the size a multiple of the slide, both above zero and at most a year",
            ));
        }
        Ok(Self { size, slide })
    }

    /// Windows of `size` milliseconds, end to end.
    ///
    /// # Errors
    ///
    /// As for [`sliding`](Self::sliding).
    pub fn tumbling(size: u64) -> Result<Self, ConfigError> {
        Self::sliding(size, size)
    }

    /// The length of a window in milliseconds.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The length of a pane, and the distance between windows, in milliseconds.
    #[must_use]
    pub const fn slide(&self) -> u64 {
        self.slide
    }

    /// How many panes make a window.
    #[must_use]
    pub const fn panes_per_window(&self) -> u64 {
        self.size / self.slide
    }

    /// The start of the pane that holds `time`; also: `time` rounded down to a pane boundary.
    #[must_use]
    pub const fn pane_start(&self, time: EventTime) -> EventTime {
        EventTime(time.0 - time.0 % self.slide)
    }

    /// The end of the pane that holds `time`: the first instant after it.
    #[must_use]
    pub const fn pane_end(&self, time: EventTime) -> EventTime {
        EventTime((time.0 - time.0 % self.slide).saturating_add(self.slide))
    }

    /// Which of the [`panes_per_window`](Self::panes_per_window) interleaved series of disjoint windows the one
    /// that ends at `end` belongs to.
    #[must_use]
    pub const fn series_of(&self, end: EventTime) -> usize {
        (end.0 / self.slide % self.panes_per_window()) as usize
    }

    /// When the window that ends at `end` is the newest of all that have ended: from its last instant until, and without, the
    /// last instant of the next.
    ///
    /// ```
    /// use telemetra_core::{EventTime, WindowSpec};
    /// let spec = WindowSpec::sliding(60_000, 10_000)?;
    /// assert_eq!(spec.newest_during(EventTime(70_000)), EventTime(69_999)..EventTime(79_999));
    /// # Ok::<(), telemetra_core::ConfigError>(())
    /// ```
    #[must_use]
    pub const fn newest_during(&self, end: EventTime) -> Range<EventTime> {
        let last = end.minus(1);
        last..last.plus(self.slide)
    }

    /// The window that ends at `end`. Windows reach back before the epoch; their start is cut there.
    #[must_use]
    pub const fn window_ending(&self, end: EventTime) -> Window {
        Window { start: EventTime(end.0.saturating_sub(self.size)), end }
    }
}

/// One minute sliding by ten seconds.
impl Default for WindowSpec {
    fn default() -> Self {
        Self { size: 60_000, slide: 10_000 }
    }
}

/// A half-open interval of event time, `[start, end)`.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Window {
    /// The first instant inside. Windows order by their end; a spec's windows all have one size.
    pub start: EventTime,
    /// The first instant after.
    pub end: EventTime,
}

impl Window {
    /// Its length in seconds.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        (self.end - self.start) as f64 / 1000.0
    }
}

/// What the windows of all keys have in common.
#[derive(Copy, Clone, Debug)]
pub struct WindowRules {
    /// Size and slide.
    pub windows: WindowSpec,
    /// How long after its end a pane may still be revised.
    pub allowed_lateness: u64,
    /// How long after its end a window's summary stays.
    pub horizon: u64,
}

impl WindowRules {
    /// Whether a summary whose window ended at `end` has gone beyond the horizon when `boundary` is reached. What is taken
    /// back then is retired, which is not news.
    #[must_use]
    pub fn is_retired(&self, end: EventTime, boundary: EventTime) -> bool {
        end.plus(self.horizon) <= boundary
    }

    /// The start of the oldest pane that a later change could need when `boundary` has been reached.
    pub(crate) fn oldest_pane(&self, boundary: EventTime) -> EventTime {
        boundary.minus(self.windows.slide() + self.allowed_lateness + self.windows.size())
    }
}
