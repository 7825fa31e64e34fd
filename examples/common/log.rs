//! The library's log, written to standard error above the line of progress.

use std::fmt::{Debug, Write};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use super::screen::ProgressLine;

/// Writes events of a level and more severe ones. Spans are ignored: the library has none.
pub(crate) struct Log {
    most: Level,
    line: ProgressLine,
}

/// The format of lines.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    Json,
}

/// Starts logging.
pub(crate) fn start(level: Option<Level>, format: Format, line: &ProgressLine) {
    let Some(most) = level else { return };
    if format == Format::Json {
        let json = tracing_subscriber::fmt().json().flatten_event(true).with_max_level(most);
        // As below, this fails only if there is another subscriber.
        let line = line.clone();
        let writer = move || {
            line.clear();
            std::io::stderr()
        };
        let _ = json.with_writer(writer).try_init();
        return;
    }
    // This fails only if there is another subscriber, which then does the logging.
    let _ = tracing::subscriber::set_global_default(Log { most, line: line.clone() });
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // The error that stops the pipeline is printed at the end, with the remedy.
        *metadata.level() <= self.most && metadata.target() != "telemetra_ops::failure"
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        let level = event.metadata().level().as_str().to_lowercase();
        self.line.say(&format!("{level}: {}{}", line.message, line.fields));
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Writing to a string does not fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, ", {name}: {value:?}"),
        };
    }
}
