//! The compliance suite of tactics.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use telemetra_core::EventTime;

use crate::operators::checkpointed::Tactic;

/// Checks the [contract](Tactic#contract) of a tactic on some arrivals, each with the time at which it takes
/// effect. It checks that
///
/// * outputs do not depend on the order of arrivals at one time, nor on whether one or two workers share the
///   keys;
/// * due times rise;
/// * a tactic that is restored from snapshots of any boundary, from one or two workers to one or two, emits
///   from there on what a tactic without interruption emits.
///
/// `make` makes a fresh tactic. Give arrivals of several keys and times, and several arrivals at one time.
/// The work grows with the square of the number of different times.
///
/// # Panics
///
/// If the tactic breaks the contract; the message says how.
///
/// ```
/// # use std::collections::BTreeMap;
/// # use telemetra_core::checkpoint::CodecError;
/// # use telemetra_core::{EventTime, key_hash};
/// # use telemetra_ops::{Inbox, Tactic};
/// # #[derive(Default)]
/// # struct Totals { arrived: Inbox<(String, u64)>, totals: BTreeMap<String, u64> }
/// # impl Tactic for Totals {
/// #     type In = (String, u64);
/// #     type Out = (String, u64);
/// #     type Snapshot = Vec<(String, u64)>;
/// #     fn route((key, _): &Self::In) -> u64 { key_hash(key) }
/// #     fn take_in(&mut self, time: EventTime, arrival: Self::In) { self.arrived.push(time, arrival); }
/// #     fn next(&self, _: bool) -> Option<EventTime> { self.arrived.next() }
/// #     fn advance(&mut self, time: EventTime, emit: &mut dyn FnMut(Self::Out)) {
/// #         let mut arrived = self.arrived.take(time);
/// #         arrived.sort();
/// #         for (key, n) in arrived {
/// #             let total = self.totals.entry(key.clone()).or_default();
/// #             *total += n;
/// #             emit((key, *total));
/// #         }
/// #     }
/// #     fn snapshot(&mut self, _: EventTime, _: bool) -> Result<Self::Snapshot, CodecError> {
/// #         Ok(self.totals.clone().into_iter().collect())
/// #     }
/// #     fn restore(&mut self, _: EventTime, parts: Vec<Self::Snapshot>, is_mine: &dyn Fn(u64) -> bool) -> Result<(), CodecError> {
/// #         self.totals.extend(parts.into_iter().flatten().filter(|(key, _)| is_mine(key_hash(key))));
/// #         Ok(())
/// #     }
/// # }
/// let arrivals = [(1, "a", 5), (1, "b", 1), (2, "a", 7), (4, "b", 2), (4, "a", 1)];
/// let arrivals = arrivals.map(|(time, key, n)| (EventTime(time), (key.to_owned(), n)));
/// telemetra_ops::testkit::tactic_compliance(Totals::default, &arrivals);
/// ```
pub fn tactic_compliance<T>(make: impl Fn() -> T, arrivals: &[(EventTime, T::In)])
where
    T: Tactic,
    T::In: Clone,
    T::Out: Debug + Ord,
{
    let undisturbed = run(&mut [make()], arrivals);
    let mut backwards = arrivals.to_vec();
    backwards.reverse();
    let found = run(&mut [make()], &backwards);
    assert_eq!(found, undisturbed, "the order of arrivals at one time changes what is emitted");
    let spread = run(&mut [make(), make()], arrivals);
    assert_eq!(spread, undisturbed, "two workers emit something else than one");
    for boundary in boundaries(&undisturbed, arrivals) {
        for (before, after) in [(1, 1), (1, 2), (2, 1), (2, 2)] {
            let what = format!("restored at {boundary} from {before} workers on {after}");
            let found = restored(&make, arrivals, boundary, before, after);
            let expected: Vec<_> =
                undisturbed.iter().filter(|(time, _)| *time >= boundary).cloned().collect();
            assert_eq!(found, expected, "{what}");
        }
    }
}

