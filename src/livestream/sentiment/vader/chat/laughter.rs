//! Laughter, recognised by its spelling: one or two letters repeated.

/// Pairs of letters that are laughter if they alternate.
const PAIRS: [[u8; 2]; 12] =
    [*b"ha", *b"he", *b"hi", *b"ho", *b"ja", *b"je", *b"ji", *b"rs", *b"kw", *b"js", *b"ks", *b"xa"];

/// Such pairs of other alphabets, in small letters.
const OTHERS: [[char; 2]; 9] = [
    ['х', 'а'],
    ['х', 'е'],
    ['х', 'и'],
    ['п', 'х'],
    ['ъ', 'х'],
    ['а', 'з'],
    ['χ', 'α'],
    ['ह', 'ा'],
    ['ه', 'ا'],
];

/// A letter that is laughter if it is written three times.
const SINGLE: [char; 4] = ['ه', 'خ', 'ח', 'ｗ'];

/// Whether a word of ASCII letters is laughter: `kkk`, `www`, `hhh`, `jaja`, `rsrs`, `wkwk`. In capitals
/// `KKK` has another sense, so four are required.
pub(super) fn is_laughter(word: &[u8]) -> bool {
    #[cfg(test)]
    crate::livestream::sentiment::work::done(word.len() as u64);
    let [first, second, ..] = *word else { return false };
    if !may_laugh(word) {
        return false;
    }
    let lower = first.to_ascii_lowercase();
    if first == second && matches!(lower, b'k' | b'w' | b'h') && word.iter().all(|&byte| byte == first) {
        return word.len() >= if first == b'K' { 4 } else { 3 };
    }
    if word.len() < 4
        || !matches!(lower, b'a' | b'e' | b'h' | b'i' | b'j' | b'k' | b'o' | b'r' | b's' | b'w' | b'x')
    {
        return false;
    }
    let Some(other) = word.iter().map(u8::to_ascii_lowercase).find(|&byte| byte != lower) else {
        return false;
    };
    if !PAIRS.contains(&[lower, other]) && !PAIRS.contains(&[other, lower]) {
        return false;
    }
    takes_turns(word.iter().map(u8::to_ascii_lowercase), [lower, other])
}

/// Whether the third letter is the first one again, as in all laughter.
#[inline]
pub(super) fn may_laugh(word: &[u8]) -> bool {
    word.len() > 2 && (word[0] ^ word[2]) & !0x20 == 0
}

/// The same for the number of a word of letters.
#[inline]
pub(super) fn number_may_laugh(number: u128) -> bool {
    let [first, _, third, ..] = number.to_le_bytes();
    // What lies beyond the end is 0.
    first == third
}

/// Whether a word of another alphabet, in small letters, is laughter.
pub(super) fn is_laughter_beyond_ascii(word: &str) -> bool {
    #[cfg(test)]
    crate::livestream::sentiment::work::done(word.len() as u64);
    let Some(first) = word.chars().next() else { return false };
    let Some(other) = word.chars().find(|&character| character != first) else {
        return SINGLE.contains(&first) && word.chars().count() >= 3;
    };
    let is_pair = OTHERS.contains(&[first, other]) || OTHERS.contains(&[other, first]);
    is_pair && takes_turns(word.chars(), [first, other])
}

/// Whether there are only these two letters, with three changes from one to the other.
fn takes_turns<T: PartialEq + Copy>(mut letters: impl Iterator<Item = T>, pair: [T; 2]) -> bool {
    let mut last = pair[0];
    let mut changes = 0;
    let only = letters.all(|letter| {
        changes += usize::from(letter != last);
        last = letter;
        pair.contains(&letter)
    });
    only && changes >= 3
}

/// The meaning of a number that is read as a sound: 2333 and 5555 are laughter, 666 and 8888 applause.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Figure {
    Laughter,
    Applause,
}

pub(super) fn figure(word: &[u8]) -> Option<Figure> {
    let (first, rest) = word.split_first()?;
    let only = |digit: u8, least: usize| rest.len() + 1 >= least && rest.iter().all(|&byte| byte == digit);
    match first {
        b'2' if only(b'3', 3) => Some(Figure::Laughter),
        b'5' if only(b'5', 4) => Some(Figure::Laughter),
        b'6' if only(b'6', 3) => Some(Figure::Applause),
        b'8' if only(b'8', 4) => Some(Figure::Applause),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn laughter_is_letters_that_take_turns() {
        for word in [
            "kkk", "KKKK", "www", "hhh", "haha", "HAHAHA", "ahah", "jajaja", "jajjaja", "rsrs", "wkwkwk",
            "hehehe", "jsjsjs",
        ] {
            assert!(is_laughter(word.as_bytes()), "{word}");
        }
        for word in ["kk", "KKK", "ww", "ha", "aahh", "hhaha", "jaa", "hahn", "wwe", "kWk", "", "o", "seeker"]
        {
            assert!(!is_laughter(word.as_bytes()), "{word}");
        }
        for word in ["хаха", "ахахах", "пхпх", "азаза", "ههههه", "חחח", "हाहा", "χαχα"]
        {
            assert!(is_laughter_beyond_ascii(word), "{word}");
        }
        for word in ["ах", "хахаль", "هه", "", "ааа"] {
            assert!(!is_laughter_beyond_ascii(word), "{word}");
        }
    }

    #[test]
    fn figures_have_a_least_length() {
        use Figure::{Applause, Laughter};
        for (word, expected) in [
            ("233", Some(Laughter)),
            ("23333", Some(Laughter)),
            ("5555", Some(Laughter)),
            ("666", Some(Applause)),
            ("8888", Some(Applause)),
            ("23", None),
            ("555", None),
            ("2334", None),
            ("66", None),
            ("888", None),
            ("", None),
        ] {
            assert_eq!(figure(word.as_bytes()), expected, "{word}");
        }
    }
}
