//! The cost of scoring a chat message of 60 bytes, beside the crate whose lexicon `Vader` has. One thread, time of the processor.

#[path = "support/cpu_time.rs"]
mod cpu_time;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use telemetra::livestream::{Lexicon, Sentiment, Vader};
use vader_sentiment::SentimentIntensityAnalyzer;

use cpu_time::CpuTime;

/// Words of chats, the common ones first. One in three has something to say to a lexicon or a rule.
const WORDS: &str = "the you a to I is it that this and of in he what so for on not was be no have are just they but if do \
     good can like with all at we one now get why play game how lol his up your love there time team has go see me know who \
     when out him or think never really bad would chat stream been best need right them win from man only still won't even back \
     gg want great make too two first watch much way nice other next than more guys here could because going some playing before \
     map take same did thing round off very their level again my hope over haha boss look ever should wow better wait last \
     actually well music down every hate let's world pro new day long start kind least better sad people guy amazing into always \
     sorry through any gonna please happy half nothing these left where damn trash fun life lost beautiful isn't dead early \
     worst keep awesome wrong end lag place trying doesn't perfect song feel thanks aim stop such hard build maybe lmao anyone \
     mid lane part kill crazy clip hype dude yeah minute without luck boring coming terrible far big thinking sure death cool \
     insane everyone tired enough hello camera chill strong scared";
/// Now and then one of these.
const RARE: &str = "KEKW PogChamp LUL Sadge NotLikeThis WOW GREAT BAD NO :) :D <3 :( xD gg! what?? nice!!! yes, omg... (again) \
     \u{1f602} \u{2764}\u{fe0f} \u{1f525}";

/// Messages that only the chat layer knows, or would like to.
const ODD: &str = "channelLUL someoneHype @someone https://a.example/lol goooo nooooo jajaja kkkk xDDD W L &lt;3 &gt; 5555 100 \
     sick play insane shot crazy good the goat no way holy shit cringe !!! iPhone hahahaha sooooo :((( let's go i'm dead";

/// A stream of pseudorandom numbers, the same each time.
fn random(state: &mut u64) -> usize {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) as usize
}

/// Different messages, so many that the processor does not learn them by heart.
fn messages() -> Vec<String> {
    let (words, rare): (Vec<_>, Vec<_>) =
        (WORDS.split_whitespace().collect(), RARE.split_whitespace().collect());
    let mut state = 1;
    let mut pick = |list: &[&'static str]| {
        // The lesser of two draws: the first words are used most.
        list[(random(&mut state) % list.len()).min(random(&mut state) % list.len())]
    };
    let one = |_| {
        let mut text = String::new();
        while text.len() < 60 {
            let is_rare = text.len() % 16 == 3;
            text += pick(if is_rare { &rare } else { &words });
            text.push(' ');
        }
        let end = (0..=60).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
        text.truncate(end);
        text
    };
    (0..4096).map(one).collect()
}

/// Messages of which every second piece is what only the chat layer knows.
fn chats() -> Vec<String> {
    let (words, odd): (Vec<_>, Vec<_>) =
        (WORDS.split_whitespace().collect(), ODD.split_whitespace().collect());
    let mut state = 1;
    let one = |_| {
        let mut text = String::new();
        while text.len() < 56 {
            text += words[(random(&mut state) % words.len()).min(random(&mut state) % words.len())];
            text.push(' ');
            text += odd[random(&mut state) % odd.len()];
            text.push(' ');
        }
        text
    };
    (0..4096).map(one).collect()
}

fn sentiment(c: &mut Criterion<CpuTime>) {
    let messages = messages();
    let mean = messages.iter().map(String::len).sum::<usize>() as f64 / messages.len() as f64;
    assert!((59.0..=60.0).contains(&mean), "messages have {mean} bytes");
    let mut group = c.benchmark_group("sentiment_60_bytes");
    group.throughput(Throughput::Elements(messages.len() as u64));
    let scorers: [(&str, &dyn Sentiment); 3] =
        [("vader", &Vader::new()), ("chat", &Vader::chat()), ("lexicon", &Lexicon::english())];
    for (name, scorer) in scorers {
        group.bench_function(name, |b| {
            b.iter(|| messages.iter().map(|message| scorer.score(black_box(message), &[])).sum::<i32>());
        });
    }
    let chats = chats();
    let mean = chats.iter().map(String::len).sum::<usize>() as f64 / chats.len() as f64;
    assert!((55.0..=65.0).contains(&mean), "messages have {mean} bytes");
    for (name, scorer) in &scorers[..2] {
        group.bench_function(format!("{name}_of_chats"), |b| {
            b.iter(|| chats.iter().map(|message| scorer.score(black_box(message), &[])).sum::<i32>());
        });
    }
    // An emote that the text has, and one that it may not have.
    let vader = Vader::new();
    group.bench_function("vader_with_emotes", |b| {
        let emotes = ["KEKW", "unknownEmote"];
        b.iter(|| messages.iter().map(|message| vader.score(black_box(message), &emotes)).sum::<i32>());
    });
    group.sample_size(10);
    let published = SentimentIntensityAnalyzer::new();
    let few = &messages[..256];
    group.throughput(Throughput::Elements(few.len() as u64));
    group.bench_function("vader_sentiment_crate", |b| {
        b.iter(|| {
            let scores = few.iter().map(|message| published.polarity_scores(black_box(message))["compound"]);
            scores.sum::<f64>()
        });
    });
    group.finish();
}

fn build(c: &mut Criterion<CpuTime>) {
    c.bench_function("vader_build", |b| b.iter(Vader::new));
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime);
    targets = sentiment, build
}
criterion_main!(benches);
