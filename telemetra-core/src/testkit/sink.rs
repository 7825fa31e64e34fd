//! The compliance suite of sinks.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::history::{batches, batches_of_1970, key_of, letters, tables};
use crate::error::ExternalError;
use crate::read::dead_letter::DeadLetter;
use crate::write::change::{Action, Batch};
use crate::write::sink::{Sink, SinkProgress};
use crate::write::table::Table;

/// The name of the table of dead letters in [`sink_compliance`].
const LETTERS: &str = "telemetra_dead_letters";

/// A row that a sink holds, as [`sink_compliance`] reads it back.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HeldRow {
    /// The name of the table.
    pub table: String,
    /// The values of the key columns separated by slashes, times in milliseconds. For
    /// `telemetra_dead_letters`, the partition, offset and index.
    pub key: String,
    /// The other columns, in any form that is equal if and only if they are.
    pub contents: String,
}

/// Checks that a sink keeps the contract of [`Sink`].
///
/// * `tables`: the tables that the sink keeps, out of `devices`, `device_minute`, `moments`, `payments` and
///   `telemetra_dead_letters`.
/// * `make`: makes the sink on the store with this number. A store is empty at first. The same number is the
///   same store, as after a restart of the process.
/// * `read_back`: returns the rows in the store with this number, in any order.
///
/// The suite cannot check that rows survive a power failure.
///
/// # Panics
///
/// If the contract is broken. The message says where.
pub fn sink_compliance(
    tables: &[&str],
    make: impl FnMut(u32) -> Box<dyn Sink>,
    read_back: impl FnMut(u32) -> Vec<HeldRow>,
) {
    let mut suite = Suite { tables, all: tables_of_history(), make, read_back, stores: 0 };
    let history = batches();
    let end = suite.one_by_one(&history);
    // Windows that begin before 1970 have keys of their own.
    suite.one_by_one(&batches_of_1970());
    suite.together(&history, &end);
    suite.again(&history, &end);
    for cut in 0..=history.len() {
        suite.restarted(&history, cut, &end);
    }
    suite.watched(&history, &end);
    suite.letters(&history);
}

/// The tables that [`sink_compliance`] opens a sink with: `devices`, `device_minute`, `moments` and
/// `payments`.
#[must_use]
pub fn tables_of_history() -> Vec<Arc<Table>> {
    tables()
}

struct Suite<'a, M, R> {
    tables: &'a [&'a str],
    /// The tables with which the sink is opened.
    all: Vec<Arc<Table>>,
    make: M,
    read_back: R,
    stores: u32,
}

