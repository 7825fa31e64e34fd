//! The live view: current rows in memory, which a host service queries and follows while the pipeline runs.
//!
//! There is one writer and any number of readers, and a snapshot for each subject. The writer changes a
//! snapshot in place if no reader holds it, and a copy otherwise. A reader takes a reference-counted snapshot
//! and holds no lock while it uses it.

mod reader;
mod sink;
mod subscribe;
mod view;

pub use reader::LiveReader;
pub use subscribe::{Closed, Notice, Subscription, Update};
pub use view::{Published, SubjectView};

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use telemetra_core::{EventTime, Table};

use subscribe::Subscribers;

/// The number of locks: a power of two, large enough that writer and readers seldom meet.
const SHARDS: usize = 64;

/// A sink that keeps the current rows of one grouping, with keys `K` and summaries `S`, in memory, where the
/// host service can query and follow them: what Flink calls queryable state, in the process of the pipeline.
/// [`reader`](Self::reader) returns a handle for queries and subscriptions. For readers in other processes, use the
/// HTTP routes over a view (`telemetra::http`), or `RedisSink`.
///
/// A *subject* is what a row is about, usually the text of its key: see
/// [`AnyRow::subject`](telemetra_core::AnyRow::subject). For each subject the view keeps:
///
/// * windows and moments, within the horizon;
/// * rows of other types without an event time ([`AnyRow::time`](telemetra_core::AnyRow::time) is `None`), until
///   they are withdrawn;
/// * rows of other types with an event time only if [`timed_rows`](Self::timed_rows) is set, within the horizon.
///   Otherwise they are only passed to subscribers.
///
/// A pipeline of several groupings needs one view for each: see [`only`](Self::only). Batches with windows of two
/// tables are a permanent error.
///
/// The view is empty after a restart; the pipeline then writes all current rows again. Dead letters are not kept.
///
/// # Cost
///
/// A row costs a few words of memory, as rows are shared with the other sinks. A change costs a look-up of
/// its subject and, if a reader holds the subject's snapshot, a copy of that snapshot's pointers. Subjects
/// without changes are removed within 64 batches after they leave the horizon.
///
/// ```
/// use std::time::Duration;
/// use telemetra_core::{Batch, Column, ColumnKind, EventTime, Layout, Sink};
/// use telemetra_core::{Summary, SummaryRow, Value, Window};
/// use telemetra_sinks::{LiveView, Notice};
///
/// let columns = vec![Column::new("readings", ColumnKind::Integer)];
/// type Row = SummaryRow<String, u64>;
/// let layout = Layout::<Row>::summaries("device_minute", &["device"], columns, |readings, _, put| {
///     put(Value::Unsigned(*readings));
/// });
///
/// let mut view = LiveView::<u64>::new(Duration::from_secs(3600));
/// let reader = view.reader();
/// let changes = reader.subscribe(16);
///
/// view.open(&[layout.table().clone()], None)?;
/// let window = Window { start: EventTime(0).into(), end: EventTime(60_000) };
/// let row = SummaryRow { key: "d1".to_owned(), summary: Summary { window, value: 7.into() } };
/// view.apply(&[Batch { time: EventTime(59_999), changes: vec![layout.upsert(row, 0)] }])?;
///
/// assert_eq!(reader.as_of(), Some(EventTime(59_999)));
/// assert_eq!(reader.tables()[0].name(), "device_minute");
/// assert_eq!(*reader.latest("d1").unwrap().1, 7);
/// assert!(matches!(changes.recv(), Some(Notice::Changed(update)) if &*update.subject == "d1"));
/// # Ok::<(), telemetra_core::ExternalError>(())
/// ```
pub struct LiveView<S, K = String> {
    shared: Arc<Shared<S, K>>,
    /// The names of the accepted tables; empty for all.
    only: Vec<String>,
    /// The table of the windows that the view holds.
    windows: Option<String>,
    /// The next shard that is searched for subjects without changes.
    sweep: usize,
}

