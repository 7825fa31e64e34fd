//! Raises of the floor of a partition beyond its records: those of earlier runs are replayed, and new ones have an
//! effect when they are [logged](crate::checkpoint::floors).

use std::collections::VecDeque;
use std::sync::Arc;

use telemetra_core::engine::Sequencer;
use telemetra_core::{EventTime, PartitionId};

use crate::checkpoint::floor_log::FloorLog;
use crate::checkpoint::floors::Raise;

/// The raises of one partition.
#[derive(Debug, Default)]
pub(crate) struct FloorRaises {
    /// `None` without checkpoints: there is nothing to go on from.
    log: Option<Arc<FloorLog>>,
    /// The raises of earlier runs that lie ahead, by offset.
    ahead: VecDeque<Raise>,
    /// The version of the log that has to be durable before anything more is read, and the floor from then on.
    pending: Option<(u64, EventTime)>,
    /// The version of the log that says that the partition has ended.
    end: Option<u64>,
    /// Until the floor is there, where sinks have everything, it is raised as it was before and in no other way.
    exact_until: EventTime,
}

impl FloorRaises {
    /// The raises of a partition that goes on in this run; with `has_ended` it is not read any more.
    pub(super) fn new(
        log: &Arc<FloorLog>,
        ahead: Vec<Raise>,
        exact_until: EventTime,
        has_ended: bool,
    ) -> Self {
        let end = has_ended.then_some(0);
        Self { log: Some(Arc::clone(log)), ahead: ahead.into(), pending: None, end, exact_until }
    }

    /// Holds reading back until that version of the log is durable.
    pub(super) fn wait_for(&mut self, version: u64) {
        self.pending = Some((version, EventTime::MIN));
    }

    /// Raises the floor as it was raised before the record at `offset` in earlier runs.
    pub(crate) fn replay(&mut self, offset: u64, sequencer: &mut Sequencer) {
        while let Some(raise) = self.ahead.front().filter(|raise| raise.offset <= offset) {
            sequencer.raise_floor(raise.floor);
            self.ahead.pop_front();
        }
    }

    /// Returns whether a floor may be raised that it has now: not while others have seen a greater one behind
    /// the same records.
    pub(super) fn may_raise(&self, floor: EventTime) -> bool {
        floor >= self.exact_until
    }

    /// Raises the floor: at once, or when that is logged, until when nothing may be read.
    pub(super) fn raise(
        &mut self,
        id: &PartitionId,
        offset: u64,
        floor: EventTime,
        sequencer: &mut Sequencer,
    ) {
        if floor <= sequencer.floor() {
            return;
        }
        match &self.log {
            Some(log) => self.pending = Some((log.raise(id, Raise { offset, floor }), floor)),
            None => sequencer.raise_floor(floor),
        }
    }

    /// Returns whether nothing is waited for: then what was raised has an effect.
    pub(super) fn is_settled(&mut self, sequencer: &mut Sequencer) -> bool {
        let Some((version, floor)) = self.pending else { return true };
        let is_durable = self.log.as_ref().is_none_or(|log| log.is_durable(version));
        if is_durable {
            sequencer.raise_floor(floor);
            self.pending = None;
        }
        is_durable
    }

    /// Returns whether the log has that the partition ends at `offset`, and adds it to the log.
    pub(super) fn is_end_logged(&mut self, id: &PartitionId, offset: u64) -> bool {
        let Some(log) = &self.log else { return true };
        let raise = Raise { offset, floor: EventTime::MAX };
        let version = *self.end.get_or_insert_with(|| log.raise(id, raise));
        log.is_durable(version)
    }
}
