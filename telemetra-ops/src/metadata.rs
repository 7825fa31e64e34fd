//! Stream rows: from metadata events to the newest word on each stream.

use std::collections::BTreeMap;

use differential_dataflow::{AsCollection, VecCollection};
use telemetra_core::{EventTime, Fact, StreamId, StreamProfile, StreamRow, key_hash};
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::operator::Operator;

use crate::checkpoint::{Durability, Markers, is_mine, reached};

/// Keeps the rows of streams.
pub trait StreamRows<'scope>: Sized {
    /// One row per stream that metadata spoke of, each field as of the newest event that set it, as a collection. Facts
    /// of other kinds are passed over. The newest is by event time, so that arrival order does not matter.
    ///
    /// State and work: one profile per stream.
    ///
    /// ```
    /// use telemetra_core::{EventTime, Fact, MetaPatch, MetaType, Stamp};
    /// use telemetra_ops::StreamRows;
    /// use timely::dataflow::operators::{Capture, Input, capture::Extract};
    ///
    /// let title = |time, title: &str| {
    ///     Fact::Meta(MetaPatch {
    ///         stream_id: "a".into(),
    ///         stamp: Stamp { time: EventTime(time), event: 0 },
    ///         event_type: MetaType::TitleChange,
    ///         new_title: Some(title.into()),
    ///         new_category: None,
    ///         started_at: None,
    ///         ended_at: None,
    ///     })
    /// };
    /// let captured = timely::execute_directly(move |worker| {
    ///     let (mut input, captured) = worker.dataflow::<EventTime, _, _>(|scope| {
    ///         let (input, facts) = scope.new_input::<Vec<Fact>>();
    ///         (input, facts.stream_rows().inner.capture())
    ///     });
    ///     input.send(title(5, "new"));
    ///     input.send(title(3, "old, but came later"));
    ///     input.close();
    ///     while worker.step() {}
    ///     captured
    /// });
    /// let updates: Vec<_> = captured.extract().into_iter().flat_map(|(_, updates)| updates).collect();
    /// let (row, _, diff) = &updates[0];
    /// assert_eq!((row.title.as_deref(), *diff, updates.len()), (Some("new"), 1, 1));
    /// ```
    fn stream_rows(self) -> VecCollection<'scope, EventTime, StreamRow, isize>;

    /// The same with state that is kept in checkpoints.
    fn stream_rows_with(
        self,
        durability: &Durability<'scope>,
    ) -> VecCollection<'scope, EventTime, StreamRow, isize>;
}

impl<'scope> StreamRows<'scope> for StreamVec<'scope, EventTime, Fact> {
    fn stream_rows(self) -> VecCollection<'scope, EventTime, StreamRow, isize> {
        let durability = Durability::none(self.scope());
        self.stream_rows_with(&durability)
    }

    fn stream_rows_with(
        self,
        durability: &Durability<'scope>,
    ) -> VecCollection<'scope, EventTime, StreamRow, isize> {
        let scope = self.scope();
        let (worker, peers) = (scope.index(), scope.peers());
        let Durability { markers: marks, recorder, restored, failure, .. } = durability.clone();
        let by_key = Exchange::new(|fact: &Fact| key_hash(fact.stream_id()));
        let updates =
            self.binary_frontier(marks, by_key, Pipeline, "StreamRows", move |capability, _info| {
                let mut profiles: BTreeMap<StreamId, StreamProfile> = BTreeMap::new();
                let mut inbox: BTreeMap<EventTime, (Capability<EventTime>, Vec<Fact>)> = BTreeMap::new();
                let mut markers = Markers::default();
                let mut revived = None;
                if let Some(restored) = &restored {
                    let parts: Vec<Vec<(StreamId, StreamProfile)>> = restored.parts("streams", &failure);
                    profiles
                        .extend(parts.into_iter().flatten().filter(|(key, _)| is_mine(key, worker, peers)));
                    revived = Some(capability.delayed(&restored.boundary.minus(1)));
                }
                move |(facts, frontier), (marks, marks_frontier), output| {
                    if let Some(cap) = revived.take() {
                        let time = *cap.time();
                        let rows = profiles.iter().map(|(key, profile)| (profile.row(key), time, 1));
                        output.session(&cap).give_iterator(rows);
                    }
                    facts.for_each_stamp(|cap, messages| {
                        let Some(cap) = cap.retain_least(output.output_index()) else { return };
                        let (_, waiting) = inbox.entry(*cap.time()).or_insert_with(|| (cap, Vec::new()));
                        let arrivals = messages.flat_map(|message| message.drain(..));
                        waiting.extend(arrivals.filter(|fact| matches!(fact, Fact::Meta(_))));
                    });
                    marks.for_each_stamp(|cap, messages| {
                        let Some(cap) = cap.retain_least(output.output_index()) else { return };
                        messages.flat_map(|m| m.drain(..)).for_each(|boundary| markers.note(boundary, &cap));
                    });
                    let limit = reached(frontier).min(reached(marks_frontier));
                    loop {
                        let next = inbox.keys().next().copied().filter(|time| *time < limit);
                        while let Some((boundary, cap)) = markers.due(next.unwrap_or(limit)) {
                            if let Some(recorder) = &recorder {
                                recorder.part(boundary, "streams", &profiles.iter().collect::<Vec<_>>());
                            }
                            drop(cap);
                        }
                        let Some((cap, patches)) = next.and_then(|time| inbox.remove(&time)) else { break };
                        let mut before: BTreeMap<StreamId, Option<StreamRow>> = BTreeMap::new();
                        for fact in patches {
                            let Fact::Meta(patch) = fact else { continue };
                            let key = patch.stream_id.clone();
                            before
                                .entry(key.clone())
                                .or_insert_with(|| profiles.get(&key).map(|profile| profile.row(&key)));
                            profiles.entry(key).or_default().apply(&patch);
                        }
                        let time = *cap.time();
                        let mut session = output.session(&cap);
                        for (key, old) in before {
                            let new = profiles.get(&key).map(|profile| profile.row(&key));
                            if old != new {
                                session.give_iterator(old.map(|row| (row, time, -1)).into_iter());
                                session.give_iterator(new.map(|row| (row, time, 1)).into_iter());
                            }
                        }
                    }
                }
            });
        updates.as_collection()
    }
}
