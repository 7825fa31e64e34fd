use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde::{Deserialize, Serialize};

use crate::livestream::{Currency, StreamSummary, Transaction};

/// The neutral band of sentiments around 0, in units of `1 /`
/// [`SENTIMENT_SCALE`](crate::livestream::SENTIMENT_SCALE): ±0.05.
pub(super) const NEUTRAL: i32 = 500;

/// The sums. They wrap, so that subtracting always undoes adding.
#[derive(Copy, Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Totals {
    chats: u64,
    positive: u64,
    negative: u64,
    sentiment: i64,
    viewers: u128,
    viewer_events: u64,
}

impl Totals {
    pub(super) fn add_chat(&mut self, sentiment: i32) {
        self.chats = self.chats.wrapping_add(1);
        self.positive = self.positive.wrapping_add(u64::from(sentiment > NEUTRAL));
        self.negative = self.negative.wrapping_add(u64::from(sentiment < -NEUTRAL));
        self.sentiment = self.sentiment.wrapping_add(i64::from(sentiment));
    }

    pub(super) fn add_viewers(&mut self, viewers: u64) {
        self.viewers = self.viewers.wrapping_add(u128::from(viewers));
        self.viewer_events = self.viewer_events.wrapping_add(1);
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.chats = self.chats.wrapping_add(other.chats);
        self.positive = self.positive.wrapping_add(other.positive);
        self.negative = self.negative.wrapping_add(other.negative);
        self.sentiment = self.sentiment.wrapping_add(other.sentiment);
        self.viewers = self.viewers.wrapping_add(other.viewers);
        self.viewer_events = self.viewer_events.wrapping_add(other.viewer_events);
    }

    pub(super) fn subtract(&mut self, other: &Self) {
        self.chats = self.chats.wrapping_sub(other.chats);
        self.positive = self.positive.wrapping_sub(other.positive);
        self.negative = self.negative.wrapping_sub(other.negative);
        self.sentiment = self.sentiment.wrapping_sub(other.sentiment);
        self.viewers = self.viewers.wrapping_sub(other.viewers);
        self.viewer_events = self.viewer_events.wrapping_sub(other.viewer_events);
    }

    pub(super) fn write(&self, summary: &mut StreamSummary) {
        summary.chat_count = self.chats;
        summary.positive_count = self.positive;
        summary.negative_count = self.negative;
        summary.sentiment_sum = self.sentiment;
        summary.viewer_sum = self.viewers;
        summary.viewer_events = self.viewer_events;
    }
}

/// The number of transactions, and their amounts in the order of [`Currency::ALL`].
#[derive(Copy, Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Paid {
    count: u64,
    amounts: Amounts,
}

type Amounts = [i128; Currency::ALL.len()];

/// Changes the amounts one by one. The sums wrap, so that subtracting always undoes adding.
fn each(ours: &mut Amounts, theirs: &Amounts, change: impl Fn(i128, i128) -> i128) {
    ours.iter_mut().zip(theirs).for_each(|(ours, theirs)| *ours = change(*ours, *theirs));
}

impl Paid {
    fn add(&mut self, transaction: &Transaction<'_>) {
        self.count = self.count.wrapping_add(1);
        let amount = &mut self.amounts[transaction.currency as usize];
        *amount = amount.wrapping_add(i128::from(transaction.amount));
    }

    fn merge(&mut self, other: &Self) {
        self.count = self.count.wrapping_add(other.count);
        each(&mut self.amounts, &other.amounts, i128::wrapping_add);
    }

    fn subtract(&mut self, other: &Self) {
        self.count = self.count.wrapping_sub(other.count);
        each(&mut self.amounts, &other.amounts, i128::wrapping_sub);
    }

    fn write(&self, summary: &mut StreamSummary) {
        summary.transaction_count = self.count;
        summary.transaction_amount = self.amounts;
    }
}

/// The transactions of a pane.
#[derive(Copy, Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Transactions {
    paid: Paid,
    /// The largest amounts, in the order of [`Currency::ALL`]; 0 if there is none above 0.
    largest: [i64; Currency::ALL.len()],
}

impl Transactions {
    pub(super) fn add(&mut self, transaction: &Transaction<'_>) {
        self.paid.add(transaction);
        let largest = &mut self.largest[transaction.currency as usize];
        *largest = transaction.amount.max(*largest);
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.paid.merge(&other.paid);
        self.largest.iter_mut().zip(other.largest).for_each(|(ours, theirs)| *ours = theirs.max(*ours));
    }

    /// The largest amount of each currency in which there is one.
    fn largest(&self) -> impl Iterator<Item = (Currency, i64)> {
        Currency::ALL.iter().copied().zip(self.largest).filter(|(_, amount)| *amount > 0)
    }

    pub(super) fn write(&self, summary: &mut StreamSummary) {
        self.paid.write(summary);
        summary.largest_transactions = self.largest().collect();
    }
}

/// Transactions of which the largest ones are not known.
impl From<Paid> for Transactions {
    fn from(paid: Paid) -> Self {
        Self { paid, ..Self::default() }
    }
}

/// The sliding form of [`Transactions`].
#[derive(Debug, Default)]
pub(super) struct TransactionsSliding {
    paid: Paid,
    /// The number of panes that have each amount as their largest.
    largest: BTreeMap<(Currency, i64), u32>,
}

impl TransactionsSliding {
    pub(super) fn push(&mut self, pane: &Transactions) {
        self.paid.merge(&pane.paid);
        for largest in pane.largest() {
            *self.largest.entry(largest).or_default() += 1;
        }
    }

    pub(super) fn pop(&mut self, pane: &Transactions) {
        self.paid.subtract(&pane.paid);
        for largest in pane.largest() {
            if let Entry::Occupied(mut panes) = self.largest.entry(largest) {
                *panes.get_mut() -= 1;
                if *panes.get() == 0 {
                    panes.remove();
                }
            }
        }
    }

    pub(super) fn write(&self, summary: &mut StreamSummary) {
        self.paid.write(summary);
        // Those of a currency are together, the largest one last.
        let mut found: Vec<(Currency, i64)> = Vec::new();
        for (currency, amount) in self.largest.keys().rev() {
            if found.last().is_none_or(|(last, _)| last != currency) {
                found.push((*currency, *amount));
            }
        }
        found.reverse();
        summary.largest_transactions = found.into();
    }
}
