//! The loop that is written in an afternoon: one thread, the library's decoder, standard hash maps and sets of strings, every
//! window merged from its panes. No corrections, no restart, no second worker.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::path::Path;

use anyhow::Result;
use telemetra::core::{Baseline, PowerSums};
use telemetra::livestream::Event;
use telemetra::livestream::{Lexicon, Sentiment};
use telemetra::prelude::{Detector, EventTime, ZScore};

use crate::hand_loop::for_each_event;
use crate::{Outcome, Size};

#[derive(Default)]
struct Pane {
    count: u64,
    users: HashSet<String>,
    sentiment: i64,
    positive: u64,
    negative: u64,
    emotes: HashMap<String, u64>,
}

pub(crate) fn run(path: &Path, size: &Size) -> Result<Outcome> {
    let spec = size.windows()?;
    let lexicon = Lexicon::english();
    let detector = ZScore::new(3.0)?.floor(telemetra::core::VarianceFloor::Poisson)?;
    let mut outcome = Outcome::default();
    let mut panes: BTreeMap<u64, HashMap<String, Pane>> = BTreeMap::new();
    let mut history: HashMap<String, VecDeque<(u64, u64)>> = HashMap::new();
    let (mut greatest, mut closed) = (0, 0);
    let mut close = |panes: &mut BTreeMap<u64, HashMap<String, Pane>>, end: u64, outcome: &mut Outcome| {
        let start = end.saturating_sub(spec.size());
        panes.retain(|pane, _| *pane >= start);
        let mut windows: HashMap<&str, Pane> = HashMap::new();
        for (stream, pane) in panes.range(start..end).flat_map(|(_, by_stream)| by_stream) {
            let window = windows.entry(stream).or_default();
            window.count += pane.count;
            window.sentiment += pane.sentiment;
            window.positive += pane.positive;
            window.negative += pane.negative;
            window.users.extend(pane.users.iter().cloned());
            for (emote, count) in &pane.emotes {
                *window.emotes.entry(emote.clone()).or_default() += count;
            }
        }
        for (stream, window) in windows {
            let mut top: Vec<_> = window.emotes.into_iter().collect();
            top.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
            top.truncate(10);
            std::hint::black_box((top, window.sentiment, window.positive, window.negative));
            outcome.windows += 1;
            outcome.messages += window.count;
            outcome.chatters += window.users.len() as u64;
            let history = history.entry(stream.to_owned()).or_default();
            while history.front().is_some_and(|(at, _)| at + 30 * spec.size() < end) {
                history.pop_front();
            }
            let mut sums = PowerSums::default();
            for (_, count) in history.iter().filter(|(at, _)| (end - at).is_multiple_of(spec.size())) {
                sums.add(*count as i64);
            }
            if sums.count >= 8 {
                let baseline = Baseline { sums, scale: 1, samples: &(), means: None };
                outcome.moments += u64::from(detector.judge(window.count as i64, &baseline).is_some());
            }
            history.push_back((end, window.count));
        }
    };
    for_each_event(path, |event| {
        outcome.events += 1;
        let Event::Chat(chat) = event else { return };
        let pane = spec.pane_start(chat.header.time).0;
        if pane < closed {
            return;
        }
        let by_stream = panes.entry(pane).or_default();
        let pane = by_stream.entry(chat.header.stream_id.to_owned()).or_default();
        pane.count += 1;
        pane.users.insert(chat.user_id.to_owned());
        let score = lexicon.score(chat.message, chat.emotes);
        pane.sentiment += i64::from(score);
        pane.positive += u64::from(score > 500);
        pane.negative += u64::from(score < -500);
        for emote in chat.emotes {
            *pane.emotes.entry((*emote).to_owned()).or_default() += 1;
        }
        if chat.header.time.0 > greatest {
            greatest = chat.header.time.0;
            let floor = spec.pane_start(EventTime(greatest.saturating_sub(10_000))).0;
            if closed == 0 {
                closed = floor;
            }
            while closed < floor {
                closed += spec.slide();
                close(&mut panes, closed, &mut outcome);
            }
        }
    })?;
    let last = panes.keys().next_back().map_or(closed, |pane| pane + spec.size());
    while closed < last {
        closed += spec.slide();
        close(&mut panes, closed, &mut outcome);
    }
    Ok(outcome)
}
