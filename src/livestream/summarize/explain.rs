//! Explanations of the moments of the default rules.

use super::words::TOP_WORDS;
use crate::core::detect::{Carried, Shares, Usual};
use crate::livestream::{AMOUNT_SCALE, Currency, StreamSummary};

/// The number of emotes in a summary.
const TOP_EMOTES: usize = 10;
/// The greatest numbers of emotes and of words in an explanation.
const MOST_EMOTES: usize = 5;
const MOST_WORDS: usize = 3;
/// The least number of messages with a word that carried a moment, and the least multiple of its usual share:
/// any few messages have words that others do not have.
const LEAST_MESSAGES: f64 = 3.0;
const LEAST_MULTIPLE: f64 = 2.0;
/// The least share of the messages of a user who is worth mentioning.
const LEAST_BY_ONE: f64 = 0.2;
/// The part in the growth of the messages that makes a factor of it worth mentioning.
const LEAST_PART: f64 = 0.2;

/// The people who wrote, and the emotes and words above their usual share of the messages.
pub(super) fn chat(peak: &StreamSummary, usual: &Usual<'_, StreamSummary>) -> Vec<Carried> {
    let mut carried = writers(peak, usual);
    carried.extend(by_one(peak, usual));
    carried.extend(emotes(peak, usual));
    carried.extend(words(peak, usual));
    carried
}

/// The shares of positive and negative messages, and the emotes and words above their usual share of the
/// messages.
pub(super) fn mood(peak: &StreamSummary, usual: &Usual<'_, StreamSummary>) -> Vec<Carried> {
    type Part = fn(&StreamSummary) -> u64;
    let parts: [(&str, Part); 2] = [("positive", |s| s.positive_count), ("negative", |s| s.negative_count)];
    let shares = parts.map(|(name, part)| {
        let now = ratio(part(peak).into(), peak.chat_count).unwrap_or(0.0);
        Carried::new("messages", name, now, ratio_of(usual, |s| part(s).into(), |s| s.chat_count))
    });
    shares.into_iter().chain(emotes(peak, usual)).chain(words(peak, usual)).collect()
}

/// The two factors of the number of messages, the one that grew more first: users who wrote, and messages of
/// each. One that has hardly a part in the growth is left out.
fn writers(peak: &StreamSummary, usual: &Usual<'_, StreamSummary>) -> Vec<Carried> {
    let people = (peak.unique_chatters as f64, usual.mean(|summary| summary.unique_chatters.into()));
    let each = (
        ratio(peak.chat_count.into(), peak.unique_chatters).unwrap_or(0.0),
        ratio_of(usual, |s| s.chat_count.into(), |s| s.unique_chatters),
    );
    // On the scale of logarithms the growth of a product is the sum of that of its factors.
    let growth = |(now, usually): (f64, Option<f64>)| match usually.filter(|usually| *usually > 0.0) {
        Some(usually) if now > 0.0 => (now / usually).ln(),
        _ => 0.0,
    };
    let factors =
        [("chatters", people), ("messages_each", each)].map(|(what, factor)| (growth(factor), what, factor));
    let [of_people, of_each] = factors;
    let sorted = if of_people.0 >= of_each.0 { [of_people, of_each] } else { [of_each, of_people] };
    let least = LEAST_PART * (of_people.0 + of_each.0);
    let shown =
        sorted.iter().enumerate().filter(|(place, (growth, ..))| *place == 0 || *growth > least.max(0.0));
    shown.map(|(_, (_, what, (now, usually)))| Carried::new(what, "", *now, *usually)).collect()
}

/// The share of the user who wrote most, if it is large and above the usual one.
fn by_one(peak: &StreamSummary, usual: &Usual<'_, StreamSummary>) -> Option<Carried> {
    let now = ratio(peak.most_by_one.into(), peak.chat_count)?;
    // Summaries of earlier versions do not have the number.
    let known = |summary: &StreamSummary| if summary.most_by_one > 0 { summary.chat_count } else { 0 };
    let usually = ratio_of(usual, |s| s.most_by_one.into(), known);
    let is_more = usually.is_none_or(|usually| now > usually);
    (now >= LEAST_BY_ONE && is_more).then(|| Carried::new("by_one", "", now, usually))
}

/// The average viewers, compared with those of all usual windows and with those of the last one.
pub(super) fn viewers(peak: &StreamSummary, usual: &Usual<'_, StreamSummary>) -> Vec<Carried> {
    let to = peak.avg_viewers().unwrap_or(0.0);
    let average = ratio_of(usual, |s| s.viewer_sum, |s| s.viewer_events);
    let from = usual.summaries.last().and_then(|last| last.avg_viewers());
    vec![Carried::new("viewers", "jump", to, from), Carried::new("viewers", "average", to, average)]
}

