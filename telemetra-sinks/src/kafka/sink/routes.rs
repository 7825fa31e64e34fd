//! The topics of tables, and the keys of their messages.

use std::fmt::Write;
use std::sync::Arc;

use telemetra_core::{AnyRow, ExternalError, KeyPart, RowKey, Table};

use super::settings::Settings;

/// The topics that a sink writes to, for the tables that it was opened with.
#[derive(Debug)]
pub(super) struct Routes {
    letters: Option<String>,
    /// Each table with its topic.
    tables: Vec<(Arc<Table>, String)>,
}

impl Routes {
    /// Resolves the settings against the tables of the pipeline.
    ///
    /// # Errors
    ///
    /// If a topic is set for a table that does not exist, or two tables would share a topic.
    pub(super) fn new(settings: &Settings, tables: &[Arc<Table>]) -> Result<Self, ExternalError> {
        let refuse = |what: String| Err(ExternalError::permanent(format!("cannot write to Kafka: {what}")));
        if let Some((missing, _)) =
            settings.tables.iter().find(|(name, _)| !tables.iter().any(|table| table.name() == name))
        {
            let names: Vec<_> = tables.iter().map(|table| format!("`{}`", table.name())).collect();
            let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            return refuse(format!(
                "a topic is given for the table `{missing}`, and the pipeline has no such table; it has {names}"
            ));
        }
        let mut routes = Self { letters: settings.letters.clone(), tables: Vec::new() };
        for table in tables {
            let given = settings.tables.iter().rev().find(|(name, _)| name == table.name());
            let topic = match given {
                Some((_, topic)) => topic.clone(),
                None => settings.prefix.as_ref().map(|prefix| format!("{prefix}.{}", table.name())),
            };
            let Some(topic) = topic else { continue };
            if routes.topics().any(|(known, _)| known == topic) {
                return refuse(format!(
                    "the topic `{topic}` of the table `{}` is given twice, and rows of two tables may have one key; give each \
                     table a topic of its own",
                    table.name()
                ));
            }
            routes.tables.push((Arc::clone(table), topic));
        }
        Ok(routes)
    }

    /// The topics that are written to, each with whether it holds rows.
    pub(super) fn topics(&self) -> impl Iterator<Item = (&str, bool)> {
        let rows = self.tables.iter().map(|(_, topic)| (topic.as_str(), true));
        self.letters.iter().map(|topic| (topic.as_str(), false)).chain(rows)
    }

    /// The topic of a table's rows, if they are written.
    pub(super) fn topic_of(&self, table: &str) -> Option<&str> {
        self.tables.iter().find(|(known, _)| known.name() == table).map(|(_, topic)| topic.as_str())
    }
}

/// The key of a row's messages: its key columns separated by slashes, times in milliseconds. In all columns
/// but the first, a slash is written as `%2F` and a percent sign as `%25`, so different rows have different
/// keys.
pub(super) fn message_key(row: &dyn AnyRow) -> String {
    let mut key = String::new();
    for (n, part) in RowKey::of(row).parts().iter().enumerate() {
        key.push_str(if n > 0 { "/" } else { "" });
        // Writing to a string does not fail.
        let _ = match part {
            KeyPart::Time(time) => write!(key, "{}", time.0),
            KeyPart::BeforeEpoch(time) => write!(key, "{}", time.0),
            KeyPart::Text(text) if n > 0 => key.write_str(&text.replace('%', "%25").replace('/', "%2F")),
            part => write!(key, "{part}"),
        };
    }
    key
}

#[cfg(test)]
mod tests {
    use telemetra_core::{Column, ColumnKind, EventTime, Layout, Value};

    use super::*;

    type Key = (String, String, EventTime, i64);

    #[test]
    fn different_rows_have_different_keys() {
        let text = |name| Column::new(name, ColumnKind::Text);
        let table = Table::new("t")
            .key(text("a"))
            .key(text("b"))
            .key(Column::new("c", ColumnKind::Time))
            .key(Column::new("d", ColumnKind::Integer));
        let layout = Layout::new(table, |(a, b, c, d): &Key, put| {
            put(Value::Text(a));
            put(Value::Text(b));
            put(Value::Time(*c));
            put(Value::Signed(*d));
        });
        let key = |a: &str, b: &str, c, d| {
            message_key(&*layout.erase((a.to_owned(), b.to_owned(), EventTime(c), d)))
        };
        assert_eq!(key("a", "b", 60_000, -1), "a/b/60000/-1");
        assert_eq!(key("a/%", "b", 0, 1), "a/%/b/0/1");
        assert_eq!(key("a", "%/b", 0, 1), "a/%25%2Fb/0/1");
        assert_ne!(key("a/b", "c", 0, 1), key("a", "b/c", 0, 1));
        assert_ne!(key("a", "/", 0, 1), key("a", "%2F", 0, 1));
    }
}
