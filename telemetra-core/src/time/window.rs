//! Windows of event time, and the panes that they consist of.
//!
//! Event time is divided into half-open *panes* `[start, end)`, which are as long as the slide and aligned to
//! it. A window is `size / slide` consecutive panes. So an event is aggregated once, into its pane, and not
//! once into each of its windows.

use std::ops::Range;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::ConfigError;
use crate::time::event_time::EventTime;
use crate::time::millis;
use crate::time::signed_time::SignedTime;

/// The size and slide of sliding or tumbling windows. Tumbling windows have a slide equal to the size.
/// Windows are aligned with the Unix epoch.
///
/// ```
/// use std::time::Duration;
/// use telemetra_core::{EventTime, WindowSpec};
/// let spec = WindowSpec::sliding(Duration::from_secs(60), Duration::from_secs(10))?;
/// assert_eq!(spec.panes_per_window(), 6);
/// assert_eq!(spec.pane_start(EventTime(12_345)), EventTime(10_000));
/// assert_eq!(spec.pane_end(EventTime(10_000)), EventTime(20_000));
/// assert!(WindowSpec::sliding(Duration::from_secs(60), Duration::from_secs(7)).is_err());
/// # Ok::<(), telemetra_core::ConfigError>(())
/// ```
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct WindowSpec {
    size: u64,
    slide: u64,
}

impl WindowSpec {
    /// Creates sliding windows: windows of length `size`, of which one starts every `slide`.
    ///
    /// # Errors
    ///
    /// If either is zero or not a whole number of milliseconds, or the size is not a multiple of the slide,
    /// or longer than a year.
    pub fn sliding(size: Duration, slide: Duration) -> Result<Self, ConfigError> {
        let spec = Self { size: millis::whole("window", size)?, slide: millis::whole("window", slide)? };
        spec.check().map(|()| spec)
    }

    /// Creates tumbling windows: windows of length `size` that do not overlap.
    ///
    /// # Errors
    ///
    /// As for [`sliding`](Self::sliding).
    pub fn tumbling(size: Duration) -> Result<Self, ConfigError> {
        Self::sliding(size, size)
    }

    /// Checks that there can be such windows.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        const YEAR: u64 = 366 * 86_400_000;
        let Self { size, slide } = *self;
        if slide == 0 || size == 0 || !size.is_multiple_of(slide) || size > YEAR {
            return Err(ConfigError::new(
                "window",
                format!("a size of {size} ms with a slide of {slide} ms cannot be cut into panes"),
                "make the size a multiple of the slide, both above zero and at most a year",
            ));
        }
        Ok(())
    }

    /// Returns the length of a window in milliseconds.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Returns the distance between the starts of windows, which is the length of a pane, in milliseconds.
    #[must_use]
    pub const fn slide(&self) -> u64 {
        self.slide
    }

    /// Returns the number of panes in a window.
    #[must_use]
    pub const fn panes_per_window(&self) -> u64 {
        self.size / self.slide
    }

    /// Returns the start of the pane that contains `time`: `time` rounded down to a pane boundary.
    #[must_use]
    pub const fn pane_start(&self, time: EventTime) -> EventTime {
        EventTime(time.0 - time.0 % self.slide)
    }

    /// Returns the end of the pane that contains `time`: the first instant after the pane.
    #[must_use]
    pub const fn pane_end(&self, time: EventTime) -> EventTime {
        EventTime((time.0 - time.0 % self.slide).saturating_add(self.slide))
    }

    /// The number of the series of disjoint windows to which the window that ends at `end` belongs. There are
    /// [`panes_per_window`](Self::panes_per_window) series, interleaved.
    #[must_use]
    pub const fn series_of(&self, end: EventTime) -> usize {
        (end.0 / self.slide % self.panes_per_window()) as usize
    }

    /// The times at which the window that ends at `end` is the newest window that has ended: from its last
    /// instant to before the last instant of the next window.
    ///
    /// ```
    /// use std::time::Duration;
    /// use telemetra_core::{EventTime, WindowSpec};
    /// let spec = WindowSpec::sliding(Duration::from_secs(60), Duration::from_secs(10))?;
    /// assert_eq!(spec.newest_during(EventTime(70_000)), EventTime(69_999)..EventTime(79_999));
    /// # Ok::<(), telemetra_core::ConfigError>(())
    /// ```
    #[must_use]
    pub const fn newest_during(&self, end: EventTime) -> Range<EventTime> {
        let last = end.minus(1);
        last..last.plus(self.slide)
    }

    /// The window that ends at `end`. The first windows of 1970 begin before it.
    ///
    /// ```
    /// use std::time::Duration;
    /// use telemetra_core::{EventTime, SignedTime, WindowSpec};
    /// let spec = WindowSpec::sliding(Duration::from_secs(60), Duration::from_secs(10))?;
    /// assert_eq!(spec.window_ending(EventTime(10_000)).start, SignedTime(-50_000));
    /// # Ok::<(), telemetra_core::ConfigError>(())
    /// ```
    #[must_use]
    pub const fn window_ending(&self, end: EventTime) -> Window {
        let last = if end.0 > i64::MAX as u64 { i64::MAX } else { end.0 as i64 };
        // A size is at most a year.
        Window { start: SignedTime(last - self.size as i64), end }
    }
}