impl<M, R> Suite<'_, M, R>
where
    M: FnMut(u32) -> Box<dyn Sink>,
    R: FnMut(u32) -> Vec<HeldRow>,
{
    /// A new store, and an open sink on it.
    fn fresh(&mut self) -> (u32, Box<dyn Sink>) {
        self.stores += 1;
        let mut sink = (self.make)(self.stores);
        assert!(!sink.name().is_empty(), "a sink has a name");
        assert_eq!(good(sink.open(&self.all, None), "open"), None, "an empty store holds no time");
        (self.stores, sink)
    }

    fn held(&mut self, store: u32) -> Vec<HeldRow> {
        let mut rows = (self.read_back)(store);
        rows.retain(|row| row.table != LETTERS);
        rows.sort();
        rows
    }

    /// After each batch, the tables contain the rows that were upserted and not withdrawn, and a batch
    /// changes no other rows.
    fn one_by_one(&mut self, history: &[Batch]) -> Vec<HeldRow> {
        let (store, mut sink) = self.fresh();
        let (mut model, mut held) = (BTreeSet::new(), Vec::new());
        for batch in history {
            good(sink.apply(std::slice::from_ref(batch)), "apply");
            let before = std::mem::replace(&mut held, self.held(store));
            for change in &batch.changes {
                let (table, key) = key_of(&*change.row);
                let find =
                    |rows: &[HeldRow]| rows.iter().find(|row| row.table == table && row.key == key).cloned();
                if !self.tables.contains(&&*table) {
                    continue;
                }
                match change.action {
                    Action::Upsert => {
                        assert_ne!(find(&before), find(&held), "{table} ({key}) was not upserted");
                        model.insert((table.clone(), key));
                    }
                    Action::Withdraw => drop(model.remove(&(table.clone(), key))),
                }
            }
            let keys: Vec<_> = held.iter().map(|row| (row.table.clone(), row.key.clone())).collect();
            assert!(
                keys.iter().eq(&model),
                "as of {} the tables should hold {model:?} and hold {keys:?}",
                batch.time
            );
            let named: Vec<_> = batch.changes.iter().map(|change| key_of(&*change.row)).collect();
            for row in
                before.iter().filter(|row| !named.iter().any(|(t, k)| row.table == *t && row.key == *k))
            {
                assert!(held.contains(row), "{} ({}) was changed by no one", row.table, row.key);
            }
        }
        good(sink.close(), "close");
        held
    }

    /// Several batches in one call have the same effect as one after the other.
    fn together(&mut self, history: &[Batch], end: &[HeldRow]) {
        let (store, mut sink) = self.fresh();
        good(sink.apply(&[]), "apply of nothing");
        good(sink.apply(history), "apply");
        assert_eq!(self.held(store), end, "batches at once differ from one by one");
    }

    /// Batches that are applied again, as after an error, change nothing.
    fn again(&mut self, history: &[Batch], end: &[HeldRow]) {
        let (store, mut sink) = self.fresh();
        good(sink.apply(&history[..3]), "apply");
        good(sink.apply(&history[1..3]), "apply again");
        good(sink.apply(&history[3..]), "apply");
        assert_eq!(self.held(store), end, "batches applied again changed the rows");
    }

    /// After a crash, the sink reports its progress, opened and not, and gets the other batches, and then has the same
    /// rows as without the crash.
    fn restarted(&mut self, history: &[Batch], cut: usize, end: &[HeldRow]) {
        let (store, mut sink) = self.fresh();
        good(sink.apply(&history[..cut]), "apply");
        drop(sink);
        let last = cut.checked_sub(1).map(|last| history[last].time);
        let mut sink = (self.make)(store);
        let progress = good(sink.progress(), "progress");
        let durable = good(sink.open(&self.all, last), "open again");
        if let SinkProgress::Until(seen) = progress {
            assert_eq!(seen, durable, "`progress` is not what `open` says");
        }
        assert!(
            durable.is_none() || durable == last,
            "`open` said {durable:?} where the last batch was of {last:?}"
        );
        let rest = history.partition_point(|batch| Some(batch.time) <= durable);
        good(sink.apply(&history[rest..]), "apply after a restart");
        assert_eq!(self.held(store), end, "a restart after {cut} batches changed the rows");
        good(sink.close(), "close");
        drop(sink);
        let reopened = good((self.make)(store).open(&self.all, None), "open after close");
        let end = history.last().map(|batch| batch.time);
        match (cut, durable) {
            // A sink that wrote in one run only may be of either kind.
            (0, _) => assert!(reopened.is_none() || reopened == end, "`open` made up the time {reopened:?}"),
            (_, None) => assert_eq!(reopened, None, "`open` made up a time"),
            (_, Some(_)) => assert_eq!(reopened, end, "`open` after `close` is not the last time"),
        }
    }

    /// A sink of a pipeline that stands by says how far the other one has written, and disturbs nothing. If it is opened
    /// beside it, it writes nothing until it takes over.
    fn watched(&mut self, history: &[Batch], end: &[HeldRow]) {
        let (store, mut sink) = self.fresh();
        let mut other = (self.make)(store);
        let mut rewrites = false;
        for (done, batch) in history.iter().enumerate() {
            let last = done.checked_sub(1).map(|last| history[last].time);
            match good(other.progress(), "progress") {
                SinkProgress::NotShared => return,
                SinkProgress::Until(time) => {
                    assert!(!rewrites, "`progress` was of the other kind before");
                    assert_eq!(time, last, "`progress` beside the sink that writes");
                }
                SinkProgress::Rewritten(time) => {
                    assert_eq!(time, last, "`progress` beside the sink that writes");
                    if !std::mem::replace(&mut rewrites, true) {
                        other.hold(true);
                        good(other.open(&self.all, None), "open beside the sink that writes");
                    }
                }
            }
            let before = self.held(store);
            if rewrites {
                // It is ahead of the other one.
                good(other.apply(std::slice::from_ref(batch)), "apply while it holds");
                assert_eq!(self.held(store), before, "a sink that holds has written");
            }
            if done + 1 < history.len() || !rewrites {
                good(sink.apply(std::slice::from_ref(batch)), "apply while another one watches");
            }
        }
        good(sink.close(), "close");
        drop(sink);
        if rewrites {
            // What the other one has not written, and all the rest.
            other.hold(false);
            good(other.apply(&[]), "apply of nothing, after it held");
        }
        assert_eq!(self.held(store), end, "a sink that was watched has written otherwise");
    }

    /// Dead letters are durable after the next `apply`, and a dead letter that comes again after a restart is
    /// stored once. Several workers read a partition, so after a restart a letter may come for the first time
    /// although a later one of its partition came before.
    fn letters(&mut self, history: &[Batch]) {
        let letters = letters();
        let (store, mut sink) = self.fresh();
        good(sink.dead_letters(&letters[1..2]), "dead_letters");
        good(sink.apply(&history[..1]), "apply");
        good(sink.dead_letters(&letters[2..3]), "dead_letters");
        good(sink.apply(&[]), "apply of nothing, for the letters");
        drop(sink);
        let mut sink = (self.make)(store);
        good(sink.open(&self.all, Some(history[0].time)), "open again");
        self.assert_letters(store, &letters[1..3], "a letter given before an `apply` is durable");
        good(sink.dead_letters(&letters), "dead_letters again");
        good(sink.apply(&history[1..2]), "apply");
        self.assert_letters(store, &letters, "each dead letter is there once");
    }

    fn assert_letters(&mut self, store: u32, letters: &[DeadLetter], what: &str) {
        if self.tables.contains(&LETTERS) {
            let held = (self.read_back)(store).into_iter().filter(|row| row.table == LETTERS);
            let mut held: Vec<_> = held.map(|row| row.key).collect();
            let place = |l: &DeadLetter| format!("{}/{}/{}", l.partition, l.offset, l.index);
            let mut expected: Vec<_> = letters.iter().map(place).collect();
            held.sort();
            expected.sort();
            assert_eq!(held, expected, "{what}");
        }
    }
}

fn good<T>(result: Result<T, ExternalError>, what: &str) -> T {
    result.unwrap_or_else(|error| panic!("`{what}` failed: {error}: {:?}", std::error::Error::source(&error)))
}
