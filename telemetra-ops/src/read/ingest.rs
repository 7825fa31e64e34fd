//! Ingest: the operator that reads the records of partitions, decodes them, and folds their events for every
//! plan.
//!
//! Reading, decoding, watermarks and pre-aggregation are one operator, as a timely frontier is global: an
//! operator further down could not see that its own worker has no partition, or has finished them, and would
//! hold all windows open.

use std::sync::Arc;
use std::time::Duration;

use telemetra_core::engine::SequencerState;
use telemetra_core::{Aggregate, DeadLetter, Event, EventTime, Events};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::probe;
use timely::dataflow::operators::vec::{Broadcast, Map};
use timely::dataflow::{Scope, StreamVec};

use crate::checkpoint::definition::{OperatorDefinition, StateVersions, Takeover};
use crate::checkpoint::restored::RestoredCheckpoint;
use crate::checkpoint::state::SnapshotWriter;
use crate::checkpoint::trigger::Arrival;
use crate::read::fold::{PAUSE, Reader};
use crate::read::group_fold::GroupFold;
use crate::read::ingress::Ingress;
use crate::read::partial::Partial;
use crate::read::plan::{FoldPlan, delayed, ingest_name, takeover};
use crate::support::failure::RestoreError;

/// The output streams of [`Ingest::ingest`] for one aggregate.
#[derive(Clone)]
pub struct Ingested<'scope, E: Events, A: Aggregate<E>> {
    /// The partial aggregates: one for each key, pane and worker that has decoded such events, with its
    /// effective time as the timely timestamp. [`Windows`](crate::Windows) merges them.
    pub partials: StreamVec<'scope, EventTime, Partial<E::Key, A::State>>,
    /// The records that were not counted, with their bytes, partition, offset and fate: malformed, from the
    /// future, too late, or duplicate. They are sent as soon as they are found, earlier than the partials of
    /// the same records.
    pub dead_letters: StreamVec<'scope, EventTime, DeadLetter>,
}

impl<E: Events, A: Aggregate<E>> std::fmt::Debug for Ingested<'_, E, A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ingested").finish_non_exhaustive()
    }
}

/// The links of ingest to the rest of its pipeline.
#[derive(Clone, Default)]
pub(crate) struct IngestLinks {
    /// The end of the graph: how far everything is durable.
    pub(crate) durable: Option<probe::Handle<EventTime>>,
    pub(crate) writer: Option<SnapshotWriter>,
    pub(crate) restored: Option<Arc<RestoredCheckpoint>>,
}

/// Extends a timely scope by the source operator of this library, which reads, decodes and pre-aggregates
/// events. For dataflows of your own; a [`Pipeline`](crate::Pipeline) builds it itself. It is implemented for
/// timely's `Scope`.
///
/// # Contract
///
/// Of the caller:
///
/// * **Every worker.** Each worker of the process builds the operator, with a clone of the same [`Ingress`].
pub trait Ingest<'scope>: Sized {
    /// Reads records, decodes them, decides the fate of each event, and adds it to the partial aggregate of
    /// its key and pane. Panes are as long as the slide of the windows in
    /// [`IngressConfig::time`](crate::IngressConfig).
    ///
    /// A partial is sent once, when the floor passes its effective time, however many events are in it: so
    /// little crosses the network for keys with many events. The frontier of the outputs is the least floor
    /// of the partitions; it becomes empty when all partitions have ended. A partition is not read while it
    /// is ahead of the slowest one by [`max_watermark_drift`](crate::IngressConfig::max_watermark_drift).
    ///
    /// Any worker decodes batches of any partition, in parallel; the fate of an event depends only on the
    /// order of the records in its partition. Memory: the partials of the panes that the floor has not
    /// passed.
    ///
    /// ```
    /// # #[derive(serde::Deserialize)] struct Reading { device: String, time: EventTime, celsius: f64 }
    /// # impl telemetra_core::Event for Reading {
    /// #     type Key = String;
    /// #     fn time(&self) -> EventTime { self.time }
    /// #     fn key(&self) -> &str { &self.device }
    /// # }
    /// use std::sync::Arc;
    /// use telemetra_core::source::Memory;
    /// use telemetra_core::{Accumulator, Aggregates, EventTime, SerdeJson};
    /// use telemetra_ops::{Ingest, Ingress, IngressConfig};
    /// use timely::dataflow::operators::{Capture, capture::Extract, vec::Map};
    ///
    /// let reading = |time: u64| format!(r#"{{"device": "d1", "time": {time}, "celsius": 20.5}}"#);
    /// let source = Memory::default().partition("log", [reading(1000), reading(7000), reading(14000), "noon".into()]);
    /// let sources = vec![(Box::new(source) as _, Arc::new(SerdeJson::new()) as _)];
    /// let ingress = Ingress::<Reading>::open(IngressConfig::default(), sources, 1)?;
    /// let graph = ingress.clone();
    /// let captured = timely::execute_directly(move |worker| {
    ///     worker.dataflow::<EventTime, _, _>(|scope| {
    ///         let partials = scope.ingest(&graph, Aggregates::<Reading>::new().count("readings")).partials;
    ///         partials.map(|partial| (partial.pane.0, partial.accumulator.finish())).capture()
    ///     })
    /// });
    /// let partials: Vec<_> = captured.extract().into_iter().flat_map(|(_, partials)| partials).collect();
    /// assert_eq!(partials, [(0, 2), (10_000, 1)]);
    /// assert!(ingress.fates().is_balanced());
    /// # Ok::<(), telemetra_ops::PipelineError>(())
    /// ```
    fn ingest<E: Events, A: Aggregate<E>>(self, ingress: &Ingress<E>, aggregate: A)
    -> Ingested<'scope, E, A>;
}

