//! The delivery operator: what sinks are given by when, and how far everything is durable.

#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

use telemetra_core::{Action, DeadLetter, EventTime};
use timely::dataflow::InputHandleVec;
use timely::dataflow::operators::vec::Input;
use timely::dataflow::operators::{Probe, probe};
use timely::worker::Worker;

use crate::deliver::missed::Missed;
use crate::deliver::placement::ShardHomes;
use crate::deliver::publication::{Publication, TypedPublication};
use crate::deliver::scripted::{Call, Running, Script, layout, letter};
use crate::deliver::to_sinks::{OpenShard, deliver};
use crate::operators::changes::RowChange;
use crate::support::failure::Failure;
use crate::support::wait::wait_until;

/// A worker that delivers the tables `a` and `b`, dead letters and markers to the shards of a sink.
struct Delivering<'w> {
    worker: RefCell<&'w mut Worker>,
    tables: [InputHandleVec<EventTime, RowChange<u64>>; 2],
    letters: InputHandleVec<EventTime, (DeadLetter, EventTime)>,
    markers: InputHandleVec<EventTime, EventTime>,
    scripts: Vec<Script>,
    gates: Vec<Option<Sender<()>>>,
    end: probe::Handle<EventTime>,
    failures: Vec<Failure>,
}

impl<'w> Delivering<'w> {
    /// With so many shards, which have everything up to a time and wait for permits or do not.
    fn new(worker: &'w mut Worker, shards: usize, durable: Option<u64>, is_gated: bool) -> Self {
        let scripts: Vec<_> = (0..shards).map(|_| Script::default()).collect();
        let (mut open, mut gates, mut failures) = (Vec::new(), Vec::new(), Vec::new());
        for (index, script) in scripts.iter().enumerate() {
            let (permits, gate) = channel();
            let sink = if is_gated { script.gated(gate) } else { script.sink() };
            let Running { queue, failure, .. } = Running::start(sink, durable);
            let changed = Arc::new(BTreeSet::from(["a".to_owned()]));
            let missed = Missed::new(changed, EventTime::MIN);
            // The worker's shards come in another order than those of the sink.
            open.insert(0, OpenShard { index, home: 0, queue, durable: durable.map(EventTime), missed });
            gates.push(is_gated.then_some(permits));
            failures.push(failure);
        }
        let homes = ShardHomes(vec![0; shards].into());
        let (tables, letters, markers, end) = worker.dataflow(|scope| {
            let ((a, a_changes), (b, b_changes)) = (scope.new_input(), scope.new_input());
            let ((letters, letter_stream), (markers, marker_stream)) = (scope.new_input(), scope.new_input());
            let publications = [("a", a_changes), ("b", b_changes)].map(|(table, changes)| {
                let publication = TypedPublication { layout: layout(table), changes };
                assert_eq!(publication.table().name(), table);
                Box::new(publication) as Box<dyn Publication<'_>>
            });
            let end = deliver(&publications, letter_stream, marker_stream, &homes, open).probe().0;
            ([a, b], letters, markers, end)
        });
        Self { worker: RefCell::new(worker), tables, letters, markers, scripts, gates, end, failures }
    }

    /// Publishes rows of a table, for the first time.
    fn publish(&mut self, table: usize, rows: impl IntoIterator<Item = u64>) {
        for row in rows {
            self.tables[table].send(RowChange { row, revision: 0, action: Action::Upsert });
        }
    }

    fn letters(&mut self, partition: &str, offsets: impl IntoIterator<Item = u64>) {
        for offset in offsets {
            self.letters.send((letter(partition, offset), EventTime(90)));
        }
    }

    /// Advances the input to a time.
    fn advance(&mut self, time: u64) {
        let time = EventTime(time);
        self.tables.iter_mut().for_each(|table| table.advance_to(time));
        self.letters.advance_to(time);
        self.markers.advance_to(time);
        self.step();
    }

    fn step(&self) {
        for _ in 0..4 {
            self.worker.borrow_mut().step();
        }
    }

    /// Waits for a fact while the worker works.
    fn wait(&self, what: &str, is: impl Fn(&Self) -> bool) {
        wait_until(what, || {
            self.step();
            is(self)
        });
    }

    fn wait_for_end(&self, time: u64) {
        self.wait("it is durable", |all| !all.end.less_than(&EventTime(time)));
    }

    fn applied(&self, shard: usize) -> Vec<(u64, String)> {
        self.scripts[shard].lock().applied.clone()
    }
}

fn rows(time: u64, rows: &[&str]) -> Vec<(u64, String)> {
    rows.iter().map(|row| (time, (*row).to_owned())).collect()
}

#[test]
fn changes_of_a_time_are_one_batch_when_nothing_more_can_come_before_it() {
    timely::execute_directly(|worker| {
        let mut all = Delivering::new(worker, 1, None, true);
        all.advance(10);
        all.publish(0, [7, 5]);
        all.publish(1, [6]);
        all.advance(10);
        assert!(!all.end.less_than(&EventTime(10)));
        let permit = all.gates[0].take().unwrap();
        permit.send(()).unwrap();
        for table in &mut all.tables {
            table.advance_to(EventTime(20));
        }
        all.step();
        assert!(all.applied(0).is_empty(), "dead letters of before may come");
        all.advance(20);
        all.wait_for_end(20);
        let expected = rows(10, &["a Upsert 5", "a Upsert 7", "b Upsert 6"]);
        assert_eq!(all.applied(0), expected);
        all.publish(1, [8]);
        all.advance(30);
        assert!(all.end.less_than(&EventTime(21)), "it is not durable");
        permit.send(()).unwrap();
        all.wait_for_end(30);
        assert_eq!(all.applied(0)[3..], rows(20, &["b Upsert 8"]));
        assert_eq!(all.scripts[0].calls(), [Call::Apply(vec![10]), Call::Apply(vec![20])]);
    });
}

