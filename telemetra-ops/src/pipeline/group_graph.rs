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
