use std::io::BufRead;

use hashbrown::HashTable;

use super::Sentiment;
use super::english::{EMOTES, ENGLISH, NEGATIONS};
use super::token::{Class, EMOTICON, class, ends_emoticon, symbol_end, word_end};
use super::word::{LONGEST, folded, is_one_token};
use crate::ident::mix;
use crate::{ConfigError, SENTIMENT_SCALE};

/// How many words a negation reaches.
const REACH: u32 = 3;

/// Scores a message by the words in it: the mean of the weights of those it knows, 0 if it knows none.
///
/// A negation (*not*, *never*, *don't*, …) turns the weights of the next three words round and takes a quarter
/// off, unless a mark such as `,` or `.` stands between. Emotes are looked up by name, from the list and
/// in the text. ASCII letters match in either case, others as they are written. Irony, grammar and any language but the one in
/// the lexicon are beyond it.
///
/// One pass, nothing allocated, and exact for words of up to 15 bytes; longer ones match by a hash of 127 bits.
///
/// ```
/// use telemetra_core::{Lexicon, Sentiment};
/// let lexicon = Lexicon::english();
/// assert!(lexicon.score("what an AMAZING play, love it :)", &[]) > 5_000);
/// assert!(lexicon.score("this is not good", &[]) < 0);
/// assert!(lexicon.score("", &["BibleThump"]) < 0);
/// assert_eq!(lexicon.score("the quick brown fox", &[]), 0);
/// ```
#[derive(Clone, Debug)]
pub struct Lexicon {
    words: HashTable<Word>,
    longest: usize,
    /// The marks that emoticons begin with.
    emoticons: u128,
}

#[derive(Copy, Clone, Debug)]
struct Word {
    id: u128,
    meaning: Meaning,
}

#[derive(Copy, Clone, Debug)]
enum Meaning {
    Weight(i32),
    Negation,
}

impl Lexicon {
    /// A few hundred English words, and the emotes, emoticons and emoji of stream chats.
    #[must_use]
    pub fn english() -> Self {
        let mut lexicon = Self::empty();
        for &(weight, words) in ENGLISH.iter().chain(EMOTES) {
            for word in words.split_whitespace() {
                lexicon.insert(word, Meaning::Weight(weight));
            }
        }
        lexicon
    }

    /// Words of your own with weights from −1 to 1. Of a word given twice the last weight counts. Negations are English.
    ///
    /// # Errors
    ///
    /// If a weight is out of range, or a word could never be met in a message: it is empty, longer than 64 bytes, or
    /// made of several.
    ///
    /// ```
    /// use telemetra_core::{Lexicon, Sentiment};
    /// let lexicon = Lexicon::from_pairs([("toll", 0.8), ("doof", -0.5)])?;
    /// assert_eq!(lexicon.score("Das ist toll", &[]), 8_000);
    /// assert!(Lexicon::from_pairs([("two words", 0.1)]).is_err());
    /// # Ok::<(), telemetra_core::ConfigError>(())
    /// ```
    pub fn from_pairs<W: AsRef<str>>(pairs: impl IntoIterator<Item = (W, f64)>) -> Result<Self, ConfigError> {
        Self::empty().with(pairs)
    }

    /// Adds words, as for [`from_pairs`](Self::from_pairs).
    ///
    /// # Errors
    ///
    /// As for [`from_pairs`](Self::from_pairs).
    pub fn with<W: AsRef<str>>(
        mut self,
        pairs: impl IntoIterator<Item = (W, f64)>,
    ) -> Result<Self, ConfigError> {
        for (word, weight) in pairs {
            let word = word.as_ref();
            let refused = |detail: String, hint: &str| Err(ConfigError::new("lexicon", detail, hint));
            if !(-1.0..=1.0).contains(&weight) {
                return refused(
                    format!("the weight {weight} of `{word}` is not from -1 to 1"),
                    "scale the weights",
                );
            }
            // Emoji are often followed by a sign that asks for colour; in messages it is a symbol of its own.
            let word = word.trim_end_matches('\u{fe0f}');
            if !is_one_token(word.as_bytes()) {
                return refused(
                    format!("`{word}` is not one word, emoticon or emoji of at most {LONGEST} bytes"),
                    "split it or leave it out",
                );
            }
            self.insert(word, Meaning::Weight((weight * SENTIMENT_SCALE as f64).round() as i32));
        }
        Ok(self)
    }