/// The number of transactions, and the amount of each currency in which there is one, greatest multiple of
/// the usual amount first, each followed by the largest transaction of that currency.
pub(super) fn transactions(peak: &StreamSummary, usual: &Usual<'_, StreamSummary>) -> Vec<Carried> {
    let count = usual.mean(|summary| summary.transaction_count.into());
    let mut carried = vec![Carried::new("transactions", "", peak.transaction_count as f64, count)];
    let units = AMOUNT_SCALE as f64;
    let present = Currency::ALL.iter().copied().filter(|currency| peak.amount(*currency) != 0);
    let largest = |currency: Currency| {
        let known = || usual.summaries.iter().filter_map(|summary| summary.largest(currency));
        let sum = known().map(i128::from).fold(0, i128::saturating_add);
        let usually = (known().count() > 0).then(|| sum as f64 / known().count() as f64 / units);
        let now = peak.largest(currency)? as f64 / units;
        Some(Carried::new("largest", currency.as_str(), now, usually))
    };
    let mut amounts: Vec<(f64, Currency, Carried)> = present
        .map(|currency| {
            let now = peak.amount(currency) as f64 / units;
            let usually = usual.mean(|summary| summary.amount(currency)).map(|usual| usual / units);
            let multiple = now / usually.filter(|usual| *usual > 0.0).unwrap_or(f64::MIN_POSITIVE);
            (multiple, currency, Carried::new("amount", currency.as_str(), now, usually))
        })
        .collect();
    amounts.sort_by(|(one, ..), (other, ..)| other.total_cmp(one));
    for (_, currency, amount) in amounts {
        carried.push(amount);
        carried.extend(largest(currency));
    }
    carried
}

fn emotes(peak: &StreamSummary, usual: &Usual<'_, StreamSummary>) -> Vec<Carried> {
    usual.above_usual_share("emote", peak, MOST_EMOTES, |summary| Shares {
        counts: &summary.top_emotes,
        of: summary.chat_count,
        longest: TOP_EMOTES,
    })
}

/// The words above their usual share, among the messages that were looked at.
fn words(peak: &StreamSummary, usual: &Usual<'_, StreamSummary>) -> Vec<Carried> {
    let above = usual.above_usual_share("word", peak, TOP_WORDS, |summary| match &summary.words {
        Some(words) => Shares { counts: &words.top, of: words.of, longest: TOP_WORDS },
        None => Shares { counts: &[], of: 0, longest: TOP_WORDS },
    });
    let of = peak.words.as_ref().map_or(0, |words| words.of) as f64;
    let is_unusual = |word: &Carried| {
        let (now, usually) = (word.now.to_f64(), word.usual.map_or(0.0, |usually| usually.to_f64()));
        (now * of).round() >= LEAST_MESSAGES && now >= LEAST_MULTIPLE * usually
    };
    above.into_iter().filter(is_unusual).take(MOST_WORDS).collect()
}

/// The ratio of two sums over the usual windows.
fn ratio_of(
    usual: &Usual<'_, StreamSummary>,
    part: impl Fn(&StreamSummary) -> u128,
    of: impl Fn(&StreamSummary) -> u64,
) -> Option<f64> {
    let parts = usual.summaries.iter().map(|summary| part(summary)).fold(0, u128::saturating_add);
    ratio(parts, usual.summaries.iter().map(|summary| of(summary)).fold(0, u64::saturating_add))
}

