//! What is computed per stream and window by default.

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use crate::{Currency, SENTIMENT_SCALE, Window};

/// The aggregate of one stream in one window. Whole numbers and fixed point; the ratios are methods.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StreamSummary {
    /// Chat messages.
    pub chat_count: u64,
    /// Different users who wrote one.
    pub unique_chatters: u64,
    /// Messages with a sentiment above the neutral band.
    pub positive_count: u64,
    /// Messages with a sentiment below the neutral band.
    pub negative_count: u64,
    /// The sum of the messages' sentiments, in units of `1 /` [`SENTIMENT_SCALE`].
    pub sentiment_sum: i64,
    /// The ten emotes used most, by count, then by name.
    pub top_emotes: Vec<Counted>,
    /// The sum of the viewer counts reported.
    pub viewer_sum: u128,
    /// How many viewer counts were reported.
    pub viewer_events: u64,
    /// The greatest of them.
    pub peak_viewers: Option<u64>,
    /// Transactions.
    pub transaction_count: u64,
    /// Their amounts by currency, in the order of [`Currency::ALL`], in units of `1 /`
    /// [`AMOUNT_SCALE`](crate::AMOUNT_SCALE).
    pub transaction_amount: [i128; Currency::ALL.len()],
}

/// A name, and how often it was seen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Counted {
    /// The name.
    pub name: CompactString,
    /// How often.
    pub count: u64,
}

impl StreamSummary {
    /// Messages per second of the window.
    #[must_use]
    pub fn chat_rate(&self, window: Window) -> f64 {
        self.chat_count as f64 / window.seconds()
    }

    /// The mean sentiment, −1 to 1; `None` without messages.
    #[must_use]
    pub fn sentiment_score(&self) -> Option<f64> {
        (self.chat_count > 0)
            .then(|| self.sentiment_sum as f64 / self.chat_count as f64 / SENTIMENT_SCALE as f64)
    }

    /// The mean of the viewer counts; `None` if none was reported.
    #[must_use]
    pub fn avg_viewers(&self) -> Option<f64> {
        (self.viewer_events > 0).then(|| self.viewer_sum as f64 / self.viewer_events as f64)
    }

    /// The amount in a currency, in units of `1 /` [`AMOUNT_SCALE`](crate::AMOUNT_SCALE).
    #[must_use]
    pub fn amount(&self, currency: Currency) -> i128 {
        self.transaction_amount[currency as usize]
    }
}
