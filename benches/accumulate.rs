//! What the arithmetic of the hot path costs: accumulators and the lexicon. One thread.

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use telemetra::core::{Accumulate, Accumulator, EventTime, Sliding};
use telemetra::livestream::{ChatMessage, Event, Header, Lexicon, Sentiment, StreamAccumulator};

const EMOTES: [&str; 24] = [
    "Kappa",
    "PogChamp",
    "LUL",
    "KEKW",
    "BibleThump",
    "HeyGuys",
    "4Head",
    "Kreygasm",
    "TriHard",
    "monkaS",
    "catJAM",
    "OMEGALUL",
    "Sadge",
    "Pog",
    "EZ",
    "Clap",
    "PepeLaugh",
    "AYAYA",
    "WutFace",
    "NotLikeThis",
    "DansGame",
    "SeemsGood",
    "VoHiYo",
    "ResidentSleeper",
];

/// A stream of pseudorandom numbers, the same each time.
fn random(state: &mut u64) -> usize {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) as usize
}

/// `count` messages by up to `users` users; one in three with an emote or two.
fn with_chats<R>(count: usize, users: usize, seed: u64, run: impl FnOnce(&[Event<'_>]) -> R) -> R {
    let mut state = seed;
    let ids: Vec<String> = (0..users).map(|n| format!("user_{n:06}")).collect();
    let emotes: Vec<[&str; 2]> =
        (0..count).map(|_| [(); 2].map(|()| EMOTES[random(&mut state) % 24])).collect();
    let header = Header { event_id: "event", time: EventTime(0), stream_id: "stream" };
    let events: Vec<_> = emotes
        .iter()
        .map(|emotes| {
            let used = [0, 0, 0, 0, 1, 2][random(&mut state) % 6];
            Event::Chat(ChatMessage {
                header,
                user_id: &ids[random(&mut state) % users],
                username: "user",
                message: "",
                emotes: &emotes[..used],
                badges: &[],
                is_subscriber: false,
                is_moderator: false,
                sentiment: random(&mut state) as i32 % 20_000 - 10_000,
            })
        })
        .collect();
    run(&events)
}

fn fold(events: &[Event<'_>]) -> StreamAccumulator {
    let mut pane = StreamAccumulator::default();
    events.iter().for_each(|event| pane.add(event));
    pane
}

fn pane(count: usize, seed: u64) -> StreamAccumulator {
    with_chats(count, count, seed, fold)
}

fn accumulators(c: &mut Criterion) {
    let mut group = c.benchmark_group("stream_accumulator");
    for (count, users) in [(2, 2), (50, 50), (10_000, 1_000), (10_000, 10_000)] {
        group.throughput(Throughput::Elements(count as u64));
        with_chats(count, users, 1, |events| {
            let name = BenchmarkId::new("add_per_event", format!("{count}_events_{users}_users"));
            group.bench_function(name, |b| b.iter(|| fold(black_box(events))));
        });
    }
    for count in [2, 50, 10_000] {
        group.throughput(Throughput::Elements(1));
        let (a, b) = (pane(count, 1), pane(count, 2));
        group.bench_function(BenchmarkId::new("merge", count), |bench| {
            bench.iter_batched_ref(|| a.clone(), |a| a.merge(black_box(&b)), BatchSize::SmallInput);
        });
        let panes: Vec<_> = (0..7).map(|seed| pane(count, seed)).collect();
        let mut rolling = <StreamAccumulator as Accumulator>::Sliding::default();
        panes[..6].iter().for_each(|pane| rolling.push(pane));
        let mut at = 0;
        group.bench_function(BenchmarkId::new("slide_and_finish", count), |bench| {
            bench.iter(|| {
                rolling.pop(&panes[at % 7]);
                rolling.push(&panes[(at + 6) % 7]);
                at += 1;
                rolling.finish()
            });
        });
        let mut at = 0;
        let mut rolling = <StreamAccumulator as Accumulator>::Sliding::default();
        panes[..6].iter().for_each(|pane| rolling.push(pane));
        group.bench_function(BenchmarkId::new("slide", count), |bench| {
            bench.iter(|| {
                rolling.pop(&panes[at % 7]);
                rolling.push(&panes[(at + 6) % 7]);
                at += 1;
            });
        });
    }
}

fn lexicon(c: &mut Criterion) {
    // Sixty bytes each.
    const MESSAGES: [&str; 8] = [
        "this stream is so good today, best plays I have seen all day",
        "lol why would he go in there without any of his team mates??",
        "PogChamp PogChamp PogChamp that was insane!!! what a play :)",
        "does anybody know which settings he uses for his microphone?",
        "not even close, the other team was just better in this round",
        "hello from a small town in the south, first time watching <3",
        "the lag is so bad I can not see anything, please fix it soon",
        "I think they should have waited for the timer to run out lol",
    ];
    assert!(MESSAGES.iter().all(|message| message.len() == 60));
    let lexicon = Lexicon::english();
    let mut group = c.benchmark_group("lexicon");
    group.throughput(Throughput::Elements(MESSAGES.len() as u64));
    group.bench_function("score_60_bytes", |b| {
        b.iter(|| MESSAGES.iter().map(|message| lexicon.score(black_box(message), &[])).sum::<i32>());
    });
}

criterion_group!(benches, accumulators, lexicon);
criterion_main!(benches);
