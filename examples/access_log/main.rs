//! Web-server access logs: requests, status classes, bytes and latency percentiles per site and minute, the paths of each hour, and
//! the visits of visitors.
//!
//! ```sh
//! cargo run --release --example access_log                                 # a log that is made up
//! cargo run --release --example access_log -- /var/log/nginx/access.log
//! zcat access.log.*.gz | cargo run --release --example access_log -- -     # standard input
//! ```
//!
//! This program has a decoder of its own for a text format, events that borrow from their line, aggregates by
//! name, sessions, and moments of a grouping. Lines of another format are dead letters and are counted.
//! Everything runs in one process without a server.

mod generate;
mod line;
mod show;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Result, anyhow, ensure};
use lexopt::prelude::*;
use telemetra::core::Quantiles;
use telemetra::prelude::*;

use line::{AccessLog, Accesses};

const HELP: &str = "\
access_log [FILE…] [--workers N] [--rows N] [--visits N] [--seed N]

Reads access logs in the combined format, and prints what happened. `-` is standard input; without a file, a log is
made up. Lines may begin with the virtual host and end with the duration of the request:

  nginx   log_format timed '$host $remote_addr - $remote_user [$time_local] \"$request\" $status '
                           '$body_bytes_sent \"$http_referer\" \"$http_user_agent\" $request_time';
  Apache  LogFormat \"%v %h %l %u %t \\\"%r\\\" %>s %b \\\"%{Referer}i\\\" \\\"%{User-Agent}i\\\" %D\" timed

  --workers N   threads that read and aggregate [1]
  --rows N      rows to print of each table [12]
  --visits N    visits in the log that is made up [3000]
  --seed N      which log is made up [1]
";

/// The columns by site and minute: requests, those answered with 2xx, 3xx, 4xx and 5xx, bytes, and latencies.
type PerMinute = (u64, u64, u64, u64, u64, i128, Quantiles);
type Minute = SummaryRow<String, PerMinute>;
/// The row by site and hour: requests, visitors, the most frequent paths.
type Hour = SummaryRow<String, (u64, u64, Vec<telemetra::core::Counted>)>;
/// The row by site and visitor: requests, different paths, bytes.
type Visit = SummaryRow<(String, String), (u64, u64, i128)>;

/// The time without a request after which a visit has ended.
const GAP: Duration = minutes(30);

struct Options {
    files: Vec<PathBuf>,
    workers: usize,
    rows: usize,
    visits: u64,
    seed: u64,
}

/// The options; `None` if help is requested.
fn options(mut parser: lexopt::Parser) -> Result<Option<Options>> {
    let mut options = Options { files: Vec::new(), workers: 1, rows: 12, visits: 3_000, seed: 1 };
    while let Some(arg) = parser.next()? {
        match arg {
            Long("workers") => options.workers = number(&mut parser, "--workers")?,
            Long("rows") => options.rows = number(&mut parser, "--rows")?,
            Long("visits") => options.visits = number(&mut parser, "--visits")?,
            Long("seed") => options.seed = number(&mut parser, "--seed")?,
            Long("help") | Short('h') => return Ok(None),
            Value(file) => options.files.push(file.into()),
            _ => return Err(anyhow!("{}; --help lists the options", arg.unexpected())),
        }
    }
    for file in options.files.iter().filter(|file| file.as_os_str() != "-") {
        let meta = File::open(file).and_then(|file| file.metadata()).map_err(|error| {
            let file = file.display();
            anyhow!("could not open {file}: {error}; give the path of an access log, or none for one that is made up")
        })?;
        ensure!(!meta.is_dir(), "{} is a folder; give the files in it", file.display());
    }
    Ok(Some(options))
}

fn number<N: FromStr>(parser: &mut lexopt::Parser, flag: &str) -> Result<N> {
    let text = parser.value()?.to_string_lossy().into_owned();
    text.parse().map_err(|_| anyhow!("{flag} takes a whole number, and `{text}` is none"))
}

/// Starts the pipeline.
fn start(source: impl Source + 'static, tables: MemorySink, workers: usize) -> Result<Running> {
    let class = |class| move |access: &line::Access<'_>| access.status / 100 == class;
    let running = Pipeline::<Accesses>::new()
        .source(source, AccessLog)
        .sink(tables)
        .workers(workers)
        // The past is read as fast as possible, so no partition becomes idle.
        .time(TimeConfig { idle_after: None, ..TimeConfig::default() })
        .group("site_minute", tumbling(minutes(1)), |a| {
            (
                a.count("requests"),
                a.count_if("status_2xx", class(2)),
                a.count_if("status_3xx", class(3)),
                a.count_if("status_4xx", class(4)),
                a.count_if("status_5xx", class(5)),
                a.sum("bytes", |access| access.bytes),
                a.quantiles("latency_ms", [0.5, 0.9, 0.99], |access| access.millis),
            )
        })
        .key_columns(["site"])
        .count_moments("failures", ZScore::new(6.0)?.min_value(5.0)?, |(_, _, _, _, failures, ..)| *failures)
        .group("site_hour", tumbling(hours(1)), |a| {
            (
                a.count("requests"),
                a.distinct("visitors", |access| access.visitor),
                a.top::<5, _>("paths", |access| access.path),
            )
        })
        .key_columns(["site"])
        .group_by(
            "visits",
            |access| (access.site.to_owned(), access.visitor.to_owned()),
            sessions(GAP),
            |a| {
                (
                    a.count("requests"),
                    a.distinct("pages", |access| access.path),
                    a.sum("bytes", |access| access.bytes),
                )
            },
        )
        .key_columns(["site", "visitor"])
        .start()?;
    Ok(running)
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let Some(options) = options(lexopt::Parser::from_env())? else {
        print!("{HELP}");
        return Ok(());
    };
    let tables = MemorySink::new();
    let running = if options.files.is_empty() {
        let log = generate::log(options.visits, options.seed);
        let source = MemorySource::default().partition("made up", log.lines);
        start(source, tables.clone(), options.workers)?
    } else {
        start(Lines::files(&options.files), tables.clone(), options.workers)?
    };
    let report = running.wait()?;
    print!("{}", show::all(&tables, &report, options.rows));
    Ok(())
}
