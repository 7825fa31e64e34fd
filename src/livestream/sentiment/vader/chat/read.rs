//! The scan of a message into words, by the rules of the chat layer.

use super::laughter::{Figure, figure, is_laughter, is_laughter_beyond_ascii, may_laugh, number_may_laugh};
use super::phrases::FIGURES;
use super::text::{Resolved, brackets, is_address};
use super::words::{APPLAUSE, BRACKETS, LAUGHTER, WIN};
use super::{Chat, sign};
use crate::livestream::sentiment::letters::is_unspaced;
use crate::livestream::sentiment::vader::Vader;
use crate::livestream::sentiment::vader::class::{LOWER, MARK, UPPER, WIDE, classes, count, few};
use crate::livestream::sentiment::vader::pieces::{Piece, pieces};
use crate::livestream::sentiment::vader::reading::Reading;
use crate::livestream::sentiment::vader::scan::negates;
use crate::livestream::sentiment::vader::token::Token;
use crate::livestream::sentiment::word::{Folded, LONGEST};

/// A message that is being read by the layer.
struct Reader<'a> {
    vader: &'a Vader,
    chat: &'a Chat,
    reading: &'a mut Reading,
    /// The sum of the valences of numbers that are read as sounds, in tenths.
    figures: i32,
    /// Whether any byte is there three times in a row.
    any_run: bool,
    /// The last word that may have another valence as a whole message.
    alone: Token,
    /// The number of words that are no laughter and no emotes; there may be more.
    surely_words: usize,
}

impl Chat {
    /// Adds all words of a message to the reading, and ends it.
    pub(in super::super) fn read(&self, vader: &Vader, message: &str, reading: &mut Reading) {
        let any_run = has_run(message.as_bytes());
        let mut reader = Reader {
            vader,
            chat: self,
            reading,
            figures: 0,
            any_run,
            alone: Token::default(),
            surely_words: 0,
        };
        pieces(message, |Piece { start, end, classes, number }| {
            if let Some(number) = number {
                reader.letters_alone(&message.as_bytes()[start..end], number, classes);
            } else if classes & (MARK | WIDE) == 0 {
                let text = &message.as_bytes()[start..end];
                reader.word(text, text, vader.words.get(text), classes);
            } else {
                reader.piece(&message[start..end], classes, start == 0);
            }
        });
        let (figures, alone, many) = (reader.figures, reader.alone, reader.surely_words > 1);
        reading.end_of_text();
        if figures != 0 && !message.bytes().any(|byte| byte.is_ascii_alphabetic()) {
            reading.add(f64::from(figures) / 10.0);
        }
        if !many
            && let Some(tenths) = self.phrases.alone(alone)
            && self.is_one_word(vader, message)
        {
            reading.add((f64::from(tenths) - f64::from(alone.tenths())) / 10.0);
        }
    }

    /// Whether a message consists of one word, besides emotes, emoji, marks and laughter.
    #[cold]
    fn is_one_word(&self, vader: &Vader, message: &str) -> bool {
        let is_sign = |piece: &str| {
            !piece.contains(char::is_alphanumeric)
                || is_laughter(piece.as_bytes())
                || self.emote(piece.as_bytes()).is_some()
                || vader.token(piece).is(Token::EMOTE)
                || self.fragment(piece, None).is_some_and(|(length, _)| length == piece.len())
        };
        message.split_whitespace().filter(|piece| !is_sign(piece)).take(2).count() == 1
    }

    /// The fragment at the start of a text without spaces between words, and its length with all repetitions.
    fn fragment(&self, text: &str, before: Option<char>) -> Option<(usize, Token)> {
        let first = text.chars().next()?;
        if first == '草' {
            // `草` is laughter (grass looks like `www`), unless it ends the name of a plant.
            let run = text.chars().take_while(|&character| character == first).count() * first.len_utf8();
            let ends = text[run..].chars().next().is_none_or(|next| !is_unspaced(next));
            return (ends && before.is_none_or(is_kana)).then(|| (run, sign(LAUGHTER)));
        }
        let known = self.fragments.get(&first)?;
        let (fragment, token) = known.iter().find(|(fragment, _)| text.starts_with(fragment))?;
        let mut length = fragment.len();
        let last = fragment.chars().next_back()?;
        // A repetition of the last letter or of the whole belongs to the fragment, which counts once.
        while let Some(more) = text.get(length..) {
            length += match () {
                () if more.starts_with(fragment) => fragment.len(),
                () if more.starts_with(last) => last.len_utf8(),
                () => break,
            };
        }
        Some((length, *token))
    }
}

