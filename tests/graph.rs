//! The graph API without a pipeline: what it refuses, and how a failure shows.
#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

use std::sync::Arc;
use std::time::Duration;

use telemetra::core::source::{Memory, MemoryStep};
use telemetra::core::{Arena, Count, DecodeError, Decoder, Event, EventTime, Retry};
use telemetra::ops::{Ingest, Ingress, IngressConfig, PipelineError};

struct Nothing;
impl Decoder for Nothing {
    fn decode<'a>(&self, _: &'a [u8], _: &'a Arena, _: &mut Vec<Event<'a>>) -> Result<(), DecodeError> {
        Ok(())
    }
}

fn open(source: Memory, config: IngressConfig, workers: usize) -> Result<Ingress, PipelineError> {
    Ingress::open(config, vec![(Box::new(source), Arc::new(Nothing))], workers)
}

#[test]
fn what_cannot_work_is_refused() {
    let source = || Memory::default().partition("log", ["one"]);
    let error = open(source(), IngressConfig::default(), 0).unwrap_err();
    assert!(error.to_string().contains("workers"), "{error}");
    let error = open(
        source(),
        IngressConfig { max_watermark_drift: Duration::from_millis(1), ..IngressConfig::default() },
        1,
    )
    .unwrap_err();
    assert!(error.to_string().contains("max_watermark_drift"), "{error}");
    let error = Ingress::open(
        IngressConfig::default(),
        vec![(Box::new(source()), Arc::new(Nothing)), (Box::new(source()), Arc::new(Nothing))],
        1,
    );
    let error = error.unwrap_err();
    assert!(error.to_string().contains("`log`"), "{error}");
}

#[test]
fn a_graph_sees_that_reading_failed() {
    let source = Memory::default()
        .partition("log", ["one", "two"])
        .script("log", [MemoryStep::Records(1), MemoryStep::Fail(Retry::Permanent)]);
    let ingress = open(source, IngressConfig::default(), 1).unwrap();
    let shared = ingress.clone();
    timely::execute_directly(move |worker| {
        let index = worker.next_dataflow_index();
        worker.dataflow::<EventTime, _, _>(|scope| drop(scope.ingest::<Count>(&shared)));
        while !shared.has_failed() {
            worker.step();
        }
        worker.drop_dataflow(index);
    });
    let error = ingress.take_error();
    assert!(matches!(&error, Some(PipelineError::Source { partition, .. }) if partition.as_str() == "log"));
    assert!(ingress.has_failed() && ingress.take_error().is_none());
}
