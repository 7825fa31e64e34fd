//! Pre-aggregates: which events are folded together, when they leave, and what a checkpoint keeps.

use std::time::Duration;

use telemetra_core::engine::Placement;
use telemetra_core::{Accumulate, Accumulator, Count, EventTime, Fate, WindowSpec};

use crate::read::partial::Partial;
use crate::read::pre_aggregate::{PreAggregate, PreAggregates};

type Folded = PreAggregates<String, Count>;

fn folded() -> Folded {
    PreAggregates::new(WindowSpec::tumbling(Duration::from_millis(10)).expect("panes of 10 ms can be"))
}

/// Counts an event that takes effect before `end`.
fn count(folded: &mut Folded, key: &str, time: u64, end: u64) {
    let (pane, effective_end) = (EventTime(time / 10 * 10), EventTime(end));
    let placement = Placement { fate: Fate::OnTime, pane, effective_end };
    folded.accumulator(key, EventTime(time), &placement).add(());
}

/// Partials as keys, panes and counts.
fn plain(partials: impl IntoIterator<Item = Partial<String, Count>>) -> Vec<(String, u64, u64)> {
    let plain = |partial: Partial<String, Count>| (partial.key, partial.pane.0, partial.accumulator.finish());
    partials.into_iter().map(plain).collect()
}

fn drained(mut due: PreAggregate<String, Count>) -> (EventTime, Vec<(String, u64, u64)>) {
    (due.end, plain(due.drain_partials()))
}

fn of(key: &str, pane: u64, count: u64) -> (String, u64, u64) {
    (key.to_owned(), pane, count)
}

#[test]
fn events_are_folded_by_key_pane_and_effective_time_and_leave_in_that_order() {
    let mut folded = folded();
    for (key, time, end) in
        [("b", 25, 30), ("a", 5, 10), ("b", 29, 30), ("a", 20, 30), ("b", 10, 20), ("a", 9, 10)]
    {
        count(&mut folded, key, time, end);
    }
    assert!(folded.pop_before(EventTime(9)).is_none());
    let mut leave = |limit| folded.pop_before(EventTime(limit)).map(drained);
    assert_eq!(leave(10), Some((EventTime(10), vec![of("a", 0, 2)])));
    assert_eq!(leave(10), None);
    assert_eq!(leave(35), Some((EventTime(20), vec![of("b", 10, 1)])));
    assert_eq!(leave(35), Some((EventTime(30), vec![of("b", 20, 2), of("a", 20, 1)])));
    assert_eq!(leave(u64::MAX), None);
}

#[test]
fn late_events_keep_their_panes() {
    let mut folded = folded();
    for (key, time) in [("a", 25), ("a", 19), ("a", 3), ("b", 19), ("a", 10)] {
        count(&mut folded, key, time, 30);
    }
    let expected = vec![of("a", 20, 1), of("a", 0, 1), of("a", 10, 2), of("b", 10, 1)];
    assert_eq!(folded.pop_before(EventTime(30)).map(drained), Some((EventTime(30), expected)));
}

#[test]
fn one_that_was_sent_is_used_again_for_another_time() {
    let mut folded = folded();
    count(&mut folded, "a", 5, 10);
    let mut due = folded.pop_before(EventTime(10)).expect("it is due");
    assert_eq!(plain(due.drain_partials()), [of("a", 0, 1)]);
    folded.recycle(due);
    for (key, time) in [("b", 21), ("a", 22), ("a", 7)] {
        count(&mut folded, key, time, 30);
    }
    let expected = vec![of("b", 20, 1), of("a", 20, 1), of("a", 0, 1)];
    assert_eq!(folded.pop_before(EventTime(30)).map(drained), Some((EventTime(30), expected)));
}

#[test]
fn what_was_kept_is_taken_in_with_what_others_kept() {
    let (mut one, mut other) = (folded(), folded());
    for (key, time, end) in [("a", 25, 30), ("a", 12, 30), ("b", 8, 10)] {
        count(&mut one, key, time, end);
        count(&mut other, key, time, end);
    }
    count(&mut other, "c", 35, 40);
    assert_eq!(one.state().len(), 2);
    let mut both = folded();
    both.restore(one.state());
    both.restore(other.state());
    let mut leave = || both.pop_before(EventTime(40)).map(drained);
    assert_eq!(leave(), Some((EventTime(10), vec![of("b", 0, 2)])));
    assert_eq!(leave(), Some((EventTime(30), vec![of("a", 20, 2), of("a", 10, 2)])));
    assert_eq!(leave(), Some((EventTime(40), vec![of("c", 30, 1)])));
}
