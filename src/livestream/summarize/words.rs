//! The words of chat messages.

use std::sync::Arc;

use compact_str::CompactString;

use crate::core::aggregate::{Sample, SampleSliding};
use crate::core::{Accumulate, Accumulator, TopK};
use crate::livestream::summary::Words;

/// The number of messages in a sample.
const SAMPLE: usize = 128;
/// The number of words in a summary.
pub(super) const TOP_WORDS: usize = 16;
/// The greatest number of words that are counted of one message.
const MOST_WORDS: usize = 16;
/// The greatest number of runs of letters and digits that are looked at in one message.
const MOST_RUNS: usize = 64;
/// The least number of letters of a word.
const LEAST_LETTERS: usize = 3;
/// The greatest length of a word in bytes: what a [`CompactString`] holds without an allocation.
const MOST_BYTES: usize = 24;

/// The words of a sample of messages: of each message its different words, with spaces between.
pub(super) type WordSample = Sample<Arc<str>, SAMPLE>;
pub(super) type WordSampleSliding = SampleSliding<Arc<str>, SAMPLE>;

/// English words without a content of their own. The words of other languages like these are told apart by
/// their usual share alone. Sorted.
#[rustfmt::skip]
const STOP_WORDS: [&str; 162] = [
    "about", "after", "again", "aint", "all", "also", "and", "any", "are", "aren't", "because", "been",
    "before", "being", "but", "can", "can't", "cannot", "cant", "could", "couldn't", "did", "didn't",
    "didnt", "does", "doesn't", "doesnt", "doing", "don't", "dont", "down", "each", "else", "even", "ever",
    "every", "few", "for", "from", "get", "gets", "getting", "gonna", "got", "gotta", "had", "has",
    "hasn't", "have", "haven't", "having", "he's", "her", "here", "hers", "hes", "him", "his", "how",
    "i'll", "i've", "ill", "into", "isn't", "isnt", "it'll", "it's", "its", "ive", "just", "let's", "like",
    "make", "may", "maybe", "more", "most", "much", "must", "myself", "nor", "not", "now", "off", "once",
    "one", "only", "other", "our", "ours", "out", "over", "own", "really", "same", "she", "she's", "shes",
    "should", "shouldn't", "since", "some", "still", "such", "than", "that", "that's", "thats", "the",
    "their", "them", "then", "there", "there's", "these", "they", "they're", "theyre", "this", "those",
    "though", "through", "too", "under", "until", "upon", "very", "wanna", "was", "wasn't", "wasnt", "way",
    "we'll", "we're", "we've", "were", "weren't", "what", "what's", "whats", "when", "where", "which",
    "while", "who", "who's", "why", "will", "with", "won't", "wont", "would", "wouldn't", "yet", "you",
    "you'd", "you'll", "you're", "you've", "your", "youre", "yours",
];

/// The different words of a message that have a content of their own, in lower case with spaces between.
///
/// A word has three letters or more, and at most 24 bytes. Emotes and addresses are no words. More than two
/// equal letters in a row are two: `gooooal` and `goooal` are the same word.
pub(super) fn words_of(message: &str, emotes: &[&str]) -> Arc<str> {
    let is_mark = |c: char| match c {
        '\'' | '’' => false,
        '\0'..='\x7f' => !c.is_ascii_alphanumeric(),
        _ => !c.is_alphanumeric(),
    };
    let parts = message.split_whitespace().filter(|part| !part.contains("://"));
    let runs = parts.flat_map(|part| part.split(is_mark)).filter(|run| !run.is_empty()).take(MOST_RUNS);
    let mut words: Vec<CompactString> = Vec::new();
    for word in runs.filter(|run| !emotes.contains(run)).filter_map(normalised) {
        if STOP_WORDS.binary_search(&&*word).is_err() && !words.contains(&word) {
            words.push(word);
            if words.len() == MOST_WORDS {
                break;
            }
        }
    }
    let mut joined = String::with_capacity(words.iter().map(|word| word.len() + 1).sum());
    for word in &words {
        joined.push_str(if joined.is_empty() { "" } else { " " });
        joined.push_str(word);
    }
    joined.into()
}