/// Windows of one minute that slide by ten seconds.
impl Default for WindowSpec {
    fn default() -> Self {
        Self { size: 60_000, slide: 10_000 }
    }
}

/// A half-open interval of event time, `[start, end)`.
///
/// ```
/// use telemetra_core::{EventTime, WindowSpec};
/// let window = WindowSpec::default().window_ending(EventTime(120_000));
/// assert!(window.start == EventTime(60_000) && window.end == EventTime(120_000));
/// assert_eq!(window.seconds(), 60.0);
/// ```
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Window {
    /// The first instant of the window, which may be before 1970.
    pub start: SignedTime,
    /// The first instant after the window.
    pub end: EventTime,
}

impl Window {
    /// Returns whether a time is in the window.
    ///
    /// ```
    /// use telemetra_core::{EventTime, SignedTime, Window};
    /// let window = Window { start: SignedTime(-50_000), end: EventTime(10_000) };
    /// assert!(window.contains(EventTime(0)) && !window.contains(EventTime(10_000)));
    /// ```
    #[must_use]
    pub fn contains(&self, time: EventTime) -> bool {
        self.start <= time && time < self.end
    }

    /// The length of the window in seconds.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        (self.end - self.start) as f64 / 1000.0
    }
}

/// The settings of a windows operator, the same for all keys.
/// [`TimeConfig::window_rules`](crate::TimeConfig::window_rules) makes them.
#[derive(Copy, Clone, Debug)]
pub struct WindowRules {
    /// Size and slide.
    pub windows: WindowSpec,
    /// The time after its end during which a pane may still be corrected, in milliseconds.
    pub allowed_lateness: u64,
    /// The time after the end of its window during which a summary stays in the collection, in milliseconds.
    pub horizon: u64,
}

impl WindowRules {
    /// Returns whether the summary of the window that ended at `end` is beyond the horizon when `boundary` is
    /// reached. It is then retired: removed from the collection, while sinks keep its row.
    #[must_use]
    pub fn is_retired(&self, end: EventTime, boundary: EventTime) -> bool {
        end.plus(self.horizon) <= boundary
    }

    /// The boundary from which on a moment whose last window ended at `end` does not change any more, and
    /// neither do its windows: no event within the allowed lateness belongs to them or to the next one.
    #[must_use]
    pub const fn settled_at(&self, end: EventTime) -> EventTime {
        end.plus(self.allowed_lateness + 3 * self.windows.slide())
    }

    /// The end up to which no window can change any more at a boundary: the pane of an event that takes effect
    /// just before the boundary ended after it.
    pub(crate) fn settled_up_to(&self, boundary: EventTime) -> EventTime {
        boundary.minus(self.allowed_lateness + 2 * self.windows.slide())
    }

    /// The start of the oldest pane that a correction may still need when `boundary` has been reached.
    pub(crate) fn oldest_pane(&self, boundary: EventTime) -> EventTime {
        boundary.minus(self.windows.slide() + self.allowed_lateness + self.windows.size())
    }
}