impl Reader<'_> {
    #[inline(always)]
    fn push(&mut self, token: Token) {
        let phrases = &self.chat.phrases;
        self.alone = if phrases.may_be_alone(token) { token } else { self.alone };
        let token = if phrases.may_end(token, self.reading) { self.last_of_phrase(token) } else { token };
        self.reading.push(token);
    }

    /// Handles a word together with the words before it.
    #[cold]
    fn last_of_phrase(&mut self, token: Token) -> Token {
        self.chat.phrases.ended(token, self.reading)
    }

    /// Handles a piece between white space that contains marks or characters beyond ASCII.
    fn piece(&mut self, piece: &str, classes: u8, begins_message: bool) {
        if classes & MARK == 0 {
            return self.wide(piece);
        }
        if is_address(piece.as_bytes(), begins_message) {
            return self.push(Token::default());
        }
        match Resolved::of(piece) {
            Some(resolved) => self.marked(resolved.text(), self::classes(resolved.text().as_bytes())),
            None => self.marked(piece, classes),
        }
    }

    fn marked(&mut self, piece: &str, classes: u8) {
        let text = piece.as_bytes();
        self.reading.punctuation(count(text, b'!'), count(text, b'?'));
        if classes & WIDE == 0 {
            let (word, found) = match text {
                // A heart with repeated characters.
                [b'<', b'3', more @ ..] if more.iter().all(|&byte| byte == b'3') => {
                    self.vader.unwrapped(b"<3")
                }
                _ => self.vader.unwrapped(text),
            };
            self.word(text, word, found, classes);
        } else {
            self.wide(piece);
        }
        if let Some(smile) = brackets(text) {
            self.reading.push(sign(if smile { BRACKETS } else { -BRACKETS }));
        }
    }

    /// Handles a word of ASCII characters of the given classes, without the marks around it, and its entry in
    /// the dictionary.
    #[inline(always)]
    fn word(&mut self, text: &[u8], word: &[u8], found: Option<Token>, classes: u8) {
        let mut token = match found {
            Some(token) => token,
            None if self.is_odd(word, classes) => self.unknown(word, classes),
            None => Token::default(),
        };
        if classes & (UPPER | LOWER) == UPPER {
            token = in_capitals(token, text);
        }
        if negates(word, classes) {
            token = token.with(Token::NEGATES);
        }
        self.push(token);
    }

    /// Handles a word of letters alone, which has a number and letters of the given classes.
    #[inline(always)]
    fn letters_alone(&mut self, word: &[u8], number: u128, classes: u8) {
        let found = self.vader.words.find(number);
        let mut token = found.unwrap_or_default();
        // One branch that is rarely taken costs less than four.
        let may_be_odd = self.any_run | (classes == UPPER | LOWER) | number_may_laugh(number);
        if may_be_odd & found.is_none() {
            token = self.unknown(word, classes);
        }
        self.surely_words += usize::from(!may_be_odd & !token.is(Token::EMOTE));
        if classes == UPPER {
            token = if word.len() == 1 { in_capitals(token, word) } else { token.with(Token::LOUD) };
        }
        self.push(token);
    }

    /// Whether a word that is not in the dictionary may be something other than a word.
    #[inline]
    fn is_odd(&self, word: &[u8], classes: u8) -> bool {
        self.any_run
            || classes & MARK != 0
            || classes & (UPPER | LOWER) == UPPER | LOWER
            || word.first().is_some_and(u8::is_ascii_digit)
            || may_laugh(word)
    }

    /// Handles a word that is not in the dictionary in this form.
    #[cold]
    fn unknown(&mut self, word: &[u8], classes: u8) -> Token {
        #[cfg(test)]
        crate::livestream::sentiment::work::done(word.len() as u64);
        let Some(&first) = word.first() else { return Token::default() };
        if first.is_ascii_digit() {
            self.figures += match figure(word) {
                Some(Figure::Laughter) => i32::from(LAUGHTER),
                Some(Figure::Applause) => i32::from(APPLAUSE),
                None => 0,
            };
        }
        if first.is_ascii_digit() || first == b'#' {
            return Token::default().with_number(FIGURES);
        }
        if classes & (UPPER | LOWER) == UPPER | LOWER
            && let Some(emote) = self.chat.emote(word)
        {
            return emote;
        }
        if is_laughter(word) {
            return sign(LAUGHTER);
        }
        if let [only @ (b'W' | b'w' | b'L' | b'l' | b'F' | b'f'), marks @ ..] = word
            && marks.iter().all(|mark| b"!?.,~".contains(mark))
        {
            return self.vader.words.get(&[*only]).unwrap_or_default();
        }
        self.drawn_out(word).unwrap_or_default()
    }

    /// A word with letters repeated three times or more: its form with three, two or one of each that is in
    /// the dictionary.
    fn drawn_out(&self, word: &[u8]) -> Option<Token> {
        if !self.any_run || !has_run(word) {
            return None;
        }
        (1..=3).rev().find_map(|most| {
            let mut kept = [0; LONGEST];
            let (mut len, mut run) = (0, 0);
            let mut last = 0;
            for byte in word.iter().map(u8::to_ascii_lowercase) {
                run = if byte == last { run + 1 } else { 1 };
                last = byte;
                // A pair stays a pair; only longer runs are shortened.
                if run <= most {
                    *kept.get_mut(len)? = byte;
                    len += 1;
                }
            }
            #[cfg(test)]
            crate::livestream::sentiment::work::done(word.len() as u64);
            self.vader.words.get(&kept[..len])
        })
    }

    /// Handles a piece with characters beyond ASCII. Emoji and fragments are words by themselves, and a word
    /// ends where a script without spaces meets Latin letters or digits.
    #[cold]
    fn wide(&mut self, piece: &str) {
        #[cfg(test)]
        crate::livestream::sentiment::work::done(piece.len() as u64);
        let (mut start, mut at) = (0, 0);
        let (mut before, mut of_start, mut after_emoji) = (None, None, false);
        while let Some(character) = piece[at..].chars().next() {
            let mut end = at + character.len_utf8();
            let mut own = None;
            if character.is_ascii() {
                let breaks = before.is_some_and(is_unspaced) && character.is_ascii_alphanumeric();
                if breaks {
                    self.letters(&piece[start..at], of_start);
                    (start, of_start) = (at, before);
                }
                own = (character == '(').then(|| self.chat.fragment(&piece[at..], before)).flatten();
            } else if let Some(emoji) = self.emoji(&piece.as_bytes()[at..end]) {
                self.letters(&piece[start..at], of_start);
                self.vader.emoji(emoji, self.reading);
                (start, at, of_start, before, after_emoji) = (end, end, None, None, true);
                continue;
            } else if character.is_whitespace() || is_part_of_emoji(character, after_emoji && at == start) {
                self.letters(&piece[start..at], of_start);
                after_emoji &= !character.is_whitespace();
                (start, at, of_start, before) = (end, end, None, None);
                continue;
            } else {
                if before.is_some_and(|before| before.is_ascii_alphanumeric()) && is_unspaced(character) {
                    self.letters(&piece[start..at], of_start);
                    (start, of_start) = (at, before);
                }
                own = self.chat.fragment(&piece[at..], before).or(own);
            }
            let mut last = character;
            if let Some((length, token)) = own {
                self.letters(&piece[start..at], of_start);
                self.push(token);
                end = at + length;
                last = piece[..end].chars().next_back().unwrap_or(character);
                (start, of_start) = (end, Some(last));
            }
            (before, at) = (Some(last), end);
        }
        self.letters(&piece[start..], of_start);
    }

    fn emoji(&self, text: &[u8]) -> Option<Token> {
        self.vader.words.get(text).filter(|token| token.is(Token::EMOJI))
    }

    /// Handles a run of letters and marks, after the character before it.
    fn letters(&mut self, text: &str, before: Option<char>) {
        if text.is_empty() {
            return;
        }
        let classes = classes(text.as_bytes());
        if before.is_some_and(is_unspaced) && text.bytes().all(|byte| byte == b'w') {
            self.push(sign(LAUGHTER));
        } else if classes & WIDE != 0 {
            self.push(self.beyond_ascii(text));
        } else {
            let (word, found) = self.vader.unwrapped(text.as_bytes());
            self.word(text.as_bytes(), word, found, classes);
        }
    }

    fn beyond_ascii(&self, text: &str) -> Token {
        let token = self.vader.token(text);
        if token.0 & !Token::LOUD != 0 {
            return token;
        }
        let kept = text.trim_matches(|character: char| character.is_ascii_punctuation());
        let is_laughter = few(kept.as_bytes()) > 2
            && Folded::of(kept).is_some_and(|folded| {
                std::str::from_utf8(folded.bytes()).is_ok_and(is_laughter_beyond_ascii)
            });
        if is_laughter { sign(LAUGHTER) } else { token }
    }
}

