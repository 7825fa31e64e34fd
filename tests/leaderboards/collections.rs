//! From any collections to answers: also such as no windows make.

use std::sync::{Arc, Mutex};

use differential_dataflow::input::Input;
use proptest::prelude::*;
use telemetra::core::*;
use telemetra::{differential_dataflow, timely};

use crate::answers::*;
use crate::support::*;

/// Something that is there for a while: what, from when, for how long.
pub(crate) type Span<D> = (D, u64, Option<u64>);

pub(crate) fn spans<D: std::fmt::Debug>(
    data: impl Strategy<Value = D>,
) -> impl Strategy<Value = Vec<Span<D>>> {
    prop::collection::vec((data, 0u64..130, prop::option::of(1u64..50)), 0..40)
}

/// The changes of a collection in which each thing comes and, perhaps, goes; in pieces of 20 ms.
pub(crate) fn changes<D: Clone>(spans: &[Span<D>]) -> Vec<(D, EventTime, isize)> {
    let come = spans.iter().map(|(data, from, _)| (data.clone(), EventTime(*from), 1));
    let goes = |(data, from, length): &Span<D>| Some((data.clone(), EventTime(from + (*length)?), -1));
    let mut changes: Vec<_> = come.chain(spans.iter().filter_map(goes)).collect();
    changes.sort_by_key(|(_, at, _)| at.0 / 20);
    changes
}

pub(crate) type Records = Vec<((String, Summary<Out>), EventTime, isize)>;
pub(crate) type RowChanges = Vec<((String, u64), EventTime, isize)>;

/// The answers to any collections, by the operators if `workers` is some, else by definition.
pub(crate) fn of_collections(records: &Records, rows: &RowChanges, workers: Option<usize>) -> Vec<Said> {
    let time = small_time();
    let rules = time.window_rules(0);
    let clock_ticks = ticks(rules.windows, EventTime(10), EventTime(500));
    let updates = Arc::new(Mutex::new(Vec::new()));
    let (said, records, rows) = (Arc::clone(&updates), records.clone(), rows.clone());
    let guards = timely::execute(timely::Config::process(workers.unwrap_or(1)), move |worker| {
        let (index, peers) = (worker.index(), worker.peers());
        let said = Arc::clone(&said);
        let (mut records_in, mut rows_in, mut clock_in) = worker.dataflow::<EventTime, _, _>(|scope| {
            let (records_in, records) = scope.new_collection();
            let (rows_in, rows) = scope.new_collection();
            let (clock_in, clock) = scope.new_collection();
            let answers = match workers {
                Some(_) => fast(records, rows, rules),
                None => plain(records, rows, clock),
            };
            answers.inspect(move |update| said.lock().unwrap().push(update.clone()));
            (records_in, rows_in, clock_in)
        });
        if index == 0 {
            clock_ticks.iter().for_each(|(boundary, at, diff)| clock_in.update_at(*boundary, *at, *diff));
        }
        clock_in.close();
        let mine = |number: &usize| number % peers == index;
        for piece in 0..10 {
            let inside = |at: EventTime| at.0 / 20 == piece;
            records_in.advance_to(EventTime(20 * piece));
            rows_in.advance_to(EventTime(20 * piece));
            for (_, (data, at, diff)) in
                records.iter().enumerate().filter(|(n, (_, at, _))| mine(n) && inside(*at))
            {
                records_in.update_at(data.clone(), *at, *diff);
            }
            for (_, (row, at, diff)) in
                rows.iter().enumerate().filter(|(n, (_, at, _))| mine(n) && inside(*at))
            {
                rows_in.update_at(row.clone(), *at, *diff);
            }
            records_in.flush();
            rows_in.flush();
            (0..piece).for_each(|_| {
                worker.step();
            });
        }
    });
    guards.unwrap().join().into_iter().for_each(|result| result.unwrap());
    consolidated(std::mem::take(&mut updates.lock().unwrap()))
}
