//! The lexicon: what it makes of what people write, and that nothing they write can hurt it.
#![allow(clippy::unwrap_used)]

use std::sync::LazyLock;
use std::time::Instant;

use proptest::prelude::*;
use telemetra_core::{Lexicon, SENTIMENT_SCALE, Sentiment};

#[test]
fn the_mood_of_a_chat() {
    let lexicon = Lexicon::english();
    let score = |message: &str| lexicon.score(message, &[]);
    for good in [
        "GG WP that was insane!!!",
        "love this stream <3",
        "LUL",
        "POGCHAMP",
        "good:)",
        "not bad at all",
        "\u{2764}\u{fe0f}",
        "\u{1f602}\u{1f602}",
        "don't hate it",
        "no, this is great",
        "don\u{2019}t hate it",
        "what a \"great\" play",
    ] {
        assert!(score(good) > 500, "`{good}` has {}", score(good));
    }
    for bad in [
        "this is so BAD",
        "worst play ever",
        "boring...",
        "not good",
        "I don't like it, terrible",
        "NotLikeThis",
        "ugh :(",
        "trash_team is trash",
        "\u{1f44e}",
        "never fun",
        "isn\u{2019}t funny",
        "D: >:(",
    ] {
        assert!(score(bad) < -500, "`{bad}` has {}", score(bad));
    }
    for neutral in [
        "",
        "hello",
        "http://example.com",
        "<30 seconds",
        "the goodness_of_fit",
        ":",
        "not",
        "\u{fe0f}",
        "a:/b",
    ] {
        assert_eq!(score(neutral), 0, "`{neutral}`");
    }
}

#[test]
fn emotes_count_by_name_and_negate_nothing() {
    let lexicon = Lexicon::english();
    assert_eq!(lexicon.score("not", &["pogchamp"]), 8_000);
    assert_eq!(lexicon.score("", &["PogChamp", "NotLikeThis", "Unknown"]), 1_000);
    assert_eq!(lexicon.score("", &["not", &"x".repeat(10_000)]), 0);
}

#[test]
fn words_of_your_own() {
    let long = "donaudampfschifffahrtsgesellschaft";
    let lexicon = Lexicon::from_pairs([(long, 1.0), ("gr\u{fc}n", 0.5), ("o7", -1.0)]).unwrap();
    assert_eq!(lexicon.len(), 3);
    assert_eq!(lexicon.score("eine DonauDampfSchifffahrtsGesellschaft", &[]), 10_000);
    assert_eq!(lexicon.score("alles gr\u{fc}n", &[]), 5_000);
    assert_eq!(lexicon.score("good", &[]), 0);
    let more = Lexicon::english().with([("good", -0.25), ("(-:", 0.5), ("\u{2764}\u{fe0f}", 0.1)]).unwrap();
    assert_eq!(more.score("good", &[]), -2_500);
    assert_eq!(more.score("hm (-:", &[]), 5_000);
    assert_eq!(more.score("\u{2764}\u{fe0f}", &[]), 1_000);
    assert_eq!(more.len(), Lexicon::english().len() + 1);
}

#[test]
fn words_that_cannot_be_met_are_refused() {
    let too_long = "x".repeat(65);
    for word in ["", " ", "a b", "a-b", "!", ":-(((", "\u{1f602}\u{1f602}", &too_long] {
        assert!(Lexicon::from_pairs([(word, 0.5)]).is_err(), "`{word}`");
    }
    for weight in [1.1, -1.1, f64::NAN, f64::INFINITY] {
        assert!(Lexicon::from_pairs([("word", weight)]).is_err());
    }
    for (text, says) in [
        ("good 0.1\nbad\n", "line 2"),
        ("good x", "`x` is not a number"),
        ("good 0.1 0.2", "line 1"),
        ("\n\ngood 2", "line 3: cannot use the setting"),
    ] {
        let error = Lexicon::from_reader(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
    assert!(Lexicon::from_reader(&b"\xff 0.1"[..]).unwrap_err().to_string().contains("line 1"));
}

/// Texts made to be hard: fifty times the length must not take 2500 times as long.
#[test]
fn time_is_linear() {
    let lexicon = Lexicon::english();
    for piece in
        ["x", ":", ":-", "'", "a'", "not ", "\u{1f602}", "\u{e9}", " ", ">:", "supercalifragilistic "]
    {
        let time = |times: usize| {
            let text = piece.repeat(times);
            let best = (0..5).map(|_| {
                let start = Instant::now();
                std::hint::black_box(lexicon.score(&text, &[]));
                start.elapsed()
            });
            best.min().unwrap()
        };
        let (short, long) = (time(1_000), time(50_000));
        assert!(long < short * 500, "`{piece}`: {short:?} for 1000 and {long:?} for 50000");
    }
}

static ENGLISH: LazyLock<Lexicon> = LazyLock::new(Lexicon::english);

proptest! {
    #[test]
    fn any_text_has_a_score_in_range(message in "\\PC{0,80}|[a-z':()<>/3!. ]{0,120}", emotes in prop::collection::vec("\\PC{0,9}", 0..4)) {
        let emotes: Vec<&str> = emotes.iter().map(String::as_str).collect();
        let score = ENGLISH.score(&message, &emotes);
        prop_assert!(i64::from(score).abs() <= SENTIMENT_SCALE);
        prop_assert_eq!(score, ENGLISH.score(&message.to_ascii_uppercase(), &emotes));
    }
}
