//! From lists to tables.

use super::Vader;
use super::emotes::EMOTES as CHAT;
use super::token::{Part, Token};
use super::words::{BOOSTERS, DAMPENERS, NEGATIONS};
use crate::sentiment::dictionary::Dictionary;

/// A word or emoticon and its mean rating by ten people on each line.
const LEXICON: &str = include_str!("lexicon.tsv");
/// An emoji and the words that it stands for on each line.
const EMOJI: &str = include_str!("emoji.tsv");

/// The number of the first emote: not that of any part.
const FIRST: usize = 64;

impl Vader {
    pub(super) fn build() -> Self {
        let mut vader = Self { words: Dictionary::new(), meanings: Vec::new(), emotes: 0 };
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

    /// Adds the emotes that come with the crate.
    pub(super) fn add_chat(&mut self) {
        for &(model, names) in CHAT {
            let valence = self.words.get(model.as_bytes()).map_or(0, Token::tenths);
            names.split_whitespace().for_each(|name| self.list_emote(name, valence));
        }
    }

    fn mark(&mut self, word: &str, change: impl FnOnce(Token) -> Token) {
        let token = self.words.entry(word, Token::default());
        *token = change(*token);
    }

    pub(super) fn list(&mut self, word: &str, valence: f64) {
        let tenths = (valence * 10.0).round() as i8;
        self.mark(word, |token| {
            // Boosters have no valence, whatever a list says.
            let flags = if token.is(Token::BOOSTS | Token::DAMPENS) {
                Token::LISTED
            } else {
                Token::LISTED | Token::ACTS
            };
            let token = if token.is(Token::EMOTE) { Token::default() } else { token };
            token.with_tenths(tenths).with(flags)
        });
    }

    fn list_emote(&mut self, name: &str, tenths: i8) {
        let number = (FIRST + self.emotes) as u16;
        let mut is_new = false;
        self.mark(name, |token| {
            is_new = !token.is(Token::EMOTE);
            let token = if is_new { Token::default().with_number(number) } else { token };
            token.with_tenths(tenths).with(Token::EMOTE | Token::ACTS)
        });
        self.emotes += usize::from(is_new);
    }

    /// Keeps what the words of an emoji are.
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
}
