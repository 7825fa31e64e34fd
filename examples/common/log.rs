//! The log of a program: lines on standard error, above the progress bar if there is one, in one format for all programs.
//!
//! Colours are for terminals only, and off with `NO_COLOR`. Secrets of the settings are never in it. With the feature
//! `otlp` the library's spans go to a collector too.

use std::io::{self, IsTerminal, Write};

use indicatif::ProgressBar;
use tracing::{Level, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::otlp::{self, Otlp};
use super::secrets;

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
    bar: &ProgressBar,
) -> Option<Otlp> {
    start_with(program, level, format, bar, None::<tracing_subscriber::layer::Identity>)
}

/// Starts logging, with a layer of the program's own.
pub(crate) fn start_with(
    program: &'static str,
    level: Option<Level>,
    format: Format,
    bar: &ProgressBar,
    own: Option<impl Layer<tracing_subscriber::Registry> + Send + Sync>,
) -> Option<Otlp> {
    let (otlp, spans) = otlp::start(program).unzip();
    let lines = level.map(|most| lines(most, format, bar));
    // This fails only if there is another subscriber, which then does the logging.
    let _ = tracing_subscriber::registry().with(own).with(lines).with(spans).try_init();
    otlp
}

/// What writes the lines of a level and more severe ones.
fn lines<S>(most: Level, format: Format, bar: &ProgressBar) -> impl Layer<S> + Send + Sync
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let coloured =
        io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let lines = tracing_subscriber::fmt::layer().with_writer(Lines(bar.clone()));
    let lines: Box<dyn Layer<S> + Send + Sync> = match format {
        Format::Text => lines.with_ansi(coloured).boxed(),
        Format::Json => lines.with_ansi(false).json().flatten_event(true).boxed(),
    };
    lines.with_filter(LevelFilter::from_level(most))
}

/// Prints to standard error what is no line of the log, without secrets.
pub(crate) fn say(text: &str) {
    eprintln!("{}", secrets::redact(text));
}

/// Writes lines above a progress bar, without secrets.
struct Lines(ProgressBar);

impl<'a> MakeWriter<'a> for Lines {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

impl Write for &Lines {
    /// A line at a time, as the layer writes them.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let shown = secrets::redact(&String::from_utf8_lossy(line));
        self.0.suspend(|| io::stderr().lock().write_all(shown.as_bytes()))?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
