//! The explanations of planted bursts, and the state of the version that did not know all of it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use telemetra::core::checkpoint::Directory;
use telemetra::core::{Accumulate, Accumulator, Counted, Distinct, Max, TopK, TwoStacks};
use telemetra::livestream::{
    self, Event, JsonDecoder, LiveEvents, LiveOptions, StreamAccumulator, StreamId, StreamSummary,
    chat_migration, default_rules,
};
use telemetra::ops::{Drain, Pipeline, RestoreAction, WindowKind};
use telemetra::prelude::*;

const MINUTE: u64 = 60_000;
const START: u64 = 1_767_268_800_000;

/// The time of a record, and the rest of its fields.
type Said = (u64, String);

fn says(time: u64, user: &str, message: &str) -> Said {
    (time, format!(r#""user_id": "{user}", "username": "{user}", "message": "{message}""#))
}

fn gives(time: u64, amount: u32) -> Said {
    let rest = format!(
        r#""user_id": "u", "username": "u", "transaction_type": "donation", "amount": {amount}, "currency": "EUR""#
    );
    (time, rest)
}

/// Each minute ten people write twice and one gives 5 €; in the minute from the twentieth on a user writes 80
/// messages more, ten people write eight each, and gifts come of 10 € and one of 500.
fn usual_and_burst() -> Vec<Said> {
    let mut said = Vec::new();
    for minute in 0..30 {
        let at = minute * MINUTE;
        said.extend((0..20).map(|n| says(at + n * 3_000, &format!("user {}", n % 10), "What a nice song")));
        said.push(gives(at + 30_000, 5));
    }
    let at = 20 * MINUTE + 5_000;
    said.extend((0..80).map(|n| says(at + n * 600, "vera", "again and again the boss")));
    said.extend((0..80).map(|n| says(at + n * 600 + 100, &format!("user {}", n % 10), "DRAGON!!")));
    said.extend((0..12).map(|n| gives(at + n * 4_000, if n == 7 { 500 } else { 10 })));
    said.sort();
    said
}

fn records(said: &[Said]) -> Vec<String> {
    let time = |millis: u64| EventTime(START + millis);
    let record = |(id, (millis, rest)): (usize, &Said)| {
        format!(r#"{{"event_id": "{id}", "timestamp": "{}", "stream_id": "ada", {rest}}}"#, time(*millis))
    };
    said.iter().enumerate().map(record).collect()
}

/// What carried the moment of that type, as lines.
fn carried(said: &[Said], words: bool, workers: usize, moment: &str) -> Vec<String> {
    let tables = MemorySink::new();
    let pipeline = livestream::pipeline_with(LiveOptions { words, ..LiveOptions::default() }).unwrap();
    let pipeline = pipeline
        .source(MemorySource::default().partition("all", records(said)), JsonDecoder::mixed())
        .rules(default_rules(3.0).unwrap())
        .workers(workers)
        .sink(tables.clone());
    pipeline.start().unwrap().wait().unwrap();
    let moments = tables.table("moments");
    let moments = moments.iter().filter_map(|change| change.row::<Moment<StreamId>>());
    let found: Vec<_> = moments.filter(|found| &*found.moment_type == moment).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    let line = |one: &telemetra::core::detect::Carried| {
        let usual = one.usual.map_or("?".to_owned(), |usual| format!("{:.3}", usual.to_f64()));
        format!("{} {} {:.3} ({usual})", one.what, one.name, one.now.to_f64())
    };
    found[0].carried.iter().map(line).collect()
}

#[test]
fn a_planted_user_word_and_gift_are_what_carried_a_burst() {
    let said = usual_and_burst();
    let chat = carried(&said, true, 1, "chat_spike");
    assert_eq!(chat[..2], ["messages_each  16.364 (2.000)", "by_one  0.444 (0.100)"]);
    let word = |name: &str| chat.iter().find(|line| line.starts_with(&format!("word {name} "))).unwrap();
    // Of 180 messages 128 are looked at: 80 have this word.
    let share = |line: &str| line.split(' ').nth(2).unwrap().parse::<f64>().unwrap();
    for name in ["dragon", "boss"] {
        assert!((share(word(name)) - 80.0 / 180.0).abs() < 0.09, "{chat:?}");
        assert!(word(name).ends_with("(0.000)"), "{chat:?}");
    }
    assert!(!chat.iter().any(|line| line.contains("song") || line.contains("again ")), "{chat:?}");
    assert_eq!(carried(&said, false, 1, "chat_spike"), chat[..2], "words are off by default");
    let gifts = ["transactions  13.000 (1.000)", "amount EUR 615.000 (5.000)", "largest EUR 500.000 (5.000)"];
    assert_eq!(carried(&said, true, 1, "donation_surge"), gifts);
}

#[test]
fn late_events_correct_what_carried_a_burst_on_any_number_of_workers() {
    // Two minutes late: a hundred people with another word, and a larger gift.
    let mut late = usual_and_burst();
    let arrives = late.partition_point(|(time, _)| *time < 23 * MINUTE);
    let at = 20 * MINUTE + 5_000;
    let crowd = (0..300).map(|n| says(at + n * 160, &format!("guest {}", n % 100), "potato"));
    late.splice(arrives..arrives, crowd.chain([gives(at, 900)]));
    let mut sorted = late.clone();
    sorted.sort();
    for (moment, expected) in
        [("chat_spike", "chatters  111.000 (10.000)"), ("donation_surge", "largest EUR 900")]
    {
        let found = carried(&late, true, 1, moment);
        assert!(found.iter().any(|line| line.starts_with(expected)), "{found:?}");
        assert_eq!(carried(&late, true, 3, moment), found);
    }
    assert!(carried(&late, true, 1, "chat_spike").iter().any(|line| line.starts_with("word potato 0.")));
    // Without words nothing depends on the ids, which are others in another order.
    assert_eq!(carried(&late, false, 1, "chat_spike"), carried(&sorted, false, 3, "chat_spike"));
}

/// The accumulator of version 0 of the state, as it was encoded.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Before {
    totals: (u64, u64, u64, i64, u128, u64),
    peak_viewers: Max<u64>,
    chatters: Distinct,
    emotes: TopK<10>,
    transactions: Option<(u64, [i128; 4])>,
}

/// The summary of version 0.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
struct SummaryBefore {
    messages: (u64, u64, u64, u64, i64),
    top_emotes: Vec<Counted>,
    viewers: (u128, u64, Option<u64>),
    transactions: (u64, [i128; 4]),
}

impl SummaryBefore {
    fn now(&self) -> StreamSummary {
        StreamSummary {
            chat_count: self.messages.0,
            unique_chatters: self.messages.1,
            transaction_count: self.transactions.0,
            transaction_amount: self.transactions.1,
            ..StreamSummary::default()
        }
    }
}

impl Accumulator for Before {
    type Output = SummaryBefore;
    type Sliding = TwoStacks<Self>;

    fn merge(&mut self, other: &Self) {
        self.totals.0 += other.totals.0;
        self.chatters.merge(&other.chatters);
        if let Some((count, amounts)) = &other.transactions {
            let ours = self.transactions.get_or_insert_default();
            ours.0 += count;
            ours.1.iter_mut().zip(amounts).for_each(|(ours, theirs)| *ours += theirs);
        }
    }

    fn finish(&self) -> SummaryBefore {
        SummaryBefore {
            messages: (self.totals.0, self.chatters.finish(), 0, 0, 0),
            transactions: self.transactions.unwrap_or_default(),
            ..SummaryBefore::default()
        }
    }
}

impl<'e, 'a> Accumulate<&'e Event<'a>> for Before {
    fn add(&mut self, event: &'e Event<'a>) {
        match event {
            Event::Chat(chat) => {
                self.totals.0 += 1;
                self.chatters.add(chat.user_id);
            }
            Event::Transaction(paid) => {
                let ours = self.transactions.get_or_insert_default();
                ours.0 += 1;
                ours.1[paid.currency as usize] += i128::from(paid.amount);
            }
            _ => {}
        }
    }
}

#[test]
fn the_accumulator_of_version_0_is_read() {
    let mut before = Before::default();
    let (records, arena) = (records(&usual_and_burst()), telemetra::core::Arena::default());
    let (mut events, mut now) = (Vec::new(), StreamAccumulator::default());
    for record in &records {
        let record = telemetra::core::Record::new(record.as_bytes());
        telemetra::core::Decoder::<LiveEvents>::decode(&JsonDecoder::mixed(), record, &arena, &mut events)
            .unwrap();
    }
    for event in &events {
        before.add(event);
        now.add(event);
    }
    let (state, output) = chat_migration(0).unwrap();
    let expected = StreamSummary { most_by_one: 1, largest_transactions: [].into(), ..now.finish() };
    let read = state.decode_all(&bincode::serialize(&before).unwrap()).unwrap();
    let mut both = read.clone();
    both.merge(&now);
    let sum = StreamSummary { chat_count: 1_520, ..both.finish() };
    assert_eq!((sum.unique_chatters, sum.largest(livestream::Currency::Eur)), (11, Some(500_000_000)));
    for summary in [read.finish(), output.decode_all(&bincode::serialize(&before.finish()).unwrap()).unwrap()]
    {
        assert_eq!(StreamSummary { most_by_one: 1, ..summary }, expected);
    }
}

/// The rows of windows as texts, but for the time at which they were written.
fn windows(tables: &MemorySink) -> Vec<String> {
    let text = |change: &telemetra::core::Change| {
        let mut values = Vec::new();
        change.row.values(&mut |value| values.push(format!("{value:?}")));
        values.join(", ")
    };
    tables.table("chat_summary_minute").iter().map(text).collect()
}

#[test]
fn a_checkpoint_of_version_0_is_restored_and_windows_are_as_if_nothing_had_changed() {
    let records = records(&usual_and_burst());
    let whole = MemorySink::new();
    let source = || {
        let mut source = MemorySource::default();
        let partition = source.handle("all");
        (source, partition)
    };
    let (all, partition) = source();
    records.iter().for_each(|record| partition.append(record.as_str()));
    partition.end();
    livestream::pipeline()
        .source(all, JsonDecoder::mixed())
        .sink(whole.clone())
        .start()
        .unwrap()
        .wait()
        .unwrap();

    let (folder, tables) = (tempfile::tempdir().unwrap(), MemorySink::new());
    let store = || Directory::new(folder.path());
    let (first, partition) = source();
    let half = &records[..records.len() / 2];
    half.iter().for_each(|record| partition.append(record.as_str()));
    let running = Pipeline::<LiveEvents>::new()
        .source(first, JsonDecoder::mixed())
        .sink(tables.clone())
        .checkpoints(store(), Duration::from_secs(10))
        .group("chat_summary_minute", WindowKind::default(), |a| {
            let columns = StreamSummary::columns();
            a.accumulator::<Before>(columns, |summary, window, put| summary.now().values(window, put))
        })
        .key_columns(["stream_id"])
        .start()
        .unwrap();
    while running.fates().read < half.len() as u64 {
        std::thread::sleep(Duration::from_millis(1));
    }
    running.drain(Drain::KeepWindows).unwrap();

    let (again, partition) = source();
    records.iter().for_each(|record| partition.append(record.as_str()));
    partition.end();
    let report = livestream::pipeline()
        .source(again, JsonDecoder::mixed())
        .sink(tables.clone())
        .checkpoints(store(), Duration::from_secs(10))
        .start()
        .unwrap()
        .wait()
        .unwrap();
    let plan = report.restored.unwrap();
    let step = plan.steps.iter().find(|step| step.part == "windows chat_summary_minute").unwrap();
    assert_eq!(step.action, RestoreAction::Migrated, "{plan}");
    assert_eq!(windows(&tables), windows(&whole));
    assert!(windows(&whole).len() > 150);
}
