//! The newest answers in process: a host service queries and follows them while the pipeline runs.
//!
//! The idea: one writer, many readers, and a snapshot for each subject. The writer changes a subject's
//! snapshot in place while no reader holds it, and a copy of it otherwise; a reader takes a counted reference
//! and is done with locks.

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
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use telemetra_core::EventTime;

use subscribe::Subscribers;

/// A power of two, large enough that the writer and readers seldom meet.
const SHARDS: usize = 64;

/// The writing half of a live view: a sink that keeps in memory what a host asks for, of one grouping with
/// keys `K` and summaries `S`.
///
/// It keeps, by [subject](telemetra_core::AnyRow::subject), the windows and moments of the grouping for the
/// horizon, and rows of any other type that are about now ([`AnyRow::time`](telemetra_core::AnyRow::time) is
/// `None`) until they are withdrawn. Rows that tell of an event time are passed to subscribers and not kept.
/// A pipeline of several groupings has a view for each.
///
/// It keeps nothing over a restart, so the pipeline gives it the whole state anew.
///
/// Memory is a few words for each row: rows are shared with the other sinks. Silent subjects are forgotten
/// within 64 batches after the horizon has passed them.
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
/// let window = Window { start: EventTime(0), end: EventTime(60_000) };
/// let row = SummaryRow { key: "d1".to_owned(), summary: Summary { window, value: 7.into() } };
/// view.apply(&[Batch { time: EventTime(59_999), changes: vec![layout.upsert(row, 0)] }])?;
///
/// assert_eq!(reader.as_of(), Some(EventTime(59_999)));
/// assert_eq!(*reader.latest("d1").unwrap().1, 7);
/// assert!(matches!(changes.recv(), Some(Notice::Changed(update)) if &*update.subject == "d1"));
/// # Ok::<(), telemetra_core::ExternalError>(())
/// ```
pub struct LiveView<S, K = String> {
    shared: Arc<Shared<S, K>>,
    /// The names of the tables whose rows are taken; empty for all.
    only: Vec<String>,
    /// The name of the table that the windows come from.
    windows: Option<String>,
    /// The shard whose silent subjects are looked at next.
    sweep: usize,
}

/// Of these types, without holding any.
type Typed<S, K> = PhantomData<fn() -> (S, K)>;

struct Shared<S, K> {
    shards: [Shard<S, K>; SHARDS],
    hasher: RandomState,
    reached: RwLock<Reached>,
    horizon: u64,
    subscribers: Subscribers,
}

/// How far the view has come.
#[derive(Copy, Clone, Debug, Default)]
struct Reached {
    /// All changes after this time are known.
    since: Option<EventTime>,
    /// All subjects have reached this time.
    as_of: Option<EventTime>,
}

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
    /// A view of so much event time up to now, over the rows of all tables.
    #[must_use]
    pub fn new(horizon: Duration) -> Self {
        let shared = Shared {
            shards: std::array::from_fn(|_| RwLock::default()),
            hasher: RandomState::new(),
            reached: RwLock::default(),
            horizon: u64::try_from(horizon.as_millis()).unwrap_or(u64::MAX),
            subscribers: Subscribers::default(),
        };
        Self { shared: Arc::new(shared), only: Vec::new(), windows: None, sweep: 0 }
    }

    /// Takes the rows of these tables alone: where several groupings have keys and summaries of the same
    /// types, or where a pipeline has tables that readers of this view do not ask for.
    #[must_use]
    pub fn only(mut self, tables: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.only = tables.into_iter().map(Into::into).collect();
        self
    }

    /// A reader of it.
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
