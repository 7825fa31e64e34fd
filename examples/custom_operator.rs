//! A program with parts of its own: an accumulator, a detector and an operator. The library treats them like
//! built-in ones, so windows, corrections, checkpoints and any number of workers work without further code.
//!
//! ```sh
//! cargo run --release --example custom_operator
//! ```

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use telemetra::core::{Baseline, Sliding, Verdict};
use telemetra::livestream::generate::{Generator, GeneratorConfig};
use telemetra::livestream::{Event, JsonDecoder, LiveEvents, StreamId};
use telemetra::ops::WindowKind;
use telemetra::prelude::{
    Accumulate, Accumulator, Column, ColumnKind, Detector, EventTime, GroupGraph, MemorySink, Moment,
    Pipeline, Running, Value,
};

/// **The accumulator** counts messages that contain laughter. Counting is a commutative monoid: it can be
/// done in parts, on any worker.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Laughs(u64);

impl Accumulate<&Event<'_>> for Laughs {
    fn add(&mut self, event: &Event<'_>) {
        let laughs = |emote: &&str| ["LUL", "KEKW"].contains(emote);
        self.0 += u64::from(matches!(event, Event::Chat(chat) if chat.emotes.iter().any(laughs)));
    }
}

impl Accumulator for Laughs {
    type Output = u64;
    type Sliding = CountSliding;
    fn merge(&mut self, other: &Self) {
        self.0 += other.0;
    }
    fn finish(&self) -> u64 {
        self.0
    }
}

/// **Its sliding form.** A count can subtract, so a slide costs one pane in and one pane out.
/// `TwoStacks<Laughs>` would work too.
#[derive(Debug, Default)]
struct CountSliding(u64);

impl Sliding<Laughs> for CountSliding {
    fn push(&mut self, pane: &Laughs) {
        self.0 += pane.0;
    }
    fn pop(&mut self, pane: &Laughs) {
        self.0 -= pane.0;
    }
    fn finish(&self) -> u64 {
        self.0
    }
}

/// **The detector**: a window is anomalous if its value is three times as large as in any of the ten windows
/// before. A detector must be pure, as it is called again after a late event.
#[derive(Debug)]
struct Record;

impl Detector for Record {
    fn method(&self) -> &'static str {
        "record"
    }
    fn threshold(&self) -> f64 {
        3.0
    }
    fn min_samples(&self) -> u32 {
        5
    }
    fn max_samples(&self) -> u32 {
        10
    }
    fn judge(&self, value: i64, baseline: &Baseline<'_>) -> Option<Verdict> {
        let mut greatest = 10; // Fewer than this are no record.
        baseline.samples.visit(&mut |_, sample| greatest = greatest.max(sample));
        let score = value as f64 / greatest as f64;
        // Values are in fixed point and a verdict is in the metric's own units; both are the same for a
        // count, whose scale is 1.
        let scale = baseline.scale.max(1) as f64;
        let (mean, stddev) = (baseline.sums.mean()? / scale, baseline.sums.sample_variance()?.sqrt() / scale);
        (score >= self.threshold()).then_some(Verdict { score, mean, stddev })
    }
}

/// For each window, by its end, the stream with most laughter.
type Leaders = Arc<Mutex<BTreeMap<EventTime, (u64, StreamId)>>>;

fn start(config: GeneratorConfig, sink: MemorySink, leaders: &Leaders) -> anyhow::Result<Running> {
    let leaders = Arc::clone(leaders);
    let running = Pipeline::<LiveEvents>::new()
        .source(Generator::new(config)?, JsonDecoder::mixed())
        .sink(sink)
        .workers(2)
        .group("laughs_minute", WindowKind::default(), |a| {
            let columns = vec![Column::new("laughs", ColumnKind::Integer)];
            a.accumulator::<Laughs>(columns, |laughs, _, put| put(Value::Unsigned(*laughs)))
        })
        .count_moments("laughter", Record, |laughs| *laughs)
        // **The operator** is plain differential dataflow on the collection of summaries: when a late event
        // changes a summary, the maximum is computed again, and only where it changed.
        .extend(move |group: &GroupGraph<'_, StreamId, u64>| {
            let leaders = Arc::clone(&leaders);
            let by_window = group.summaries.clone().map(|(stream, s)| (s.window.end, (*s.value, stream)));
            let greatest = by_window.reduce(|_, streams, best| {
                best.extend(streams.last().map(|(leader, _)| ((*leader).clone(), 1)));
            });
            greatest.inspect(move |((end, leader), _, diff)| {
                // Retired summaries are retracted; a list of all times ignores these retractions.
                if *diff > 0 {
                    leaders.lock().unwrap_or_else(PoisonError::into_inner).insert(*end, leader.clone());
                }
            });
        })
        .start()?;
    Ok(running)
}

fn main() -> anyhow::Result<()> {
    let (sink, leaders) = (MemorySink::new(), Leaders::default());
    start(GeneratorConfig::default(), sink.clone(), &leaders)?.wait()?;
    println!("moments of laughter, and how many times the record:");
    for moment in sink.rows_of::<Moment<StreamId>>() {
        println!("  {} {} ×{:.1}", moment.started_at, moment.key, moment.score.to_f64());
    }
    println!("who laughed most, every five minutes:");
    for (end, (laughs, stream)) in leaders.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        if end.0 % 300_000 == 0 {
            println!("  {end} {stream}: {laughs}");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use telemetra::core::SummaryRow;

    use super::*;

    #[test]
    fn the_operator_agrees_with_the_rows() -> anyhow::Result<()> {
        let (sink, leaders) = (MemorySink::new(), Leaders::default());
        let config = GeneratorConfig { streams: 50, events_per_second: 200.0, ..GeneratorConfig::default() };
        start(config, sink.clone(), &leaders)?.wait()?;
        let mut expected = BTreeMap::new();
        for SummaryRow { key: stream, summary } in sink.rows_of::<SummaryRow<StreamId, u64>>() {
            let leader: &mut (u64, StreamId) =
                expected.entry(summary.window.end).or_insert((0, StreamId::new("")));
            *leader = leader.clone().max((*summary.value, stream));
        }
        assert!(expected.len() > 100);
        assert_eq!(*leaders.lock().unwrap_or_else(PoisonError::into_inner), expected);
        assert!(
            !sink.rows_of::<Moment<StreamId>>().is_empty(),
            "spikes of chat were planted, and chats that spike laugh"
        );
        Ok(())
    }

    #[test]
    fn the_parts_keep_their_contracts() {
        telemetra::core::testkit::detector_compliance(&Record);
    }
}
