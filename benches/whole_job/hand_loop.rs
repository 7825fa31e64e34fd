//! The loop that a careful engineer would write for this one job: one thread, the library's decoder, accumulators and
//! detectors, hash maps, and nothing between them. No corrections (a late event is dropped), no restart, no second worker.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::Result;
use telemetra::core::{Accumulate, Accumulator, Decoder, EventTime, Record};
use telemetra::core::{Arena, Baseline, EventSums, Means, MissingWindow, Observed, PowerSums, Sliding};
use telemetra::livestream::{
    ChatMessage, Event, JsonDecoder, Lexicon, Sentiment, StreamAccumulator, StreamId, StreamSummary,
    default_rules,
};

use crate::{Outcome, Size};

/// Reads a file in blocks, splits lines, decodes.
pub(crate) fn for_each_event(path: &Path, mut work: impl FnMut(&mut Event<'_>)) -> Result<()> {
    let mut file = File::open(path)?;
    let decoder = JsonDecoder::mixed();
    let mut arena = Arena::default();
    let mut block = vec![0u8; 64 * 1024];
    let mut kept = 0;
    loop {
        let read = file.read(&mut block[kept..])?;
        let filled = kept + read;
        let mut start = 0;
        {
            let mut events = Vec::new();
            for end in memchr::memchr_iter(b'\n', &block[..filled]) {
                if decoder.decode(Record::new(&block[start..end]), &arena, &mut events).is_ok() {
                    events.drain(..).for_each(|mut event| work(&mut event));
                }
                start = end + 1;
            }
        }
        arena.reset();
        block.copy_within(start..filled, 0);
        kept = filled - start;
        if read == 0 {
            return Ok(());
        }
    }
}

type Rules = Vec<telemetra::core::MomentRule<StreamSummary>>;

/// What one stream needs.
#[derive(Default)]
struct Stream {
    panes: VecDeque<(u64, StreamAccumulator)>,
    rolling: <StreamAccumulator as Accumulator>::Sliding,
    /// By rule: the values of the windows so far.
    history: Vec<VecDeque<(u64, Option<(i64, u64)>)>>,
}

pub(crate) fn run(path: &Path, size: &Size) -> Result<Outcome> {
    let spec = size.windows()?;
    let rules: Rules = default_rules(3.0)?;
    let lexicon = Lexicon::english();
    let mut outcome = Outcome::default();
    // Pane by pane: stream to accumulator.
    let mut open: BTreeMap<u64, HashMap<StreamId, StreamAccumulator>> = BTreeMap::new();
    let mut streams: HashMap<StreamId, Stream> = HashMap::new();
    let (mut greatest, mut closed) = (0, 0);
    for_each_event(path, |event| {
        outcome.events += 1;
        if let Event::Chat(ChatMessage { message, emotes, sentiment, .. }) = event {
            *sentiment = lexicon.score(message, emotes);
        }
        let time = event.header().time;
        let pane = spec.pane_start(time).0;
        if pane < closed {
            return;
        }
        let by_stream = open.entry(pane).or_default();
        match by_stream.get_mut(event.header().stream_id) {
            Some(accumulator) => accumulator.add(&*event),
            None => {
                let mut accumulator = StreamAccumulator::default();
                accumulator.add(&*event);
                by_stream.insert(StreamId::new(event.header().stream_id), accumulator);
            }
        }
        if time.0 > greatest {
            greatest = time.0;
            let floor = spec.pane_start(EventTime(greatest.saturating_sub(10_000))).0;
            while closed < floor {
                closed = open.keys().next().map_or(floor, |pane| (pane + spec.slide()).min(floor));
                close(&mut open, &mut streams, closed, &spec, &rules, &mut outcome);
            }
        }
    })?;
    let last = open.keys().next_back().map_or(closed, |pane| pane + spec.size());
    while closed < last {
        closed += spec.slide();
        close(&mut open, &mut streams, closed, &spec, &rules, &mut outcome);
    }
    Ok(outcome)
}

fn close(
    open: &mut BTreeMap<u64, HashMap<StreamId, StreamAccumulator>>,
    streams: &mut HashMap<StreamId, Stream>,
    end: u64,
    spec: &telemetra::core::WindowSpec,
    rules: &Rules,
    outcome: &mut Outcome,
) {
    for (key, accumulator) in open.remove(&(end - spec.slide())).into_iter().flatten() {
        let stream = streams.entry(key).or_default();
        stream.rolling.push(&accumulator);
        stream.panes.push_back((end - spec.slide(), accumulator));
    }
    for stream in streams.values_mut() {
        while let Some((_, pane)) = stream.panes.front().filter(|(start, _)| start + spec.size() < end) {
            stream.rolling.pop(pane);
            stream.panes.pop_front();
        }
        if stream.panes.is_empty() {
            continue;
        }
        let summary = stream.rolling.finish();
        outcome.windows += 1;
        outcome.messages += summary.chat_count;
        outcome.chatters += summary.unique_chatters;
        stream.history.resize_with(rules.len(), VecDeque::new);
        for (rule, history) in rules.iter().zip(&mut stream.history) {
            let events = rule.events.as_ref().map(|events| events(&summary));
            let value = (rule.metric)(&summary).map(|value| (value, events.unwrap_or(1)));
            let reach = end.saturating_sub(spec.size() * u64::from(rule.detector.max_samples()));
            while history.front().is_some_and(|(end, _)| *end < reach) {
                history.pop_front();
            }
            if let Some((value, own)) = value {
                let (mut sums, mut of_events) = (PowerSums::default(), EventSums::default());
                let mut oldest = end;
                for (at, value) in
                    history.iter().rev().filter(|(at, _)| (end - at).is_multiple_of(spec.size()))
                {
                    if let Some((value, events)) = *value {
                        sums.add(value);
                        of_events.add(value, events);
                    }
                    oldest = *at;
                }
                if rule.missing == MissingWindow::Zero {
                    sums = sums.with_zeros(((end - oldest) / spec.size()).saturating_sub(sums.count));
                }
                let means = events.map(|events| Means { events, sums: of_events });
                let baselines = Baseline { sums, scale: rule.scale, samples: &(), means: means.as_ref() };
                let window = Observed {
                    end: EventTime(end),
                    value,
                    scale: rule.scale,
                    events: own,
                    spec: *spec,
                    missing: rule.missing,
                    baselines: &baselines,
                };
                outcome.moments += u64::from(rule.detector.judge(&window).is_some());
            }
            history.push_back((end, value));
        }
    }
}