/// A word as it is counted; `None` if it is none.
fn normalised(run: &str) -> Option<CompactString> {
    let run = run.trim_matches(['\'', '’']);
    if run.len() < LEAST_LETTERS {
        return None;
    }
    if run.is_ascii() {
        return ascii(run.as_bytes());
    }
    let (mut word, mut letters, mut last) = (CompactString::default(), 0, ['\0'; 2]);
    for c in run.chars().flat_map(char::to_lowercase) {
        let c = if c == '’' { '\'' } else { c };
        letters += usize::from(c.is_alphabetic());
        if last != [c; 2] {
            if word.len() + c.len_utf8() > MOST_BYTES {
                return None;
            }
            word.push(c);
        }
        last = [last[1], c];
    }
    (letters >= LEAST_LETTERS).then_some(word)
}

/// The same for ASCII, where letters need no tables.
fn ascii(run: &[u8]) -> Option<CompactString> {
    let (mut word, mut length, mut letters, mut last) = ([0; MOST_BYTES], 0, 0, [0; 2]);
    for byte in run.iter().map(u8::to_ascii_lowercase) {
        letters += usize::from(byte.is_ascii_lowercase());
        if last != [byte; 2] {
            *word.get_mut(length)? = byte;
            length += 1;
        }
        last = [last[1], byte];
    }
    let word = str::from_utf8(&word[..length]).ok()?;
    (letters >= LEAST_LETTERS).then(|| word.into())
}

/// The most frequent words of a sample; `None` if it has none.
pub(super) fn summary(messages: &[Arc<str>]) -> Option<Box<Words>> {
    let mut words = TopK::<TOP_WORDS>::default();
    let all = messages.iter().flat_map(|message| message.split(' ')).filter(|word| !word.is_empty());
    all.for_each(|word| words.add(word));
    let top = words.finish();
    (!top.is_empty()).then(|| Box::new(Words { top, of: messages.len() as u64 }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_message_are_those_with_a_content_each_once() {
        for (message, expected) in [
            ("What a GOOOOOAL, goal!! gooal by Ada", "gooal goal ada"),
            ("don't you see https://example.com/dragon the dragon's fire?", "see dragon's fire"),
            ("PogChamp the boss PogChamp! Kappa", "boss kappa"),
            ("ok no 12345 x2 a1b2", ""),
            ("le dragon était là, Дракон!", "dragon était дракон"),
            ("", ""),
        ] {
            assert_eq!(&*words_of(message, &["PogChamp"]), expected, "{message}");
        }
    }

    #[test]
    fn stop_words_are_found() {
        assert!(STOP_WORDS.is_sorted());
        assert!(STOP_WORDS.iter().all(|word| normalised(word).as_deref() == Some(*word)));
    }

    #[test]
    fn a_long_message_has_no_more_words_than_a_bound() {
        let letters = |n: usize| char::from(b'a' + (n % 26) as u8);
        let word = |n: usize| ["ab".to_owned(), letters(n / 26).into(), letters(n).into()].concat();
        let long = (0..600).map(word).collect::<Vec<_>>().join(" ");
        assert_eq!(words_of(&long, &[]).split(' ').count(), MOST_WORDS);
        assert_eq!(&*words_of(&"ab".repeat(5_000), &[]), "");
        assert_eq!(words_of(&long.replace(' ', ","), &[]).split(' ').count(), MOST_WORDS);
    }

    #[test]
    fn the_words_that_most_messages_have_are_in_the_summary() {
        let sample = ["boss fight", "boss", "", "fight boss dragon"].map(Arc::from);
        let found = summary(&sample).map(|words| *words);
        let counted = |name: &str, count| crate::core::Counted { name: name.into(), count };
        let top = vec![counted("boss", 3), counted("fight", 2), counted("dragon", 1)];
        assert_eq!(found, Some(Words { top, of: 4 }));
        assert_eq!(summary(&["".into()]), None);
    }
}
