//! What carried the moments of the default rules.

use crate::core::detect::{Carried, Shares, Usual};
use crate::livestream::{AMOUNT_SCALE, Currency, StreamSummary};

/// The number of emotes in a summary.
const TOP_EMOTES: usize = 10;
/// The greatest number of emotes in an explanation.
const MOST_EMOTES: usize = 5;

/// The number of users who wrote, and the emotes above their usual share of the messages.
pub(super) fn chat(peak: &StreamSummary, usual: &Usual<'_, StreamSummary>) -> Vec<Carried> {
    let chatters = usual.mean(|summary| summary.unique_chatters.into());
    let mut carried = vec![Carried::new("chatters", "", peak.unique_chatters as f64, chatters)];
    carried.extend(emotes(peak, usual));
    carried
}

/// The shares of positive and negative messages, and the emotes above their usual share of the messages.
pub(super) fn mood(peak: &StreamSummary, usual: &Usual<'_, StreamSummary>) -> Vec<Carried> {
    type Part = fn(&StreamSummary) -> u64;
    let parts: [(&str, Part); 2] = [("positive", |s| s.positive_count), ("negative", |s| s.negative_count)];
    let shares = parts.map(|(name, part)| {
        let now = ratio(part(peak).into(), peak.chat_count).unwrap_or(0.0);
        Carried::new("messages", name, now, ratio_of(usual, |s| part(s).into(), |s| s.chat_count))
    });
    shares.into_iter().chain(emotes(peak, usual)).collect()
}

/// The average viewers, compared with those of all usual windows and with those of the last one.
pub(super) fn viewers(peak: &StreamSummary, usual: &Usual<'_, StreamSummary>) -> Vec<Carried> {
    let to = peak.avg_viewers().unwrap_or(0.0);
    let average = ratio_of(usual, |s| s.viewer_sum, |s| s.viewer_events);
    let from = usual.summaries.last().and_then(|last| last.avg_viewers());
    vec![Carried::new("viewers", "jump", to, from), Carried::new("viewers", "average", to, average)]
}

/// The number of transactions, and the amount of each currency in which there is one, greatest multiple of
/// the usual amount first.
pub(super) fn transactions(peak: &StreamSummary, usual: &Usual<'_, StreamSummary>) -> Vec<Carried> {
    let count = usual.mean(|summary| summary.transaction_count.into());
    let mut carried = vec![Carried::new("transactions", "", peak.transaction_count as f64, count)];
    let units = AMOUNT_SCALE as f64;
    let present = Currency::ALL.iter().copied().filter(|currency| peak.amount(*currency) != 0);
    let mut amounts: Vec<(f64, Carried)> = present
        .map(|currency| {
            let now = peak.amount(currency) as f64 / units;
            let usually = usual.mean(|summary| summary.amount(currency)).map(|usual| usual / units);
            let multiple = now / usually.filter(|usual| *usual > 0.0).unwrap_or(f64::MIN_POSITIVE);
            (multiple, Carried::new("amount", currency.as_str(), now, usually))
        })
        .collect();
    amounts.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    carried.extend(amounts.into_iter().map(|(_, amount)| amount));
    carried
}

fn emotes(peak: &StreamSummary, usual: &Usual<'_, StreamSummary>) -> Vec<Carried> {
    usual.above_usual_share("emote", peak, MOST_EMOTES, |summary| Shares {
        counts: &summary.top_emotes,
        of: summary.chat_count,
        longest: TOP_EMOTES,
    })
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

    #[test]
    fn amounts_and_jumps_are_compared_with_what_is_usual() {
        let with = |transaction_count, amounts: [i128; 4], viewer_sum, viewer_events| StreamSummary {
            transaction_count,
            transaction_amount: amounts.map(|amount| amount * i128::from(AMOUNT_SCALE)),
            viewer_sum,
            viewer_events,
            ..StreamSummary::default()
        };
        let before = [with(1, [8, 0, 0, 0], 600, 2), with(1, [0, 1, 0, 0], 100, 1)].map(Arc::new);
        let usual = Usual { summaries: &before, windows: 2 };
        let peak = with(9, [16, 5, 0, 700], 950, 1);
        let amounts = [
            ("transactions", "", 9.0, Some(1.0)),
            ("amount", "bits", 700.0, Some(0.0)),
            ("amount", "EUR", 5.0, Some(0.5)),
            ("amount", "USD", 16.0, Some(4.0)),
        ];
        assert_eq!(found(&transactions(&peak, &usual)), amounts);
        let jump =
            [("viewers", "jump", 950.0, Some(100.0)), ("viewers", "average", 950.0, Some(233.333_333))];
        assert_eq!(found(&viewers(&peak, &usual)), jump);
        let none = Usual { summaries: &[], windows: 0 };
        assert_eq!(found(&viewers(&peak, &none))[0], ("viewers", "jump", 950.0, None));
    }
}
