//! Delivery: from changes in the dataflow to the threads of the sinks.
//!
//! A sink may block, a worker may not. So each sink has a thread and a bounded queue; this operator gathers the changes of
//! each time, hands them over when the frontier has passed it, and holds a capability until the sink says that they
//! are durable. The frontier behind it is how far everything is durable.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::mpsc::TrySendError;
use std::time::Duration;

use telemetra_core::{Batch, Change, Data, DeadLetter, EventTime};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::operator::Operator;

use crate::checkpoint::reached;
use crate::courier::{Courier, Job};

/// Delivers changes and dead letters to a sink that lives on the worker `home`. `courier` is given there only. `None` in place
/// of a change has a batch made of its time even if it is empty, so that the sink knows that the time has passed. The
/// stream that comes out is empty; its frontier passes a time when the changes of that time are durable.
pub(crate) fn deliver<'scope, S: Data>(
    changes: StreamVec<'scope, EventTime, Option<Change<S>>>,
    letters: StreamVec<'scope, EventTime, DeadLetter>,
    home: usize,
    mut courier: Option<Courier<S>>,
    sent_before: Option<EventTime>,
) -> StreamVec<'scope, EventTime, ()> {
    let scope = changes.scope();
    let home = home as u64;
    let to_home = Exchange::new(move |_: &Option<Change<S>>| home);
    let letters_to_home = Exchange::new(move |_: &DeadLetter| home);
    changes.binary_frontier::<_, CapacityContainerBuilder<Vec<()>>, _, _, _, _>(
        letters,
        to_home,
        letters_to_home,
        "Deliver",
        move |capability, info| {
            drop(capability);
            let activator = scope.activator_for(Rc::clone(&info.address));
            if let Some(courier) = &mut courier {
                courier.wake_by(scope.worker().sync_activator_for(info.address.to_vec()));
            }
            let mut open: BTreeMap<EventTime, (Capability<EventTime>, Vec<Change<S>>)> = BTreeMap::new();
            let mut ready: VecDeque<Job<S>> = VecDeque::new();
            let mut under_way: BTreeMap<EventTime, Capability<EventTime>> = BTreeMap::new();
            move |(changes, frontier), (letters, _), output| {
                changes.for_each_stamp(|cap, messages| {
                    let Some(cap) = cap.retain_least(output.output_index()) else { return };
                    let (_, open) = open.entry(*cap.time()).or_insert_with(|| (cap, Vec::new()));
                    open.extend(messages.flat_map(|message| message.drain(..)).flatten());
                });
                let Some(courier) = &mut courier else {
                    letters.for_each_stamp(|_, messages| messages.for_each(Vec::clear));
                    return;
                };
                letters.for_each_stamp(|_, messages| {
                    let letters: Vec<_> = messages.flat_map(|message| message.drain(..)).collect();
                    ready.push_back(Job::Letters(letters));
                });
                let limit = reached(frontier);
                while let Some(entry) = open.first_entry().filter(|entry| *entry.key() < limit) {
                    let (time, (cap, mut changes)) = entry.remove_entry();
                    if sent_before.is_some_and(|sent| time <= sent) {
                        continue;
                    }
                    changes.sort_unstable();
                    ready.push_back(Job::Batch(Batch { time, changes }));
                    under_way.insert(time, cap);
                }
                while let Some(job) = ready.pop_front() {
                    match courier.try_send(job) {
                        Ok(()) => {}
                        Err(TrySendError::Full(job)) => {
                            ready.push_front(job);
                            activator.activate_after(Duration::from_millis(1));
                            break;
                        }
                        // The sink has failed and said so.
                        Err(TrySendError::Disconnected(_)) => break,
                    }
                }
                let durable = courier.durable();
                while under_way.first_key_value().is_some_and(|(time, _)| *time <= durable) {
                    under_way.pop_first();
                }
            }
        },
    )
}
