//! The window operator: it merges partial aggregates of panes into the summaries of tumbling and sliding
//! windows.

use std::sync::Arc;

use differential_dataflow::{AsCollection, VecCollection};
use telemetra_core::engine::{KeyState, KeyWindows};
use telemetra_core::{Accumulator, EventTime, Key, Summary, WindowRules};
use timely::dataflow::StreamVec;

use crate::checkpoint::definition::StateVersions;
use crate::checkpoint::state::CheckpointContext;
use crate::operators::checkpointed::Checkpointed;
use crate::operators::windows_by_key::WindowsTactic;
use crate::read::partial::Partial;

/// A differential collection of summaries: pairs of a key and the result of one closed window, for all
/// windows within the horizon. A late event that changes a window replaces its summary. The value is behind
/// an [`Arc`](std::sync::Arc), so cloning a summary does not copy it.
pub type Summaries<'scope, K, S> = VecCollection<'scope, EventTime, (K, Summary<S>), isize>;

/// Extends a timely stream of [`Partial`]s by the aggregation in tumbling or sliding windows. For dataflows
/// of your own; a [grouping](crate::Pipeline::group) of a pipeline does this itself. Session windows are
/// available in a pipeline only, by [`sessions`](crate::sessions).
///
/// # Contract
///
/// Of the caller; it is implemented for streams of [`Partial`]s.
///
/// * **Effective times.** The time of each message is the last instant of a pane, at or after the partial's
///   own pane.
/// * **A stable name.** `name` is unique in the graph and the same from run to run, as checkpoints store the
///   state under it.
pub trait Windows<'scope, K: Key, A: Accumulator>: Sized {
    /// Merges partials into windows and returns the summaries of all closed windows, as a collection that
    /// late partials correct. The state is part of the checkpoints of `context` under `name`.
    ///
    /// A partial takes effect at the time of its message, which must be the last instant of a pane. When the
    /// frontier passes that time, the window that ends there is closed for each key that has events in it,
    /// and its summary is added. For each earlier window that a late partial changed, the old summary is
    /// removed (`−1`) and the new one added (`+1`). A summary is removed when it is as old as the horizon.
    ///
    /// The spans in `rules` are in milliseconds. A partial whose pane ended more than the allowed lateness
    /// ago is not expected here, as [`ingest`](crate::Ingest::ingest) drops such events.
    ///
    /// State for each key: the panes of `size + allowed lateness`, and the summaries of the horizon. Work for
    /// each key and window: one pane added, one removed, and one result computed, whatever `size / slide` is.
    ///
    /// ```
    /// use std::time::Duration;
    /// use telemetra_core::{Accumulate, Count, EventTime, WindowRules, WindowSpec};
    /// use telemetra_ops::{CheckpointContext, Partial, Windows};
    /// use timely::dataflow::operators::{Capture, Input, capture::Extract};
    ///
    /// let rules = WindowRules {
    ///     windows: WindowSpec::sliding(Duration::from_millis(20), Duration::from_millis(10))?,
    ///     allowed_lateness: 50,
    ///     horizon: 1_000,
    /// };
    /// let captured = timely::execute_directly(move |worker| {
    ///     let (mut input, captured) = worker.dataflow::<EventTime, _, _>(|scope| {
    ///         let (input, partials) = scope.new_input::<Vec<Partial<String, Count>>>();
    ///         let context = CheckpointContext::none(scope);
    ///         (input, partials.windows(rules, "windows", &context).inner.capture())
    ///     });
    ///     let mut accumulator = Count::default();
    ///     accumulator.add(&"an event");
    ///     input.advance_to(EventTime(9));
    ///     input.send(Partial { key: "a".to_owned(), pane: EventTime(0), accumulator });
    ///     input.close();
    ///     while worker.step() {}
    ///     captured
    /// });
    /// let windows: Vec<_> = captured.extract().into_iter().flat_map(|(_, updates)| updates).collect();
    /// assert_eq!(windows.len(), 2, "the pane is in the windows that end at 10 and at 20");
    /// assert_eq!(windows[0].1, EventTime(9));
    /// # Ok::<(), telemetra_core::ConfigError>(())
    /// ```
    fn windows(
        self,
        rules: WindowRules,
        name: &str,
        context: &CheckpointContext<'scope>,
    ) -> Summaries<'scope, K, A::Output>;
}

impl<'scope, K: Key, A: Accumulator> Windows<'scope, K, A> for StreamVec<'scope, EventTime, Partial<K, A>> {
    fn windows(
        self,
        rules: WindowRules,
        name: &str,
        context: &CheckpointContext<'scope>,
    ) -> Summaries<'scope, K, A::Output> {
        windows_of(self, rules, StateVersions::default(), name, context)
    }
}

/// The windows of keys whose accumulator has these versions.
pub(crate) fn windows_of<'scope, K: Key, A: Accumulator>(
    partials: StreamVec<'scope, EventTime, Partial<K, A>>,
    rules: WindowRules,
    versions: StateVersions<KeyState<A>>,
    name: &str,
    context: &CheckpointContext<'scope>,
) -> Summaries<'scope, K, A::Output> {
    let tactic = WindowsTactic::<K, KeyWindows<A>>::new(
        rules,
        versions,
        Arc::clone(&context.state_size),
        context.spill.clone(),
    );
    partials.checkpointed(name, context, tactic).as_collection()
}
