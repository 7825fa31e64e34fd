//! Leaderboards: the keys with the greatest value of a metric.

use std::cmp::Reverse;
use std::sync::Arc;

use differential_dataflow::{AsCollection, VecCollection};
use telemetra_core::{Data, EventTime, Key, Leaderboard, Ranked, key_hash};
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::generic::operator::Operator;

use crate::operators::stash::Stash;
use crate::operators::windows::Summaries;

/// Extends a collection of summaries by a leaderboard: the keys with the greatest values of a metric, like
/// SQL's `ORDER BY … LIMIT n`. It is implemented for [`Summaries`](crate::Summaries).
///
/// # Contract
///
/// Of the caller:
///
/// * **A pure metric.** It depends on the summary alone: when a summary is removed, the metric of the old
///   value is computed again.
pub trait Top<'scope, K: Key, S: Data>: Sized {
    /// Returns the `n` keys with the greatest metric, as a collection of places that are numbered from 1.
    /// Apply it to the [latest](crate::Latest) summaries to rank current values. `name` is the name of the
    /// board in each place. Keys with equal values are sorted by key. The metric may return `Option<i64>`; a
    /// key for which it is `None` is not ranked.
    ///
    /// A place changes only if its key or its value changes, so an unchanged board emits nothing. The board
    /// does not depend on the number of workers. A key with several summaries, as in a collection of all
    /// windows, has one place for each different value.
    ///
    /// State: the value of each key on the key's worker, and `n` keys of each worker on one worker, which is
    /// chosen by `name` and emits all places. Each worker sends it only the changes among its own first `n`.
    /// Work: the logarithm of the number of keys for each change, and `n` for each time at which the board
    /// may have changed. There is no state in checkpoints: after a restart it is computed from the restored
    /// summaries.
    ///
    /// ```
    /// use std::time::Duration;
    /// use differential_dataflow::input::Input;
    /// use std::sync::Arc;
    /// use telemetra_core::{EventTime, Summary, WindowSpec};
    /// use telemetra_ops::Top;
    /// use timely::dataflow::operators::{Capture, capture::Extract};
    ///
    /// let window = WindowSpec::tumbling(Duration::from_millis(10))?.window_ending(EventTime(10));
    /// let captured = timely::execute_directly(move |worker| {
    ///     let (mut input, captured) = worker.dataflow::<EventTime, _, _>(|scope| {
    ///         let (input, latest) = scope.new_collection::<(String, Summary<u64>), isize>();
    ///         (input, latest.top(2, "busiest", |count| *count as i64).inner.capture())
    ///     });
    ///     for (key, count) in [("a", 3), ("b", 9), ("c", 3)] {
    ///         input.insert((key.to_owned(), Summary { window, value: Arc::new(count) }));
    ///     }
    ///     captured
    /// });
    /// let places = captured.extract().into_iter().flat_map(|(_, updates)| updates);
    /// let places: Vec<_> = places.map(|(place, _, _)| (place.rank, place.key, place.value)).collect();
    /// assert_eq!(places, [(1, "b".to_owned(), 9), (2, "a".to_owned(), 3)]);
    /// # Ok::<(), telemetra_core::ConfigError>(())
    /// ```
    fn top<V: Into<Option<i64>>>(
        self,
        n: usize,
        name: &str,
        metric: impl Fn(&S) -> V + 'static,
    ) -> VecCollection<'scope, EventTime, Ranked<K>, isize>;
}

/// A key and its value, sorted by value, greatest first, then by key.
type Place<K> = (Reverse<i64>, K);
type Update<D> = (D, EventTime, isize);

impl<'scope, K: Key, S: Data> Top<'scope, K, S> for Summaries<'scope, K, S> {
    fn top<V: Into<Option<i64>>>(
        self,
        n: usize,
        name: &str,
        metric: impl Fn(&S) -> V + 'static,
    ) -> VecCollection<'scope, EventTime, Ranked<K>, isize> {
        let places = self.flat_map(move |(key, summary)| {
            let value: Option<i64> = metric(&summary.value).into();
            value.map(|value| (Reverse(value), key))
        });
        let by_key = Exchange::new(|update: &Update<Place<K>>| key_hash(&update.0.1.as_ref()));
        let first = settled(places.inner, by_key, "TopOfWorker", n, |board, emit| {
            board.settle_entries(|place, diff| emit(place.clone(), diff));
        });
        let (board_name, home): (Arc<str>, _) = (name.into(), key_hash(name));
        let to_one = Exchange::new(move |_: &Update<Place<K>>| home);
        let ranked = settled(first, to_one, "Top", n, move |board, emit| {
            board.settle_places(|rank, (Reverse(value), key), diff| {
                let board = Arc::clone(&board_name);
                emit(Ranked { board, rank, key: key.clone(), value: *value }, diff);
            });
        });
        ranked.as_collection()
    }
}

/// Runs a board on each worker: `settle` computes its changes once for each time.
fn settled<'scope, K: Key, D: 'static>(
    places: StreamVec<'scope, EventTime, Update<Place<K>>>,
    pact: Exchange<Update<Place<K>>, impl FnMut(&Update<Place<K>>) -> u64 + 'static>,
    name: &str,
    n: usize,
    settle: impl Fn(&mut Leaderboard<Place<K>>, &mut dyn FnMut(D, isize)) + 'static,
) -> StreamVec<'scope, EventTime, Update<D>> {
    places.unary_frontier(pact, name, move |capability, _info| {
        drop(capability);
        let mut board = Leaderboard::new(n);
        let mut waiting = Stash::default();
        move |(places, frontier), output| {
            places.for_each_stamp(|cap, messages| {
                let Some(cap) = cap.retain_least(output.output_index()) else { return };
                let updates = messages.flat_map(|message| message.drain(..));
                updates.for_each(|update| waiting.add(&cap, update));
            });
            while let Some((cap, updates)) = waiting.due(frontier) {
                updates.into_iter().for_each(|(place, diff)| board.update(place, diff));
                let time = *cap.time();
                let mut session = output.session(&cap);
                settle(&mut board, &mut |data, diff| session.give((data, time, diff)));
            }
        }
    })
}
