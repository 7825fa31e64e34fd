//! The summary of one stream in one window, as the live-stream job computes it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::core::aggregate::CountedJson;
use crate::core::{Column, ColumnKind, Counted, Value, Window};
use crate::livestream::rows::decimal;
use crate::livestream::{Currency, SENTIMENT_SCALE};

/// The summary of one stream in one window: a row of `chat_summary_minute`. Fields are whole numbers, or fixed-point
/// numbers; methods compute the ratios.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StreamSummary {
    /// The number of chat messages.
    pub chat_count: u64,
    /// The number of different users who wrote a message.
    pub unique_chatters: u64,
    /// The number of messages with a sentiment above the neutral band.
    pub positive_count: u64,
    /// The number of messages with a sentiment below the neutral band.
    pub negative_count: u64,
    /// The sum of the messages' sentiments, in units of `1 /` [`SENTIMENT_SCALE`].
    pub sentiment_sum: i64,
    /// The ten emotes used most, by count, then by name.
    pub top_emotes: Vec<Counted>,
    /// The sum of the viewer counts reported.
    pub viewer_sum: u128,
    /// The number of viewer counts reported.
    pub viewer_events: u64,
    /// The greatest viewer count reported.
    pub peak_viewers: Option<u64>,
    /// The number of transactions.
    pub transaction_count: u64,
    /// The sums of the transactions' amounts by currency, in the order of [`Currency::ALL`], in units of `1
    /// /` [`AMOUNT_SCALE`](crate::livestream::AMOUNT_SCALE).
    pub transaction_amount: [i128; Currency::ALL.len()],
    /// The largest transaction of each currency in which there was one, in the order of [`Currency::ALL`] and
    /// the units of [`transaction_amount`](Self::transaction_amount).
    pub largest_transactions: Box<[(Currency, i64)]>,
    /// The most messages that one user wrote.
    pub most_by_one: u64,
    /// The words of the messages, if they are [counted](super::ChatAggregate::words) and there are any.
    pub words: Option<Box<Words>>,
}

/// The words of messages of a window: of all messages, or of a random sample of them if there are more than
/// 128.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Words {
    /// The sixteen words that most messages have, by the number of these messages, then by the word.
    pub top: Vec<Counted>,
    /// The number of messages whose words were counted.
    pub of: u64,
}

impl StreamSummary {
    /// Returns the number of messages per second of the window.
    #[must_use]
    pub fn chat_rate(&self, window: Window) -> f64 {
        self.chat_count as f64 / window.seconds()
    }

    /// Returns the mean sentiment of the messages, from −1 to 1; `None` without messages.
    #[must_use]
    pub fn sentiment_score(&self) -> Option<f64> {
        (self.chat_count > 0)
            .then(|| self.sentiment_sum as f64 / self.chat_count as f64 / SENTIMENT_SCALE as f64)
    }

    /// Returns the mean of the viewer counts; `None` if none was reported.
    #[must_use]
    pub fn avg_viewers(&self) -> Option<f64> {
        (self.viewer_events > 0).then(|| self.viewer_sum as f64 / self.viewer_events as f64)
    }

    /// Returns the sum of the amounts in a currency, in units of `1 /` [`AMOUNT_SCALE`](crate::livestream::AMOUNT_SCALE).
    #[must_use]
    pub fn amount(&self, currency: Currency) -> i128 {
        self.transaction_amount[currency as usize]
    }

    /// Returns the amount of the largest transaction in a currency, in units of `1 /`
    /// [`AMOUNT_SCALE`](crate::livestream::AMOUNT_SCALE).
    #[must_use]
    pub fn largest(&self, currency: Currency) -> Option<i64> {
        self.largest_transactions.iter().find(|(of, _)| *of == currency).map(|(_, amount)| *amount)
    }

    /// Returns the columns of the summary in the table `chat_summary_minute`, without its key.
    #[must_use]
    pub fn columns() -> Vec<Column> {
        vec![
            Column::new("chat_count", ColumnKind::Integer),
            Column::new("chat_rate", ColumnKind::Float),
            Column::new("unique_chatters", ColumnKind::Integer),
            Column::new("positive_count", ColumnKind::Integer),
            Column::new("negative_count", ColumnKind::Integer),
            Column::nullable("sentiment_score", ColumnKind::Float),
            Column::new("top_emotes", ColumnKind::Json),
            Column::nullable("avg_viewers", ColumnKind::Float),
            Column::nullable("peak_viewers", ColumnKind::Integer),
            Column::new("viewer_events", ColumnKind::Integer),
            Column::new("transaction_count", ColumnKind::Integer),
            Column::new("transaction_amount", ColumnKind::Json),
        ]
    }

    /// Passes the value of each of the [`columns`](Self::columns) to `put`.
    pub fn values(&self, window: Window, put: &mut dyn FnMut(Value<'_>)) {
        put(Value::Unsigned(self.chat_count));
        put(Value::Float(self.chat_rate(window)));
        put(Value::Unsigned(self.unique_chatters));
        put(Value::Unsigned(self.positive_count));
        put(Value::Unsigned(self.negative_count));
        put(Value::or_null(self.sentiment_score().map(Value::Float)));
        put(Value::Json(&CountedJson(&self.top_emotes)));
        put(Value::or_null(self.avg_viewers().map(Value::Float)));
        put(Value::or_null(self.peak_viewers.map(Value::Unsigned)));
        put(Value::Unsigned(self.viewer_events));
        put(Value::Unsigned(self.transaction_count));
        put(Value::Json(&Amounts(&self.transaction_amount)));
    }
}

/// The amounts as JSON, of the currencies that have one: `{"USD":"12.50",…}`.
struct Amounts<'a>(&'a [i128]);

impl fmt::Display for Amounts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        let present = Currency::ALL.iter().zip(self.0).filter(|(_, units)| **units != 0);
        for (i, (currency, units)) in present.enumerate() {
            let comma = if i == 0 { "" } else { "," };
            write!(f, "{comma}\"{}\":\"{}\"", currency.as_str(), decimal(*units))?;
        }
        f.write_str("}")
    }
}
