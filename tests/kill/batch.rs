//! The answer computed anew from the whole log at once: the core decides what each event's fate is, and the rest is plain
//! maps.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use differential_dataflow::input::Input;
use serde_json::{Value as Json, json};
use telemetra::core::engine::Sequencer;
use telemetra::core::{
    Arena, Clock, Counted, Decoder, Event as _, EventTime, Fate, Fates, Moment, Record, Summary, TimeConfig,
    Window, WindowSpec,
};
use telemetra::livestream::{
    Currency, Event, JsonDecoder, MetaType, Sentiment, StreamId, StreamSummary, Vader, default_rules,
};
use telemetra::ops::testkit::spec;
use telemetra::{differential_dataflow, timely};
use timely::dataflow::operators::Capture;
use timely::dataflow::operators::capture::Extract;

use crate::log::Log;
use crate::state::key_of;

/// What the log says.
#[derive(Default)]
pub struct Batch {
    pub fates: Fates,
    /// As [`State::facts`](crate::state::State::facts) has them.
    pub tables: BTreeMap<&'static str, BTreeMap<String, Json>>,
    /// The places of the records that did not count, with their fates.
    pub letters: BTreeSet<(String, u64, &'static str)>,
}

/// What is gathered of a stream in a window.
#[derive(Default)]
struct Gathered {
    summary: StreamSummary,
    chatters: BTreeSet<String>,
    emotes: BTreeMap<String, u64>,
}

type Windows = BTreeMap<(String, EventTime), Gathered>;
type Patches = BTreeMap<String, Vec<(EventTime, MetaType, [Option<Json>; 4])>>;

pub fn compute(log: &Log, time: &TimeConfig) -> Batch {
    let mut batch = Batch::default();
    let (mut windows, mut patches) = (Windows::new(), Patches::new());
    let vader = Vader::chat();
    let now = Clock::system().now();
    for (partition, records) in log {
        let mut sequencer = Sequencer::new(time, time.strategy());
        for (offset, record) in (0..).zip(records) {
            let (arena, mut events) = (Arena::default(), Vec::new());
            let fate = match JsonDecoder::mixed().decode(Record::new(record), &arena, &mut events) {
                Err(_) => {
                    sequencer.malformed();
                    Fate::Malformed
                }
                Ok(()) => {
                    assert_eq!(events.len(), 1);
                    sequencer.place(events[0].time(), || events[0].id(), now).fate
                }
            };
            if fate.is_counted() {
                batch.count(&events[0], &vader, time.windows, &mut windows, &mut patches);
            } else {
                batch.letters.insert((partition.clone(), offset, fate.as_str()));
            }
        }
        batch.fates += sequencer.fates();
    }
    let summaries: Vec<_> =
        windows.into_iter().map(|((stream, end), gathered)| (stream, end, gathered.finish())).collect();
    for (stream, end, summary) in &summaries {
        let window = time.windows.window_ending(*end);
        batch.put(
            "chat_summary_minute",
            &["stream_id", "window_start"],
            summary_row(stream, window, summary),
        );
    }
    for moment in moments(&summaries, time.windows) {
        batch.put("moments", &["moment_id"], moment_row(&moment));
    }
    for (stream, patches) in patches {
        batch.put("streams", &["stream_id"], stream_row(&stream, patches));
    }
    batch
}

impl Batch {
    fn put(&mut self, table: &'static str, key: &[&str], row: Json) {
        self.tables.entry(table).or_default().insert(key_of(&row, key), row);
    }