    /// Reads a word and its weight from each line, with white space between. Empty lines and those that
    /// begin with `#` followed by white space are skipped.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or a line is not like that, with the line's number; otherwise as for
    /// [`from_pairs`](Self::from_pairs).
    ///
    /// ```
    /// use telemetra_core::{Lexicon, Sentiment};
    /// let lexicon = Lexicon::from_reader("# mine\nlit 0.7\nmid -0.4\n".as_bytes())?;
    /// assert_eq!(lexicon.score("so lit", &[]), 7_000);
    /// let error = Lexicon::from_reader("lit\n".as_bytes()).unwrap_err();
    /// assert!(error.to_string().contains("line 1"));
    /// # Ok::<(), telemetra_core::ConfigError>(())
    /// ```
    pub fn from_reader(reader: impl BufRead) -> Result<Self, ConfigError> {
        let mut lexicon = Self::empty();
        for (number, line) in (1..).zip(reader.lines()) {
            let bad = |detail: String| {
                ConfigError::new(
                    "lexicon",
                    format!("line {number}: {detail}"),
                    "write a word and a weight on each line",
                )
            };
            let line = line.map_err(|error| bad(error.to_string()))?;
            let mut fields = line.split_whitespace();
            match (fields.next(), fields.next(), fields.next()) {
                (None | Some("#"), ..) => {}
                (Some(word), Some(weight), None) => {
                    let weight = weight.parse().map_err(|_| bad(format!("`{weight}` is not a number")))?;
                    lexicon = lexicon.with([(word, weight)]).map_err(|error| bad(error.to_string()))?;
                }
                _ => return Err(bad(format!("`{line}` is not a word and its weight"))),
            }
        }
        Ok(lexicon)
    }

    /// How many words it knows, negations not counted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.words.iter().filter(|word| matches!(word.meaning, Meaning::Weight(_))).count()
    }

    /// Whether it knows no word.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn empty() -> Self {
        let mut lexicon = Self { words: HashTable::new(), longest: 0, emoticons: 0 };
        NEGATIONS.split_whitespace().for_each(|word| lexicon.insert(word, Meaning::Negation));
        lexicon
    }

    fn insert(&mut self, word: &str, meaning: Meaning) {
        let text = word.as_bytes();
        if let Some(&first) = text.first()
            && class(first) == Class::Mark
        {
            self.emoticons |= 1 << first;
        }
        self.longest = self.longest.max(text.len());
        let word = Word { id: folded(text), meaning };
        self.words
            .entry(mix(word.id), |held| held.id == word.id, |held| mix(held.id))
            .and_modify(|held| held.meaning = meaning)
            .or_insert(word);
    }

    #[inline]
    fn look_up(&self, text: &[u8]) -> Option<Meaning> {
        if text.len() > self.longest {
            return None;
        }
        let id = folded(text);
        self.words.find(mix(id), |held| held.id == id).map(|held| held.meaning)
    }

    /// The emoticon that begins at `at`, the longest of several: its weight and end.
    fn emoticon(&self, text: &[u8], at: usize) -> Option<(Meaning, usize)> {
        if self.emoticons >> text[at] & 1 == 0 {
            return None;
        }
        (2..=EMOTICON).rev().find_map(|len| {
            let end = at + len;
            let found = text.get(at..end).filter(|_| ends_emoticon(text, end))?;
            Some((self.look_up(found)?, end))
        })
    }
}

/// The built-in English one.
impl Default for Lexicon {
    fn default() -> Self {
        Self::english()
    }
}

/// The mean of what was found, and how far a negation still reaches.
#[derive(Default)]
struct Tally {
    sum: i64,
    found: i64,
    negated: u32,
}

impl Tally {
    #[inline]
    fn take(&mut self, meaning: Option<Meaning>) {
        match meaning {
            Some(Meaning::Negation) => self.negated = REACH,
            Some(Meaning::Weight(weight)) => {
                let weight = i64::from(weight);
                self.sum += if self.negated > 0 { -weight * 3 / 4 } else { weight };
                self.found += 1;
                self.negated = self.negated.saturating_sub(1);
            }
            None => self.negated = self.negated.saturating_sub(1),
        }
    }
}

impl Sentiment for Lexicon {
    fn score(&self, message: &str, emotes: &[&str]) -> i32 {
        let text = message.as_bytes();
        let mut tally = Tally::default();
        let mut at = 0;
        while let Some(&byte) = text.get(at) {
            at = match class(byte) {
                Class::Space => at + 1,
                Class::Word => {
                    let end = word_end(text, at);
                    tally.take(self.look_up(&text[at..end]));
                    end
                }
                Class::Symbol => {
                    let end = symbol_end(text, at);
                    tally.take(self.look_up(&text[at..end]));
                    end
                }
                Class::Mark => match self.emoticon(text, at) {
                    Some((meaning, end)) => {
                        tally.take(Some(meaning));
                        end
                    }
                    None => {
                        if matches!(byte, b'.' | b',' | b'!' | b'?' | b';' | b':') {
                            tally.negated = 0;
                        }
                        at + 1
                    }
                },
            };
        }
        tally.negated = 0;
        emotes.iter().filter_map(|emote| self.look_up(emote.as_bytes())).for_each(|meaning| {
            if let Meaning::Weight(_) = meaning {
                tally.take(Some(meaning));
            }
        });
        tally.sum.checked_div(tally.found).unwrap_or(0) as i32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_word_can_be_met() {
        let lexicon = Lexicon::english();
        let mut words = 0;
        for &(weight, list) in ENGLISH.iter().chain(EMOTES) {
            for word in list.split_whitespace() {
                assert!(is_one_token(word.as_bytes()), "`{word}` is not one token");
                assert_eq!(lexicon.score(word, &[]), weight, "`{word}` is in two lists");
                words += 1;
            }
        }
        assert_eq!(lexicon.len(), words, "a word is given twice");
        assert!(words > 400, "{words} words");
    }
}
