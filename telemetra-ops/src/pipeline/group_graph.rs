//! The collections of one grouping on one worker, as an extension of the pipeline receives them.

use std::fmt;
use std::ops::Deref;

use differential_dataflow::VecCollection;
use telemetra_core::{EventTime, Key, Moment, WindowRules};

use crate::operators::windows::Summaries;
use crate::pipeline::graph::Graph;

/// The collections of one grouping on one worker, for operators of your own. It dereferences to the
/// [`Graph`], so `publish`, `scope` and the other methods of a graph are available.
///
/// [`Pipeline::extend`](crate::Pipeline::extend) passes it to a closure. The collections are differential
/// dataflow's, keyed by the grouping's key, and each worker has its share of the keys. Cloning a collection
/// is cheap; clone one to use it twice.
pub struct GroupGraph<'scope, K: Key, S: telemetra_core::Data> {
    pub(super) graph: Graph<'scope>,
    /// The size and slide of the grouping's windows, the allowed lateness, and how long summaries stay in the
    /// collection.
    pub windows: WindowRules,
    /// The summaries of all closed windows within the horizon. Late events correct them.
    pub summaries: Summaries<'scope, K, S>,
    /// The current contents of open windows, if [early results](crate::WindowKind::early) are enabled; otherwise
    /// empty.
    pub early: Summaries<'scope, K, S>,
    /// The moments that the grouping's rules find. Late events correct, withdraw or add them.
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
