//! Recorders of the log and of traces, for tests.

use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Lines>>);

#[derive(Default)]
struct Lines {
    events: Vec<String>,
    /// A line for each span when it begins, and for each later record of a field.
    spans: Vec<String>,
    /// The names of spans, by their ids less one.
    names: Vec<&'static str>,
}

impl Log {
    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = match field.name() {
            "message" => write!(self.0, " {value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let name = span.metadata().name();
        let mut line = Line(name.to_owned());
        span.record(&mut line);
        let mut lines = self.lock();
        lines.spans.push(line.0);
        lines.names.push(name);
        Id::from_u64(lines.names.len() as u64)
    }

    fn record(&self, id: &Id, values: &Record<'_>) {
        let mut lines = self.lock();
        let mut line = Line(lines.names[id.into_u64() as usize - 1].to_owned());
        values.record(&mut line);
        lines.spans.push(line.0);
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        self.lock().events.push(line.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

fn lines(work: impl FnOnce()) -> Lines {
    let log = Log::default();
    tracing::subscriber::with_default(log.clone(), work);
    std::mem::take(&mut *log.lock())
}

/// The lines that this thread logs meanwhile: one for each event with its level, message and fields.
pub(crate) fn logged(work: impl FnOnce()) -> Vec<String> {
    lines(work).events
}

/// The traces of this thread meanwhile: a line for each span with its name and fields when it begins, and one with its name
/// for each field that is recorded later.
pub(crate) fn traced(work: impl FnOnce()) -> Vec<String> {
    lines(work).spans
}
