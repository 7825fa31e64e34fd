//! The scan of a message, word by word: words of up to 15 ASCII letters at once, others byte by byte.

use super::{Lexicon, Meaning, REACH, RULES, UNSPACED};
use crate::livestream::Sentiment;
use crate::livestream::sentiment::blocks::Blocks;
use crate::livestream::sentiment::letters::{ends_clause, is_joined, is_symbol, is_unspaced};
use crate::livestream::sentiment::token::{Class, EMOTICON, class, run_end};
use crate::livestream::sentiment::word::{Folded, packed_letters};

/// The mean of the weights found so far, and the number of words that a negation still affects.
#[derive(Default)]
struct Tally {
    sum: i64,
    found: i64,
    negated: u32,
}

impl Tally {
    #[inline]
    fn take(&mut self, meaning: Option<Meaning>) {
        match meaning {
            Some(Meaning::Negation) => self.negated = REACH,
            Some(Meaning::Weight(weight)) => {
                let weight = i64::from(weight);
                self.sum += if self.negated > 0 { -weight * 3 / 4 } else { weight };
                self.found += 1;
                self.negated = self.negated.saturating_sub(1);
            }
            None => self.negated = self.negated.saturating_sub(1),
        }
    }
}

impl Sentiment for Lexicon {
    fn score(&self, message: &str, emotes: &[&str]) -> i32 {
        let text = message.as_bytes();
        let blocks = Blocks::of(text);
        let mut tally = Tally::default();
        let mut at = 0;
        while let Some(&byte) = text.get(at) {
            if let Some(letters) = packed_letters(blocks.at(at)) {
                if letters.len > 0 {
                    tally.take(self.words.find(letters.number));
                }
                at += letters.len + 1;
                continue;
            }
            at = match class(byte) {
                Class::Space => at + 1,
                Class::Word | Class::Wide => {
                    let (end, is_ascii) = run_end(text, at);
                    if is_ascii {
                        tally.take(self.words.get(&text[at..end]));
                    } else {
                        self.wide(&message[at..end], &mut tally);
                    }
                    end
                }
                Class::Mark => match self.emoticon(message, at) {
                    Some((meaning, end)) => {
                        tally.take(Some(meaning));
                        end
                    }
                    None => {
                        if matches!(byte, b'.' | b',' | b'!' | b'?' | b';' | b':') {
                            tally.negated = 0;
                        }
                        at + 1
                    }
                },
            };
        }
        tally.negated = 0;
        emotes.iter().filter_map(|emote| self.of_emote(emote)).for_each(|meaning| {
            if let Meaning::Weight(_) = meaning {
                tally.take(Some(meaning));
            }
        });
        tally.sum.checked_div(tally.found).unwrap_or(0) as i32
    }

    fn identity(&self) -> String {
        format!("lexicon {RULES} of {} words, {:016x}", self.len(), self.digest())
    }
}

impl Lexicon {
    fn of_emote(&self, emote: &str) -> Option<Meaning> {
        if emote.is_ascii() { self.words.get(emote.as_bytes()) } else { self.words.get_folded(emote) }
    }

    /// The longest emoticon that begins at `at`: its meaning and its end.
    fn emoticon(&self, message: &str, at: usize) -> Option<(Meaning, usize)> {
        if self.emoticons >> message.as_bytes()[at] & 1 == 0 {
            return None;
        }
        (2..=EMOTICON).rev().find_map(|len| {
            let (found, rest) = message.get(at..)?.split_at_checked(len)?;
            ends_emoticon(rest).then(|| self.of_emote(found)).flatten().map(|meaning| (meaning, at + len))
        })
    }

    /// Scans a run of letters that are not all ASCII, and characters that are words by themselves.
    #[cold]
    fn wide(&self, run: &str, tally: &mut Tally) {
        #[cfg(test)]
        crate::livestream::sentiment::work::done(run.len() as u64);
        let (mut start, mut at) = (0, 0);
        while let Some(character) = run[at..].chars().next() {
            let end = at + character.len_utf8();
            if is_unspaced(character) {
                self.letters(&run[start..at], tally);
                at += self.unspaced(&run[at..], end - at, tally);
                start = at;
                continue;
            }
            let joins_letters = character == '\u{2019}' && start < at && run[end..].starts_with(is_letter);
            if !is_letter(character) && !joins_letters {
                self.letters(&run[start..at], tally);
                self.symbol(character, &run[at..end], tally);
                start = end;
            }
            at = end;
        }
        self.letters(&run[start..], tally);
    }

    fn letters(&self, word: &str, tally: &mut Tally) {
        if !word.chars().all(is_joined) {
            tally.take(self.words.get_folded(word));
        }
    }

    fn symbol(&self, character: char, text: &str, tally: &mut Tally) {
        if let Some(meaning) = self.words.get(text.as_bytes()) {
            tally.take(Some(meaning));
        }
        if ends_clause(character) {
            tally.negated = 0;
        }
    }

    /// Scans the longest word that the text begins with, or else its first character, of `first` bytes.
    /// Returns its end.
    fn unspaced(&self, text: &str, first: usize, tally: &mut Tally) -> usize {
        let mut ends = [0; UNSPACED];
        let mut count = 0;
        let all = text.char_indices().map(|(at, character)| at + character.len_utf8());
        for (place, end) in ends.iter_mut().zip(all).take(self.unspaced) {
            *place = end;
            count += 1;
        }
        let longest = ends[..count].iter().rev();
        let found = longest.copied().find_map(|end| Some((self.words.get(&text.as_bytes()[..end])?, end)));
        tally.take(found.map(|found| found.0));
        found.map_or(first, |found| found.1)
    }
}

fn is_letter(character: char) -> bool {
    !is_symbol(character)
}

/// Whether an emoticon may end before `rest`: not before a letter (`<30`), nor before a slash (`http://`).
fn ends_emoticon(rest: &str) -> bool {
    rest.chars().next().is_none_or(|next| match next {
        '/' => false,
        _ if next.is_ascii() => class(next as u8) != Class::Word,
        _ => is_symbol(next),
    })
}

/// Whether a message can contain this word as one piece that is looked up.
pub(super) fn is_one_token(word: &str) -> bool {
    let Some(first) = word.chars().next() else { return false };
    let text = word.as_bytes();
    if class(text[0]) == Class::Mark {
        return (2..=EMOTICON).contains(&word.len()) && !word.contains(char::is_whitespace);
    }
    if class(text[0]) == Class::Space || run_end(text, 0).0 != word.len() {
        return false;
    }
    if is_symbol(first) {
        return word.chars().count() == 1;
    }
    let fits = |character| is_unspaced(first) || !is_unspaced(character);
    let inside =
        word.chars().all(|character| fits(character) && (is_letter(character) || character == '\u{2019}'));
    inside && !word.ends_with('\u{2019}') && !word.chars().all(is_joined) && Folded::of(word).is_some()
}