/// Checks a tactic that emits updates of a collection: everything that [`tactic_compliance`] checks, and that
/// [`emit_restored`](Tactic::emit_restored) emits the collection as it was just before the boundary, which is
/// the sum of all updates emitted until then. Later operators without checkpoints, such as differential's
/// `join`, are correct after a restart only if that holds.
///
/// A tactic that drops state which no late arrival can change emits less after a restart and fails this
/// check; test it by [`tactic_compliance`].
///
/// # Panics
///
/// If the tactic breaks the contract; the message says how.
///
/// ```
/// # use std::collections::BTreeMap;
/// # use telemetra_core::checkpoint::CodecError;
/// # use telemetra_core::{EventTime, key_hash};
/// # use telemetra_ops::{Inbox, Tactic};
/// /// The greatest number of each key, as a collection.
/// #[derive(Default)]
/// struct Greatest { arrived: Inbox<(u64, u64)>, greatest: BTreeMap<u64, u64>, restored: EventTime }
///
/// impl Tactic for Greatest {
///     type In = (u64, u64);
///     type Out = ((u64, u64), EventTime, isize);
///     type Snapshot = BTreeMap<u64, u64>;
/// #   fn route((key, _): &Self::In) -> u64 { key_hash(key) }
/// #   fn take_in(&mut self, time: EventTime, arrival: Self::In) { self.arrived.push(time, arrival) }
/// #   fn next(&self, _: bool) -> Option<EventTime> { self.arrived.next() }
/// #   fn snapshot(&mut self, _: EventTime, _: bool) -> Result<Self::Snapshot, CodecError> { Ok(self.greatest.clone()) }
/// #   fn restore(&mut self, boundary: EventTime, parts: Vec<Self::Snapshot>, is_mine: &dyn Fn(u64) -> bool) -> Result<(), CodecError> {
/// #       self.greatest.extend(parts.into_iter().flatten().filter(|(key, _)| is_mine(key_hash(key))));
/// #       self.restored = boundary;
/// #       Ok(())
/// #   }
///     fn advance(&mut self, time: EventTime, emit: &mut dyn FnMut(Self::Out)) {
///         let mut arrived = self.arrived.take(time);
///         arrived.sort();
///         for (key, n) in arrived {
///             let before = self.greatest.insert(key, self.greatest.get(&key).map_or(n, |known| n.max(*known)));
///             before.into_iter().for_each(|before| emit(((key, before), time, -1)));
///             emit(((key, self.greatest[&key]), time, 1));
///         }
///     }
///     /// Emits what the collection contains at a restart.
///     fn emit_restored(&mut self, emit: &mut dyn FnMut(Self::Out)) {
///         self.greatest.iter().for_each(|(key, n)| emit(((*key, *n), self.restored.minus(1), 1)));
///     }
/// }
///
/// let arrivals = [(1, 7, 20), (2, 7, 50), (2, 8, 5), (4, 7, 30)];
/// let arrivals = arrivals.map(|(time, key, n)| (EventTime(time), (key, n)));
/// telemetra_ops::testkit::collection_compliance(Greatest::default, &arrivals);
/// ```
pub fn collection_compliance<T, D>(make: impl Fn() -> T, arrivals: &[(EventTime, T::In)])
where
    T: Tactic<Out = (D, EventTime, isize)>,
    T::In: Clone,
    D: Clone + Debug + Ord + 'static,
{
    tactic_compliance(&make, arrivals);
    let undisturbed = run(&mut [make()], arrivals);
    for boundary in boundaries(&undisturbed, arrivals) {
        for (before, after) in [(1, 1), (1, 2), (2, 1), (2, 2)] {
            let (emitted, mut second) = replaced(&make, arrivals, boundary, before, after);
            let expected = sums(emitted.into_iter().map(|(_, update)| update));
            let mut restored = Vec::new();
            for tactic in &mut second {
                tactic.emit_restored(&mut |update: (D, EventTime, isize)| {
                    assert!(update.1 < boundary, "{update:?} is emitted again at {boundary}, not before");
                    restored.push(update);
                });
            }
            let what = format!("the collection restored at {boundary} from {before} workers on {after}");
            assert_eq!(sums(restored.into_iter()), expected, "{what} is another");
        }
    }
}

/// A collection of its updates.
fn sums<D: Ord>(updates: impl Iterator<Item = (D, EventTime, isize)>) -> BTreeMap<D, isize> {
    let mut sums = BTreeMap::new();
    for (data, _, diff) in updates {
        *sums.entry(data).or_default() += diff;
    }
    sums.retain(|_, diff| *diff != 0);
    sums
}

/// The points at which interrupting a tactic may make a difference.
fn boundaries<In, Out>(emitted: &[(EventTime, Out)], arrivals: &[(EventTime, In)]) -> BTreeSet<EventTime> {
    emitted.iter().map(|(time, _)| *time).chain(arrivals.iter().map(|(time, _)| *time)).collect()
}

/// The number of the worker, of so many, that an arrival goes to.
fn worker_of(route: u64, workers: usize) -> usize {
    usize::try_from(route % workers as u64).unwrap_or(0)
}

