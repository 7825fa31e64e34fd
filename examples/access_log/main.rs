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

use std::ffi::OsString;
use std::fs::File;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::builder::RangedU64ValueParser;
use clap::{Command, arg, value_parser};
use telemetra::core::Quantiles;
use telemetra::prelude::*;

use line::{AccessLog, Accesses};

const ABOUT: &str = "\
Reads access logs in the combined format, and prints what happened. Lines may begin with the virtual host and end with \
the duration of the request:

  nginx   log_format timed '$host $remote_addr - $remote_user [$time_local] \"$request\" $status '
                           '$body_bytes_sent \"$http_referer\" \"$http_user_agent\" $request_time';
  Apache  LogFormat \"%v %h %l %u %t \\\"%r\\\" %>s %b \\\"%{Referer}i\\\" \\\"%{User-Agent}i\\\" %D\" timed";

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

fn options(arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> Result<Options, clap::Error> {
    let size = |least| RangedU64ValueParser::<usize>::new().range(least..);
    let number = || value_parser!(u64);
    let mut matches = Command::new("access_log")
        .about(ABOUT)
        .args([
            arg!([FILE]... "access logs; - is standard input [one that is made up]").value_parser(readable),
            arg!(--workers <N> "threads that read and aggregate").default_value("1").value_parser(size(1)),
            arg!(--rows <N> "rows to print of each table").default_value("12").value_parser(size(0)),
            arg!(--visits <N> "visits in the log that is made up")
                .default_value("3000")
                .value_parser(number()),
            arg!(--seed <N> "which log is made up").default_value("1").value_parser(number()),
        ])
        .try_get_matches_from(arguments)?;
    Ok(Options {
        files: matches.remove_many("FILE").into_iter().flatten().collect(),
        workers: matches.remove_one("workers").unwrap_or(1),
        rows: matches.remove_one("rows").unwrap_or_default(),
        visits: matches.remove_one("visits").unwrap_or_default(),
        seed: matches.remove_one("seed").unwrap_or_default(),
    })
}

fn readable(file: &str) -> Result<PathBuf, String> {
    let meta = File::open(file).and_then(|file| file.metadata());
    match meta {
        _ if file == "-" => Ok(file.into()),
        Ok(meta) if meta.is_dir() => Err("it is a folder; give the files in it".to_owned()),
        Ok(_) => Ok(file.into()),
        Err(error) => Err(format!(
            "could not open it: {error}; give the path of an access log, or none for one that is made up"
        )),
    }
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
    let options = options(std::env::args_os()).unwrap_or_else(|error| error.exit());
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
