use crate::core::EventTime;
use crate::livestream::generate::random::{Chance, Random};
use crate::livestream::{
    AMOUNT_SCALE, ChatMessage, Currency, Event, Header, MetaType, StreamMeta, Transaction, TransactionType,
    ViewerCount, encode_json,
};

/// The settings of a [`script`]. The defaults make few events of few keys, so that a property test meets rare cases
/// often.
#[derive(Clone, Debug, PartialEq)]
pub struct ScriptConfig {
    /// The number of records, without duplicates.
    pub events: u32,
    /// The number of partitions. The events of one stream are in all of them.
    pub partitions: u32,
    /// The number of streams.
    pub streams: u32,
    /// The number of users.
    pub users: u32,
    /// The first event time.
    pub start: EventTime,
    /// The average event time between successive events, in milliseconds. Now and then it is twenty times as
    /// much.
    pub step_ms: u64,
    /// Half of the events are behind their time by up to this many milliseconds.
    pub disorder_ms: u64,
    /// The share of events that are further behind, by up to [`late_ms`](Self::late_ms).
    pub late_ratio: f64,
    /// The greatest delay of those events, in milliseconds.
    pub late_ms: u64,
    /// The share of events that come again in the same partition, within a few records.
    pub duplicate_ratio: f64,
    /// The share of records that no decoder can read.
    pub malformed_ratio: f64,
    /// The distance of pane boundaries, in milliseconds. A quarter of the times are on a multiple of it, or a
    /// millisecond before.
    pub grid_ms: u64,
    /// Whether there are events of all kinds; otherwise there is only chat.
    pub all_kinds: bool,
}

impl Default for ScriptConfig {
    /// Creates settings for 200 events of 3 streams and 4 users in 2 partitions over some minutes, for the default
    /// windows.
    fn default() -> Self {
        Self {
            events: 200,
            partitions: 2,
            streams: 3,
            users: 4,
            start: EventTime(1_767_225_600_000),
            step_ms: 1500,
            disorder_ms: 12_000,
            late_ratio: 0.1,
            late_ms: 420_000,
            duplicate_ratio: 0.05,
            malformed_ratio: 0.02,
            grid_ms: 10_000,
            all_kinds: true,
        }
    }
}

/// Returns a short random sequence of JSON records for property tests, each with the number of its partition, in the
/// order of arrival. The same seed and settings make the same records. Zero partitions, streams or users count as one.
///
/// ```
/// use telemetra::core::source::Memory;
/// use telemetra::livestream::testkit::{ScriptConfig, script};
/// let records = script(7, &ScriptConfig { events: 50, ..ScriptConfig::default() });
/// assert_eq!(records, script(7, &ScriptConfig { events: 50, ..ScriptConfig::default() }));
/// let source = records.into_iter().fold(Memory::default(), |memory, (partition, record)| {
///     memory.partition(&format!("script/{partition}"), [record])
/// });
/// # let _ = source;
/// ```
#[must_use]
pub fn script(seed: u64, config: &ScriptConfig) -> Vec<(usize, Vec<u8>)> {
    let mut random = Random::new(seed);
    let (late, twice) = (Chance::new(config.late_ratio), Chance::new(config.duplicate_ratio));
    let malformed = Chance::new(config.malformed_ratio);
    let mut now = config.start;
    let mut records: Vec<(usize, Vec<u8>)> = Vec::new();
    for number in 0..config.events {
        let factor = if random.below(16) == 0 { 20 } else { 1 };
        now = now.plus(random.below(2 * config.step_ms * factor + 1));
        let behind = match random.below(2) {
            _ if random.happens(late) => random.below(config.late_ms + 1),
            0 => 0,
            _ => random.below(config.disorder_ms + 1),
        };
        let time = on_grid(now.minus(behind).max(config.start), config, &mut random);
        let mut record = Vec::new();
        write_event(number, time, config, &mut random, &mut record);
        if random.happens(malformed) {
            record.truncate(record.len() / 2);
        } else if random.happens(twice) {
            // The first copy is inserted before some of the existing records, so the second copy comes later.
            let partition = random.below(config.partitions.into()) as usize;
            let back = random.below(8).min(records.len() as u64) as usize;
            records.insert(records.len() - back, (partition, record.clone()));
            records.push((partition, record));
            continue;
        }
        records.push((random.below(config.partitions.into()) as usize, record));
    }
    records
}

/// Moves a quarter of the times to the boundary of a pane.
fn on_grid(time: EventTime, config: &ScriptConfig, random: &mut Random) -> EventTime {
    let edge = time.minus(time.0 % config.grid_ms.max(1));
    match random.below(8) {
        0 => edge,
        1 => edge.plus(config.grid_ms).minus(1),
        _ => time,
    }
}

fn write_event(number: u32, time: EventTime, config: &ScriptConfig, random: &mut Random, out: &mut Vec<u8>) {
    let event_id = format!("e{number}");
    let stream_id = format!("s{}", random.below(config.streams.into()));
    let user_id = format!("u{}", random.below(config.users.into()));
    let header = Header { event_id: &event_id, time, stream_id: &stream_id };
    let kind = if config.all_kinds { random.below(8) } else { 0 };
    let event = match kind {
        0..5 => Event::Chat(ChatMessage {
            header,
            user_id: &user_id,
            username: &user_id,
            message: ["love it", "so bad", "hm", "\"\\"][random.below(4) as usize],
            emotes: [&[][..], &["LUL"], &["Pog", "LUL", "LUL"]][random.below(3) as usize],
            badges: &[],
            is_subscriber: random.below(2) == 0,
            is_moderator: false,
            sentiment: 0,
        }),
        5 => Event::Viewer(ViewerCount {
            header,
            viewer_count: random.below(1000),
            unique_viewers: None,
            peak_viewers: None,
        }),
        6 => Event::Transaction(Transaction {
            header,
            user_id: &user_id,
            username: &user_id,
            transaction_type: TransactionType::ALL[random.below(3) as usize],
            amount: random.below(10_000) as i64 * (AMOUNT_SCALE / 100),
            currency: Currency::ALL[random.below(4) as usize],
            message: None,
        }),
        _ => Event::Meta(StreamMeta {
            header,
            event_type: MetaType::TitleChange,
            new_title: Some(["t1", "t2"][random.below(2) as usize]),
            new_category: None,
            started_at: None,
            ended_at: None,
            duration_minutes: None,
        }),
    };
    encode_json(&event, out);
}