impl<'scope> Ingest<'scope> for Scope<'scope, EventTime> {
    fn ingest<E: Events, A: Aggregate<E>>(
        self,
        ingress: &Ingress<E>,
        aggregate: A,
    ) -> Ingested<'scope, E, A> {
        let panes = ingress.shared.config.time.windows;
        let mut plan = SinglePlan { panes, aggregate: Some(aggregate), partials: None };
        let streams = ingest_with(self, ingress, &mut [&mut plan], IngestLinks::default());
        let partials =
            plan.partials.unwrap_or_else(|| timely::dataflow::operators::generic::operator::empty(self));
        Ingested { partials, dead_letters: streams.dead_letters.map(|(letter, _)| letter) }
    }
}

/// The plan of a single aggregate by the events' own key.
struct SinglePlan<'scope, E: Events, A: Aggregate<E>> {
    panes: telemetra_core::WindowSpec,
    aggregate: Option<A>,
    partials: Option<StreamVec<'scope, EventTime, Partial<E::Key, A::State>>>,
}

impl<'scope, E: Events, A: Aggregate<E>> FoldPlan<'scope, E> for SinglePlan<'scope, E, A> {
    fn name(&self) -> &str {
        "ingest"
    }

    fn definition(&self) -> OperatorDefinition {
        OperatorDefinition::default()
    }

    fn migrates(&self, _: u32) -> bool {
        false
    }

    fn attach(
        &mut self,
        builder: &mut OperatorBuilder<'scope, EventTime>,
    ) -> Box<dyn crate::read::plan::Fold<E>> {
        let (output, stream) = builder.new_output();
        self.partials = Some(stream);
        let aggregate = self.aggregate.take().map(Arc::new);
        let add = move |folded: &mut crate::read::pre_aggregate::PreAggregates<E::Key, A::State>,
                        event: &E::Of<'_>,
                        placement: &telemetra_core::engine::Placement| {
            let state = folded.accumulator(event.key(), event.time(), placement);
            if let Some(aggregate) = &aggregate {
                aggregate.add(state, event);
            }
        };
        Box::new(GroupFold::<E, _, _, _>::new(self.panes, output, StateVersions::default(), add))
    }
}

type VecBuilder<D> = CapacityContainerBuilder<Vec<D>>;

/// The outputs of ingest that do not belong to a plan.
pub(crate) struct IngestStreams<'scope> {
    /// The dead letters, and the greatest floor of any partition when it was found: who has written everything up to that
    /// time has found it too.
    pub(crate) dead_letters: StreamVec<'scope, EventTime, (DeadLetter, EventTime)>,
    /// A marker per checkpoint.
    pub(crate) markers: StreamVec<'scope, EventTime, EventTime>,
}

/// The numbers of the outputs: those of plans follow.
const LETTERS: usize = 0;
const MARKERS: usize = 1;
const PLANS: usize = 2;

