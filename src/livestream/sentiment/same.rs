//! Tests that scores are those of the definition: scanned byte by byte, and as the version of the rules has had them.

use xxhash_rust::xxh3::Xxh3;

use super::blocks::by_definition;
use super::{Lexicon, Sentiment, Vader};

/// Text that stands between words now and then, and around them.
const BETWEEN: [&str; 18] = [
    "\t", "\n", "\u{1c}", "\u{0}", "\u{b}", "\u{a0}", "  ", "!", "@", "[x", "`", "{y", "İ", "ſ", "\u{7f}",
    "z1", "))", "…",
];
/// Words at the limits of what is scanned at once.
const LIMITS: [&str; 14] = [
    "abcdefghijklmn",
    "abcdefghijklmno",
    "abcdefghijklmnop",
    "W",
    "L",
    "w!",
    "kkk",
    "KKKK",
    "goooood",
    "someHype",
    "aZ",
    "nooooo!!",
    "ahahah",
    "mid",
];

/// A stream of pseudorandom numbers below a limit, the same each time.
fn random(state: &mut u64, limit: usize) -> usize {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) as usize % limit
}

/// Messages of the words of the documentation, which has all of the chat layer, and of the lexicon.
fn messages() -> impl Iterator<Item = String> {
    let docs = include_str!("../../../docs/chat-words.md").split_whitespace();
    let words = docs.filter(|word| word.starts_with('`')).map(|word| word.trim_matches('`'));
    let chat: Vec<&str> = words.chain(LIMITS).collect();
    let lexicon: Vec<&str> =
        include_str!("vader/lexicon.tsv").lines().filter_map(|line| line.split('\t').next()).collect();
    let mut state = 7;
    (0..6_000).map(move |_| {
        let mut text = String::new();
        for _ in 0..random(&mut state, 14) {
            let list = if random(&mut state, 3) == 0 { &lexicon } else { &chat };
            text += list[random(&mut state, list.len())];
            match random(&mut state, 5) {
                0 => text += BETWEEN[random(&mut state, BETWEEN.len())],
                _ => text.push(' '),
            }
            if random(&mut state, 8) == 0 {
                text = text.to_uppercase();
            }
        }
        text
    })
}

#[test]
fn scores_are_those_of_a_scan_byte_by_byte() {
    let scored = |scorer: &dyn Sentiment| {
        let without = scorer.score("", &["Sadge"]);
        let mut scored = 0;
        for message in messages() {
            let score = scorer.score(&message, &["Sadge"]);
            assert_eq!(score, by_definition(|| scorer.score(&message, &["Sadge"])), "{message:?}");
            scored += usize::from(score != without);
        }
        scored
    };
    let vader = scored(&Vader::new()) + scored(&Vader::chat());
    assert!(vader > 6_000, "{vader}");
    let lexicon = scored(&Lexicon::english());
    assert!(lexicon > 3_000, "{lexicon}");
}

/// A change of a score is a change of the rules, whose version is in checkpoints.
#[test]
fn scores_are_those_of_this_version_of_the_rules() {
    let digest = |vader: &Vader| {
        let mut digest = Xxh3::new();
        messages().for_each(|message| digest.update(&vader.score(&message, &[]).to_le_bytes()));
        format!("{}: {:016x}", vader.identity(), digest.digest())
    };
    let known = [
        "vader 1, 720817b992a2f5e3: 2bc5d530be7c420f",
        "vader 1, 4d5257a810b680f4, chat 1, 3c829b277e066adc: 7df536ea573cad10",
    ];
    assert_eq!([&Vader::new(), &Vader::chat()].map(digest), known);
}
