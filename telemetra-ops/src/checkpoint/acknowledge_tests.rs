//! Tests of the times at which a worker has its parts written, and until which it holds back the end of the graph.

#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use telemetra_core::EventTime;
use timely::dataflow::InputHandleVec;
use timely::dataflow::operators::vec::Input;
use timely::dataflow::operators::{Probe, probe};
use timely::worker::Worker;

use crate::checkpoint::acknowledge::acknowledge;
use crate::checkpoint::state::{Message, SnapshotWriter};
use crate::checkpoint::writer::Stored;

/// The operator with its inputs and its output.
struct Acknowledging {
    done: InputHandleVec<EventTime, ()>,
    markers: InputHandleVec<EventTime, EventTime>,
    messages: Receiver<Message>,
    stored: Stored,
    pending: Rc<RefCell<Vec<EventTime>>>,
    end: probe::Handle<EventTime>,
}

impl Acknowledging {
    fn new(worker: &mut Worker) -> Self {
        let (parts, messages) = channel();
        let (stored, pending) = (Stored::default(), Rc::<RefCell<Vec<EventTime>>>::default());
        let (writes, noted) = (stored.clone(), Rc::clone(&pending));
        let (done, markers, end) = worker.dataflow(|scope| {
            let ((done, done_stream), (markers, marker_stream)) = (scope.new_input(), scope.new_input());
            let writer = SnapshotWriter { worker: 3, parts, gauge: Arc::default() };
            let end = acknowledge(done_stream, marker_stream, writer, writes, noted).probe().0;
            (done, markers, end)
        });
        Self { done, markers, messages, stored, pending, end }
    }

    /// Sends a marker of this boundary twice, as from two workers.
    fn mark(&mut self, boundary: u64) {
        (0..2).for_each(|_| self.markers.send(EventTime(boundary)));
    }

    /// Advances the operators to one time, and the markers to another.
    fn advance(&mut self, worker: &mut Worker, done: u64, markers: u64) {
        self.done.advance_to(EventTime(done));
        self.markers.advance_to(EventTime(markers));
        for _ in 0..4 {
            worker.step();
        }
    }

    /// The boundaries whose parts are written from now on.
    fn flushed(&self) -> Vec<u64> {
        let flush = |message| match message {
            Message::Flush { boundary, worker: 3 } => boundary.0,
            other => panic!("{other:?}"),
        };
        self.messages.try_iter().map(flush).collect()
    }

    /// Reports this boundary as stored by the writer, and waits for the end of the graph to be complete to this time.
    fn store(&self, worker: &mut Worker, boundary: u64, until: u64) {
        let (stored, begun) = (self.stored.clone(), Instant::now());
        std::thread::spawn(move || stored.advance(EventTime(boundary))).join().unwrap();
        while self.end.less_than(&EventTime(until)) {
            assert!(begun.elapsed() < Duration::from_secs(20), "it was not woken");
            worker.step_or_park(Some(Duration::from_secs(1)));
        }
    }
}

#[test]
fn parts_are_written_once_when_all_operators_have_handed_them_over() {
    timely::execute_directly(|worker| {
        let mut all = Acknowledging::new(worker);
        all.mark(50);
        all.advance(worker, 50, 49);
        assert_eq!(all.flushed(), [0; 0], "another marker of it may come");
        all.advance(worker, 50, 50);
        assert_eq!(all.flushed(), [50]);
        all.mark(100);
        all.advance(worker, 99, 120);
        assert_eq!(all.flushed(), [0; 0], "an operator is not done");
        all.advance(worker, 100, 120);
        assert_eq!(all.flushed(), [100]);
        all.advance(worker, 130, 130);
        assert_eq!(all.flushed(), [0; 0]);
        assert_eq!(*all.pending.borrow(), [EventTime(50), EventTime(100)]);
        all.store(worker, 100, 130);
    });
}

#[test]
fn the_end_of_the_graph_waits_for_what_is_not_stored() {
    timely::execute_directly(|worker| {
        let mut all = Acknowledging::new(worker);
        all.mark(50);
        all.advance(worker, 60, 60);
        all.mark(100);
        all.advance(worker, 110, 110);
        assert_eq!(all.flushed(), [50, 100]);
        assert!(!all.end.less_than(&EventTime(49)) && all.end.less_than(&EventTime(50)));
        all.store(worker, 50, 99);
        assert!(all.end.less_than(&EventTime(100)), "the next is not stored");
        all.store(worker, 100, 110);
    });
}
