//! The executable specification of the built-in operators, in plain differential dataflow: what they must
//! return, written as simply as possible.
//!
//! Use it in tests of a dataflow of your own, to compare its results on small inputs. It is slow and keeps
//! all input in memory: each event goes to each of its windows, each window is aggregated from its events,
//! the moments of a key are computed from all its windows, and a leaderboard from all keys. Property tests of
//! this library compare its operators with these functions, change by change.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use differential_dataflow::{AsCollection, VecCollection};
use telemetra_core::{
    Accumulator, Data, EventTime, Key, Moment, MomentRule, Ranked, Summary, Window, WindowSpec,
};
use timely::dataflow::operators::vec::Map;

use crate::operators::enrich::Enriched;
use crate::operators::windows::Summaries;
use crate::testkit::spec_moments::of_key;

mod chance;

pub use chance::chance;

/// Returns the summaries of tumbling and sliding windows, as [`Windows`](crate::Windows) must. The input are
/// the counted events as `(key, (event time, payload))`, each with its effective time as timestamp; `add`
/// adds a payload to an accumulator.
///
/// Unlike the operator it never removes old summaries.
///
/// ```
/// use std::time::Duration;
/// use differential_dataflow::input::Input;
/// use telemetra_core::{Accumulate, EventTime, Sum, WindowSpec};
/// use telemetra_ops::testkit::spec;
/// use timely::dataflow::operators::{Capture, capture::Extract};
///
/// let tumbling = WindowSpec::tumbling(Duration::from_millis(10))?;
/// let captured = timely::execute_directly(move |worker| {
///     let (mut input, captured) = worker.dataflow::<EventTime, _, _>(|scope| {
///         let (input, events) = scope.new_collection();
///         let windows = spec::windows(events, tumbling, |sum: &mut Sum, n: &i64| sum.add(*n));
///         (input, windows.inner.capture())
///     });
///     // Two events of the pane that ends at 10, which take effect at its last instant.
///     for (time, n) in [(3, 20_i64), (7, 22)] {
///         input.update_at(("a".to_owned(), (EventTime(time), n)), EventTime(9), 1);
///     }
///     captured
/// });
/// let updates: Vec<_> = captured.extract().into_iter().flat_map(|(_, updates)| updates).collect();
/// let ((key, summary), at, diff) = &updates[0];
/// assert_eq!((key.as_str(), *summary.value, *at, *diff), ("a", 42, EventTime(9), 1));
/// # Ok::<(), telemetra_core::ConfigError>(())
/// ```
pub fn windows<'scope, K: Key, A: Accumulator, D: Data>(
    events: VecCollection<'scope, EventTime, (K, (EventTime, D)), isize>,
    spec: WindowSpec,
    add: impl Fn(&mut A, &D) + 'static,
) -> Summaries<'scope, K, A::Output> {
    events
        .inner
        .flat_map(move |((key, (time, payload)), effective, diff)| {
            let first = spec.pane_end(time);
            (0..spec.panes_per_window()).map(move |n| {
                let end = first.plus(n * spec.slide());
                // A window is not there before it has ended.
                (((key.clone(), end), payload.clone()), effective.max(end.minus(1)), diff)
            })
        })
        .as_collection()
        .reduce_named("WindowsSpec", move |_, payloads, output| {
            let mut accumulator = A::default();
            for (payload, count) in payloads {
                (0..*count).for_each(|_| add(&mut accumulator, payload));
            }
            output.push((Arc::new(accumulator.finish()), 1));
        })
        .map(move |((key, end), value)| (key, Summary { window: spec.window_ending(end), value }))
}

/// Returns the summaries of sessions with a `gap` in milliseconds, as a grouping by
/// [`sessions`](crate::sessions) must. The input is the same as that of [`windows`]. A session appears at the
/// first end of a pane at or after its own end.
pub fn sessions<'scope, K: Key, A: Accumulator, D: Data>(
    events: VecCollection<'scope, EventTime, (K, (EventTime, D)), isize>,
    gap: u64,
    panes: WindowSpec,
    add: impl Fn(&mut A, &D) + 'static,
) -> Summaries<'scope, K, A::Output> {
    events
        .reduce_named("SessionsSpec", move |_, events, output| {
            // The events come sorted by time.
            for session in events.chunk_by(|((one, _), _), ((next, _), _)| *next < one.plus(gap)) {
                let (Some(((start, _), _)), Some(((last, _), _))) = (session.first(), session.last()) else {
                    continue;
                };
                let mut accumulator = A::default();
                for ((_, payload), count) in session {
                    (0..*count).for_each(|_| add(&mut accumulator, payload));
                }
                let window = Window { start: (*start).into(), end: last.plus(gap) };
                output.push((Summary { window, value: Arc::new(accumulator.finish()) }, 1));
            }
        })
        .inner
        .map(move |(record, time, diff)| {
            let closes = EventTime(record.1.window.end.0.next_multiple_of(panes.slide()));
            (record, time.max(closes.minus(1)), diff)
        })
        .as_collection()
}

