//! The scan of a message into words: they are separated by white space, without the punctuation around them;
//! emoji are words by themselves.

use super::Vader;
use super::class::{
    APOSTROPHE, EXCLAMATION, LOWER, MARK, QUESTION, UPPER, WIDE, classes, count, few, trimmed,
};
use super::pieces::{Piece, pieces};
use super::reading::Reading;
use super::token::Token;
use crate::livestream::sentiment::word::Folded;

impl Vader {
    /// Adds all words of a message to the reading.
    pub(super) fn read(&self, message: &str, reading: &mut Reading) {
        pieces(message, |piece| match piece.number {
            Some(number) => {
                reading.push(of_letters(self.words.find(number).unwrap_or_default(), piece.classes));
            }
            None => self.piece(message, piece, reading),
        });
    }

    /// Handles a piece between white space.
    #[inline]
    fn piece(&self, message: &str, Piece { start, end, classes, .. }: Piece, reading: &mut Reading) {
        let text = &message.as_bytes()[start..end];
        if classes & (EXCLAMATION | QUESTION) != 0 {
            reading.punctuation(count(text, b'!'), count(text, b'?'));
        }
        if classes & WIDE == 0 {
            reading.push(self.word(text, classes));
        } else {
            self.wide(&message[start..end], reading);
        }
    }

    /// Handles a word with bytes of the given classes.
    #[inline]
    fn word(&self, text: &[u8], classes: u8) -> Token {
        let (word, found) =
            if classes & MARK == 0 { (text, self.words.get(text)) } else { self.unwrapped(text) };
        let mut token = found.unwrap_or_default();
        if classes & (UPPER | LOWER) == UPPER {
            token = token.with(Token::LOUD);
        }
        if negates(word, classes) {
            token = token.with(Token::NEGATES);
        }
        token
    }

    /// A word without the punctuation around it, unless hardly anything would be left: then it is probably an
    /// emoticon (`:D`). If it is not an emoticon, it is a word (`gg!`), but with punctuation attached it
    /// modifies no other word (`no, great`).
    pub(super) fn unwrapped<'a>(&self, text: &'a [u8]) -> (&'a [u8], Option<Token>) {
        let kept = trimmed(text);
        match few(kept) {
            0 | 1 => (text, self.words.get(text)),
            2 => (text, self.words.get(text).or_else(|| self.words.get(kept).and_then(Token::alone))),
            _ => (kept, self.words.get(kept)),
        }
    }

    /// Handles a piece with characters beyond ASCII: emoji, white space, letters.
    #[cold]
    fn wide(&self, piece: &str, reading: &mut Reading) {
        #[cfg(test)]
        crate::livestream::sentiment::work::done(piece.len() as u64);
        let (mut start, mut after_emoji) = (0, false);
        for (at, character) in piece.char_indices().filter(|(_, character)| !character.is_ascii()) {
            let end = at + character.len_utf8();
            let text = &piece.as_bytes()[at..end];
            if let Some(emoji) = self.words.get(text).filter(|token| token.is(Token::EMOJI)) {
                self.letters(&piece[start..at], reading);
                self.emoji(emoji, reading);
                after_emoji = true;
            } else if character.is_whitespace() {
                self.letters(&piece[start..at], reading);
                after_emoji = false;
            } else if !(after_emoji
                && at == start
                && matches!(character, '\u{fe0e}' | '\u{fe0f}' | '\u{200d}'))
            {
                continue;
            }
            start = end;
        }
        self.letters(&piece[start..], reading);
    }

    fn letters(&self, piece: &str, reading: &mut Reading) {
        if !piece.is_empty() {
            reading.push(self.token(piece));
        }
    }

    pub(super) fn emoji(&self, emoji: Token, reading: &mut Reading) {
        let (count, exclamations) = (emoji.0 & 7, emoji.0 >> 3 & 7);
        reading.punctuation(exclamations, 0);
        let words = self.meanings.iter().skip(emoji.number()).take(count as usize);
        words.for_each(|&word| reading.push(word));
    }

    /// The token of a word of any characters.
    pub(super) fn token(&self, piece: &str) -> Token {
        #[cfg(test)]
        crate::livestream::sentiment::work::done(piece.len() as u64);
        let classes = classes(piece.as_bytes());
        if classes & WIDE == 0 {
            return self.word(piece.as_bytes(), classes);
        }
        let kept = piece.trim_matches(|character: char| character.is_ascii_punctuation());
        let kept = if few(kept.as_bytes()) > 2 { kept } else { piece };
        // A word that is too long to be folded is in no lexicon.
        let token = Folded::of(kept).map_or(Token::default(), |folded| {
            let word = folded.bytes();
            self.word(word, self::classes(word) & !(UPPER | LOWER))
        });
        if is_upper(piece) { token.with(Token::LOUD) } else { token }
    }
}

/// The token of a word of letters alone, which have the given classes.
#[inline]
fn of_letters(token: Token, classes: u8) -> Token {
    if classes & (UPPER | LOWER) == UPPER { token.with(Token::LOUD) } else { token }
}

/// Whether a word is a negation by its *n't*.
#[inline]
pub(super) fn negates(word: &[u8], classes: u8) -> bool {
    classes & APOSTROPHE != 0 && has_nt(word)
}

#[cold]
fn has_nt(word: &[u8]) -> bool {
    word.windows(3).any(|three| three.eq_ignore_ascii_case(b"n't"))
}

/// Whether there are letters that have a case, all of them capitals.
fn is_upper(word: &str) -> bool {
    let cased = || word.chars().filter(|c| c.is_lowercase() || c.is_uppercase());
    cased().next().is_some() && cased().all(char::is_uppercase)
}
