//! The compliance suite of keyed processes.

use std::collections::BTreeMap;
use std::fmt::Debug;

use telemetra_core::EventTime;

use crate::operators::checkpointed::Tactic;
use crate::operators::keyed_process::{KeyedProcess, ProcessTactic};
use crate::testkit::collection_compliance;

/// Checks the [contract](KeyedProcess#contract) of a keyed process on some arrivals, each with the time at
/// which it takes effect. It checks that
///
/// * at each time, the sum of everything emitted equals the [results](KeyedProcess::results) of all states;
/// * the order of arrivals at one time does not matter, and neither does the number of workers;
/// * a process that is restored from a snapshot of any time continues like one without interruption.
///
/// `make` makes a fresh process. Give arrivals of several keys and times, and several of one key at one time.
///
/// # Panics
///
/// If the process breaks the contract; the message says how.
///
/// ```
/// # use telemetra_core::EventTime;
/// # use telemetra_ops::KeyedProcess;
/// # #[derive(Clone)]
/// struct Newest;
/// impl KeyedProcess for Newest {
///     type In = (String, u64);
///     type Key = String;
///     type State = u64;
///     type Out = (String, u64);
///     fn key((key, _): &Self::In) -> &str { key }
///     fn process(&self, state: &mut u64, (key, n): Self::In, emit: &mut dyn FnMut(Self::Out, isize)) {
///         if n > *state {
///             if *state > 0 { emit((key.clone(), *state), -1) }
///             *state = n;
///             emit((key, n), 1);
///         }
///     }
///     fn results(&self, key: &String, state: &u64, emit: &mut dyn FnMut(Self::Out)) {
///         if *state > 0 { emit((key.clone(), *state)) }
///     }
/// }
/// let arrivals = [(1, "a", 5), (1, "a", 3), (2, "b", 7), (4, "a", 9)];
/// let arrivals = arrivals.map(|(time, key, n)| (EventTime(time), (key.to_owned(), n)));
/// telemetra_ops::testkit::process_compliance(|| Newest, &arrivals);
/// ```
pub fn process_compliance<P>(make: impl Fn() -> P, arrivals: &[(EventTime, P::In)])
where
    P: KeyedProcess,
    P::In: Clone,
    P::Out: Debug,
{
    collection_compliance(|| ProcessTactic::new(make()), arrivals);
    let mut tactic = ProcessTactic::new(make());
    let mut sum: BTreeMap<P::Out, isize> = BTreeMap::new();
    for (time, arrival) in arrivals {
        tactic.take_in(*time, arrival.clone());
    }
    // With what is due after the last arrival, as that is emitted too.
    while let Some(time) = tactic.next(false) {
        tactic.advance(time, &mut |(out, _, diff)| *sum.entry(out).or_default() += diff);
        sum.retain(|_, diff| *diff != 0);
        let mut results: BTreeMap<P::Out, isize> = BTreeMap::new();
        tactic.emit_restored(&mut |(out, _, diff)| *results.entry(out).or_default() += diff);
        assert_eq!(sum, results, "at {time} what was emitted is not what the states' results are");
    }
}
