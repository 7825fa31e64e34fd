//! VADER: a scorer with valences from people's ratings, and rules for the effect of neighbouring words.

mod build;
mod chat;
mod class;
mod emotes;
mod pieces;
mod reading;
mod rules;
mod scan;
mod token;
mod words;

use std::fmt;
use std::sync::Arc;

use self::chat::Chat;
use self::reading::Reading;
use self::token::Token;
use super::Sentiment;
use super::dictionary::Dictionary;
use crate::core::ConfigError;
use crate::livestream::SENTIMENT_SCALE;

/// The version of the rules. Increase it with every change that gives any message another score with the same
/// words.
const RULES: u32 = 1;

/// A scorer of English messages by the rules and the lexicon of VADER (Hutto and Gilbert, 2014).
/// [`Vader::chat`] adds the words of live chats.
///
/// The lexicon has 7,500 words, emoticons and abbreviations with the valence that ten people gave each. The
/// rules change a valence by boosters (*very*), dampeners (*kind of*), negations (*not*, *never so*), *but*,
/// *least*, capitals, exclamation and question marks and a few idioms. An emoji is scored by its name. Emotes
/// are added: they are looked up by name, from the list and in the text, and no rule changes their valence;
/// an emote that is in the text is not counted again from the list.
///
/// If s is the sum of the valences, the score is s / √(s² + 15), rounded to four decimals. A score within
/// ±0.05 counts as neutral.
///
/// It supports English only; words are separated by white space. `docs/sentiment.md` has the figures, the
/// emotes, and the few differences from the reference implementation.
///
/// Scoring is one pass without allocations. Building a `Vader` reads the lexicon, which takes about a
/// millisecond.
///
/// ```
/// use telemetra::livestream::{Sentiment, Vader};
/// let vader = Vader::new();
/// let score = |message: &str| vader.score(message, &[]);
/// assert_eq!(score("VADER is smart, handsome, and funny."), 8_316);
/// assert_eq!(score("VADER is VERY SMART, handsome, and FUNNY!!!"), 9_342);
/// assert_eq!(score("VADER is not smart, handsome, nor funny."), -7_424);
/// assert_eq!(score("the quick brown fox"), 0);
/// assert!(vader.score("", &["Sadge"]) < -500);
/// ```
#[derive(Clone)]
pub struct Vader {
    words: Dictionary<Token>,
    /// The words of emoji, one emoji after the other.
    meanings: Vec<Token>,
    emotes: usize,
    chat: Option<Arc<Chat>>,
}

impl Vader {
    /// Creates a scorer with VADER's lexicon and the most common emotes of live chats.
    #[must_use]
    pub fn new() -> Self {
        let mut vader = Self::build();
        vader.add_chat();
        vader
    }

    /// Creates a scorer with VADER's lexicon alone, without emotes.
    #[must_use]
    pub fn without_emotes() -> Self {
        Self::build()
    }

    /// Creates the scorer of [`new`](Self::new) with an additional layer for live chats: laughter in the common scripts, words and phrases in
    /// their sense in chat (`W`, *sick*, *I'm dead*), emoticons and emoji as chats use them, and emotes of
    /// channels by the suffixes of their names (`xyzLUL`). It also handles repeated letters (`goooo`), HTML
    /// entities, names, commands, addresses and numbers. `docs/chat-words.md` has all words of the layer,
    /// with reasons.
    ///
    /// Scoring takes two fifths longer than by [`new`](Self::new). Words and emotes given later ([`with`](Self::with),
    /// [`with_emotes`](Self::with_emotes)) take precedence over those of the layer.
    ///
    /// ```
    /// use telemetra::livestream::{Sentiment, Vader};
    /// let (chat, plain) = (Vader::chat(), Vader::new());
    /// for message in ["ㅋㅋㅋㅋ", "that was sick", "I'm dead 💀", "W", "channelLUL", "&lt;3"] {
    ///     assert!(chat.score(message, &[]) > 500, "{message}");
    ///     assert!(plain.score(message, &[]) <= 0, "{message}");
    /// }
    /// assert_eq!(chat.score("xp farm at No. 1", &[]), 0);
    /// ```
    #[must_use]
    pub fn chat() -> Self {
        let mut vader = Self::new();
        vader.chat = Some(Arc::new(Chat::layer(&mut vader)));
        vader
    }