/// Marks the types of key and summary, without a value of them.
type Typed<S, K> = PhantomData<fn() -> (S, K)>;

/// The state that the writer and all readers share.
struct Shared<S, K> {
    shards: [Shard<S, K>; SHARDS],
    hasher: RandomState,
    reached: RwLock<Reached>,
    /// The accepted tables; empty before the view is opened.
    tables: RwLock<Vec<Arc<Table>>>,
    horizon: u64,
    /// True if rows of other types that have an event time are kept within the horizon.
    timed: AtomicBool,
    subscribers: Subscribers,
}

/// The event times that the view has reached.
#[derive(Copy, Clone, Debug, Default)]
struct Reached {
    /// All changes after this time are known.
    since: Option<EventTime>,
    /// All subjects have reached this time.
    as_of: Option<EventTime>,
}

/// The subjects under one lock.
type Shard<S, K> = RwLock<Subjects<S, K>>;
type Subjects<S, K> = HashMap<Arc<str>, Arc<SubjectView<S, K>>>;

impl<S, K> Shared<S, K> {
    fn shard(&self, subject: &str) -> &Shard<S, K> {
        &self.shards[self.hasher.hash_one(subject) as usize % SHARDS]
    }

    fn reached(&self) -> Reached {
        *self.reached.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn reach(&self, change: impl FnOnce(&mut Reached)) {
        change(&mut self.reached.write().unwrap_or_else(PoisonError::into_inner));
    }
}

impl<S, K> LiveView<S, K> {
    /// Creates a view of the rows of all tables, which keeps windows and moments for `horizon` of event time, to the
    /// millisecond, after they end. It should not exceed the pipeline's own horizon, as a restart restores no more than
    /// that.
    #[must_use]
    pub fn new(horizon: Duration) -> Self {
        let shared = Shared {
            shards: std::array::from_fn(|_| RwLock::default()),
            hasher: RandomState::new(),
            reached: RwLock::default(),
            tables: RwLock::default(),
            horizon: u64::try_from(horizon.as_millis()).unwrap_or(u64::MAX),
            timed: AtomicBool::new(false),
            subscribers: Subscribers::default(),
        };
        Self { shared: Arc::new(shared), only: Vec::new(), windows: None, sweep: 0 }
    }

    /// Accepts the rows of these tables only. It is needed if several groupings have keys and summaries of the same
    /// types, and leaves out tables that no reader needs. Default: all tables. [`open`](telemetra_core::Sink::open)
    /// fails with a permanent error if the pipeline has no table of one of these names.
    ///
    /// ```
    /// use std::time::Duration;
    /// use telemetra_core::Sink;
    /// use telemetra_sinks::LiveView;
    /// let mut view = LiveView::<u64>::new(Duration::from_secs(3600)).only(["device_minute"]);
    /// assert!(view.open(&[], None).is_err(), "there is no such table");
    /// ```
    #[must_use]
    pub fn only(mut self, tables: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.only = tables.into_iter().map(Into::into).collect();
        self
    }

    /// Also keeps rows that have an event time and are neither windows nor moments, for a horizon after that time.
    /// Readers then find them in [`SubjectView::rows`], [`SubjectView::all`] and [`LiveReader::changes_since`].
    /// Default: off. Each row costs memory, and a copy of its pointer when the snapshot of its subject is copied,
    /// so do not use it for tables with a row for each event.
    #[must_use]
    pub fn timed_rows(self) -> Self {
        self.shared.timed.store(true, Ordering::Relaxed);
        self
    }

    /// Returns a handle for readers. Call it before the view is given to the pipeline; handles can be cloned later. A
    /// handle outlives the view: after the end of the pipeline it still answers with the last rows.
    #[must_use]
    pub fn reader(&self) -> LiveReader<S, K> {
        LiveReader(Arc::clone(&self.shared))
    }
}

impl<S, K> fmt::Debug for LiveView<S, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveView")
            .field("horizon", &Duration::from_millis(self.shared.horizon))
            .field("only", &self.only)
            .finish_non_exhaustive()
    }
}
