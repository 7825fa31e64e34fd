use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::PlantedMoment;
use super::arrivals::{Arrival, Body, Flaw};
use super::cursor::Cursor;
use super::plan::Plan;
use crate::core::{EventTime, Fate, Fates, WindowSpec};
use crate::livestream::EventKind;

/// The ground truth of a [`Generator`](super::Generator): the numbers of its events by fate and kind, and the planted
/// moments, for a comparison with the results of a pipeline.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GroundTruth {
    /// The planted moments.
    pub planted: Vec<PlantedMoment>,
    /// The fates of the records. `read`, `malformed`, `from_future` (where processing time is less than 50
    /// years past the start) and `duplicate` are exact. The number of late events depends on when floors
    /// move, so `on_time`, `late_applied` and `too_late` are approximate: they assume the default windows, 10
    /// s of out-of-orderness, 5 min of allowed lateness and floors that move with each record.
    pub fates: Fates,
    /// The number of records of each kind that are not malformed, including duplicates and those from the
    /// future. Exact.
    pub events: BTreeMap<EventKind, u64>,
}

const OUT_OF_ORDERNESS: u64 = 10_000;
const ALLOWED_LATENESS: u64 = 300_000;

impl GroundTruth {
    pub(super) fn new(plan: &Arc<Plan>) -> Self {
        let mut truth = Self { planted: plan.planted(), ..Self::default() };
        for partition in 0..plan.shares.len() {
            let mut cursor = Cursor::of_one_act(plan, partition);
            let mut floor = Floor::new(plan);
            while let Some(arrival) = cursor.next() {
                truth.count(arrival, &mut floor);
            }
        }
        truth
    }

    pub(super) fn count(&mut self, arrival: &Arrival, floor: &mut Floor) {
        self.fates.count(match arrival.flaw {
            Flaw::Malformed => Fate::Malformed,
            Flaw::Future => Fate::FromFuture,
            Flaw::Repeat => Fate::Duplicate,
            Flaw::None => floor.fate(arrival.time),
        });
        if arrival.flaw != Flaw::Malformed {
            *self.events.entry(kind_of(arrival)).or_default() += 1;
        }
    }
}

pub(super) fn kind_of(arrival: &Arrival) -> EventKind {
    match arrival.body {
        Body::Chat { .. } => EventKind::Chat,
        Body::Viewer(_) => EventKind::Viewer,
        Body::Transaction { .. } => EventKind::Transaction,
        Body::Start | Body::Change | Body::End { .. } => EventKind::Meta,
    }
}

/// The floor of a partition, as ingest computes it with default settings.
#[derive(Default)]
pub(super) struct Floor {
    start: EventTime,
    greatest: EventTime,
    spec: WindowSpec,
}

impl Floor {
    pub(super) fn new(plan: &Plan) -> Self {
        Self { start: plan.config.start, ..Self::default() }
    }

    fn fate(&mut self, since_start: u64) -> Fate {
        let time = self.start.plus(since_start);
        self.greatest = self.greatest.max(time);
        let floor = self.spec.pane_start(self.greatest.minus(OUT_OF_ORDERNESS));
        let end = self.spec.pane_end(time);
        if end > floor {
            Fate::OnTime
        } else if floor - end <= ALLOWED_LATENESS {
            Fate::LateApplied
        } else {
            Fate::TooLate
        }
    }
}
