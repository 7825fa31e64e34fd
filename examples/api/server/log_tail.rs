//! The newest lines of the log, for the operations page: so many, so long, and without secrets.

use std::collections::VecDeque;
use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use serde::Serialize;
use telemetra::core::Clock;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use utoipa::ToSchema;

use super::model::Time;
use crate::common::secrets;

/// The number of lines that are kept.
const LINES: usize = 200;
/// The greatest length of a line, in characters.
const LONGEST: usize = 1_000;

/// Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct LogTail(Arc<Inner>);

#[derive(Default)]
struct Inner {
    lines: Mutex<VecDeque<Line>>,
    secrets: Mutex<Vec<String>>,
}

/// A line of the log.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = LogLine)]
pub(crate) struct Line {
    /// When it was written.
    time: Time,
    /// The level.
    #[schema(pattern = "^(ERROR|WARN|INFO|DEBUG|TRACE)$")]
    level: &'static str,
    /// The module that wrote it.
    target: String,
    /// Its text, cut to 1,000 characters.
    text: String,
}

impl LogTail {
    /// The one of this process, as there is one log.
    pub(crate) fn shared() -> Self {
        static SHARED: OnceLock<LogTail> = OnceLock::new();
        SHARED.get_or_init(Self::default).clone()
    }

    /// Never shows these, from now on.
    pub(crate) fn hide(&self, values: Vec<String>) {
        let mut known = self.0.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        secrets::add(&mut known, values);
    }

    /// The text without secrets: those that are known, and what stands where secrets do.
    pub(crate) fn redact(&self, text: &str) -> String {
        let known = self.0.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        secrets::redact(&secrets::without(&known, text))
    }

    pub(crate) fn newest(&self) -> Vec<Line> {
        self.0.lines.lock().unwrap_or_else(PoisonError::into_inner).iter().rev().cloned().collect()
    }

    /// The layer that listens to the log.
    pub(crate) fn layer(&self) -> TailLayer {
        TailLayer(self.clone())
    }

    fn push(&self, line: Line) {
        let mut lines = self.0.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == LINES {
            lines.pop_front();
        }
        lines.push_back(line);
    }
}

/// Listens to the log.
pub(crate) struct TailLayer(LogTail);

impl<S: Subscriber> Layer<S> for TailLayer {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let mut text = Text::default();
        event.record(&mut text);
        let metadata = event.metadata();
        let text = self.0.redact(&format!("{}{}", text.message, text.fields));
        self.0.push(Line {
            time: Clock::system().now().into(),
            level: metadata.level().as_str(),
            target: metadata.target().to_owned(),
            text: text.chars().take(LONGEST).collect(),
        });
    }
}

/// The message of an event, and its fields after it.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Writing to a string does not fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}