/// Returns the moments of summaries, as [`Moments`](crate::Moments) must. `clock` is a collection that
/// contains, at each time, exactly the boundary of a pane that follows that time; a moment is open if its
/// last window ends there.
pub fn moments<'scope, K: Key, S: Data>(
    summaries: Summaries<'scope, K, S>,
    clock: VecCollection<'scope, EventTime, EventTime, isize>,
    spec: WindowSpec,
    rules: Arc<[MomentRule<S>]>,
) -> VecCollection<'scope, EventTime, Moment<K>, isize> {
    let keys = summaries.clone().map(|(key, _)| ((), key)).distinct();
    let clock =
        keys.join_map(clock.map(|boundary| ((), boundary)), |(), key, now| (key.clone(), (*now, None)));
    summaries
        .map(|(key, summary)| (key, (summary.window.end, Some(summary.value))))
        .concat(clock)
        .reduce_named("MomentsSpec", move |key, known, output| {
            let mut windows = BTreeMap::new();
            let mut now = EventTime::MIN;
            for ((time, value), _) in known {
                match value {
                    Some(value) => drop(windows.insert(*time, value)),
                    None => now = *time,
                }
            }
            for rule in &*rules {
                output.extend(of_key(rule, spec, key, now, &windows).into_iter().map(|moment| (moment, 1)));
            }
        })
        .map(|(_, moment)| moment)
}

/// Returns the newest summary of each key, as [`Latest`](crate::Latest) must: the summaries of windows that
/// end at the boundary in `clock`, which is as for [`moments`].
pub fn latest<'scope, K: Key, S: Data>(
    summaries: Summaries<'scope, K, S>,
    clock: VecCollection<'scope, EventTime, EventTime, isize>,
) -> Summaries<'scope, K, S> {
    summaries
        .map(|(key, summary)| (summary.window.end, (key, summary)))
        .join_map(clock.map(|boundary| (boundary, ())), |_, record, ()| record.clone())
}

/// Returns the `n` keys with the greatest metric, as [`Top`](crate::Top) must. Equal values are sorted by
/// key.
pub fn top<'scope, K: Key, S: Data, V: Into<Option<i64>>>(
    summaries: Summaries<'scope, K, S>,
    n: usize,
    name: &str,
    metric: impl Fn(&S) -> V + 'static,
) -> VecCollection<'scope, EventTime, Ranked<K>, isize> {
    let board: Arc<str> = name.into();
    summaries
        .flat_map(move |(key, summary)| {
            let value: Option<i64> = metric(&summary.value).into();
            value.map(|value| ((), (Reverse(value), key)))
        })
        .reduce_named("TopSpec", move |(), places, output| {
            for (rank, ((Reverse(value), key), _)) in (1..).zip(places.iter().take(n)) {
                let (board, key) = (Arc::clone(&board), key.clone());
                output.push((Ranked { board, rank, key, value: *value }, 1));
            }
        })
        .map(|((), ranked)| ranked)
}

/// Returns each record with the row of its key, or with `None` if the key has no row, as
/// [`Enrich`](crate::Enrich) must.
pub fn enrich<'scope, K: Key, V: Data, R: Data>(
    records: VecCollection<'scope, EventTime, (K, V), isize>,
    rows: VecCollection<'scope, EventTime, (K, R), isize>,
) -> Enriched<'scope, K, V, R> {
    let known = rows.clone().map(|(key, _)| key).distinct();
    let described =
        records.clone().join_map(rows, |key, value, row| (key.clone(), (value.clone(), Some(row.clone()))));
    described.concat(records.antijoin(known).map(|(key, value)| (key, (value, None))))
}
