//! The columns of the built-in summary, `StreamSummary`.

use telemetra_core::{StreamSummary, Window};

use super::json::{Amounts, Emotes};
use super::{Column, ColumnKind, Tabular, Value};

/// The columns of `chat_summary_minute`.
impl Tabular for StreamSummary {
    const COLUMNS: &'static [Column] = &[
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
    ];

    fn values(&self, window: Window, put: &mut dyn FnMut(Value<'_>)) {
        put(Value::Unsigned(self.chat_count));
        put(Value::Float(self.chat_rate(window)));
        put(Value::Unsigned(self.unique_chatters));
        put(Value::Unsigned(self.positive_count));
        put(Value::Unsigned(self.negative_count));
        put(Value::float(self.sentiment_score()));
        put(Value::Json(&Emotes(&self.top_emotes)));
        put(Value::float(self.avg_viewers()));
        put(Value::count(self.peak_viewers));
        put(Value::Unsigned(self.viewer_events));
        put(Value::Unsigned(self.transaction_count));
        put(Value::Json(&Amounts(&self.transaction_amount)));
    }
}
