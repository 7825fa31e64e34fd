//! A scorer by a word list: the mean weight of the words of a message.

mod file;
mod scan;

use self::scan::is_one_token;
use super::dictionary::Dictionary;
use super::english::{EMOTES, ENGLISH, NEGATIONS};
use super::letters::is_unspaced;
use super::token::{Class, class};
use super::word::{Folded, LONGEST};
use crate::core::ConfigError;
use crate::livestream::SENTIMENT_SCALE;

/// The version of the rules. Increase it with every change that gives any message another score with the same
/// words.
const RULES: u32 = 1;
/// The number of words that a negation affects.
const REACH: u32 = 3;
/// The length of the longest word of a script without spaces, in characters, of which the shortest have three
/// bytes.
const UNSPACED: usize = LONGEST / 3;

/// A scorer by a list of words with weights: the score of a message is the mean of the weights of its words that are in
/// the list, or 0 if none is. It is the choice for languages other than English and for word lists of your own; for
/// English chats [`Vader::chat`](super::Vader::chat) has more words and rules.
///
/// A negation (*not*, *never*, *don't*, …) reverses the sign of the weights of the next three words and
/// reduces them by a quarter, unless a punctuation mark such as `,` or `.` stands in between. Emotes are
/// looked up by name, from the list and in the text. Irony, grammar and languages other than the lexicon's
/// are not recognised.
///
/// # Words
///
/// A word is a run of letters, digits and `_`, with apostrophes between them. An emoji or other symbol is a
/// word by itself. An emoticon begins with a punctuation mark and has up to four bytes; the longest one
/// counts. Case makes no difference, in any script that has it, by Unicode's small letters and without regard
/// to the language. Typographic apostrophes equal straight ones, and joiners and variation selectors are
/// ignored. Other forms of one letter are different letters: lists and messages should both be in normal form
/// C.
///
/// Thai, Lao, Burmese, Khmer, Chinese and Japanese put no space between words. There the longest word of the
/// list that begins at a character is taken, and reading continues after it. If there is none, the character
/// counts as a word, and reading continues with the next one.
///
/// Scoring is one pass without allocations, with at most 22 look-ups per character. It is exact for words of
/// up to 15 bytes; longer ones, of up to 64 bytes, match by a hash of 127 bits.
///
/// ```
/// use telemetra::livestream::{Lexicon, Sentiment};
/// let lexicon = Lexicon::english();
/// assert!(lexicon.score("what an AMAZING play, love it :)", &[]) > 5_000);
/// assert!(lexicon.score("this is not good", &[]) < 0);
/// assert!(lexicon.score("", &["BibleThump"]) < 0);
/// assert_eq!(lexicon.score("the quick brown fox", &[]), 0);
/// ```
#[derive(Clone, Debug)]
pub struct Lexicon {
    words: Dictionary<Meaning>,
    /// The punctuation marks with which emoticons begin.
    emoticons: u128,
    /// The length of the longest word of a script without spaces, in characters.
    unspaced: usize,
}

#[derive(Copy, Clone, Debug)]
enum Meaning {
    Weight(i32),
    Negation,
}

impl Lexicon {
    /// Creates the built-in lexicon: a few hundred English words and negations, and the emotes, emoticons and emoji of
    /// stream chats.
    #[must_use]
    pub fn english() -> Self {
        let mut lexicon = Self::empty();
        for &(weight, words) in ENGLISH.iter().chain(EMOTES) {
            words.split_whitespace().for_each(|word| lexicon.insert(word, Meaning::Weight(weight)));
        }
        NEGATIONS.split_whitespace().for_each(|word| lexicon.insert(word, Meaning::Negation));
        lexicon
    }

