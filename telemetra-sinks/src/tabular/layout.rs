//! The mapping of a user's summary type to columns.

use std::fmt;

use serde::Serialize;
use telemetra_core::Window;

use super::{Column, ColumnKind, Tabular, Value};

/// How summaries of type `S` become columns.
///
/// ```
/// use telemetra_core::StreamSummary;
/// use telemetra_sinks::Layout;
/// assert_eq!(Layout::<StreamSummary>::tabular().columns()[0].name, "chat_count");
/// assert_eq!(Layout::<Vec<u8>>::json().columns()[0].name, "summary");
/// ```
pub struct Layout<S> {
    columns: &'static [Column],
    values: fn(&S, Window, &mut dyn FnMut(Value<'_>)),
}

impl<S: Tabular> Layout<S> {
    /// The columns that the type names itself.
    #[must_use]
    pub fn tabular() -> Self {
        Self { columns: S::COLUMNS, values: S::values }
    }
}

impl<S: Serialize> Layout<S> {
    /// One column `summary` that holds the whole as JSON. What JSON cannot say (a map whose keys are no text) is
    /// a permanent error when it is written.
    #[must_use]
    pub fn json() -> Self {
        Self {
            columns: const { &[Column::new("summary", ColumnKind::Json)] },
            values: |summary, _window, put| put(Value::Json(&Serialized(summary))),
        }
    }
}

impl<S> Layout<S> {
    /// The columns.
    #[must_use]
    pub fn columns(&self) -> &'static [Column] {
        self.columns
    }

    /// Puts the value of each column.
    pub fn values(&self, summary: &S, window: Window, put: &mut dyn FnMut(Value<'_>)) {
        (self.values)(summary, window, put);
    }
}

impl<S> Clone for Layout<S> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<S> Copy for Layout<S> {}

impl<S> fmt::Debug for Layout<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Layout").field(&self.columns).finish()
    }
}

struct Serialized<'a, S>(&'a S);

impl<S: Serialize> fmt::Display for Serialized<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self.0).map_err(|_| fmt::Error)?)
    }
}
