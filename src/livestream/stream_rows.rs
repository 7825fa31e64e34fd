//! The stream rows operator, which keeps one row for each stream from its metadata, with state in
//! checkpoints.

use std::collections::BTreeMap;

use differential_dataflow::{AsCollection, VecCollection};
use timely::dataflow::StreamVec;

use crate::core::checkpoint::CodecError;
use crate::core::{EventTime, key_hash};
use crate::livestream::{StreamId, StreamPatch, StreamProfile, StreamRow};
use crate::ops::{CheckpointContext, Checkpointed, Inbox, Tactic};

/// The stream rows operator, as a method of a dataflow's streams.
pub trait StreamRows<'scope>: Sized {
    /// Returns the rows of streams as a differential collection: one row for each stream with metadata. Each field
    /// has the value of the event with the greatest event time that set it, so the order of arrival does not
    /// matter.
    ///
    /// The state is one profile for each stream, which is stored in the checkpoints of `context`.
    ///
    /// ```
    /// use telemetra::core::EventTime;
    /// use telemetra::livestream::{MetaType, StreamPatch, StreamRows, Version};
    /// use telemetra::ops::CheckpointContext;
    /// use telemetra::timely::dataflow::operators::{Capture, Input, capture::Extract};
    ///
    /// let title = |time, title: &str| StreamPatch {
    ///     stream_id: "a".into(),
    ///     version: Version { time: EventTime(time), event: 0 },
    ///     event_type: MetaType::TitleChange,
    ///     new_title: Some(title.into()),
    ///     new_category: None,
    ///     started_at: None,
    ///     ended_at: None,
    /// };
    /// let captured = telemetra::timely::execute_directly(move |worker| {
    ///     let (mut input, captured) = worker.dataflow::<EventTime, _, _>(|scope| {
    ///         let context = CheckpointContext::none(scope);
    ///         let (input, patches) = scope.new_input::<Vec<StreamPatch>>();
    ///         (input, patches.stream_rows(&context).inner.capture())
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
    fn stream_rows(
        self,
        context: &CheckpointContext<'scope>,
    ) -> VecCollection<'scope, EventTime, StreamRow, isize>;
}

impl<'scope> StreamRows<'scope> for StreamVec<'scope, EventTime, StreamPatch> {
    fn stream_rows(
        self,
        context: &CheckpointContext<'scope>,
    ) -> VecCollection<'scope, EventTime, StreamRow, isize> {
        self.checkpointed("streams", context, Profiles::default()).as_collection()
    }
}

/// The profiles of the streams of one worker.
#[derive(Debug, Default)]
struct Profiles {
    arrived: Inbox<StreamPatch>,
    profiles: BTreeMap<StreamId, StreamProfile>,
    /// The boundary of the checkpoint that the state was restored from.
    restored: EventTime,
}

impl Tactic for Profiles {
    type In = StreamPatch;
    type Out = (StreamRow, EventTime, isize);
    type Snapshot = Vec<(StreamId, StreamProfile)>;

    fn route(patch: &StreamPatch) -> u64 {
        key_hash(patch.stream_id.as_str())
    }

    fn take_in(&mut self, time: EventTime, patch: StreamPatch) {
        self.arrived.push(time, patch);
    }

    fn next(&self, _ended: bool) -> Option<EventTime> {
        self.arrived.next()
    }

    fn advance(&mut self, time: EventTime, emit: &mut dyn FnMut(Self::Out)) {
        let mut before: BTreeMap<StreamId, Option<StreamRow>> = BTreeMap::new();
        for patch in self.arrived.take(time) {
            let key = &patch.stream_id;
            if !before.contains_key(key) {
                before.insert(key.clone(), self.profiles.get(key).map(|profile| profile.row(key)));
            }
            self.profiles.entry(key.clone()).or_default().apply(&patch);
        }
        for (key, old) in before {
            let new = self.profiles.get(&key).map(|profile| profile.row(&key));
            if old != new {
                old.into_iter().for_each(|row| emit((row, time, -1)));
                new.into_iter().for_each(|row| emit((row, time, 1)));
            }
        }
    }

    fn snapshot(&mut self, _boundary: EventTime, _whole: bool) -> Result<Self::Snapshot, CodecError> {
        Ok(self.profiles.iter().map(|(key, profile)| (key.clone(), profile.clone())).collect())
    }

    fn restore(
        &mut self,
        boundary: EventTime,
        snapshots: Vec<Self::Snapshot>,
        is_mine: &dyn Fn(u64) -> bool,
    ) -> Result<(), CodecError> {
        self.restored = boundary;
        let mine = snapshots.into_iter().flatten().filter(|(key, _)| is_mine(key_hash(key.as_str())));
        self.profiles.extend(mine);
        Ok(())
    }

    fn emit_restored(&mut self, emit: &mut dyn FnMut(Self::Out)) {
        let time = self.restored.minus(1);
        self.profiles.iter().for_each(|(key, profile)| emit((profile.row(key), time, 1)));
    }
}
