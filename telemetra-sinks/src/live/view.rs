//! The snapshot of one subject in a live view: its rows, its windows, and its moments.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use telemetra_core::{Action, AnyRow, Change, Data, EventTime, Key, Moment, Summary, SummaryRow, Window};

use super::{Typed, Update};

/// A row together with its revision and the event time at which it was last published, as [`SubjectView`] returns it.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Published<T> {
    /// The row.
    pub row: T,
    /// The number of times that the row was published before: 0 for the first time.
    pub revision: u32,
    /// The event time at which it was published.
    pub time: EventTime,
}

/// A row of any type as it was last published.
type Held = Published<Arc<dyn AnyRow>>;

impl Held {
    fn typed<R: 'static>(&self) -> Option<Published<&R>> {
        let row = self.row.typed().downcast_ref()?;
        Some(Published { row, revision: self.revision, time: self.time })
    }

    fn change(&self, action: Action) -> Change {
        Change { row: Arc::clone(&self.row), revision: self.revision, action }
    }
}

/// The snapshot of one subject of a [`LiveView`](crate::LiveView) as of one event time: its windows and moments within
/// the horizon, and its rows of other types. It does not change while a reader holds it. Rows are shared, so cloning
/// a snapshot copies pointers only. Do not hold it for long: the rows in it stay in memory, and the next change of the
/// subject copies its pointers.
///
/// ```
/// use std::time::Duration;
/// # use telemetra_core::{Batch, EventTime, Layout, Sink, Summary, SummaryRow, Window};
/// use telemetra_sinks::LiveView;
/// # let layout = Layout::<SummaryRow<String, u64>>::summaries("device_minute", &["device"], vec![], |_, _, _| {});
/// let mut view = LiveView::<u64>::new(Duration::from_secs(3600));
/// # let mut publish = |value: u64, revision| {
/// #     let window = Window { start: EventTime(0).into(), end: EventTime(60_000) };
/// #     let row = SummaryRow { key: "d1".to_owned(), summary: Summary { window, value: value.into() } };
/// #     let time = EventTime(59_999 + 10_000 * u64::from(revision));
/// #     view.apply(&[Batch { time, changes: vec![layout.upsert(row, revision)] }])
/// # };
/// # publish(7, 0)?;
/// # publish(8, 1)?;
/// # let reader = view.reader();
/// // A window was published, and corrected ten seconds of event time later.
/// let snapshot = reader.subject("d1").ok_or("no such subject")?;
/// let window = snapshot.published_windows().next().ok_or("no window")?;
/// assert_eq!((*window.row.value, window.revision, window.time), (8, 1, EventTime(69_999)));
/// assert_eq!((snapshot.key().map(String::as_str), snapshot.updated()), (Some("d1"), EventTime(69_999)));
/// assert_eq!((snapshot.all().count(), snapshot.rows().count()), (1, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SubjectView<S, K = String> {
    /// Rows of other types, sorted by table and key.
    rows: Vec<Held>,
    /// Windows, sorted by start.
    windows: VecDeque<(Window, Held)>,
    /// Moments, sorted by type, start and table.
    moments: BTreeMap<(Arc<str>, EventTime, Box<str>), (Option<EventTime>, Held)>,
    /// Rows that were withdrawn within the horizon, for readers that still hold them. They are few, so they
    /// are searched linearly.
    withdrawn: Vec<Held>,
    updated: EventTime,
    typed: Typed<S, K>,
}

impl<S, K> SubjectView<S, K> {
    /// Returns the row of the type `R`, which must be neither a window nor a moment; the first row by table and key
    /// if there are several, and `None` if there is none. Rows with an event time are included only if the view
    /// keeps [timed rows](crate::LiveView::timed_rows).
    #[must_use]
    pub fn row<R: 'static>(&self) -> Option<&R> {
        self.rows.iter().find_map(|held| held.row.typed().downcast_ref())
    }

    /// Returns all rows of other types that the view keeps, sorted by table and key.
    pub fn rows(&self) -> impl DoubleEndedIterator<Item = &Published<Arc<dyn AnyRow>>> {
        self.rows.iter()
    }

    /// Returns all rows of all tables: rows of other types by table and key, then windows by start, then moments by
    /// type and start. It is for readers that do not know the types of rows.
    pub fn all(&self) -> impl Iterator<Item = &Published<Arc<dyn AnyRow>>> {
        let windows = self.windows.iter().map(|(_, held)| held);
        self.rows.iter().chain(windows).chain(self.moments.values().map(|(_, held)| held))
    }

    /// Returns the event time of the last change of any of the subject's rows.
    #[must_use]
    pub fn updated(&self) -> EventTime {
        self.updated
    }

    /// Returns whether a row in it ended before `since`.
    pub(super) fn is_stale(&self, since: EventTime) -> bool {
        self.windows.front().is_some_and(|(window, _)| window.end < since)
            || self.moments.values().any(|(end, _)| end.is_some_and(|end| end < since))
            || self.withdrawn.iter().any(|held| held.time < since)
            || self.rows.iter().any(|held| held.row.time().is_some_and(|time| time < since))
            || (self.is_bare() && self.updated < since)
    }

    /// Forgets rows that ended before `since`.
    pub(super) fn forget(&mut self, since: EventTime) {
        while self.windows.front().is_some_and(|(window, _)| window.end < since) {
            self.windows.pop_front();
        }
        self.moments.retain(|_, (end, _)| end.is_none_or(|end| end >= since));
        self.rows.retain(|held| held.row.time().is_none_or(|time| time >= since));
        self.withdrawn.retain(|held| held.time >= since);
    }

    /// Returns whether no row is left in it.
    pub(super) fn is_bare(&self) -> bool {
        self.rows.is_empty()
            && self.windows.is_empty()
            && self.moments.is_empty()
            && self.withdrawn.is_empty()
    }

    /// Returns whether it contains this row among those of other types.
    pub(super) fn holds(&self, row: &dyn AnyRow) -> bool {
        self.place(row).is_ok()
    }

    fn place(&self, row: &dyn AnyRow) -> Result<usize, usize> {
        self.rows.binary_search_by(|held| held.row.compare_key(row))
    }

    /// Returns the changes after an event time as updates, sorted by time: each row once, as it is now or as
    /// it was when it was withdrawn.
    pub(super) fn changes_since(&self, subject: &Arc<str>, since: EventTime) -> Vec<Update> {
        let mut updates: BTreeMap<EventTime, Vec<Change>> = BTreeMap::new();
        let there = self.all().map(|held| (held, Action::Upsert));
        let gone = self.withdrawn.iter().map(|held| (held, Action::Withdraw));
        for (held, action) in there.chain(gone).filter(|(held, _)| held.time > since) {
            updates.entry(held.time).or_default().push(held.change(action));
        }
        let update = |(time, changes)| Update { time, subject: Arc::clone(subject), changes };
        updates.into_iter().map(update).collect()
    }
}

