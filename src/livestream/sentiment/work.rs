//! A counter of the work of scoring a message, so that tests can compare it with the message's length without
//! a clock.

use std::cell::Cell;

use super::{Lexicon, Sentiment, Vader};

thread_local! {
    static DONE: Cell<u64> = const { Cell::new(0) };
}

/// Counts bytes that were folded, hashed or read again.
pub(super) fn done(bytes: u64) {
    DONE.set(DONE.get() + bytes);
}

fn of(scorer: &dyn Sentiment, message: &str, emotes: &[&str]) -> u64 {
    let before = DONE.get();
    scorer.score(message, emotes);
    DONE.get() - before
}

const HARD: [&str; 52] = [
    "x",
    "X",
    ":",
    ":-",
    "'",
    "a'",
    "n't",
    "not ",
    "no ",
    "!",
    "?!",
    "\u{1f602}",
    "\u{2764}\u{fe0f}",
    "\u{e9}",
    " ",
    "\u{a0}",
    ">:",
    "supercalifragilistic ",
    "good ",
    "GOOD ",
    "but ",
    "so good ",
    "never this good ",
    "kiss of death ",
    "\u{2019}",
    "a\u{2019}",
    "\u{200d}",
    "\u{fe0f}",
    "\u{1f468}\u{200d}",
    "好",
    "不好",
    "好奇",
    "好\u{2019}",
    "ดี",
    "。",
    "\u{212a}",
    "İ",
    "(gg)",
    "😂lol",
    "KEKW ",
    "haha ",
    "ha",
    "aLUL",
    "&amp;",
    "goooo ",
    "ㅋ",
    "草",
    "哈哈w",
    "ха",
    "let's go ",
    "))",
    "5",
];

/// Checks that a message ten times as long takes hardly more than ten times the work (the end of a text has
/// less to look ahead to), and that the work is bounded by the length.
fn grows_with_the_length(scorer: &dyn Sentiment, most_per_byte: u64) {
    for piece in HARD {
        let (short, long) = (piece.repeat(1_000), piece.repeat(10_000));
        let (one, ten) = (of(scorer, &short, &[]), of(scorer, &long, &[]));
        assert!(ten <= 11 * one + 1_000, "`{piece}`: {one} for 1,000 of it and {ten} for 10,000");
        assert!(ten <= most_per_byte * long.len() as u64, "`{piece}`: {ten} for {} bytes", long.len());
        let emotes = vec![short.as_str(); 8];
        assert!(of(scorer, "", &emotes) <= 8 * most_per_byte * short.len() as u64);
    }
}

#[test]
fn vader_takes_time_by_the_length() {
    grows_with_the_length(&Vader::new(), 8);
    grows_with_the_length(&Vader::chat(), 16);
}

#[test]
fn a_lexicon_takes_time_by_the_length() {
    grows_with_the_length(&Lexicon::english(), 12);
}

/// The longest word determines how many characters after each one are looked at.
#[test]
fn a_lexicon_without_spaces_takes_time_by_the_length() {
    let longest = "好".repeat(21);
    let pairs = [(longest.as_str(), 0.5), ("好奇", 0.1), ("ดีมาก", 0.9)];
    let lexicon = Lexicon::from_pairs(pairs).map_err(|error| panic!("{error}"));
    lexicon.iter().for_each(|lexicon| grows_with_the_length(lexicon, 300));
}
