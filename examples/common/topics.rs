//! The topics of generated events, for writing and reading.

use telemetra::livestream::EventKind;

/// The topics of the four kinds of events.
#[derive(Clone, Debug)]
pub(crate) struct Topics([String; 4]);

impl Topics {
    /// The topics whose names begin with this prefix and a dot.
    pub(crate) fn with_prefix(prefix: &str) -> Self {
        Self(["chat", "viewer", "transactions", "stream_meta"].map(|kind| format!("{prefix}.{kind}")))
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    pub(crate) fn of(&self, kind: EventKind) -> &str {
        &self.0[match kind {
            EventKind::Chat => 0,
            EventKind::Viewer => 1,
            EventKind::Transaction => 2,
            EventKind::Meta => 3,
        }]
    }
}
