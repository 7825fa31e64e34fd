//! Ingest: from the bytes of partitions to partials by key and pane.
//!
//! One operator, as a timely frontier is everyone's: an operator further down could not see that its own worker has no
//! partition, or has finished them, and would hold all windows open.

use std::sync::Arc;
use std::time::Duration;

use telemetra_core::{Accumulator, DeadLetter, EventAccumulator, EventTime, Fact};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::probe;
use timely::dataflow::operators::vec::Broadcast;
use timely::dataflow::{Scope, StreamVec};

use crate::buckets::BucketState;
use crate::checkpoint::{Recorder, Restored};
use crate::cut::Arrival;
use crate::ingress::Ingress;
use crate::partial::Partial;
use crate::reader::{PAUSE, Reader};

/// What ingest puts out.
#[derive(Clone)]
pub struct Ingested<'scope, A: Accumulator> {
    /// One aggregate per key, pane and worker, at its effective time.
    pub partials: StreamVec<'scope, EventTime, Partial<A>>,
    /// The counted events that are kept as rows, at their effective time.
    pub facts: StreamVec<'scope, EventTime, Fact>,
    /// What was not counted, as soon as it is found.
    pub dead_letters: StreamVec<'scope, EventTime, DeadLetter>,
    /// A marker per checkpoint.
    pub(crate) markers: StreamVec<'scope, EventTime, EventTime>,
}

impl<A: Accumulator> std::fmt::Debug for Ingested<'_, A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ingested").finish_non_exhaustive()
    }
}

/// What ties ingest to the rest of its pipeline.
#[derive(Clone, Default)]
pub(crate) struct IngestLinks {
    /// The end of the graph: how far everything is durable.
    pub(crate) durable: Option<probe::Handle<EventTime>>,
    pub(crate) recorder: Option<Recorder>,
    pub(crate) restored: Option<Arc<Restored>>,
}

/// Reads the partitions of a process on all its workers.
pub trait Ingest<'scope>: Sized {
    /// Reads, decodes, sequences and folds events into partials.
    ///
    /// Each worker holds one capability per output at the least floor of its process's partitions, and gives them up when
    /// all have ended. A partial is sent once, when the floor passes its effective time, however many events are in
    /// it. Reading stops while the slowest partition or the sinks are too far behind.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use telemetra_core::{Arena, DecodeError, Decoder, Event, Header, ViewerCount};
    /// use telemetra_core::source::Memory;
    /// use telemetra_core::{Accumulator, Count, EventTime};
    /// use telemetra_ops::{Ingest, Ingress, IngressConfig};
    /// use timely::dataflow::operators::{Capture, capture::Extract, vec::Map};
    ///
    /// /// Reads the time of an event, and nothing else.
    /// struct Times;
    /// # impl Decoder for Times {
    /// #     fn decode<'a>(&self, record: &'a [u8], _: &'a Arena, events: &mut Vec<Event<'a>>) -> Result<(), DecodeError> {
    /// #         let time = std::str::from_utf8(record).ok().and_then(|text| text.parse().ok());
    /// #         let time = EventTime(time.ok_or(DecodeError::new("not a time"))?);
    /// #         let header = Header { event_id: "", time, stream_id: "a" };
    /// #         let count = ViewerCount { header, viewer_count: 1, unique_viewers: None, peak_viewers: None };
    /// #         events.push(Event::Viewer(count));
    /// #         Ok(())
    /// #     }
    /// # }
    /// let source = Memory::default().partition("log", ["1000", "7000", "14000", "noon"]);
    /// let ingress = Ingress::open(IngressConfig::default(), vec![(Box::new(source), Arc::new(Times))], 1)?;
    /// let graph = ingress.clone();
    /// let captured = timely::execute_directly(move |worker| {
    ///     worker.dataflow::<EventTime, _, _>(|scope| {
    ///         let partials = scope.ingest::<Count>(&graph).partials;
    ///         partials.map(|partial| (partial.pane.0, partial.accumulator.finish())).capture()
    ///     })
    /// });
    /// let partials: Vec<_> = captured.extract().into_iter().flat_map(|(_, partials)| partials).collect();
    /// assert_eq!(partials, [(0, 2), (10_000, 1)]);
    /// assert!(ingress.fates().is_balanced());
    /// # Ok::<(), telemetra_ops::PipelineError>(())
    /// ```
    fn ingest<A: EventAccumulator>(self, ingress: &Ingress) -> Ingested<'scope, A>;
}

impl<'scope> Ingest<'scope> for Scope<'scope, EventTime> {
    fn ingest<A: EventAccumulator>(self, ingress: &Ingress) -> Ingested<'scope, A> {
        ingest_with(self, ingress, IngestLinks::default())
    }
}

