//! The default accumulator over JSON: records by hand, and a pipeline of it.

use std::sync::Arc;
use std::time::Duration;

use telemetra::core::source::Memory as MemorySource;
use telemetra::core::*;
use telemetra::livestream::{
    self, JsonDecoder, Lexicon, LiveStreams, Sentiment, WithSentiment, default_rules,
};

/// 2026-01-01, a boundary of every window here.
pub const DAY: u64 = 1_767_225_600_000;

/// A chat message as a record, `millis` after [`DAY`].
pub fn chat(stream: &str, millis: u64, id: &str) -> String {
    let time = EventTime(DAY + millis);
    format!(
        r#"{{"event_id":"{id}","timestamp":"{time}","stream_id":"{stream}","user_id":"u","username":"u","message":"hi"}}"#
    )
}

/// `count` chat messages at one instant.
pub fn chats(stream: &str, millis: u64, count: usize) -> Vec<String> {
    (0..count).map(|n| chat(stream, millis, &format!("{stream}-{millis}-{n}"))).collect()
}

/// Windows of ten seconds side by side, no disorder, ten minutes of lateness.
pub fn ten_seconds() -> TimeConfig {
    TimeConfig {
        windows: WindowSpec::tumbling(Duration::from_secs(10)).unwrap(),
        out_of_orderness: Duration::ZERO,
        allowed_lateness: Duration::from_secs(600),
        horizon: None,
        max_future_skew: None,
        max_jump: None,
        idle_after: None,
        deduplicate: false,
    }
}

pub fn json_pipeline(source: impl Source + 'static, time: &TimeConfig) -> LiveStreams {
    scored_pipeline(source, Arc::new(Lexicon::english()), time)
}

/// The same with messages scored by that.
pub fn scored_pipeline(
    source: impl Source + 'static,
    scorer: Arc<dyn Sentiment>,
    time: &TimeConfig,
) -> LiveStreams {
    livestream::pipeline()
        .source(source, JsonDecoder::mixed().with_sentiment(scorer))
        .time(time.clone())
        .clock(Clock::fixed(EventTime(DAY + 10 * 86_400_000)))
        .rules(default_rules(3.0).unwrap())
}

/// A source of these partitions.
pub fn partitions<R: Into<Vec<u8>>>(records: impl IntoIterator<Item = (usize, R)>) -> MemorySource {
    let memory = MemorySource::default().records_per_poll(25);
    records
        .into_iter()
        .fold(memory, |memory, (number, record)| memory.partition(&format!("p{number}"), [record]))
}
