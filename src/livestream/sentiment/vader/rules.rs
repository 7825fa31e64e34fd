//! The rules for the effect of neighbouring words on a word's valence.
//!
//! Names and figures are those of Hutto and Gilbert (2014) as in their reference implementation. A negation
//! does not cancel a valence but reverses and weakens it, and the effect of boosters decreases with distance.
//! Oddities of the reference are kept, since its lexicon and figures were fitted together.

use super::token::{Part, Token};

/// The effect of a booster.
const INCREASE: f64 = 0.293;
/// The effect of capitals among words that are not in capitals.
pub(super) const INCREASE_CAPITALS: f64 = 0.733;
/// The factor of a negation.
const NEGATED: f64 = -0.74;
/// The factors of a booster one, two and three words before.
const FADING: [f64; 3] = [1.0, 0.95, 0.9];

/// The valence of a listed word, given the three words before it, the nearest first, and the two after it.
///
/// `capitals` is the effect of capitals: 0 where they are no emphasis.
pub(super) fn valence(token: Token, before: [Token; 3], after: [Token; 2], capitals: f64) -> f64 {
    let is = |token: Token, parts: [Part; 2]| token.is_part(parts[0]) || token.is_part(parts[1]);
    let of_word = f64::from(token.tenths()) / 10.0;
    if token.is_part(Part::Kind) && after[0].is_part(Part::Of) {
        return 0.0;
    }
    let mut valence = of_word;
    if token.is_part(Part::No) && after[0].is(Token::LISTED) {
        valence = 0.0;
    }
    if before[0].is_part(Part::No)
        || before[1].is_part(Part::No)
        || before[2].is_part(Part::No) && is(before[0], [Part::Or, Part::Nor])
    {
        valence = of_word * NEGATED;
    }
    if token.is(Token::LOUD) {
        valence += if valence > 0.0 { capitals } else { -capitals };
    }
    let so = [Part::So, Part::This];
    for (distance, near) in before.into_iter().enumerate().filter(|(_, near)| !near.is(Token::LISTED)) {
        valence += boost(near, valence, capitals) * FADING[distance];
        let (emphatic, doubtless) = match distance {
            0 => (false, false),
            1 => (near.is_part(Part::Never) && is(before[0], so), before[0].is_part(Part::Doubt)),
            // In the reference, too, the word after *never so* is sufficient by itself.
            _ => (
                near.is_part(Part::Never) && is(before[1], so) || is(before[0], so),
                before[1].is_part(Part::Doubt) || before[0].is_part(Part::Doubt),
            ),
        };
        if emphatic {
            valence *= 1.25;
        } else if near.is(Token::NEGATES) && !(near.is_part(Part::Without) && doubtless) {
            valence *= NEGATED;
        }
    }
    if !before[2].is(Token::LISTED) {
        valence = idiom(token, before, after).unwrap_or(valence) + hedge(before);
    }
    let at_least = is(before[1], [Part::At, Part::Very]);
    if before[0].is_part(Part::Least) && !before[0].is(Token::LISTED) && !at_least {
        valence *= NEGATED;
    }
    valence
}

fn boost(near: Token, valence: f64, capitals: f64) -> f64 {
    let increase = match (near.is(Token::BOOSTS), near.is(Token::DAMPENS)) {
        (true, _) => INCREASE,
        (_, true) => -INCREASE,
        _ => return 0.0,
    };
    let boost = if valence < 0.0 { -increase } else { increase };
    match near.is(Token::LOUD) {
        true if valence > 0.0 => boost + capitals,
        true => boost - capitals,
        false => boost,
    }
}

/// The valence of an idiom that contains the word or ends before it. An idiom that begins with the word has
/// precedence.
fn idiom(token: Token, [one, two, three]: [Token; 3], [next, after]: [Token; 2]) -> Option<f64> {
    triple(token, next, after)
        .or_else(|| pair(token, next))
        .or_else(|| pair(one, token))
        .or_else(|| triple(two, one, token))
        .or_else(|| pair(two, one))
        .or_else(|| triple(three, two, one))
        .or_else(|| pair(three, two))
}

fn pair(first: Token, second: Token) -> Option<f64> {
    let is = |a, b| first.is_part(a) && second.is_part(b);
    match () {
        () if is(Part::The, Part::Shit) || is(Part::The, Part::Bomb) => Some(3.0),
        () if is(Part::Bad, Part::Ass) => Some(1.5),
        () if is(Part::Bus, Part::Stop) => Some(0.0),
        () if is(Part::Yeah, Part::Right) => Some(-2.0),
        () if is(Part::Beating, Part::Heart) => Some(3.5),
        () => None,
    }
}

fn triple(first: Token, second: Token, third: Token) -> Option<f64> {
    let is = |a, b, c| first.is_part(a) && second.is_part(b) && third.is_part(c);
    match () {
        () if is(Part::Kiss, Part::Of, Part::Death) => Some(-1.5),
        () if is(Part::To, Part::Die, Part::For) => Some(3.0),
        () => None,
    }
}

/// The effect of *just enough*, *kind of* and *sort of* before the word.
fn hedge([one, two, three]: [Token; 3]) -> f64 {
    let is = |first: Token, second: Token| {
        first.is_part(Part::Just) && second.is_part(Part::Enough)
            || second.is_part(Part::Of) && (first.is_part(Part::Kind) || first.is_part(Part::Sort))
    };
    -INCREASE * f64::from(u8::from(is(three, two)) + u8::from(is(two, one)))
}
