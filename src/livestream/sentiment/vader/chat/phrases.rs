//! Words that say something together.

use std::collections::BTreeMap;

use xxhash_rust::xxh3::Xxh3;

use super::Group;
use crate::livestream::sentiment::vader::Vader;
use crate::livestream::sentiment::vader::reading::Reading;
use crate::livestream::sentiment::vader::token::{PHRASES, Part, Token};

/// The number of all numbers, which a phrase writes `#`.
pub(super) const FIGURES: u16 = PHRASES;

/// The most words of a phrase. As many as a reading has not settled yet when the last of them comes.
const LONGEST: usize = 3;

/// Two or three words and what they are worth together.
#[derive(Clone, Debug)]
struct Phrase {
    /// The words before the last, the nearest first; 0 where it has only two.
    before: [u16; LONGEST - 1],
    tenths: i8,
}

#[derive(Clone, Debug)]
pub(super) struct Phrases {
    /// By the number of the last word, with those of parts first; the longest come first.
    by_last: Vec<Vec<Phrase>>,
    /// Words that make a whole message, by their numbers, and what they are worth then, in tenths.
    alone: BTreeMap<u16, i8>,
}

impl Phrases {
    /// Gives the words of phrases numbers, where they have none yet.
    pub(super) fn new(groups: &[Group], alone: &[Group], vader: &mut Vader) -> Self {
        let mut next = FIGURES + 1;
        let mut number_of = |word: &str| {
            if word == "#" {
                return FIGURES;
            }
            let mut number = 0;
            vader.mark(word, |token| {
                let known = token.number() as u16;
                number = if known == 0 { next } else { known };
                token.with_number(number)
            });
            next += u16::from(number == next);
            number
        };
        let alone = alone
            .iter()
            .flat_map(|group| {
                group.items.split_whitespace().map(|word| (number_of(word), group.tenths)).collect::<Vec<_>>()
            })
            .collect();
        let mut by_last = Vec::new();
        for group in groups {
            for phrase in group.items.split(',') {
                let words: Vec<Vec<u16>> = phrase
                    .split_whitespace()
                    .map(|place| place.split('/').map(&mut number_of).collect())
                    .collect();
                let Some((last, before)) = words.split_last() else { continue };
                let nothing = vec![0];
                let first = if before.len() > 1 { &before[0] } else { &nothing };
                for (&last, &nearest, &first) in last.iter().flat_map(|last| {
                    before
                        .last()
                        .unwrap_or(&nothing)
                        .iter()
                        .flat_map(move |nearest| first.iter().map(move |first| (last, nearest, first)))
                }) {
                    let Some(place) = place(last) else { continue };
                    if by_last.len() <= place {
                        by_last.resize_with(place + 1, Vec::new);
                    }
                    by_last[place].push(Phrase { before: [nearest, first], tenths: group.tenths });
                }
            }
        }
        // Two letters and a mark are looked up as they stand first: what `no.` says must not depend on the phrases.
        if let Some(no) = vader.words.get(b"no").and_then(Token::alone) {
            vader.mark("no.", |token| token.with(no.0));
        }
        by_last
            .iter_mut()
            .for_each(|same: &mut Vec<Phrase>| same.sort_by_key(|phrase| phrase.before[1] == 0));
        Self { by_last, alone }
    }

    /// What a word that is about to be read stands for: the phrase that it ends, if it ends one, whose other words then say
    /// nothing any more.
    #[inline]
    pub(super) fn ended(&self, token: Token, reading: &mut Reading) -> Token {
        if token.number() == 0 || token.is(Token::EMOJI | Token::EMOTE) {
            return token;
        }
        let Some(phrases) = place(token.number() as u16).and_then(|place| self.by_last.get(place)) else {
            return token;
        };
        let is = |back: usize, number: u16| {
            let near = reading.last(back);
            near.number() as u16 == number && !near.is(Token::EMOJI | Token::EMOTE)
        };
        let found = phrases
            .iter()
            .find(|phrase| is(1, phrase.before[0]) && (phrase.before[1] == 0 || is(2, phrase.before[1])));
        let Some(phrase) = found else { return token };
        reading.silence(1);
        if phrase.before[1] != 0 {
            reading.silence(2);
        }
        let whole = Token::default().with(token.0 & Token::LOUD);
        if phrase.tenths == 0 {
            whole
        } else {
            whole.with_tenths(phrase.tenths).with(Token::LISTED | Token::ACTS)
        }
    }

    /// What a word is worth as a whole message, in tenths, if that is another than its valence.
    pub(super) fn alone(&self, word: Token) -> Option<i8> {
        self.alone.get(&(word.number() as u16)).copied()
    }

    pub(super) fn digest(&self, digest: &mut Xxh3) {
        for (word, tenths) in &self.alone {
            digest.update(&word.to_le_bytes());
            digest.update(&tenths.to_le_bytes());
        }
        for (last, phrases) in (0_u64..).zip(&self.by_last) {
            for phrase in phrases {
                digest.update(&last.to_le_bytes());
                digest.update(&phrase.before[0].to_le_bytes());
                digest.update(&phrase.before[1].to_le_bytes());
                digest.update(&phrase.tenths.to_le_bytes());
            }
        }
    }
}

/// Where the phrases are that end with a word.
#[inline]
fn place(number: u16) -> Option<usize> {
    const PARTS: usize = Part::ALL.len() + 1;
    let number = usize::from(number);
    if number < PARTS { Some(number) } else { Some(number.checked_sub(usize::from(PHRASES))? + PARTS) }
}
