//! The newest answers in process: a host service queries and follows them while the pipeline runs.
//!
//! The idea: one writer, many readers, and a snapshot for each stream. The writer changes a stream's snapshot in place
//! while no reader holds it, and a copy of it otherwise; a reader takes a counted reference and is done with locks.

mod reader;
mod sink;
mod subscribe;
mod view;

pub use reader::LiveReader;
pub use subscribe::{Closed, Notice, Subscription, Update};
pub use view::{Published, StreamView};

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, PoisonError, RwLock};

use telemetra_core::{Change, EventTime, StreamId};

use subscribe::Subscribers;

/// A power of two, large enough that the writer and readers seldom meet.
const SHARDS: usize = 64;

/// The writing half of a live view: a sink that keeps the summaries and moments of a horizon in memory.
///
/// It keeps nothing over a restart, so the pipeline gives it the whole state anew. Rows of `streams` are kept for all streams; those
/// of `viewer_timeseries` and `transactions` are passed to subscribers and not kept.
///
/// Memory is a few words for each window and stream within the horizon: the summaries themselves are shared with the pipeline.
/// What is silent is forgotten within 64 batches after the horizon has passed it.
///
/// ```
/// use std::sync::Arc;
/// use telemetra_core::{Action, Batch, Change, EventTime, Row, Sink, StreamId, Summary, Window};
/// use telemetra_sinks::{LiveView, Notice};
///
/// let mut view = LiveView::<u64>::new(3_600_000);
/// let reader = view.reader();
/// let changes = reader.subscribe(16);
///
/// view.open(None)?;
/// let window = Window { start: EventTime(0), end: EventTime(60_000) };
/// let row = Row::Summary(StreamId::new("s1"), Summary { window, value: Arc::new(7) });
/// let change = Change { row, revision: 0, action: Action::Upsert };
/// view.apply(&[Batch { time: EventTime(59_999), changes: vec![change] }])?;
///
/// assert_eq!(reader.as_of(), Some(EventTime(59_999)));
/// assert_eq!(*reader.latest("s1").unwrap().1, 7);
/// assert!(matches!(changes.recv(), Some(Notice::Changed(update)) if &*update.stream_id == "s1"));
/// # Ok::<(), telemetra_core::ExternalError>(())
/// ```
pub struct LiveView<S> {
    shared: Arc<Shared<S>>,
    /// The shard whose silent streams are looked at next.
    sweep: usize,
}

struct Shared<S> {
    shards: [Shard<S>; SHARDS],
    hasher: RandomState,
    reached: RwLock<Reached>,
    horizon: u64,
    subscribers: Subscribers<S>,
}

/// How far the view has come.
#[derive(Copy, Clone, Debug, Default)]
struct Reached {
    /// All changes after this time are known.
    since: Option<EventTime>,
    /// All streams have reached this time.
    as_of: Option<EventTime>,
}

type Shard<S> = RwLock<HashMap<StreamId, Arc<StreamView<S>>>>;

impl<S> Shared<S> {
    fn shard(&self, stream: &str) -> &Shard<S> {
        &self.shards[self.hasher.hash_one(stream) as usize % SHARDS]
    }

    fn reached(&self) -> Reached {
        *self.reached.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn reach(&self, change: impl FnOnce(&mut Reached)) {
        change(&mut self.reached.write().unwrap_or_else(PoisonError::into_inner));
    }
}

impl<S> LiveView<S> {
    /// A view of the last `horizon` milliseconds of event time.
    #[must_use]
    pub fn new(horizon: u64) -> Self {
        let shared = Shared {
            shards: std::array::from_fn(|_| RwLock::default()),
            hasher: RandomState::new(),
            reached: RwLock::default(),
            horizon,
            subscribers: Subscribers::default(),
        };
        Self { shared: Arc::new(shared), sweep: 0 }
    }

    /// A reader of it.
    #[must_use]
    pub fn reader(&self) -> LiveReader<S> {
        LiveReader(Arc::clone(&self.shared))
    }
}

impl<S> fmt::Debug for LiveView<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveView").field("horizon", &self.shared.horizon).finish_non_exhaustive()
    }
}
/// The changes of one stream at one time, as the writer groups them.
type Group<'a, S> = &'a [&'a Change<S>];
