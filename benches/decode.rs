//! Decoding: 2,000 chat records of 280 bytes, by this crate's decoders and by serde_json.
//!
//! `cargo bench --bench decode`. Throughput is in records: criterion's `Kelem/s` are thousands of records a
//! second, and as all runs on one thread, on an idle machine, a CPU-second.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use telemetra::core::{Arena, Decoder, EventTime, Record, RecordBatch, parse_timestamp};
use telemetra::livestream::{
    BincodeDecoder, ChatMessage, Event, EventKind, Header, JsonDecoder, LiveEvents, encode_bincode,
    encode_json,
};

const RECORDS: usize = 2_000;
const RECORD_BYTES: usize = 280;

/// Calls `visit` with the events of the workload; each is `RECORD_BYTES` long as JSON.
fn each_event(mut visit: impl FnMut(&Event<'_>)) {
    let words =
        ["what a play", "gg", "that was close", "hello chat", "no way", "first time here", "let's go"];
    for i in 0..RECORDS {
        let event_id = format!("{i:08x}-{:08x}", i * 7_919);
        let (stream_id, user_id) = (format!("stream_{:03}", i % 50), format!("user_{:06}", i * 31 % 100_000));
        let username = format!("viewer{:05}", i * 31 % 100_000);
        let time = EventTime(1_767_225_600_000 + i as u64 * 37);
        let mut message = words[i % 7].to_owned();
        let mut json = Vec::new();
        loop {
            let event = Event::Chat(ChatMessage {
                header: Header { event_id: &event_id, time, stream_id: &stream_id },
                user_id: &user_id,
                username: &username,
                message: &message,
                emotes: &["PogChamp", "Kappa"][..i % 3],
                badges: &["subscriber"][..usize::from(i % 4 == 0)],
                is_subscriber: i % 4 == 0,
                is_moderator: i % 20 == 0,
                sentiment: 0,
            });
            json.clear();
            encode_json(&event, &mut json);
            if json.len() >= RECORD_BYTES {
                visit(&event);
                break;
            }
            let filler = words[(i + json.len() / 16) % 7].bytes().cycle().map(char::from);
            message.extend([' '].into_iter().chain(filler).take(RECORD_BYTES - json.len()).take(16));
        }
    }
}

fn encoded(encode: fn(&Event<'_>, &mut Vec<u8>)) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    each_event(|event| {
        records.push(Vec::new());
        encode(event, records.last_mut().unwrap());
    });
    records
}

/// What serde makes of a chat record without copying what has no escapes.
#[derive(serde::Deserialize)]
#[allow(dead_code)]
struct Chat<'a> {
    event_id: &'a str,
    timestamp: &'a str,
    stream_id: &'a str,
    user_id: &'a str,
    username: &'a str,
    #[serde(borrow)]
    message: std::borrow::Cow<'a, str>,
    #[serde(borrow, default)]
    emotes: Vec<std::borrow::Cow<'a, str>>,
    #[serde(borrow, default)]
    badges: Vec<std::borrow::Cow<'a, str>>,
    #[serde(default)]
    is_subscriber: bool,
    #[serde(default)]
    is_moderator: bool,
}

/// Decodes in batches of the size that partitions hand over.
fn decode_all(decoder: &dyn Decoder<LiveEvents>, records: &[Vec<u8>], arena: &mut Arena) {
    for batch in records.chunks(RecordBatch::TARGET_BYTES / RECORD_BYTES) {
        arena.reset();
        let mut events = Vec::with_capacity(batch.len());
        for record in batch {
            decoder.decode(Record::new(record), arena, &mut events).unwrap();
        }
        black_box(&events);
    }
}

fn decoders(c: &mut Criterion) {
    let mut group = c.benchmark_group("decode");
    group.throughput(Throughput::Elements(RECORDS as u64));
    let json = encoded(encode_json);
    assert!(json.iter().all(|record| record.len() == RECORD_BYTES));
    let bincode = encoded(encode_bincode);
    let all: [(&str, &dyn Decoder<LiveEvents>, _); 3] = [
        ("json of one kind", &JsonDecoder::of(EventKind::Chat), &json),
        ("json mixed", &JsonDecoder::mixed(), &json),
        ("bincode", &BincodeDecoder, &bincode),
    ];
    for (name, decoder, records) in all {
        let mut arena = Arena::default();
        group.bench_function(name, |b| {
            b.iter(|| decode_all(decoder, records, &mut arena));
        });
    }
    group.bench_function("serde_json borrowed struct and parse_timestamp", |b| {
        b.iter(|| {
            for record in &json {
                let chat: Chat<'_> = serde_json::from_slice(record).unwrap();
                black_box(parse_timestamp(chat.timestamp.as_bytes()).unwrap());
                black_box(chat);
            }
        });
    });
    group.bench_function("serde_json Value", |b| {
        b.iter(|| {
            for record in &json {
                black_box(serde_json::from_slice::<serde_json::Value>(record).unwrap());
            }
        });
    });
    group.finish();
}

fn encoders(c: &mut Criterion) {
    let mut group = c.benchmark_group("encode");
    group.throughput(Throughput::Elements(1));
    let chat = encoded(encode_json).swap_remove(2);
    let (arena, mut events, mut out) = (Arena::default(), Vec::new(), Vec::new());
    JsonDecoder::mixed().decode(Record::new(&chat), &arena, &mut events).unwrap();
    let all: [(&str, fn(&Event<'_>, &mut Vec<u8>)); 2] = [("json", encode_json), ("bincode", encode_bincode)];
    for (name, encode) in all {
        group.bench_function(name, |b| {
            b.iter(|| {
                out.clear();
                encode(black_box(&events[0]), &mut out);
                out.len()
            });
        });
    }
    group.finish();
}

fn timestamps(c: &mut Criterion) {
    let mut group = c.benchmark_group("timestamp");
    for text in ["2026-01-01T12:34:56.789Z", "2026-01-01T12:34:56.789012+05:30"] {
        group.bench_function(format!("parse_timestamp {text}"), |b| {
            b.iter(|| parse_timestamp(black_box(text.as_bytes())).unwrap());
        });
        group.bench_function(format!("jiff {text}"), |b| {
            b.iter(|| black_box(text).parse::<jiff::Timestamp>().unwrap());
        });
    }
    group.finish();
}

criterion_group!(benches, decoders, encoders, timestamps);
criterion_main!(benches);
