//! The library's log, written to standard error above the progress bar.

use std::fmt::{Debug, Write};

use indicatif::ProgressBar;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// Writes events of a level and more severe ones. Spans are ignored: the library has none.
pub(crate) struct Log {
    most: Level,
    bar: ProgressBar,
}

/// The format of lines.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    Json,
}

/// Starts logging.
pub(crate) fn start(level: Option<Level>, format: Format, bar: &ProgressBar) {
    let Some(most) = level else { return };
    if format == Format::Json {
        let json = tracing_subscriber::fmt().json().flatten_event(true).with_max_level(most);
        // As below, this fails only if there is another subscriber.
        let _ = json.with_writer(std::io::stderr).try_init();
        return;
    }
    // This fails only if there is another subscriber, which then does the logging.
    let _ = tracing::subscriber::set_global_default(Log { most, bar: bar.clone() });
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
        self.bar.suspend(|| eprintln!("{level}: {}{}", line.message, line.fields));
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
