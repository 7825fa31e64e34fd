//! The chat layer: words and forms of live chats that VADER does not have, or has in another sense.

mod laughter;
mod phrases;
mod read;
mod text;
mod words;

use std::collections::BTreeMap;

use xxhash_rust::xxh3::Xxh3;

use self::phrases::Phrases;
use self::words::{ALONE, EMOJI, EMOTES, FRAGMENTS, Group, NEUTRAL, PHRASES, SUFFIXES, WORDS};
use super::Vader;
use super::token::Token;
use crate::livestream::sentiment::dictionary::Dictionary;
use crate::livestream::sentiment::word::Folded;

/// The version of the layer's rules; its words are in the digest.
pub(super) const RULES: u32 = 1;

/// The number of all emotes that are recognised by their suffix. No part and no listed emote has this number.
const SUFFIX: u16 = 40;

/// The data of the layer, except for the words that it puts into the dictionary.
#[derive(Clone)]
pub(super) struct Chat {
    suffixes: Dictionary<Token>,
    phrases: Phrases,
    /// The fragments by their first characters, the longest first.
    fragments: BTreeMap<char, Vec<(&'static str, Token)>>,
}

impl Chat {
    /// Changes the words of `vader` to their sense in chat, and builds the rest.
    pub(super) fn layer(vader: &mut Vader) -> Self {
        for word in items(NEUTRAL).map(|(word, _)| word) {
            vader.mark(word, |token| token.without_valence());
        }
        for (word, tenths) in items(WORDS).chain(items(EMOJI)) {
            vader.list(word, f64::from(tenths) / 10.0);
        }
        for (name, tenths) in items(EMOTES) {
            vader.list_emote(name, tenths);
        }
        let mut suffixes = Dictionary::new();
        for (number, group) in (SUFFIX..).zip(SUFFIXES) {
            let token = Token::default().with_tenths(group.tenths).with_number(number);
            for suffix in group.items.split_whitespace().filter_map(Folded::of) {
                *suffixes.entry(&suffix, token) = token.with(Token::EMOTE | Token::ACTS);
            }
        }
        let phrases = Phrases::new(PHRASES, ALONE, vader);
        let mut fragments: BTreeMap<char, Vec<_>> = BTreeMap::new();
        for (fragment, tenths) in items(FRAGMENTS) {
            if let Some(first) = fragment.chars().next() {
                fragments.entry(first).or_default().push((fragment, sign(tenths)));
            }
        }
        fragments
            .values_mut()
            .for_each(|same| same.sort_by_key(|(fragment, _)| std::cmp::Reverse(fragment.len())));
        Self { suffixes, phrases, fragments }
    }

    /// A digest of the layer's words, except for those in the dictionary, which has a digest of its own.
    pub(super) fn digest(&self) -> u64 {
        let mut digest = Xxh3::new();
        for (fragment, token) in self.fragments.values().flatten() {
            digest.update(fragment.as_bytes());
            digest.update(&token.0.to_le_bytes());
        }
        digest.update(&self.suffixes.digest(|token| u64::from(token.0)).to_le_bytes());
        self.phrases.digest(&mut digest);
        digest.digest()
    }

    /// The emote of a channel, recognised by its suffix: the name has a prefix of two or more small letters
    /// and digits, then a suffix that begins with a capital.
    pub(super) fn emote(&self, name: &[u8]) -> Option<Token> {
        let prefix =
            name.iter().take_while(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()).count();
        let (before, suffix) = name.split_at_checked(prefix)?;
        if prefix < 2 || !before[0].is_ascii_lowercase() || !suffix.first()?.is_ascii_uppercase() {
            return None;
        }
        let digits = suffix.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
        let named = &suffix[..suffix.len() - digits];
        // The suffix of `pokiTeaHype` is the last word with a capital.
        let last = || {
            let from = (1..named.len())
                .rev()
                .find(|&at| named[at].is_ascii_uppercase() && named[at - 1].is_ascii_lowercase())?;
            self.suffixes.get(&named[from..])
        };
        self.suffixes.get(suffix).or_else(|| self.suffixes.get(named)).or_else(last)
    }
}

fn items(groups: &'static [Group]) -> impl Iterator<Item = (&'static str, i8)> {
    groups.iter().flat_map(|group| group.items.split_whitespace().map(|item| (item, group.tenths)))
}

/// A valence that no rule changes.
fn sign(tenths: i8) -> Token {
    Token::default().with_tenths(tenths).with(Token::EMOTE | Token::ACTS)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;
    use crate::livestream::sentiment::Sentiment;

    /// The tables as the docs must contain them.
    fn tables() -> String {
        let mut text = String::new();
        for (title, groups, separator) in [
            ("Without a mood", NEUTRAL, None),
            ("Words and emoticons", WORDS, None),
            ("Whole messages", ALONE, None),
            ("Phrases", PHRASES, Some(',')),
            ("Emoji", EMOJI, None),
            ("Emotes", EMOTES, None),
            ("Suffixes of emotes", SUFFIXES, None),
            ("Scripts without spaces", FRAGMENTS, None),
        ] {
            let _ = write!(text, "\n### {title}\n\n| valence | what | why |\n|---|---|---|\n");
            for group in groups {
                let items: Vec<String> = match separator {
                    None => group.items.split_whitespace().map(|item| format!("`{item}`")).collect(),
                    Some(comma) => group
                        .items
                        .split(comma)
                        .map(|item| format!("`{}`", item.split_whitespace().collect::<Vec<_>>().join(" ")))
                        .collect(),
                };
                let valence = f64::from(group.tenths) / 10.0;
                let _ = writeln!(text, "| {valence:+.1} | {} | {} |", items.join(" "), group.why);
            }
        }
        text
    }

    #[test]
    fn the_docs_have_every_word() {
        let docs = include_str!("../../../../docs/chat-words.md");
        let tables = tables();
        if let Some(path) = std::env::var_os("WRITE_CHAT_WORDS") {
            assert!(std::fs::write(path, &tables).is_ok());
        }
        assert!(docs.ends_with(&tables), "docs/chat-words.md should end with\n{tables}");
    }

    #[test]
    fn words_are_listed_once_and_are_no_emotes() {
        let mut seen = std::collections::HashSet::new();
        let emotes = Vader::new();
        for (word, _) in items(NEUTRAL).chain(items(WORDS)).chain(items(EMOJI)).chain(items(EMOTES)) {
            assert!(seen.insert(word.to_lowercase()), "`{word}` is listed twice");
            assert!(!emotes.token(word).is(Token::EMOTE), "`{word}` is an emote");
        }
    }

    #[test]
    fn a_phrase_by_itself_has_its_valence() {
        let chat = Vader::chat();
        let mut others = Vec::new();
        for group in PHRASES {
            for phrase in group.items.split(',') {
                let first: Vec<&str> =
                    phrase.split_whitespace().filter_map(|place| place.split('/').next()).collect();
                let phrase = first.join(" ").replace('#', "7");
                let expected = crate::livestream::sentiment::vader::compound(f64::from(group.tenths) / 10.0);
                if chat.score(&phrase, &[]) != expected {
                    others.push(phrase);
                }
            }
        }
        assert!(others.is_empty(), "{others:?}");
    }
}