pub(crate) fn ingest_with<'scope, E: Events>(
    scope: Scope<'scope, EventTime>,
    ingress: &Ingress<E>,
    plans: &mut [&mut dyn FoldPlan<'scope, E>],
    links: IngestLinks,
) -> IngestStreams<'scope> {
    let mut builder = OperatorBuilder::new("Ingest".to_owned(), scope);
    let activator = scope.activator_for(builder.operator_info().address);
    let (letters, letters_stream) = builder.new_output();
    let (markers, markers_stream) = builder.new_output();
    let mut letters = OutputBuilder::<_, VecBuilder<(DeadLetter, EventTime)>>::from(letters);
    let mut markers = OutputBuilder::<_, VecBuilder<EventTime>>::from(markers);
    let names: Vec<Arc<str>> = plans.iter().map(|plan| ingest_name(plan.name()).into()).collect();
    let found = links.restored.as_ref().and_then(|restored| restored.definition.as_ref());
    let takeovers: Vec<_> = plans.iter().map(|plan| takeover(found, &**plan).2).collect();
    let groups = plans.iter().map(|plan| plan.name().into()).collect();
    let folds = plans.iter_mut().map(|plan| plan.attach(&mut builder)).collect();
    let shared = Arc::clone(&ingress.shared);
    let (worker, peers) = (scope.index(), scope.peers());
    let mut reader = Reader::new(Arc::clone(&shared), Arc::clone(&ingress.decoders), worker, (groups, folds));
    if let Some(restored) = &links.restored {
        for ((fold, name), takeover) in reader.folds.iter_mut().zip(&names).zip(&takeovers) {
            let from = match takeover {
                Takeover::New | Takeover::Refused(_) => continue,
                Takeover::Migrated { from, .. } => Some(*from),
                _ => None,
            };
            let parts: Vec<serde_bytes::ByteBuf> = restored.parts(name, &shared.failure);
            for (number, part) in parts.into_iter().enumerate() {
                if number % peers == worker
                    && let Err(source) = fold.restore(&part, from)
                {
                    shared.failure.set(RestoreError::damaged(restored.boundary, source).into());
                }
            }
        }
    }
    // The checkpoint itself is not kept.
    let begins_at = links.restored.as_ref().map(|restored| restored.boundary);
    let IngestLinks { durable, writer, .. } = links;
    builder.build(move |capabilities| {
        let mut held: Option<Vec<Capability<EventTime>>> = Some(capabilities);
        if let Some((held, boundary)) = held.as_mut().zip(begins_at) {
            held.iter_mut().for_each(|cap| cap.downgrade(&boundary));
        }
        let mut waiting_at = None;
        let mut last_cut = EventTime::MIN;
        move |_frontiers| {
            let Some(caps) = held.as_mut() else { return };
            if shared.failure.is_set() {
                // Keep the capabilities: giving them up would close windows that are not complete.
                return;
            }
            let (mut letters, mut markers) = (letters.activate(), markers.activate());
            if let Some(boundary) = waiting_at {
                if !shared.trigger.is_released(boundary) {
                    activator.activate_after(PAUSE / 10);
                    return;
                }
                waiting_at = None;
            }
            // Read the floor before the batches: what is read now takes effect no earlier.
            let floor = shared.floor();
            let mut pause = reader.read(floor, durable.as_ref());
            if shared.takes_floors()
                && let Some(writer) = &writer
            {
                writer.floors();
            }
            if shared.failure.is_set() {
                // A batch may have been left unsequenced: nothing that follows from it may get out.
                return;
            }
            if !reader.letters.is_empty() {
                let found = shared.greatest_floor();
                let these = reader.letters.drain(..).map(|letter| (letter, found));
                letters.session(&caps[LETTERS]).give_iterator(these);
            }
            let floor = shared.floor();
            let (limit, boundary) = shared.trigger.limit(floor, shared.greatest_floor());
            for (fold, cap) in reader.folds.iter_mut().zip(&caps[PLANS..]) {
                fold.send(limit, cap);
            }
            if let Some(boundary) = boundary {
                let arrival = shared.trigger.arrive(boundary, floor);
                if arrival != Arrival::Skip
                    && let Some(writer) = &writer
                {
                    for (fold, name) in reader.folds.iter().zip(&names) {
                        let _span = writer.gauge.spans.snapshot(boundary, worker, name).entered();
                        writer.encoded(boundary, name, fold.snapshot());
                    }
                    if arrival == Arrival::KeepAll {
                        let _span = writer.gauge.spans.snapshot(boundary, worker, "partitions").entered();
                        writer.snapshot(boundary, "partitions", shared.keep(boundary));
                        shared.trigger.release(boundary, floor);
                    }
                    markers.session(&delayed(&caps[MARKERS], boundary.minus(1))).give(boundary);
                    waiting_at = Some(boundary);
                    last_cut = boundary;
                }
                pause = Duration::ZERO;
            }
            if limit == EventTime::MAX {
                if let Some(writer) = &writer {
                    let kept = shared.keep(EventTime::MAX);
                    // Not for a checkpoint that it had a part in, or after which something of it takes effect.
                    let panes = shared.config.time.windows;
                    let latest = |state: &SequencerState| panes.pane_end(state.greatest.max(state.floor));
                    let effective = kept.iter().map(|partition| latest(&partition.sequencer)).max();
                    let from = last_cut.plus(1).max(effective.unwrap_or_default());
                    writer.final_snapshot(from, "partitions", kept);
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
    IngestStreams { dead_letters: letters_stream, markers: markers_stream.broadcast() }
}
