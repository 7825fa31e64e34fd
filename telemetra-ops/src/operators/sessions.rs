//! Sessions: from the runs of events by pane to the collection of summaries.

use std::sync::Arc;

use differential_dataflow::AsCollection;
use telemetra_core::engine::{KeySessions, Segments, SessionRules};
use telemetra_core::{Accumulator, EventTime, Key};
use timely::dataflow::StreamVec;

use crate::checkpoint::state::CheckpointContext;
use crate::operators::checkpointed::Checkpointed;
use crate::operators::windows::Summaries;
use crate::operators::windows_by_key::WindowsTactic;
use crate::read::partial::Partial;

/// The summaries of all sessions, as a collection that is corrected when late events arrive. Its state is in the checkpoints of `context`
/// under `name`.
///
/// A session is a run of a key's events of which each is less than a gap after the one before; its window reaches from its first event to a
/// gap after its last. When the frontier passes the first end of a pane at or after that, it is closed: its summary is put, `+1`. A late
/// event that is near to sessions joins them: their summaries are taken back, `-1`, and that of the joined session is put when it is closed.
/// Summaries whose session ended a horizon ago are taken back too: they are retired.
///
/// State: one aggregate for each session of the horizon, and one summary for each that is closed. Work: one merge for each run of events.
pub(crate) fn sessions<'scope, K: Key, A: Accumulator>(
    runs: StreamVec<'scope, EventTime, Partial<K, Segments<A>>>,
    rules: SessionRules,
    name: &str,
    context: &CheckpointContext<'scope>,
) -> Summaries<'scope, K, A::Output> {
    let tactic = WindowsTactic::<K, KeySessions<A>>::new(rules, Arc::clone(&context.state_size));
    runs.checkpointed(name, context, tactic).as_collection()
}