impl<S: Data, K: Key> SubjectView<S, K> {
    /// Returns the key, if there is a window or a moment within the horizon.
    #[must_use]
    pub fn key(&self) -> Option<&K> {
        let of_window = self.windows.back().and_then(|(_, held)| held.typed::<SummaryRow<K, S>>());
        of_window.map(|known| &known.row.key).or_else(|| self.moments().next().map(|moment| &moment.key))
    }

    /// Returns the newest window and its summary; `None` if there is no window within the horizon.
    #[must_use]
    pub fn latest(&self) -> Option<(Window, &Arc<S>)> {
        self.history().next_back()
    }

    /// Returns the windows within the horizon and their summaries, oldest first.
    pub fn history(&self) -> impl DoubleEndedIterator<Item = (Window, &Arc<S>)> {
        self.published_windows().map(|known| (known.row.window, &known.row.value))
    }

    /// Returns the moments that are open or ended within the horizon, sorted by type and start.
    pub fn moments(&self) -> impl Iterator<Item = &Moment<K>> {
        self.published_moments().map(|known| known.row)
    }

    /// Returns the windows within the horizon with their revisions, oldest first.
    pub fn published_windows(&self) -> impl DoubleEndedIterator<Item = Published<&Summary<S>>> {
        self.windows.iter().filter_map(|(_, held)| {
            let Published { row, revision, time } = held.typed::<SummaryRow<K, S>>()?;
            Some(Published { row: &row.summary, revision, time })
        })
    }

    /// Returns the moments within the horizon with their revisions, sorted by type and start.
    pub fn published_moments(&self) -> impl Iterator<Item = Published<&Moment<K>>> {
        self.moments.values().filter_map(|(_, held)| held.typed())
    }

    /// Applies one change. `keeps` is whether a row that is neither a window nor a moment stays.
    pub(super) fn apply(&mut self, change: &Change, time: EventTime, keeps: bool) {
        let upsert = change.action == Action::Upsert;
        let held = || Published { row: Arc::clone(&change.row), revision: change.revision, time };
        self.updated = time;
        self.withdrawn.retain(|withdrawn| withdrawn.row.compare_key(&*change.row).is_ne());
        if let Some(SummaryRow { summary, .. }) = change.row::<SummaryRow<K, S>>() {
            let start = summary.window.start;
            match (self.windows.binary_search_by_key(&start, |(window, _)| window.start), upsert) {
                (Ok(at), true) => self.windows[at] = (summary.window, held()),
                (Ok(at), false) => drop(self.windows.remove(at)),
                (Err(at), true) => self.windows.insert(at, (summary.window, held())),
                (Err(_), false) => {}
            }
        } else if let Some(moment) = change.row::<Moment<K>>() {
            let key = (Arc::clone(&moment.moment_type), moment.started_at, change.table().into());
            if upsert {
                self.moments.insert(key, (moment.ended_at(), held()));
            } else {
                self.moments.remove(&key);
            }
        } else {
            match (self.place(&*change.row), upsert && keeps) {
                (Ok(at), true) => self.rows[at] = held(),
                (Ok(at), false) => drop(self.rows.remove(at)),
                (Err(at), true) => self.rows.insert(at, held()),
                (Err(_), false) => {}
            }
        }
        if !upsert {
            self.withdrawn.push(held());
        }
    }
}

impl<S, K> Clone for SubjectView<S, K> {
    fn clone(&self) -> Self {
        Self {
            rows: self.rows.clone(),
            windows: self.windows.clone(),
            moments: self.moments.clone(),
            withdrawn: self.withdrawn.clone(),
            updated: self.updated,
            typed: PhantomData,
        }
    }
}

impl<S, K> Default for SubjectView<S, K> {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            windows: VecDeque::new(),
            moments: BTreeMap::new(),
            withdrawn: Vec::new(),
            updated: EventTime::MIN,
            typed: PhantomData,
        }
    }
}

impl<S: Data, K: Key> fmt::Debug for SubjectView<S, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubjectView")
            .field("rows", &self.rows)
            .field("updated", &self.updated)
            .field("latest", &self.latest())
            .finish_non_exhaustive()
    }
}