#[test]
fn a_marker_is_a_batch_for_each_shard_even_if_it_has_no_rows() {
    timely::execute_directly(|worker| {
        let mut all = Delivering::new(worker, 2, None, false);
        all.advance(49);
        all.markers.send(EventTime(50));
        all.advance(50);
        all.wait_for_end(50);
        for script in &all.scripts {
            assert_eq!(script.calls(), [Call::Apply(vec![49])]);
        }
    });
}

#[test]
fn rows_and_dead_letters_of_a_subject_are_given_to_its_shard() {
    timely::execute_directly(|worker| {
        let mut all = Delivering::new(worker, 2, None, false);
        all.advance(5);
        all.publish(0, 0..20);
        for partition in ["p", "q", "r", "s", "t", "u"] {
            all.letters(partition, 1..3);
        }
        all.advance(10);
        all.wait_for_end(10);
        let homes = ShardHomes(vec![0; 2].into());
        let layout = layout("a");
        for (shard, script) in all.scripts.iter().enumerate() {
            let of = |row: &u64| homes.shard_of(telemetra_core::key_hash(&*layout.subject(row))) == shard;
            let expected: Vec<_> = (0..20).filter(of).map(|row| (5, format!("a Upsert {row}"))).collect();
            assert!(!expected.is_empty() && expected.len() < 20);
            assert_eq!(all.applied(shard), expected);
            let of = |name: &&str| homes.shard_of(telemetra_core::key_hash(*name)) == shard;
            let partitions = ["p", "q", "r", "s", "t", "u"].into_iter().filter(of).count();
            assert!(partitions > 0 && partitions < 6);
            let letters = script.calls().into_iter().filter_map(|call| match call {
                Call::Letters(letters) => Some(letters.len()),
                _ => None,
            });
            assert_eq!(letters.sum::<usize>(), 2 * partitions);
        }
    });
}

#[test]
fn what_a_sink_has_is_not_given_again_but_for_rows_of_changed_tables() {
    timely::execute_directly(|worker| {
        let mut all = Delivering::new(worker, 1, Some(20), false);
        for time in [10, 20, 30] {
            all.advance(time);
            all.publish(0, [time]);
            all.publish(1, [time]);
        }
        all.advance(40);
        all.wait_for_end(40);
        let expected = ["a Upsert 10", "a Upsert 20", "a Upsert 30", "b Upsert 30"];
        assert_eq!(all.applied(0), rows(30, &expected), "`a` is computed otherwise than before");
        assert_eq!(all.scripts[0].calls(), [Call::Apply(vec![30])]);
    });
}

#[test]
fn dead_letters_before_a_time_that_a_sink_has_are_flushed_once() {
    timely::execute_directly(|worker| {
        let mut all = Delivering::new(worker, 1, Some(50), true);
        let permit = all.gates[0].take().unwrap();
        all.letters("p", [1]);
        all.markers.send(EventTime(1));
        all.advance(10);
        all.wait("they are given", |all| all.scripts[0].calls().len() == 1);
        assert!(all.end.less_than(&EventTime(1)), "they are not durable");
        permit.send(()).unwrap();
        all.wait_for_end(10);
        all.markers.send(EventTime(11));
        all.advance(20);
        all.wait_for_end(20);
        assert_eq!(all.scripts[0].calls(), [Call::Letters(vec![1]), Call::Apply(vec![])], "nothing is new");
    });
}

#[test]
fn what_finds_a_queue_full_is_given_later_in_its_order() {
    [1, 2].into_iter().for_each(fill_queues);
}

/// The number of dead letters of each partition: more than a queue holds, with each a job of its own.
const LETTERS: u64 = 200;

/// Gives so many shards more than their queues hold. Letters wake no worker.
fn fill_queues(shards: usize) {
    timely::execute_directly(move |worker| {
        let mut all = Delivering::new(worker, shards, None, true);
        let permits: Vec<_> = all.gates.iter_mut().map(|gate| gate.take().unwrap()).collect();
        all.markers.send(EventTime(1));
        all.advance(1);
        for offset in 1..=LETTERS {
            for partition in ["p", "q", "r", "s", "t", "u"] {
                all.letters(partition, [offset]);
            }
            all.letters.flush();
            all.step();
        }
        permits.iter().for_each(|permits| permits.send(()).unwrap());
        let given = |script: &Script| {
            script
                .calls()
                .into_iter()
                .filter_map(|call| match call {
                    Call::Letters(letters) => letters.last().copied(),
                    _ => None,
                })
                .collect::<Vec<_>>()
        };
        all.wait("all are given", |all| {
            all.scripts.iter().all(|script| given(script).last() == Some(&LETTERS))
        });
        assert!(all.scripts.iter().all(|script| given(script).is_sorted()));
        assert!(all.failures.iter().all(|failure| !failure.is_set()));
    });
}
