//! Scorers are known by their identity: it changes with whatever changes a score, and with nothing else.

use telemetra::livestream::testkit::sentiment_compliance;
use telemetra::livestream::{Lexicon, Sentiment, Vader};

const MESSAGES: [&str; 10] = [
    "what an AMAZING play, love it :)",
    "this is not good",
    "cracked",
    "pog of myChannelHype",
    "\u{1f355}",
    "nope good",
    "KEKW",
    "supercalifragilistic",
    "the quick brown fox",
    "W",
];

#[test]
fn scorers_keep_the_contract() {
    let lexicon = |words: &[(&str, f64)]| Lexicon::english().with(words.iter().copied()).unwrap();
    let vader = |words: &[(&str, f64)]| Vader::new().with(words.iter().copied()).unwrap();
    let scorers: [&dyn Sentiment; 14] = [
        &Lexicon::english(),
        &lexicon(&[("cracked", 0.5)]),
        &lexicon(&[("cracked", -0.5)]),
        &lexicon(&[("supercalifragilistic", 0.5)]),
        &Lexicon::english().with_negations(["nope"]).unwrap(),
        &Lexicon::from_pairs([("cracked", 0.5)]).unwrap(),
        &Vader::new(),
        &Vader::without_emotes(),
        &Vader::chat(),
        &Vader::chat().with([("cracked", -2.5)]).unwrap(),
        &vader(&[("cracked", 2.5)]),
        &vader(&[("\u{1f355}", 1.0)]),
        &vader(&[("\u{1f355}", 2.0)]),
        &Vader::new().with_emotes([("myChannelHype", 2.8)]).unwrap(),
    ];
    sentiment_compliance(&scorers, &MESSAGES);
}

#[test]
fn the_order_of_words_makes_no_identity() {
    let words = [("one", 0.1), ("two", 0.2), ("\u{1f355}", 0.3), ("\u{1f32e}", 0.4)];
    let reversed = || words.iter().rev().copied();
    assert_eq!(
        Lexicon::from_pairs(words).unwrap().identity(),
        Lexicon::from_pairs(reversed()).unwrap().identity()
    );
    let vader = |words: Vec<(&str, f64)>| {
        let emotes = words.iter().filter(|(word, _)| word.is_ascii()).copied().collect::<Vec<_>>();
        Vader::new().with(words).unwrap().with_emotes(emotes).unwrap().identity()
    };
    assert_eq!(vader(words.to_vec()), vader(reversed().collect()));
}

#[test]
#[should_panic(expected = "two that score differently have the identity `constant`")]
fn an_identity_that_leaves_words_out_is_found() {
    struct Careless(&'static str);
    impl Sentiment for Careless {
        fn score(&self, message: &str, _: &[&str]) -> i32 {
            i32::from(message.contains(self.0))
        }
        fn identity(&self) -> String {
            "constant".to_owned()
        }
    }
    sentiment_compliance(&[&Careless("good"), &Careless("fox")], &MESSAGES);
}