type VecBuilder<D> = CapacityContainerBuilder<Vec<D>>;

pub(crate) fn ingest_with<'scope, A: EventAccumulator>(
    scope: Scope<'scope, EventTime>,
    ingress: &Ingress,
    links: IngestLinks,
) -> Ingested<'scope, A> {
    let mut builder = OperatorBuilder::new("Ingest".to_owned(), scope);
    let activator = scope.activator_for(builder.operator_info().address);
    let (partials, partials_stream) = builder.new_output();
    let (facts, facts_stream) = builder.new_output();
    let (letters, letters_stream) = builder.new_output();
    let (markers, markers_stream) = builder.new_output();
    let mut partials = OutputBuilder::<_, VecBuilder<Partial<A>>>::from(partials);
    let mut facts = OutputBuilder::<_, VecBuilder<Fact>>::from(facts);
    let mut letters = OutputBuilder::<_, VecBuilder<DeadLetter>>::from(letters);
    let mut markers = OutputBuilder::<_, VecBuilder<EventTime>>::from(markers);
    let shared = Arc::clone(&ingress.0);
    let (worker, peers) = (scope.index(), scope.peers());
    builder.build(move |capabilities| {
        let mut reader = Reader::<A>::new(Arc::clone(&shared), worker);
        if let Some(restored) = &links.restored {
            let parts: Vec<Vec<BucketState<A>>> = restored.parts("ingest", &shared.failure);
            for (number, part) in parts.into_iter().enumerate() {
                part.iter().for_each(|bucket| shared.note_effective(bucket.end));
                if number % peers == worker {
                    reader.buckets.restore(part);
                }
            }
        }
        let mut held = Some(capabilities);
        if let (Some(held), Some(restored)) = (&mut held, &links.restored) {
            held.iter_mut().for_each(|cap| cap.downgrade(&restored.boundary));
        }
        let mut waiting_at = None;
        move |_frontiers| {
            let Some(caps) = held.as_mut() else { return };
            if shared.failure.is_set() {
                // Keep the capabilities: giving them up would close windows that are not complete.
                return;
            }
            let (mut partials, mut facts) = (partials.activate(), facts.activate());
            let (mut letters, mut markers) = (letters.activate(), markers.activate());
            if let Some(cut) = waiting_at {
                if !shared.cuts.is_released(cut) {
                    activator.activate_after(PAUSE / 10);
                    return;
                }
                waiting_at = None;
            }
            // Read the floor before the batches: what is read now takes effect no earlier.
            let floor = shared.floor();
            let mut pause = reader.read(floor, links.durable.as_ref());
            if shared.failure.is_set() {
                // A batch may have been left unsequenced: nothing that follows from it may get out.
                return;
            }
            if !reader.letters.is_empty() {
                letters.session(&caps[2]).give_iterator(reader.letters.drain(..));
            }
            let floor = shared.floor();
            let (limit, cut) = shared.cuts.limit(floor, shared.greatest_effective());
            while let Some(mut bucket) = reader.buckets.pop_before(limit) {
                let time = bucket.end.minus(1);
                let cap = delayed(&caps[0], time);
                partials.session(&cap).give_iterator(bucket.drain_partials());
                if !bucket.facts.is_empty() {
                    facts.session(&delayed(&caps[1], time)).give_iterator(bucket.facts.drain(..));
                }
                reader.buckets.recycle(bucket);
            }
            if let Some(cut) = cut {
                let arrival = shared.cuts.arrive(cut, floor);
                if arrival != Arrival::Skip
                    && let Some(recorder) = &links.recorder
                {
                    recorder.part(cut, "ingest", &reader.buckets.state());
                    if arrival == Arrival::KeepAll {
                        recorder.part(cut, "partitions", &shared.keep(cut));
                        shared.cuts.release(cut, floor);
                    }
                    markers.session(&delayed(&caps[3], cut.minus(1))).give(cut);
                    waiting_at = Some(cut);
                }
                pause = Duration::ZERO;
            }
            if limit == EventTime::MAX {
                if let Some(recorder) = &links.recorder {
                    recorder.last("partitions", &shared.keep(EventTime::MAX));
                }
                held = None;
                return;
            }
            for cap in caps.iter_mut().filter(|cap| *cap.time() < limit) {
                cap.downgrade(&limit);
            }
            if pause.is_zero() { activator.activate() } else { activator.activate_after(pause) }
        }
    });
    Ingested {
        partials: partials_stream,
        facts: facts_stream,
        dead_letters: letters_stream,
        markers: markers_stream.broadcast(),
    }
}

/// A capability for `time`, or for its own time if that is later.
fn delayed(cap: &Capability<EventTime>, time: EventTime) -> Capability<EventTime> {
    cap.delayed(&time.max(*cap.time()))
}
