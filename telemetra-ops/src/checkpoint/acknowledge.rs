//! Acknowledging checkpoints: when a worker has handed over its snapshots, and when they are stored.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use telemetra_core::EventTime;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::operator::Operator;

use crate::checkpoint::state::SnapshotWriter;
use crate::checkpoint::writer::Stored;
use crate::support::frontier::reached;

/// Orders the snapshots of this worker to be written when the frontier of `done`, which is behind every operator with state, passes a marker.
/// The empty stream that comes out passes it when they are stored. The boundaries of the markers are put in `pending`.
pub(crate) fn acknowledge<'scope>(
    done: StreamVec<'scope, EventTime, ()>,
    markers: StreamVec<'scope, EventTime, EventTime>,
    writer: SnapshotWriter,
    stored: Stored,
    pending: Rc<RefCell<Vec<EventTime>>>,
) -> StreamVec<'scope, EventTime, ()> {
    let scope = markers.scope();
    done.binary_frontier::<_, CapacityContainerBuilder<Vec<()>>, _, _, _, _>(
        markers,
        Pipeline,
        Pipeline,
        "Acknowledge",
        move |capability, info| {
            drop(capability);
            stored.wake_by(scope.worker().sync_activator_for(info.address.to_vec()));
            // By boundary: the capability, and whether writing has begun.
            let mut waiting: BTreeMap<EventTime, (Capability<EventTime>, bool)> = BTreeMap::new();
            move |(done, frontier), (markers, markers_frontier), output| {
                done.for_each_stamp(|_, messages| messages.for_each(Vec::clear));
                markers.for_each_stamp(|cap, messages| {
                    let Some(cap) = cap.retain_least(output.output_index()) else { return };
                    for boundary in messages.flat_map(|message| message.drain(..)) {
                        waiting.entry(boundary).or_insert_with(|| {
                            pending.borrow_mut().push(boundary);
                            (cap.delayed(&boundary.minus(1).max(*cap.time())), false)
                        });
                    }
                });
                let limit = reached(frontier).min(reached(markers_frontier));
                for (boundary, (_, begun)) in waiting.range_mut(..=limit).filter(|(_, (_, begun))| !begun) {
                    writer.flush(*boundary);
                    *begun = true;
                }
                let stored = stored.boundary();
                waiting.retain(|boundary, _| *boundary > stored);
            }
        },
    )
}