    /// Sets other valences for words, emoticons and emoji, from −4 to 4, rounded to a tenth. The rules apply
    /// to them as to words of the lexicon.
    ///
    /// # Errors
    ///
    /// If a valence is out of range, or a word could never occur in a message: it is empty, longer than 64
    /// bytes, contains white space, or has punctuation around it.
    ///
    /// ```
    /// use telemetra::livestream::{Sentiment, Vader};
    /// let vader = Vader::new().with([("cracked", 2.5), ("🍕", 1.0)])?;
    /// assert!(vader.score("absolutely cracked", &[]) > vader.score("cracked", &[]));
    /// assert!(vader.score("🍕🍕", &[]) > 500);
    /// assert!(vader.with([("two words", 1.0)]).is_err());
    /// # Ok::<(), telemetra::core::ConfigError>(())
    /// ```
    pub fn with<W: AsRef<str>>(self, words: impl IntoIterator<Item = (W, f64)>) -> Result<Self, ConfigError> {
        self.add_words(words)
    }

    /// Adds emotes or sets other valences for them, from −4 to 4, rounded to a tenth. At most 448 in all.
    ///
    /// # Errors
    ///
    /// As for [`with`](Self::with), and if there are too many.
    ///
    /// ```
    /// use telemetra::livestream::{Sentiment, Vader};
    /// let vader = Vader::new().with_emotes([("myChannelHype", 2.8)])?;
    /// assert!(vader.score("myChannelHype", &["myChannelHype"]) > 5_000);
    /// # Ok::<(), telemetra::core::ConfigError>(())
    /// ```
    pub fn with_emotes<W: AsRef<str>>(
        self,
        emotes: impl IntoIterator<Item = (W, f64)>,
    ) -> Result<Self, ConfigError> {
        self.add_emotes(emotes)
    }
}

/// The same as [`new`](Self::new).
impl Default for Vader {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Vader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Vader");
        shown
            .field("words", &self.words)
            .field("emotes", &self.emotes)
            .field("chat", &self.chat.is_some())
            .finish_non_exhaustive()
    }
}

impl Sentiment for Vader {
    fn score(&self, message: &str, emotes: &[&str]) -> i32 {
        let mut reading = Reading::new();
        match &self.chat {
            None => {
                self.read(message, &mut reading);
                reading.end_of_text();
            }
            Some(chat) => chat.read(self, message, &mut reading),
        }
        for emote in emotes {
            let named = self.words.get(emote.as_bytes()).filter(|token| token.is(Token::EMOTE));
            let known = named.or_else(|| self.chat.as_ref().and_then(|chat| chat.emote(emote.as_bytes())));
            if let Some(token) = known {
                reading.listed_emote(token);
            }
        }
        compound(reading.sum())
    }

    fn identity(&self) -> String {
        let words = self.digest();
        match &self.chat {
            None => format!("vader {RULES}, {words:016x}"),
            Some(chat) => {
                format!("vader {RULES}, {words:016x}, chat {}, {:016x}", chat::RULES, chat.digest())
            }
        }
    }
}

/// Converts a sum of valences to a score.
fn compound(sum: f64) -> i32 {
    (sum / (sum * sum + 15.0).sqrt() * SENTIMENT_SCALE as f64).round() as i32
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::emotes::EMOTES;
    use super::words::{BOOSTERS, DAMPENERS, NEGATIONS};
    use super::*;

    #[test]
    fn emotes_are_no_words_and_have_the_valence_of_one() {
        let (plain, chat) = (Vader::without_emotes(), Vader::new());
        let mut seen = HashSet::new();
        for &(model, names) in EMOTES {
            assert!(plain.token(model).is(Token::LISTED), "`{model}` is not in the lexicon");
            for name in names.split_whitespace() {
                assert_eq!(
                    plain.token(name),
                    Token::default().with(plain.token(name).0 & Token::LOUD),
                    "`{name}`"
                );
                assert!(seen.insert(name.to_lowercase()), "`{name}` is given twice");
                assert_eq!(chat.score(name, &[]), plain.score(model, &[]), "`{name}`");
            }
        }
        assert_eq!(chat.emotes, seen.len());
        assert!(seen.len() > 60, "{} emotes", seen.len());
    }

    #[test]
    fn words_of_rules_have_no_valence() {
        let plain = Vader::without_emotes();
        for word in [BOOSTERS, DAMPENERS, NEGATIONS].iter().flat_map(|words| words.split_whitespace()) {
            assert_eq!(plain.score(word, &[]), 0, "`{word}`");
            assert!(plain.token(word).is(Token::BOOSTS | Token::DAMPENS | Token::NEGATES), "`{word}`");
        }
        assert!(plain.meanings.len() < usize::from(u16::MAX));
    }
}
