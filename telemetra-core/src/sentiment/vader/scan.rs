//! From a message to words: between white space, without the punctuation around them; emoji are words by themselves.

use super::Vader;
use super::class::{
    APOSTROPHE, EXCLAMATION, LOWER, MARK, QUESTION, SPACE, UPPER, WIDE, class, classes, trimmed,
};
use super::reading::Reading;
use super::token::Token;
use crate::sentiment::word::LONGEST;

impl Vader {
    /// Puts all words of a message into the reading.
    pub(super) fn read(&self, message: &str, reading: &mut Reading) {
        let text = message.as_bytes();
        let mut start = 0;
        let mut all = 0;
        for (at, &byte) in text.iter().enumerate() {
            let class = class(byte);
            if class & SPACE == 0 {
                all |= class;
                continue;
            }
            if start < at {
                self.piece(message, start, at, all, reading);
            }
            (start, all) = (at + 1, 0);
        }
        if start < text.len() {
            self.piece(message, start, text.len(), all, reading);
        }
    }

    /// What stands between white space, of the given classes.
    #[inline]
    fn piece(&self, message: &str, start: usize, end: usize, classes: u8, reading: &mut Reading) {
        let text = &message.as_bytes()[start..end];
        if classes & (EXCLAMATION | QUESTION) != 0 {
            let count =
                |wanted| text.iter().filter(|&&byte| byte == wanted).count().try_into().unwrap_or(u32::MAX);
            reading.punctuation(count(b'!'), count(b'?'));
        }
        if classes & WIDE == 0 {
            reading.push(self.ascii(text, classes));
        } else {
            self.wide(&message[start..end], reading);
        }
    }

    /// A word of ASCII characters, of the given classes.
    #[inline]
    fn ascii(&self, text: &[u8], classes: u8) -> Token {
        let word = if classes & MARK == 0 { text } else { trimmed(text) };
        let mut token = self.words.get(word).unwrap_or_default();
        if classes & (UPPER | LOWER) == UPPER {
            token = token.with(Token::LOUD);
        }
        if classes & APOSTROPHE != 0 && has_nt(word) {
            token = token.with(Token::NEGATES);
        }
        token
    }

    /// A piece in which there is something beyond ASCII: emoji, white space, letters.
    #[cold]
    fn wide(&self, piece: &str, reading: &mut Reading) {
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

    fn emoji(&self, emoji: Token, reading: &mut Reading) {
        let (count, exclamations) = (emoji.0 & 7, emoji.0 >> 3 & 7);
        reading.punctuation(exclamations, 0);
        let words = self.meanings.iter().skip(emoji.number()).take(count as usize);
        words.for_each(|&word| reading.push(word));
    }

    /// A word of any characters.
    pub(super) fn token(&self, piece: &str) -> Token {
        let classes = classes(piece.as_bytes());
        if classes & WIDE == 0 {
            return self.ascii(piece.as_bytes(), classes);
        }
        // Telephones write a typographic apostrophe.
        let mut straight = [0; LONGEST];
        let straight = straighten(piece, &mut straight);
        let word = straight.unwrap_or(piece.as_bytes());
        let token = self.ascii(word, self::classes(word) & !(UPPER | LOWER));
        if is_upper(piece) { token.with(Token::LOUD) } else { token }
    }
}

/// Whether there is an *n't* in it.
#[cold]
fn has_nt(word: &[u8]) -> bool {
    word.windows(3).any(|three| three.eq_ignore_ascii_case(b"n't"))
}

/// The text with straight apostrophes, if it has other ones and is no longer than a word can be.
fn straighten<'a>(text: &str, buffer: &'a mut [u8; LONGEST]) -> Option<&'a [u8]> {
    if !text.contains('\u{2019}') {
        return None;
    }
    let mut end = 0;
    for part in text.split_inclusive('\u{2019}') {
        let (part, apostrophe) = part.strip_suffix('\u{2019}').map_or((part, ""), |part| (part, "'"));
        for bytes in [part.as_bytes(), apostrophe.as_bytes()] {
            buffer.get_mut(end..end + bytes.len())?.copy_from_slice(bytes);
            end += bytes.len();
        }
    }
    Some(&buffer[..end])
}

/// Whether all letters that have a case are capitals, and there are some.
fn is_upper(word: &str) -> bool {
    let cased = || word.chars().filter(|c| c.is_lowercase() || c.is_uppercase());
    cased().next().is_some() && cased().all(char::is_uppercase)
}