/// The token of a word in capitals. `W` and `L` are always in capitals, which is no emphasis; a small `w` may
/// be *with*.
fn in_capitals(token: Token, text: &[u8]) -> Token {
    match text {
        [only @ (b'W' | b'L'), marks @ ..] if marks.iter().all(|mark| b"!?.,~".contains(mark)) => {
            let is_win = *only == b'W' && !token.is(Token::LISTED);
            if is_win { token.with_tenths(WIN).with(Token::LISTED | Token::ACTS) } else { token }
        }
        _ => token.with(Token::LOUD),
    }
}

/// Whether a byte occurs three times in a row.
fn has_run(text: &[u8]) -> bool {
    let (Some(second), Some(third)) = (text.get(1..), text.get(2..)) else { return false };
    // There are no branches, so that many bytes are compared at once.
    let differences = text.iter().zip(second).zip(third).map(|((a, b), c)| (a ^ b) | (b ^ c));
    differences.fold(u8::MAX, u8::min) == 0
}

/// Whether a character is a joiner or a variation selector, for colour or for none.
fn is_part_of_emoji(character: char, after_emoji: bool) -> bool {
    after_emoji && matches!(character, '\u{fe0e}' | '\u{fe0f}' | '\u{200d}')
}

fn is_kana(character: char) -> bool {
    matches!(character, '\u{3040}'..='\u{30ff}')
}
