//! Session windows: the operator that merges runs of events into sessions.

use std::sync::Arc;

use differential_dataflow::AsCollection;
use telemetra_core::engine::{KeySessions, Segment, Segments, SessionRules};
use telemetra_core::{Accumulator, EventTime, Key};
use timely::dataflow::StreamVec;

use crate::checkpoint::definition::StateVersions;
use crate::checkpoint::state::CheckpointContext;
use crate::operators::checkpointed::Checkpointed;
use crate::operators::windows::Summaries;
use crate::operators::windows_by_key::WindowsTactic;
use crate::read::partial::Partial;

/// Returns the summaries of all sessions, as a collection that late events correct. The state is part of the
/// checkpoints of `context` under `name`.
///
/// A session is a run of a key's events, each less than the gap after the one before. Its window reaches from
/// the first event to a gap after the last. It is closed when the frontier passes the first pane boundary at
/// or after its end; its summary is then added (`+1`). A late event within the gap of closed sessions merges
/// them: their summaries are removed (`−1`), and the summary of the merged session is added when it is
/// closed. Summaries are retired, which removes them, a horizon after the end of their session.
///
/// State: one aggregate for each session within the horizon, and one summary for each closed one. Work: one
/// merge for each run of events.
pub(crate) fn sessions<'scope, K: Key, A: Accumulator>(
    runs: StreamVec<'scope, EventTime, Partial<K, Segments<A>>>,
    rules: SessionRules,
    versions: StateVersions<Vec<Segment<A>>>,
    name: &str,
    context: &CheckpointContext<'scope>,
) -> Summaries<'scope, K, A::Output> {
    let tactic = WindowsTactic::<K, KeySessions<A>>::new(
        rules,
        versions,
        Arc::clone(&context.state_size),
        context.spill.clone(),
    );
    runs.checkpointed(name, context, tactic).as_collection()
}
