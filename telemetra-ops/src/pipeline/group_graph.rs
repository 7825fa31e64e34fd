//! The collections of one grouping on one worker, as an extension of the pipeline receives them.

use std::fmt;
use std::ops::Deref;

use differential_dataflow::VecCollection;
use telemetra_core::{EventTime, Key, Moment, WindowRules};

use crate::operators::windows::Summaries;
use crate::pipeline::graph::Graph;

/// The results of one grouping, as differential collections, while one worker builds its dataflow: for
/// operators of your own. It dereferences to the [`Graph`], so `publish`, `scope` and the other methods of a
/// graph are available.
///
/// [`Pipeline::extend`](crate::Pipeline::extend) passes it to a closure. The collections have the grouping's
/// key, and each worker has the summaries and moments of its share of the keys. Clone a collection to use it;
/// that is cheap.
///
/// ```
/// # #[derive(serde::Deserialize)] struct Reading { device: String, time: telemetra_core::EventTime }
/// # impl telemetra_core::Event for Reading {
/// #     type Key = String;
/// #     fn time(&self) -> telemetra_core::EventTime { self.time }
/// #     fn key(&self) -> &str { &self.device }
/// # }
///
/// use std::sync::{Arc, atomic::{AtomicI64, Ordering}};
/// use telemetra_core::{SerdeJson, source::Memory};
/// use telemetra_ops::{Pipeline, minutes, tumbling};
///
/// let (closed, seen) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicI64::new(0)));
/// let (closed_now, seen_now) = (Arc::clone(&closed), Arc::clone(&seen));
/// let lines = [1, 2, 70].map(|second| format!(r#"{{"device": "d1", "time": {second}000}}"#));
/// Pipeline::<Reading>::new()
///     .source(Memory::default().partition("readings", lines), SerdeJson::new())
///     .group("device_minute", tumbling(minutes(1)), |a| a.count("readings"))
///     .extend(move |group| {
///         let (closed, seen) = (Arc::clone(&closed_now), Arc::clone(&seen_now));
///         group.summaries.clone().inspect(move |((_device, summary), _time, diff)| {
///             closed.fetch_add(*diff as i64, Ordering::Relaxed);
///             seen.fetch_add(*diff as i64 * *summary.value as i64, Ordering::Relaxed);
///         });
///     })
///     .start()?
///     .wait()?;
/// assert_eq!((closed.load(Ordering::Relaxed), seen.load(Ordering::Relaxed)), (2, 3));
/// # Ok::<(), telemetra_ops::PipelineError>(())
/// ```
pub struct GroupGraph<'scope, K: Key, S: telemetra_core::Data> {
    pub(super) graph: Graph<'scope>,
    /// The size and slide of the grouping's windows, and, in milliseconds, the allowed lateness and the
    /// horizon: how long summaries stay in the collection. [`Latest`](crate::Latest) takes them. Of sessions,
    /// the windows are the panes.
    pub windows: WindowRules,
    /// The summaries of all closed windows within the horizon. When a late event changes a window, its old
    /// summary is removed (`−1`) and the new one added (`+1`).
    pub summaries: Summaries<'scope, K, S>,
    /// The summaries of windows that are still open, as of the last early tick, if [early
    /// results](crate::WindowKind::early) are enabled; otherwise empty.
    pub early: Summaries<'scope, K, S>,
    /// The moments that the grouping's rules find; empty without rules. Late events correct, remove or add
    /// moments.
    pub moments: VecCollection<'scope, EventTime, Moment<K>, isize>,
}

impl<'scope, K: Key, S: telemetra_core::Data> Deref for GroupGraph<'scope, K, S> {
    type Target = Graph<'scope>;

    fn deref(&self) -> &Graph<'scope> {
        &self.graph
    }
}

impl<K: Key, S: telemetra_core::Data> fmt::Debug for GroupGraph<'_, K, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupGraph").field("windows", &self.windows).finish_non_exhaustive()
    }
}