/// Takes in all arrivals, spread over the workers, advances to everything that is due before `limit`, and returns what was emitted, sorted.
fn run_before<T: Tactic>(
    workers: &mut [T],
    arrivals: &[(EventTime, T::In)],
    limit: EventTime,
) -> Vec<(EventTime, T::Out)>
where
    T::In: Clone,
    T::Out: Ord,
{
    let count = workers.len();
    for (stamp, arrival) in arrivals {
        let time = T::time_of(arrival, *stamp).max(*stamp);
        workers[worker_of(T::route(arrival), count)].take_in(time, arrival.clone());
    }
    let mut emitted = Vec::new();
    for worker in workers {
        let mut last = None;
        while let Some(time) = worker.next(limit == EventTime::MAX).filter(|time| *time < limit) {
            assert!(last < Some(time), "{time} is due again after {last:?}");
            last = Some(time);
            worker.advance(time, &mut |out| emitted.push((time, out)));
        }
        worker.end_of_turn();
    }
    emitted.sort();
    emitted
}

fn run<T: Tactic>(workers: &mut [T], arrivals: &[(EventTime, T::In)]) -> Vec<(EventTime, T::Out)>
where
    T::In: Clone,
    T::Out: Ord,
{
    run_before(workers, arrivals, EventTime::MAX)
}

/// The outputs from `boundary` on, if the tactics before are replaced there by others that are restored from their snapshots.
fn restored<T: Tactic>(
    make: &impl Fn() -> T,
    arrivals: &[(EventTime, T::In)],
    boundary: EventTime,
    before: usize,
    after: usize,
) -> Vec<(EventTime, T::Out)>
where
    T::In: Clone,
    T::Out: Ord,
{
    let mut second = replaced(make, arrivals, boundary, before, after).1;
    // What has not taken effect arrives again.
    let rest: Vec<_> = arrivals
        .iter()
        .filter(|(stamp, arrival)| T::time_of(arrival, *stamp).max(*stamp) >= boundary)
        .cloned()
        .collect();
    run(&mut second, &rest)
}

/// The outputs before `boundary`, and the tactics that are restored there from the snapshots of those before.
fn replaced<T: Tactic>(
    make: &impl Fn() -> T,
    arrivals: &[(EventTime, T::In)],
    boundary: EventTime,
    before: usize,
    after: usize,
) -> (Vec<(EventTime, T::Out)>, Vec<T>)
where
    T::In: Clone,
    T::Out: Ord,
{
    let mut first: Vec<T> = (0..before).map(|_| make()).collect();
    let emitted = run_before(&mut first, arrivals, boundary);
    let mut encoded: Vec<Vec<u8>> = Vec::new();
    for tactic in &mut first {
        let snapshot =
            tactic.snapshot(boundary, true).unwrap_or_else(|error| panic!("a snapshot fails: {error}"));
        encoded.push(
            bincode::serialize(&snapshot)
                .unwrap_or_else(|error| panic!("a snapshot is not encoded: {error}")),
        );
    }
    let mut second: Vec<T> = (0..after).map(|_| make()).collect();
    for (worker, tactic) in second.iter_mut().enumerate() {
        let decode = |bytes: &Vec<u8>| {
            bincode::deserialize(bytes).unwrap_or_else(|error| panic!("a snapshot is not decoded: {error}"))
        };
        let alone = T::BY_ROUTE && before == after;
        let is_mine = |route: u64| {
            let is_mine = worker_of(route, after) == worker;
            assert!(is_mine || !alone, "a worker's snapshot contains a route of another, against `BY_ROUTE`");
            is_mine
        };
        let parts = if alone { &encoded[worker..=worker] } else { &*encoded };
        let parts = parts.iter().map(decode).collect();
        tactic.restore(boundary, parts, &is_mine).unwrap_or_else(|error| panic!("restoring fails: {error}"));
    }
    (emitted, second)
}

#[cfg(test)]
mod tests {
    use telemetra_core::TimeConfig;
    use telemetra_core::aggregate::Count;
    use telemetra_core::engine::KeyWindows;

    use super::collection_compliance;
    use crate::operators::early::EarlyTactic;
    use crate::operators::windows_by_key::tests::{arrival, fresh};

    #[test]
    fn the_summaries_that_come_out_after_a_restart_are_those_that_were_there() {
        let arrivals = [("a", 5_000), ("b", 12_000), ("a", 95_000), ("c", 5_000_000), ("a", 9_000_000)];
        collection_compliance(fresh, &arrivals.map(|(key, at)| arrival(key, at)));
    }
    #[test]
    fn the_early_results_that_come_out_after_a_restart_are_those_that_were_there() {
        let rules = TimeConfig::default().window_rules(0);
        let early =
            || EarlyTactic::<String, KeyWindows<Count>>::new(rules, 20_000, Default::default(), "windows");
        let arrivals = [("a", 5_000), ("b", 12_000), ("a", 95_000), ("c", 5_000_000), ("a", 9_000_000)];
        collection_compliance(early, &arrivals.map(|(key, at)| arrival(key, at)));
    }
}
