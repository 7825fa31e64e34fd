//! The state of reading one message: words are added one by one, and the score is computed at the end.

use super::rules::{INCREASE_CAPITALS, valence};
use super::token::{EMOTES, Part, Token};

/// Positions are taken modulo this number; the rules look at three words before and two after.
pub(super) const RING: usize = 8;

/// The state of reading a message. Whether capitals count as emphasis is known only at the end, so there are
/// two sums: one without and one with emphasis.
pub(super) struct Reading {
    ring: [Token; RING],
    words: usize,
    quiet: f64,
    loud: f64,
    /// The factor for the words from here on, which is greater after *but*.
    weight: f64,
    any_loud: bool,
    any_quiet: bool,
    exclamations: u32,
    questions: u32,
    /// The emotes of the text, as a set of their numbers.
    emotes: [u64; EMOTES / 64],
}

impl Reading {
    #[inline]
    pub(super) fn new() -> Self {
        Self {
            ring: [Token::BEFORE; RING],
            words: 0,
            quiet: 0.0,
            loud: 0.0,
            weight: 1.0,
            any_loud: false,
            any_quiet: false,
            exclamations: 0,
            questions: 0,
            emotes: [0; EMOTES / 64],
        }
    }

    /// Adds the next word. Then the word two before it has all the neighbours that affect it.
    #[inline]
    pub(super) fn push(&mut self, token: Token) {
        let is_emote = token.is(Token::EMOTE);
        self.any_loud |= token.is(Token::LOUD) && !is_emote;
        self.any_quiet |= !token.is(Token::LOUD) && !is_emote;
        self.append(token);
    }

    #[inline]
    fn append(&mut self, token: Token) {
        self.ring[self.words % RING] = token;
        self.words += 1;
        let ripe = self.words.wrapping_sub(3);
        // Before the third word it is the token before the first, which does not act.
        if self.ring[ripe % RING].is(Token::ACTS) {
            self.settle(ripe);
        }
    }

    #[inline]
    pub(super) fn punctuation(&mut self, exclamations: u32, questions: u32) {
        self.exclamations = self.exclamations.saturating_add(exclamations);
        self.questions = self.questions.saturating_add(questions);
    }

    /// A word that was read already: 1 is the last. The last two may still be changed.
    #[inline]
    pub(super) fn last(&self, back: usize) -> Token {
        self.ring[self.words.wrapping_sub(back) % RING]
    }

    /// Removes the valence of one of the last two words.
    pub(super) fn silence(&mut self, back: usize) {
        let token = &mut self.ring[self.words.wrapping_sub(back) % RING];
        *token = Token::default().with(token.0 & Token::LOUD);
    }

    /// Adds the valence of the word at a position.
    fn settle(&mut self, at: usize) {
        let token = self.ring[at % RING];
        if token.is(Token::EMOTE) {
            let (place, bit) = of_emote(token);
            self.emotes[place] |= bit;
            self.add(tenths(token) * self.weight);
            return;
        }
        if token.is_part(Part::But) && self.weight == 1.0 {
            // Halving is exact, so halving the sum equals halving each value.
            self.quiet *= 0.5;
            self.loud *= 0.5;
            self.weight = 1.5;
            return;
        }
        if !token.is(Token::LISTED) {
            return;
        }
        let near = |offset: isize| self.ring[at.wrapping_add_signed(offset) % RING];
        let before = [near(-1), near(-2), near(-3)];
        let after = [near(1), near(2)];
        let touching = before[0].0 | before[1].0 | before[2].0 | after[0].0 | token.0;
        if touching & (Token::TOUCHES | Token::LOUD) == 0 {
            self.add(tenths(token) * self.weight);
            return;
        }
        let quiet = valence(token, before, after, 0.0);
        let any_capitals = touching & Token::LOUD != 0;
        let loud = if any_capitals { valence(token, before, after, INCREASE_CAPITALS) } else { quiet };
        self.quiet += quiet * self.weight;
        self.loud += loud * self.weight;
    }

    /// Adds a valence that no rule changes.
    #[inline]
    pub(super) fn add(&mut self, valence: f64) {
        self.quiet += valence;
        self.loud += valence;
    }

    /// Ends the text: its last words have no further neighbours.
    pub(super) fn end_of_text(&mut self) {
        self.append(Token::default());
        self.append(Token::default());
    }

    /// Adds an emote of the platform's list, unless the text has it too. Only valid after the end of the
    /// text.
    pub(super) fn listed_emote(&mut self, token: Token) {
        let (place, bit) = of_emote(token);
        if self.emotes[place] & bit == 0 {
            self.add(tenths(token));
        }
    }

    /// The sum of the valences, with the emphasis of punctuation.
    pub(super) fn sum(&self) -> f64 {
        let stands_out = self.any_loud && self.any_quiet;
        let sum = if stands_out { self.loud } else { self.quiet };
        let exclamations = f64::from(self.exclamations.min(4)) * 0.292;
        let questions = match self.questions {
            0 | 1 => 0.0,
            2 | 3 => f64::from(self.questions) * 0.18,
            _ => 0.96,
        };
        let emphasis = exclamations + questions;
        if sum > 0.0 {
            sum + emphasis
        } else if sum < 0.0 {
            sum - emphasis
        } else {
            sum
        }
    }
}

fn tenths(token: Token) -> f64 {
    f64::from(token.tenths()) / 10.0
}

fn of_emote(token: Token) -> (usize, u64) {
    let number = token.number() % EMOTES;
    (number / 64, 1 << (number % 64))
}
