//! Phrases: words that have a valence together.

use xxhash_rust::xxh3::Xxh3;

use super::Group;
use crate::livestream::sentiment::vader::Vader;
use crate::livestream::sentiment::vader::reading::Reading;
use crate::livestream::sentiment::vader::token::{ENDS, PHRASES, STEP, Token};

/// The number of all figures, which a phrase writes as `#`, and which end phrases.
pub(super) const FIGURES: u16 = PHRASES | ENDS;

/// The greatest number of words of a phrase: as many as a reading has not settled when the last of them
/// comes.
const LONGEST: usize = 3;

/// A phrase of two or three words and its valence.
#[derive(Clone, Debug)]
struct Phrase {
    /// The numbers of the words before the last, the nearest first; 0 in a phrase of two words.
    before: [u16; LONGEST - 1],
    tenths: i8,
}

#[derive(Clone, Debug)]
pub(super) struct Phrases {
    /// The phrases by the [`place`] of their last word, the longest first.
    by_last: Vec<Vec<Phrase>>,
    /// The parts that end phrases, as a set of their numbers.
    parts: u64,
    /// The last two words of phrases, as a set of their [`slot`]s: most words that end a phrase do not, as the word
    /// before them is another one.
    ends: Box<[u64; SLOTS / 64]>,
    /// The valences, in tenths, of words that are a whole message, by their [`place`]; 0 for other words.
    alone: Vec<i8>,
    /// The greatest number of such a word.
    alone_to: u16,
}

/// The size of a set of pairs of words, a power of two.
const SLOTS: usize = 1 << 14;

/// The place of a pair of words in a set.
#[inline]
fn slot(before: u16, last: u16) -> (usize, u64) {
    let pair = u32::from(before) << 16 | u32::from(last);
    let slot = pair.wrapping_mul(0x9e37_79b1) >> (u32::BITS - SLOTS.trailing_zeros());
    (slot as usize / 64, 1 << (slot % 64))
}

/// Assigns the numbers by which phrases refer to words.
struct Numbers<'a> {
    vader: &'a mut Vader,
    last: u16,
}

impl Numbers<'_> {
    /// The number of a word; a new number includes `ends`.
    fn of(&mut self, word: &str, ends: u16) -> u16 {
        if word == "#" {
            return FIGURES;
        }
        let next = self.last + STEP;
        let mut number = 0;
        self.vader.mark(word, |token| {
            let known = token.number() as u16;
            number = if known == 0 { next | ends } else { known };
            token.with_number(number)
        });
        if number & !ENDS == next {
            self.last = next;
        }
        number
    }
}

impl Phrases {
    /// Assigns numbers to the words of phrases that have none yet.
    pub(super) fn new(groups: &[Group], alone: &[Group], vader: &mut Vader) -> Self {
        let mut numbers = Numbers { vader, last: PHRASES };
        let phrases =
            || groups.iter().flat_map(|group| group.items.split(',').map(|phrase| (phrase, group.tenths)));
        let ends = Box::new([0; SLOTS / 64]);
        let mut held = Self { by_last: Vec::new(), parts: 0, ends, alone: Vec::new(), alone_to: 0 };
        for group in alone {
            for word in group.items.split_whitespace() {
                let place = place(numbers.of(word, ENDS));
                held.alone.resize(held.alone.len().max(place + 1), 0);
                held.alone[place] = group.tenths;
            }
        }
        held.alone_to = numbers.last;
        // All last words come first, as only a new number can include the flag that phrases end with it.
        for last in phrases().filter_map(|(phrase, _)| phrase.split_whitespace().next_back()) {
            last.split('/').for_each(|word| _ = numbers.of(word, ENDS));
        }
        for (phrase, tenths) in phrases() {
            held.add(phrase, tenths, &mut numbers);
        }
        held.by_last.iter_mut().for_each(|same| same.sort_by_key(|phrase| phrase.before[1] == 0));
        // Words of two letters with a mark are first looked up unchanged: the meaning of `no.` must not
        // depend on the phrases.
        if let Some(no) = vader.words.get(b"no").and_then(Token::alone) {
            vader.mark("no.", |token| token.with(no.0));
        }
        held
    }

    /// Adds a phrase in all its forms.
    fn add(&mut self, phrase: &str, tenths: i8, numbers: &mut Numbers<'_>) {
        let mut forms = vec![[0; LONGEST]];
        for place in phrase.split_whitespace() {
            let words: Vec<u16> = place.split('/').map(|word| numbers.of(word, 0)).collect();
            // Each word before moves one place further from the last.
            let longer = forms.iter().flat_map(|form| words.iter().map(|&word| [word, form[0], form[1]]));
            forms = longer.collect();
        }
        for [last, before @ ..] in forms {
            let place = place(last);
            if self.by_last.len() <= place {
                self.by_last.resize_with(place + 1, Vec::new);
            }
            self.by_last[place].push(Phrase { before, tenths });
            self.parts |= if last < STEP { 1 << last } else { 0 };
            let (word, bit) = slot(before[0], last);
            self.ends[word] |= bit;
        }
    }

    /// Whether a word that is about to be read may end a phrase. There are no branches, as they would be
    /// mispredicted.
    #[inline]
    pub(super) fn may_end(&self, token: Token, reading: &Reading) -> bool {
        let number = token.number() as u16;
        let is_last = (number & ENDS != 0) | ((number < STEP) & (self.parts >> (number % STEP) & 1 != 0));
        let (word, bit) = slot(reading.last(1).number() as u16, number);
        is_last & (self.ends[word] & bit != 0)
    }

    /// Whether a word may have another valence as a whole message.
    #[inline]
    pub(super) fn may_be_alone(&self, token: Token) -> bool {
        let number = token.number() as u16;
        // The first numbers belong to such words, after that of figures.
        (number & ENDS != 0) & (number & !ENDS <= self.alone_to) & (number != FIGURES)
    }

    /// The token of a word that is about to be read: if the word ends a phrase, the token is that of the
    /// phrase, and its other words no longer count.
    pub(super) fn ended(&self, token: Token, reading: &mut Reading) -> Token {
        let Some(phrases) = self.by_last.get(place(token.number() as u16)) else { return token };
        let is = |back: usize, number: u16| reading.last(back).number() == usize::from(number);
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

    /// The valence of a word as a whole message, in tenths, if it differs from its usual valence.
    pub(super) fn alone(&self, word: Token) -> Option<i8> {
        self.alone.get(place(word.number() as u16)).copied().filter(|tenths| *tenths != 0)
    }

    pub(super) fn digest(&self, digest: &mut Xxh3) {
        for tenths in &self.alone {
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

/// The index of the phrases that end with a word: parts have their own numbers, and the others follow.
fn place(number: u16) -> usize {
    let number = number & !ENDS;
    usize::from(if number < STEP { number } else { STEP + number.saturating_sub(PHRASES) / STEP })
}
