//! Broadcasts, made of a stream's windows: runs without a silence of five minutes, as the rules of moments have it. Where metadata
//! says that it is still the same one, it is.

use std::collections::BTreeMap;

use serde::Serialize;
use telemetra::core::Decimal;
use utoipa::ToSchema;

use super::model::{Emote, Metrics, MomentInfo, Time};

/// A silence after which it is another broadcast, in milliseconds.
pub(crate) const OFF_AIR: u64 = 5 * 60_000;
/// The number of emotes that are named.
const EMOTES: usize = 5;
const MICROS: i128 = 1_000_000;

/// A broadcast, summed up.
#[derive(Serialize, ToSchema)]
pub(crate) struct Broadcast {
    /// The time at which it began: from its metadata, or else the start of its first window.
    pub(crate) started_at: Time,
    /// The time at which it ended: from its metadata, or else the end of its last window.
    pub(crate) ended_at: Time,
    /// Whether it may still go on.
    pub(crate) is_open: bool,
    /// Whether it may have begun before the time asked for.
    pub(crate) is_cut: bool,
    /// The number of messages.
    messages: u64,
    /// The mean number of viewers over its windows.
    mean_viewers: Option<f64>,
    /// The greatest number of viewers.
    peak_viewers: Option<u64>,
    /// The mean number of people who wrote in a window.
    mean_chatters: f64,
    /// The number of people who wrote in the window with most of them.
    peak_chatters: u64,
    /// The number of transactions.
    transactions: u64,
    /// Their amounts by currency, exact decimals.
    revenue: BTreeMap<String, String>,
    /// The emotes used most, of the most used of each window.
    top_emotes: Vec<Emote>,
    /// The number of moments that began in it.
    moments: u64,
    /// The moment with the greatest score.
    strongest: Option<MomentInfo>,
}

/// The metadata of the newest broadcast, to the second.
#[derive(Copy, Clone)]
pub(crate) struct Said {
    pub(crate) started_at: Option<Time>,
    pub(crate) ended_at: Option<Time>,
}

impl Said {
    /// Whether both windows are of the newest broadcast, which goes on while its end was not said.
    fn has_both(&self, earlier: &Metrics, later: &Metrics) -> bool {
        let began = self.started_at.is_some_and(|began| began < earlier.window_end);
        began && self.ended_at.is_none_or(|ended| later.window_start < ended)
    }
}

/// The broadcasts in windows that share no event, oldest first; of the moments each has those that begin in it.
pub(crate) fn broadcasts(windows: &[Metrics], moments: &[MomentInfo], said: Said) -> Vec<Broadcast> {
    let apart =
        |a: &Metrics, b: &Metrics| b.window_start.0 - a.window_end.0 >= OFF_AIR && !said.has_both(a, b);
    windows.chunk_by(|a, b| !apart(a, b)).filter_map(|run| Broadcast::of(run, moments, said)).collect()
}

impl Broadcast {
    fn of(windows: &[Metrics], moments: &[MomentInfo], said: Said) -> Option<Self> {
        let (first, last) = (windows.first()?, windows.last()?);
        let in_first = |began: &Time| *began >= first.window_start && *began < first.window_end;
        let started_at = said.started_at.filter(in_first).unwrap_or(first.window_start);
        let in_last = |ended: &Time| *ended >= last.window_start && *ended <= last.window_end;
        let ended_at = said.ended_at.filter(in_last).unwrap_or(last.window_end);
        let own = moments
            .iter()
            .filter(|moment| moment.started_at >= first.window_start && moment.started_at < last.window_end);
        let strongest = own.clone().max_by(|a, b| a.score.abs().total_cmp(&b.score.abs())).cloned();
        let viewers: Vec<f64> = windows.iter().filter_map(|window| window.avg_viewers).collect();
        let chatters = windows.iter().map(|window| window.unique_chatters);
        Some(Self {
            started_at,
            ended_at,
            is_open: false,
            is_cut: false,
            messages: windows.iter().map(|window| window.chat_count).sum(),
            mean_viewers: (!viewers.is_empty()).then(|| viewers.iter().sum::<f64>() / viewers.len() as f64),
            peak_viewers: windows.iter().filter_map(|window| window.peak_viewers).max(),
            mean_chatters: chatters.clone().sum::<u64>() as f64 / windows.len() as f64,
            peak_chatters: chatters.max().unwrap_or(0),
            transactions: windows.iter().map(|window| window.transaction_count).sum(),
            revenue: revenue(windows),
            top_emotes: top_emotes(windows),
            moments: own.count() as u64,
            strongest,
        })
    }
}

fn revenue(windows: &[Metrics]) -> BTreeMap<String, String> {
    let mut sums: BTreeMap<&str, i128> = BTreeMap::new();
    for (currency, amount) in windows.iter().flat_map(|window| &window.transaction_amount) {
        let sum = sums.entry(currency).or_default();
        *sum = sum.saturating_add(micros(amount));
    }
    sums.into_iter().map(|(currency, sum)| (currency.to_owned(), Decimal(sum).to_string())).collect()
}

/// An exact decimal, as the tables have it, in millionths.
fn micros(amount: &str) -> i128 {
    let (digits, sign) = amount.strip_prefix('-').map_or((amount, 1), |digits| (digits, -1));
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let whole = whole.parse::<i128>().unwrap_or(0).saturating_mul(MICROS);
    let part = format!("{part:0<6.6}").parse().unwrap_or(0);
    whole.saturating_add(part).saturating_mul(sign)
}

fn top_emotes(windows: &[Metrics]) -> Vec<Emote> {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for emote in windows.iter().flat_map(|window| &window.top_emotes) {
        *counts.entry(&emote.name).or_default() += emote.count;
    }
    let mut all: Vec<_> =
        counts.into_iter().map(|(name, count)| Emote { name: name.to_owned(), count }).collect();
    all.sort_by_key(|emote| std::cmp::Reverse(emote.count));
    all.truncate(EMOTES);
    all
}