fn ratio(part: u128, of: u64) -> Option<f64> {
    (of > 0).then(|| part as f64 / of as f64)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::core::Counted;
    use crate::livestream::Words;

    type Found<'a> = Vec<(&'a str, &'a str, f64, Option<f64>)>;

    fn found(carried: &[Carried]) -> Found<'_> {
        let one = |it: &Carried| it.usual.map(|usual| usual.to_f64());
        carried.iter().map(|it| (&*it.what, &*it.name, it.now.to_f64(), one(it))).collect()
    }

    fn summary(chat_count: u64, emotes: &[(&str, u64)]) -> StreamSummary {
        let emotes = emotes.iter().map(|(name, count)| Counted { name: (*name).into(), count: *count });
        StreamSummary {
            chat_count,
            unique_chatters: chat_count / 2,
            positive_count: chat_count / 4,
            top_emotes: emotes.collect(),
            ..StreamSummary::default()
        }
    }

    #[test]
    fn emotes_above_their_share_carry_a_burst_of_chat() {
        let before = [summary(40, &[("Kappa", 20)]), summary(60, &[("Kappa", 30), ("LUL", 5)])].map(Arc::new);
        let usual = Usual { summaries: &before, windows: 4 };
        let peak = summary(400, &[("PogChamp", 300), ("Kappa", 200), ("LUL", 40)]);
        let emotes = [("emote", "PogChamp", 0.75, Some(0.0)), ("emote", "LUL", 0.1, Some(0.05))];
        let chatters = ("chatters", "", 200.0, Some(12.5));
        assert_eq!(found(&chat(&peak, &usual)), [[chatters].as_slice(), &emotes].concat());
        let moods = [("messages", "positive", 0.25, Some(0.25)), ("messages", "negative", 0.0, Some(0.0))];
        assert_eq!(found(&mood(&peak, &usual)), [moods, emotes].concat());
    }

    fn written(chat_count: u64, unique_chatters: u64, most_by_one: u64) -> StreamSummary {
        StreamSummary { chat_count, unique_chatters, most_by_one, ..StreamSummary::default() }
    }

    #[test]
    fn a_burst_is_of_more_people_or_of_more_messages_each_or_of_one_person() {
        let before = [written(20, 10, 3), written(16, 8, 3)].map(Arc::new);
        let usual = Usual { summaries: &before, windows: 2 };
        let more = chat(&written(240, 120, 6), &usual);
        assert_eq!(found(&more), [("chatters", "", 120.0, Some(9.0))]);
        let same = chat(&written(117, 9, 20), &usual);
        assert_eq!(found(&same), [("messages_each", "", 13.0, Some(2.0))]);
        let both = chat(&written(160, 20, 10), &usual);
        assert_eq!(found(&both), [("messages_each", "", 8.0, Some(2.0)), ("chatters", "", 20.0, Some(9.0))]);
        let one = chat(&written(100, 10, 40), &usual);
        let by_one = ("by_one", "", 0.4, Some(0.166_667));
        assert_eq!(found(&one), [("messages_each", "", 10.0, Some(2.0)), by_one]);
        // One in two messages is of one user as it always is.
        let before = [Arc::new(written(10, 2, 5))];
        let usual = Usual { summaries: &before, windows: 1 };
        let as_ever = chat(&written(100, 20, 50), &usual);
        assert_eq!(found(&as_ever), [("chatters", "", 20.0, Some(2.0))]);
        // A summary of an earlier version does not know.
        let before = [Arc::new(written(10, 2, 0))];
        let usual = Usual { summaries: &before, windows: 1 };
        assert_eq!(found(&chat(&written(100, 20, 50), &usual))[1], ("by_one", "", 0.5, None));
        let none = Usual { summaries: &[], windows: 0 };
        assert_eq!(found(&chat(&written(100, 50, 5), &none)), [("chatters", "", 50.0, None)]);
    }

    #[test]
    fn words_that_few_messages_have_or_that_are_usual_carry_nothing() {
        let said = |of: u64, words: &[(&str, u64)]| {
            let top = words.iter().map(|(name, count)| Counted { name: (*name).into(), count: *count });
            let words = Some(Box::new(Words { top: top.collect(), of }));
            StreamSummary { words, ..written(of, of, 1) }
        };
        let before = [said(100, &[("song", 40), ("game", 2)]), written(50, 50, 1)].map(Arc::new);
        let usual = Usual { summaries: &before, windows: 2 };
        let peak =
            said(128, &[("dragon", 64), ("song", 60), ("boss", 32), ("game", 6), ("sword", 3), ("what", 2)]);
        let shares = words(&peak, &usual);
        let expected = [
            ("word", "dragon", 0.5, Some(0.0)),
            ("word", "boss", 0.25, Some(0.0)),
            ("word", "game", 0.046_875, Some(0.02)),
        ];
        assert_eq!(found(&shares), expected);
        assert_eq!(words(&written(10, 10, 1), &usual), []);
    }

    #[test]
    fn amounts_and_jumps_are_compared_with_what_is_usual() {
        let with = |transaction_count, amounts: [i128; 4], viewer_sum, viewer_events| StreamSummary {
            transaction_count,
            transaction_amount: amounts.map(|amount| amount * i128::from(AMOUNT_SCALE)),
            viewer_sum,
            viewer_events,
            largest_transactions: Currency::ALL
                .iter()
                .zip(amounts)
                .filter(|(_, amount)| *amount > 0)
                .map(|(currency, amount)| (*currency, amount as i64 * AMOUNT_SCALE / 2))
                .collect(),
            ..StreamSummary::default()
        };
        let before = [with(1, [8, 0, 0, 0], 600, 2), with(1, [0, 1, 0, 0], 100, 1)].map(Arc::new);
        let usual = Usual { summaries: &before, windows: 2 };
        let peak = with(9, [16, 5, 0, 700], 950, 1);
        let amounts = [
            ("transactions", "", 9.0, Some(1.0)),
            ("amount", "bits", 700.0, Some(0.0)),
            ("largest", "bits", 350.0, None),
            ("amount", "EUR", 5.0, Some(0.5)),
            ("largest", "EUR", 2.5, Some(0.5)),
            ("amount", "USD", 16.0, Some(4.0)),
            ("largest", "USD", 8.0, Some(4.0)),
        ];
        assert_eq!(found(&transactions(&peak, &usual)), amounts);
        let jump =
            [("viewers", "jump", 950.0, Some(100.0)), ("viewers", "average", 950.0, Some(233.333_333))];
        assert_eq!(found(&viewers(&peak, &usual)), jump);
        let none = Usual { summaries: &[], windows: 0 };
        assert_eq!(found(&viewers(&peak, &none))[0], ("viewers", "jump", 950.0, None));
    }
}
