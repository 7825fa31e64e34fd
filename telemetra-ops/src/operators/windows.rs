//! Windows: from partials by pane to the collection of summaries.

use std::sync::Arc;

use differential_dataflow::{AsCollection, VecCollection};
use telemetra_core::engine::KeyWindows;
use telemetra_core::{Accumulator, EventTime, Key, Summary, WindowRules};
use timely::dataflow::StreamVec;

use crate::checkpoint::state::CheckpointContext;
use crate::operators::checkpointed::Checkpointed;
use crate::operators::windows_by_key::WindowsTactic;
use crate::read::partial::Partial;

/// The live collection of summaries.
pub type Summaries<'scope, K, S> = VecCollection<'scope, EventTime, (K, Summary<S>), isize>;

/// Slides windows over panes.
pub trait Windows<'scope, K: Key, A: Accumulator>: Sized {
    /// The summaries of all windows, as a collection that is corrected when late partials arrive. Its state is in the checkpoints of
    /// `context` under `name`.
    ///
    /// A partial counts at the time of its message, its effective time, which must be the last instant of a pane. When
    /// the frontier passes it, the window that ends there is closed for each key that has anything in it, and each
    /// earlier window that a late partial changed is taken back, `-1`, and put anew, `+1`. Summaries whose window ended
    /// a horizon ago are taken back too: they are retired.
    ///
    /// State: per key the panes of `size + allowed lateness` and the summaries of the horizon. Work per key and window:
    /// one pane in, one out, one finish, whatever `size / slide`.
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
        let tactic = WindowsTactic::<K, KeyWindows<A>>::new(rules, Arc::clone(&context.state_size));
        self.checkpointed(name, context, tactic).as_collection()
    }
}
