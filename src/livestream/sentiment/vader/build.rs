//! The building of a `Vader`: from word lists to tables.

use super::Vader;
use super::class::{few, trimmed};
use super::emotes::EMOTES as CHAT;
use super::token::{EMOTES, PHRASES, Part, Token};
use super::words::{BOOSTERS, DAMPENERS, NEGATIONS};
use crate::core::ConfigError;
use crate::livestream::sentiment::dictionary::Dictionary;
use crate::livestream::sentiment::word::{Folded, LONGEST, mix};

/// The lexicon: a word or emoticon and its mean rating by ten people on each line.
const LEXICON: &str = include_str!("lexicon.tsv");
/// The names of emoji: an emoji and its words on each line.
const EMOJI: &str = include_str!("emoji.tsv");

/// The number of the first emote, which is the number of no part.
const FIRST: usize = 64;

impl Vader {
    pub(super) fn build() -> Self {
        let mut vader = Self { words: Dictionary::new(), meanings: Vec::new(), emotes: 0, chat: None };
        for (word, rating) in LEXICON.lines().filter_map(|line| line.split_once('\t')) {
            if let Ok(valence) = rating.parse() {
                vader.list(word, valence);
            }
        }
        for (words, flag) in
            [(BOOSTERS, Token::BOOSTS), (DAMPENERS, Token::DAMPENS), (NEGATIONS, Token::NEGATES)]
        {
            for word in words.split_whitespace() {
                vader.mark(word, |token| token.with(flag));
            }
        }
        for (word, part) in Part::ALL {
            let acts = if part == Part::But { Token::ACTS } else { 0 };
            vader.mark(word, |token| token.with_number(part as u16).with(acts));
        }
        for (emoji, words) in EMOJI.lines().filter_map(|line| line.split_once('\t')) {
            vader.explain(emoji, words);
        }
        vader
    }

    /// Adds the built-in emotes.
    pub(super) fn add_chat(&mut self) {
        for &(model, names) in CHAT {
            let valence = self.words.get(model.as_bytes()).map_or(0, Token::tenths);
            names.split_whitespace().for_each(|name| self.list_emote(name, valence));
        }
    }

    pub(super) fn add_words<W: AsRef<str>>(
        mut self,
        words: impl IntoIterator<Item = (W, f64)>,
    ) -> Result<Self, ConfigError> {
        for (word, valence) in words {
            let word = word.as_ref();
            check(word, valence)?;
            let kept = trimmed(word.as_bytes());
            if few(kept) > 2 && kept.len() < word.len() {
                return Err(refused(format!("`{word}` has punctuation around it"), "leave that out"));
            }
            if self.meanings.len() >= usize::from(u16::MAX) {
                return Err(refused(format!("`{word}` is one emoji too many"), "list fewer of them"));
            }
            self.list(word, valence);
        }
        Ok(self)
    }

    pub(super) fn add_emotes<W: AsRef<str>>(
        mut self,
        names: impl IntoIterator<Item = (W, f64)>,
    ) -> Result<Self, ConfigError> {
        for (name, valence) in names {
            let name = name.as_ref();
            check(name, valence)?;
            let is_new = !self.words.get_folded(name).is_some_and(|token| token.is(Token::EMOTE));
            if is_new && self.emotes >= EMOTES - FIRST {
                let most = EMOTES - FIRST;
                return Err(refused(format!("`{name}` is one emote more than {most}"), "list fewer of them"));
            }
            self.list_emote(name, tenths(valence));
        }
        Ok(self)
    }

    pub(super) fn mark(&mut self, word: &str, change: impl FnOnce(Token) -> Token) {
        if let Some(word) = Folded::of(word) {
            let token = self.words.entry(&word, Token::default());
            *token = change(*token);
        }
    }

    /// Sets the valence of a word. An emoji with a valence is no longer scored by its name.
    pub(super) fn list(&mut self, word: &str, valence: f64) {
        let tenths = tenths(valence);
        let next = self.meanings.len() as u16;
        let mut is_emoji = stands_alone(word);
        self.mark(word, |token| {
            is_emoji |= token.is(Token::EMOJI);
            if is_emoji {
                return Token(1).with(Token::EMOJI).with_number(next);
            }
            let token = match () {
                () if token.is(Token::EMOTE) => Token::default(),
                // A word of the user's own is part of no phrase of the chat layer.
                () if token.number() >= usize::from(PHRASES) => token.with_number(0),
                () => token,
            };
            // A booster has no valence of its own.
            let acts = if token.is(Token::BOOSTS | Token::DAMPENS) { 0 } else { Token::ACTS };
            token.with_tenths(tenths).with(Token::LISTED | acts)
        });
        if is_emoji {
            self.meanings.push(Token::default().with_tenths(tenths).with(Token::LISTED | Token::ACTS));
        }
    }

    pub(super) fn list_emote(&mut self, name: &str, tenths: i8) {
        let number = (FIRST + self.emotes) as u16;
        let mut is_new = false;
        self.mark(name, |token| {
            is_new = !token.is(Token::EMOTE);
            let token = if is_new { Token::default().with_number(number) } else { token };
            token.with_tenths(tenths).with(Token::EMOTE | Token::ACTS)
        });
        self.emotes += usize::from(is_new);
    }

    /// Stores the words of an emoji.
    fn explain(&mut self, emoji: &str, words: &str) {
        let start = self.meanings.len();
        for word in words.split(' ') {
            self.meanings.push(self.token(word));
        }
        let count = (self.meanings.len() - start).min(7) as u8;
        let exclamations = words.bytes().filter(|&byte| byte == b'!').count().min(7) as u8;
        let held = Token(u32::from(count | exclamations << 3)).with(Token::EMOJI).with_number(start as u16);
        self.mark(emoji, |_| held);
    }

    /// A digest of the words, emoji and emotes, independent of the order in which they were given, which does
    /// not affect scores either.
    pub(super) fn digest(&self) -> u64 {
        self.words.digest(|token| {
            let own = u64::from(token.0);
            if token.is(Token::EMOTE) {
                return own & 0xffff;
            }
            if !token.is(Token::EMOJI) {
                return own;
            }
            let words = self.meanings.iter().skip(token.number()).take((own & 7) as usize);
            words.fold(own & 0xffff, |digest, word| mix(u128::from(digest) << 32 | u128::from(word.0)))
        })
    }
}

/// Whether a word is one character that is a word by itself, as emoji are.
fn stands_alone(word: &str) -> bool {
    let mut characters = word.chars();
    let only = characters.next().filter(|_| characters.next().is_none());
    only.is_some_and(|only| !only.is_ascii() && !only.is_alphanumeric())
}

fn tenths(valence: f64) -> i8 {
    (valence * 10.0).round() as i8
}

fn check(word: &str, valence: f64) -> Result<(), ConfigError> {
    if !(-4.0..=4.0).contains(&valence) {
        return Err(refused(
            format!("the valence {valence} of `{word}` is not from -4 to 4"),
            "scale the valences",
        ));
    }
    if word.is_empty() || Folded::of(word).is_none() || word.contains(char::is_whitespace) {
        let detail = format!("`{word}` is not one word, emoticon or emoji of at most {LONGEST} bytes");
        return Err(refused(detail, "split it or leave it out"));
    }
    Ok(())
}

fn refused(detail: String, hint: &str) -> ConfigError {
    ConfigError::new("vader", detail, hint)
}
