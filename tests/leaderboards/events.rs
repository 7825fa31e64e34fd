//! From random events to answers: through the whole graph, and by definition.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use differential_dataflow::input::Input;
use proptest::prelude::*;
use telemetra::core::checkpoint::Directory;
use telemetra::core::source::Memory as MemorySource;
use telemetra::core::*;
use telemetra::ops::testkit::spec;
use telemetra::ops::{CheckpointContext, Drain, Ingest, Ingress, IngressConfig, Summaries, Windows};
use telemetra::{differential_dataflow, timely};
use timely::dataflow::operators::{Capture, Probe, capture::Extract};

use crate::answers::*;
use crate::support::{Counted, *};

/// Rows of keys that follow from their summaries: how many messages there were at most.
pub(crate) fn rows_of<'scope>(summaries: Summaries<'scope, String, Out>) -> Rows<'scope> {
    summaries.map(|(key, summary)| (key, summary.value.0)).reduce(|_, counts, output| {
        if let Some((greatest, _)) = counts.last() {
            output.push((**greatest, 1));
        }
    })
}

/// The answers to a script by the graph API.
pub(crate) fn graph(
    script: &Script,
    time: &TimeConfig,
    workers: usize,
    per_poll: usize,
) -> (Vec<Said>, Fates) {
    let config = IngressConfig {
        time: time.clone(),
        clock: clock(),
        watermarks: None,
        max_watermark_drift: Some(Duration::from_millis(10_000)),
    };
    let source = Box::new(source(script, per_poll));
    let ingress =
        Ingress::<Saying>::open(config, vec![(source as _, Arc::new(Words) as _)], workers).unwrap();
    let rules = time.window_rules(4);
    let updates = Arc::new(Mutex::new(Vec::new()));
    let (shared, said) = (ingress.clone(), Arc::clone(&updates));
    let guards = timely::execute(timely::Config::process(workers), move |worker| {
        let said = Arc::clone(&said);
        let probe = worker.dataflow::<EventTime, _, _>(|scope| {
            let context = CheckpointContext::none(scope);
            let summaries = scope.ingest(&shared, aggregate()).partials.windows(rules, "windows", &context);
            let answers = fast(summaries.clone(), rows_of(summaries), rules);
            answers.inspect(move |update| said.lock().unwrap().push(update.clone())).inner.probe().0
        });
        while !probe.done() {
            worker.step_or_park(Some(Duration::from_millis(10)));
        }
    });
    guards.unwrap().join().into_iter().for_each(|result| result.unwrap());
    assert!(ingress.take_error().is_none());
    (consolidated(std::mem::take(&mut updates.lock().unwrap())), ingress.fates())
}

/// The answers of a pipeline's second run: the first ended, with a checkpoint, when half of the records were read.
pub(crate) fn two_lives(script: &Script, time: &TimeConfig, workers: (usize, usize)) -> Vec<Said> {
    let mut source = MemorySource::default().records_per_poll(10);
    let handles: Vec<_> = (0..script.len()).map(|number| source.handle(&format!("p{number}"))).collect();
    let folder = tempfile::tempdir().unwrap();
    let said = Arc::new(Mutex::new(Vec::new()));
    let start = |workers| {
        let said = Arc::clone(&said);
        let pipeline = sayings(source.clone(), Words, time);
        let store = Directory::new(folder.path());
        let pipeline = pipeline
            .max_watermark_drift(Duration::from_millis(10_000))
            .workers(workers)
            .checkpoints(store, Duration::from_millis(20));
        let extended = pipeline.extend(move |graph| {
            let said = Arc::clone(&said);
            fast(graph.summaries.clone(), rows_of(graph.summaries.clone()), graph.windows)
                .inspect(move |update| said.lock().unwrap().push(update.clone()));
        });
        extended.start().unwrap()
    };
    let halves = || script.iter().map(|records| records.split_at(records.len() / 2));
    for (handle, (first, _)) in handles.iter().zip(halves()) {
        first.iter().for_each(|record| handle.append(record.as_str()));
    }
    let running = start(workers.0);
    let read: usize = halves().map(|(first, _)| first.len()).sum();
    while running.fates().read < read as u64 {
        std::thread::sleep(Duration::from_millis(1));
    }
    running.drain(Drain::KeepWindows).unwrap();
    said.lock().unwrap().clear();
    for (handle, (_, rest)) in handles.iter().zip(halves()) {
        rest.iter().for_each(|record| handle.append(record.as_str()));
        handle.end();
    }
    start(workers.1).wait().unwrap();
    consolidated(std::mem::take(&mut said.lock().unwrap()))
}

/// The answers to the events that count, by definition.
pub(crate) fn defined(counted: &[Counted], time: &TimeConfig) -> Vec<Said> {
    let spec = time.windows;
    let first = counted.iter().map(|event| event.effective.plus(1)).min().unwrap_or_default();
    let last = counted.iter().map(|event| event.effective).max().unwrap_or_default();
    let clock_ticks = ticks(spec, first, last.plus(2 * (spec.size() + spec.slide())));
    let records: Vec<_> = counted
        .iter()
        .map(|event| {
            let Counted { key, time, user, message, effective } = event;
            (key.clone(), *time, format!("{key} {} e {user} {message}", time.0), *effective)
        })
        .collect();
    let captured = timely::execute_directly(move |worker| {
        let (mut events, mut clock, captured) = worker.dataflow::<EventTime, _, _>(|scope| {
            let (events_in, events) = scope.new_collection::<(String, (EventTime, String)), isize>();
            let (clock_in, clock) = scope.new_collection::<EventTime, isize>();
            let windows = spec::windows(events, spec, |acc: &mut Acc, record: &String| {
                let (arena, mut events) = (Arena::default(), Vec::new());
                Words.decode(Record::new(record.as_bytes()), &arena, &mut events).unwrap();
                events.iter().for_each(|event| acc.add(event));
            });
            let rows = rows_of(windows.clone());
            (events_in, clock_in, plain(windows, rows, clock).inner.capture())
        });
        records.into_iter().for_each(|(key, at, record, effective)| {
            events.update_at((key, (at, record)), effective, 1);
        });
        clock_ticks.into_iter().for_each(|(boundary, at, diff)| clock.update_at(boundary, at, diff));
        drop((events, clock));
        while worker.step() {}
        captured
    });
    consolidated(captured.extract().into_iter().flat_map(|(_, updates)| updates).collect())
}

/// A record: mostly a good event near `position`, sometimes late, far off, repeated or broken.
pub(crate) fn script() -> impl Strategy<Value = Script> {
    let disorder = prop_oneof![6 => -12i64..12, 3 => -60i64..12, 1 => -200i64..12];
    let record = (0u8..5, disorder, 0u16..300, 0u8..5, 0u8..10, 0u8..20);
    let partition = prop::collection::vec(record, 0..80);
    (prop::collection::vec(partition, 1..4), 1i64..12).prop_map(|(partitions, pace)| {
        let render = |(position, (key, disorder, id, user, length, oddity)): (usize, _)| {
            let time = (BASE + 500).saturating_add_signed(position as i64 * pace + disorder);
            let message = "m".repeat(length as usize);
            if oddity == 19 { "broken".to_owned() } else { format!("k{key} {time} e{id} u{user} {message}") }
        };
        partitions.into_iter().map(|records| records.into_iter().enumerate().map(render).collect()).collect()
    })
}
