//! The log of a program: lines on standard error, above the line of progress if there is one, in one format for all
//! programs.
//!
//! Colours are for terminals only, and off with `NO_COLOR`. Secrets of the settings are never in it. With the feature
//! `otlp` the library's spans go to a collector too.

use std::io::{self, Write};

use tracing::{Level, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::otlp::{self, Otlp};
use super::screen::{ProgressLine, is_styled};

/// The format of lines.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    Json,
}

/// Starts logging for the program of that name. What it returns sends the last spans when it is dropped, if spans are
/// sent.
pub(crate) fn start(
    program: &'static str,
    level: Option<Level>,
    format: Format,
    line: &ProgressLine,
) -> Option<Otlp> {
    start_with(program, level, format, line, None::<tracing_subscriber::layer::Identity>)
}

/// Starts logging, with a layer of the program's own.
pub(crate) fn start_with(
    program: &'static str,
    level: Option<Level>,
    format: Format,
    line: &ProgressLine,
    own: Option<impl Layer<tracing_subscriber::Registry> + Send + Sync>,
) -> Option<Otlp> {
    let (otlp, spans) = otlp::start(program).unzip();
    let lines = level.map(|most| lines(most, format, line));
    // This fails only if there is another subscriber, which then does the logging.
    let _ = tracing_subscriber::registry().with(own).with(lines).with(spans).try_init();
    otlp
}

/// The writer of the lines of a level and more severe ones.
fn lines<S>(most: Level, format: Format, line: &ProgressLine) -> impl Layer<S> + Send + Sync
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let coloured = is_styled(&io::stderr());
    let lines = tracing_subscriber::fmt::layer().with_writer(Lines(line.clone()));
    let lines: Box<dyn Layer<S> + Send + Sync> = match format {
        Format::Text => lines.with_ansi(coloured).boxed(),
        Format::Json => lines.with_ansi(false).json().flatten_event(true).boxed(),
    };
    lines.with_filter(LevelFilter::from_level(most))
}

/// Writes lines above the line of progress, without secrets.
struct Lines(ProgressLine);

impl<'a> MakeWriter<'a> for Lines {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

impl Write for &Lines {
    /// A line at a time, as the layer writes them.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.line(String::from_utf8_lossy(line).trim_end_matches('\n'));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
