//! The graph API without a pipeline: what it refuses, and how a failure shows.
#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

use std::sync::Arc;
use std::time::Duration;

use telemetra::core::source::{Memory, MemoryStep};
use telemetra::core::{Aggregates, Arena, DecodeError, Decoder, Event, EventTime, Record, Retry};
use telemetra::ops::{Ingest, Ingress, IngressConfig, PipelineError};
use telemetra::timely;

struct Reading;
impl Event for Reading {
    type Key = u64;
    fn time(&self) -> EventTime {
        EventTime::MIN
    }
    fn key(&self) -> u64 {
        0
    }
}

struct Nothing;
impl Decoder<Reading> for Nothing {
    fn decode<'a>(&self, _: Record<'a>, _: &'a Arena, _: &mut Vec<Reading>) -> Result<(), DecodeError> {
        Ok(())
    }
}

fn open(source: Memory, config: IngressConfig, workers: usize) -> Result<Ingress<Reading>, PipelineError> {
    Ingress::open(config, vec![(Box::new(source), Arc::new(Nothing))], workers)
}

#[test]
fn what_cannot_work_is_refused() {
    let source = || Memory::default().partition("log", ["one"]);
    let error = open(source(), IngressConfig::default(), 0).unwrap_err();
    assert!(error.to_string().contains("workers"), "{error}");
    let error = open(
        source(),
        IngressConfig { max_watermark_drift: Some(Duration::from_millis(1)), ..IngressConfig::default() },
        1,
    )
    .unwrap_err();
    assert!(error.to_string().contains("max_watermark_drift"), "{error}");
    let error = Ingress::<Reading>::open(
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
        worker.dataflow::<EventTime, _, _>(|scope| {
            drop(scope.ingest(&shared, Aggregates::<Reading>::new().count("readings")))
        });
        while !shared.has_failed() {
            worker.step();
        }
        worker.drop_dataflow(index);
    });
    let error = ingress.take_error();
    assert!(matches!(&error, Some(PipelineError::Source { partition, .. }) if partition.as_str() == "log"));
    assert!(ingress.has_failed() && ingress.take_error().is_none());
}