    /// Creates a lexicon of words of your own with weights from −1 to 1. If a word is given twice, its last weight counts. The
    /// only negations are those added by [`with_negations`](Self::with_negations).
    ///
    /// # Errors
    ///
    /// If a weight is out of range, or a word could never occur in a message: it is empty, longer than 64
    /// bytes, or consists of several words.
    ///
    /// ```
    /// use telemetra::livestream::{Lexicon, Sentiment};
    /// let lexicon = Lexicon::from_pairs([("schön", 0.8), ("doof", -0.5)])?.with_negations(["nicht", "kein"])?;
    /// assert_eq!(lexicon.score("Das ist SCHÖN", &[]), 8_000);
    /// assert_eq!(lexicon.score("Das ist nicht schön", &[]), -6_000);
    /// assert!(Lexicon::from_pairs([("two words", 0.1)]).is_err());
    /// # Ok::<(), telemetra::core::ConfigError>(())
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
            self.add(word.as_ref(), weight).map_err(Refused::into_error)?;
        }
        Ok(self)
    }

    /// Adds words that reverse the weights of the words after them.
    ///
    /// # Errors
    ///
    /// If a word could never occur in a message, as for [`from_pairs`](Self::from_pairs).
    pub fn with_negations<W: AsRef<str>>(
        mut self,
        words: impl IntoIterator<Item = W>,
    ) -> Result<Self, ConfigError> {
        for word in words {
            self.negate(word.as_ref()).map_err(Refused::into_error)?;
        }
        Ok(self)
    }

    /// Returns the number of words, without negations.
    #[must_use]
    pub fn len(&self) -> usize {
        self.words.values().filter(|meaning| matches!(meaning, Meaning::Weight(_))).count()
    }

    /// Returns whether the lexicon has no word.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A digest of the words and their meanings.
    fn digest(&self) -> u64 {
        self.words.digest(|meaning| match meaning {
            Meaning::Weight(weight) => u64::from(weight.cast_unsigned()),
            Meaning::Negation => u64::MAX,
        })
    }

    fn empty() -> Self {
        Self { words: Dictionary::new(), emoticons: 0, unspaced: 0 }
    }

    fn add(&mut self, word: &str, weight: f64) -> Result<(), Refused> {
        if !(-1.0..=1.0).contains(&weight) {
            let detail = format!("the weight {weight} of `{word}` is not from -1 to 1");
            return Err(Refused { detail, hint: "scale the weights" });
        }
        self.check_and_insert(word, Meaning::Weight((weight * SENTIMENT_SCALE as f64).round() as i32))
    }

    fn negate(&mut self, word: &str) -> Result<(), Refused> {
        self.check_and_insert(word, Meaning::Negation)
    }

    fn check_and_insert(&mut self, word: &str, meaning: Meaning) -> Result<(), Refused> {
        // Emoji are often followed by a variation selector for colour, which is ignored in messages.
        let word = word.trim_end_matches('\u{fe0f}');
        if !is_one_token(word) {
            let detail = format!("`{word}` is not one word, emoticon or emoji of at most {LONGEST} bytes");
            return Err(Refused { detail, hint: "split it or leave it out" });
        }
        self.insert(word, meaning);
        Ok(())
    }

    fn insert(&mut self, word: &str, meaning: Meaning) {
        let Some(folded) = Folded::of(word) else { return };
        if let Some(&first) = word.as_bytes().first()
            && class(first) == Class::Mark
        {
            self.emoticons |= 1 << first;
        }
        if word.starts_with(is_unspaced) {
            self.unspaced = self.unspaced.max(word.chars().count().min(UNSPACED));
        }
        *self.words.entry(&folded, meaning) = meaning;
    }
}

/// The built-in English lexicon.
impl Default for Lexicon {
    fn default() -> Self {
        Self::english()
    }
}

/// The reason why a word is refused.
struct Refused {
    detail: String,
    hint: &'static str,
}

impl Refused {
    fn into_error(self) -> ConfigError {
        ConfigError::new("lexicon", self.detail, self.hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::livestream::Sentiment;

    #[test]
    fn every_built_in_word_can_be_met() {
        let lexicon = Lexicon::english();
        let mut words = 0;
        for &(weight, list) in ENGLISH.iter().chain(EMOTES) {
            for word in list.split_whitespace() {
                assert!(is_one_token(word), "`{word}` is not one token");
                assert_eq!(lexicon.score(word, &[]), weight, "`{word}` is in two lists");
                words += 1;
            }
        }
        assert_eq!(lexicon.len(), words, "a word is given twice");
        assert!(words > 400, "{words} words");
    }
}