    fn count(
        &mut self,
        event: &Event<'_>,
        vader: &Vader,
        spec: WindowSpec,
        windows: &mut Windows,
        patches: &mut Patches,
    ) {
        let header = event.header();
        let stream = header.stream_id.to_owned();
        let first = spec.pane_end(header.time);
        let ends = (0..spec.size() / spec.slide()).map(|n| first.plus(n * spec.slide()));
        let mut each = |add: &dyn Fn(&mut Gathered)| {
            ends.clone().for_each(|end| add(windows.entry((stream.clone(), end)).or_default()));
        };
        match event {
            Event::Chat(chat) => {
                let mood = vader.score(chat.message, chat.emotes);
                each(&|window| {
                    window.summary.chat_count += 1;
                    window.summary.positive_count += u64::from(mood > 500);
                    window.summary.negative_count += u64::from(mood < -500);
                    window.summary.sentiment_sum += i64::from(mood);
                    window.chatters.insert(chat.user_id.to_owned());
                    for emote in chat.emotes {
                        *window.emotes.entry((*emote).to_owned()).or_default() += 1;
                    }
                });
            }
            Event::Viewer(viewer) => {
                each(&|window| {
                    window.summary.viewer_sum += u128::from(viewer.viewer_count);
                    window.summary.viewer_events += 1;
                    window.summary.peak_viewers = window.summary.peak_viewers.max(Some(viewer.viewer_count));
                });
                let row = json!({
                    "event_id": header.event_id, "stream_id": stream, "timestamp": header.time.0,
                    "viewer_count": viewer.viewer_count, "unique_viewers": viewer.unique_viewers,
                    "peak_viewers": viewer.peak_viewers,
                });
                self.put("viewer_timeseries", &["event_id"], row);
            }
            Event::Transaction(paid) => {
                each(&|window| {
                    window.summary.transaction_count += 1;
                    window.summary.transaction_amount[paid.currency as usize] += i128::from(paid.amount);
                });
                let row = json!({
                    "transaction_id": header.event_id, "stream_id": stream, "user_id": paid.user_id,
                    "amount": paid.amount as f64 / 1e6, "currency": paid.currency.as_str(),
                    "transaction_type": paid.transaction_type.as_str(), "message": paid.message,
                    "timestamp": header.time.0,
                });
                self.put("transactions", &["transaction_id"], row);
            }
            Event::Meta(meta) => {
                let time = |time: Option<EventTime>| time.map(|time| json!(time.0));
                let text = |text: Option<&str>| text.map(|text| json!(text));
                let said = [
                    text(meta.new_title),
                    text(meta.new_category),
                    time(meta.started_at),
                    time(meta.ended_at),
                ];
                patches.entry(stream).or_default().push((header.time, meta.event_type, said));
            }
        }
    }
}

impl Gathered {
    fn finish(self) -> StreamSummary {
        let mut emotes: Vec<_> = self.emotes.into_iter().collect();
        emotes.sort_by(|a, b| (b.1, &a.0).cmp(&(a.1, &b.0)));
        let top = emotes.into_iter().take(10).map(|(name, count)| Counted { name: name.into(), count });
        StreamSummary {
            unique_chatters: self.chatters.len() as u64,
            top_emotes: top.collect(),
            ..self.summary
        }
    }
}

fn summary_row(stream: &str, window: Window, summary: &StreamSummary) -> Json {
    let mean = |sum: f64, count: u64| (count > 0).then(|| sum / count as f64);
    let emotes: Vec<_> =
        summary.top_emotes.iter().map(|e| json!({"name": e.name.as_str(), "count": e.count})).collect();
    let amounts: BTreeMap<_, _> = Currency::ALL
        .iter()
        .map(|currency| (currency.as_str(), summary.amount(*currency)))
        .filter(|(_, micros)| *micros != 0)
        .map(|(currency, micros)| (currency, decimal(micros)))
        .collect();
    json!({
        "stream_id": stream, "window_start": window.start.0, "window_end": window.end.0,
        "chat_count": summary.chat_count, "chat_rate": summary.chat_count as f64 / 60.0,
        "unique_chatters": summary.unique_chatters,
        "positive_count": summary.positive_count, "negative_count": summary.negative_count,
        "sentiment_score": mean(summary.sentiment_sum as f64, summary.chat_count).map(|mean| mean / 10_000.0),
        "top_emotes": emotes,
        "avg_viewers": mean(summary.viewer_sum as f64, summary.viewer_events),
        "peak_viewers": summary.peak_viewers, "viewer_events": summary.viewer_events,
        "transaction_count": summary.transaction_count, "transaction_amount": amounts,
    })
}

/// At least two digits after the point, and no more zeros than that.
fn decimal(micros: i128) -> String {
    let mut digits = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    while digits.ends_with('0') && !digits[..digits.len() - 2].ends_with('.') {
        digits.pop();
    }
    digits
}

fn stream_row(stream: &str, mut patches: Vec<(EventTime, MetaType, [Option<Json>; 4])>) -> Json {
    patches.sort_by_key(|(time, ..)| *time);
    let mut row = json!({
        "stream_id": stream, "name": stream, "title": null, "category": null, "is_live": null,
        "started_at": null, "ended_at": null,
        "created_at": patches[0].0.0, "updated_at": patches[patches.len() - 1].0.0,
    });
    for (time, event_type, [title, category, started_at, ended_at]) in patches {
        for (column, said) in [("title", title), ("category", category), ("started_at", started_at.clone())] {
            if let Some(said) = said {
                row[column] = said;
            }
        }
        match event_type {
            MetaType::StreamStart => {
                (row["is_live"], row["ended_at"]) = (json!(true), Json::Null);
                row["started_at"] = started_at.unwrap_or(json!(time.0));
            }
            MetaType::StreamEnd => {
                (row["is_live"], row["ended_at"]) = (json!(false), ended_at.unwrap_or(json!(time.0)));
            }
            MetaType::TitleChange | MetaType::CategoryChange => {}
        }
    }
    row
}

/// The moments of all windows, by the plain definition, as of when they have all ended.
fn moments(summaries: &[(String, EventTime, StreamSummary)], spec: WindowSpec) -> Vec<Moment<StreamId>> {
    let summaries = summaries.to_vec();
    let last = summaries.iter().map(|(_, end, _)| *end).max().unwrap_or_default();
    let captured = timely::execute_directly(move |worker| {
        let (mut windows, mut clock, captured) = worker.dataflow::<EventTime, _, _>(|scope| {
            let (windows_in, windows) = scope.new_collection::<(StreamId, Summary<StreamSummary>), isize>();
            let (clock_in, clock) = scope.new_collection::<EventTime, isize>();
            let moments = spec::moments(windows, clock, spec, default_rules(3.0).unwrap().into());
            (windows_in, clock_in, moments.inner.capture())
        });
        for (stream, end, summary) in summaries {
            let window = spec.window_ending(end);
            windows.insert((StreamId::new(&stream), Summary { window, value: Arc::new(summary) }));
        }
        clock.insert(last.plus(spec.size()));
        drop((windows, clock));
        while worker.step() {}
        captured
    });
    captured.extract().into_iter().flat_map(|(_, updates)| updates).map(|(moment, ..)| moment).collect()
}

fn moment_row(moment: &Moment<StreamId>) -> Json {
    let side = if moment.score.0 < 0 { "below" } else { "above" };
    json!({
        "moment_id": moment.id().to_string(), "stream_id": moment.key.as_str(),
        "moment_type": moment.moment_type, "detection_method": moment.detection_method,
        "started_at": moment.started_at.0, "peak_at": moment.peak_at.0,
        "ended_at": moment.ended_at().map(|time| time.0),
        "value": moment.value.to_f64(), "threshold": moment.threshold.to_f64(), "score": moment.score.to_f64(),
        "baseline_mean": moment.baseline_mean.to_f64(), "baseline_stddev": moment.baseline_stddev.to_f64(),
        "baseline_samples": moment.baseline_samples,
        "context": {"windows": moment.windows, "duration_ms": moment.last_at - moment.started_at, "side": side},
    })
}
