//! For how long nobody writes when a new version takes over from the old one, under load.
//!
//! Each version is a process. The old one is asked for a savepoint; the new one starts from it, catches up, and takes over
//! Postgres. Of each stream, the silence is the time between the last row that the old one made visible and the first of the
//! new one, by the times at which Postgres committed them.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use telemetra::core::Clock;
use telemetra::prelude::*;
use telemetra::sinks::{PostgresConfig, PostgresStore};

use crate::rig::Rig;
use crate::services::Server;
use crate::{Options, feed, pipeline};

/// The numbers of workers that versions have in turn.
const WORKERS: [u64; 4] = [1, 4, 2, 1];
/// Event time between checkpoints, which is what a new version has to read again at most.
const EVERY: Duration = Duration::from_secs(5);
/// How often a version looks at what it is to do.
const LOOK: Duration = Duration::from_millis(1);
/// How long a version may take for a step.
const PATIENCE: Duration = Duration::from_secs(120);
/// The name of the savepoint that a version keeps for the next one.
const SAVEPOINT: &str = "for-the-next";

/// A version that runs in a process of its own.
struct Version {
    child: Child,
    orders: ChildStdin,
    lines: Receiver<String>,
}

impl Version {
    fn start(options: &Options, number: u64) -> Result<Self> {
        let workers = WORKERS[usize::try_from(number)? % WORKERS.len()];
        let options = options.with("version", number).with("workers", workers);
        let mut command = options.command("version")?;
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (orders, output) = (child.stdin.take(), child.stdout.take());
        let (send, lines) = channel();
        let output = BufReader::new(output.context("no output")?);
        std::thread::spawn(move || {
            output.lines().map_while(Result::ok).try_for_each(|line| send.send(line).map_err(drop))
        });
        Ok(Self { child, orders: orders.context("no input")?, lines })
    }

    fn order(&mut self, order: &str) -> Result<()> {
        writeln!(self.orders, "{order}")?;
        Ok(self.orders.flush()?)
    }

    /// Waits until it says this; returns what follows the word.
    fn until(&mut self, word: &str) -> Result<String> {
        loop {
            let line = self.lines.recv_timeout(PATIENCE).with_context(|| format!("it did not say {word}"))?;
            if let Some(rest) = line.strip_prefix(word) {
                return Ok(rest.trim().to_owned());
            }
        }
    }
}

/// Seconds since the epoch, as Postgres counts them.
fn now() -> f64 {
    Clock::system().now().0 as f64 / 1e3
}

pub(crate) fn measure(options: &Options) -> Result<()> {
    let upgrades = options.number("upgrades")?;
    let kafka = Server::kafka();
    feed::create(&kafka.url(), options.number("partitions")?)?;
    let rig = Rig::with_commit_times()?;
    let options = rig.options(options, &kafka);
    let mut feed = options.command("feed")?.spawn()?;
    let measured = upgrade(&options, upgrades);
    // Whatever is left to send is for nobody.
    feed.kill()?;
    feed.wait()?;
    let (mut between, windows, caught_up) = measured?;
    println!(
        "{} upgrades, versions of 1, 4 and 2 workers in turn, {} events/s, rows each {} ms",
        between.len(),
        options.number("rate")?,
        options.number("slide")?
    );
    let mut steps: [Vec<f64>; 3] = Default::default();
    let mut database = postgres::Client::connect(options.text("postgres")?, postgres::NoTls)?;
    let (mut silences, mut usual) = silences(&mut database, &between, windows)?;
    tell("started and caught up", &mut caught_up.clone());
    for Takeover { ordered, taken, ended } in between.drain(..) {
        steps[0].push(taken - ordered);
        steps[1].push(ended - taken);
        steps[2].push(ended - ordered);
    }
    let [taken, ended, _] = &mut steps;
    tell("from the order until the sinks are taken over", taken);
    tell("from then until the old one has ended", ended);
    tell("silence of a stream at an upgrade", &mut silences);
    tell("between two rows of a stream without one", &mut usual);
    Ok(())
}

fn tell(what: &str, seconds: &mut [f64]) {
    seconds.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let place = (seconds.len().saturating_sub(1) as f64 * share).round() as usize;
        seconds.get(place).copied().unwrap_or(f64::NAN) * 1e3
    };
    let (p50, p99, most) = (at(0.5), at(0.99), at(1.0));
    println!("{what}: p50 {p50:.0} ms, p99 {p99:.0} ms, most {most:.0} ms, of {}", seconds.len());
}

/// When an upgrade happened, in seconds since the epoch.
#[derive(Copy, Clone, Debug)]
struct Takeover {
    ordered: f64,
    taken: f64,
    ended: f64,
}

type Upgrades = (Vec<Takeover>, (f64, f64), Vec<f64>);

/// Replaces version by version. Returns when each was, within which time, and how long it took until each had caught up.
fn upgrade(options: &Options, upgrades: u64) -> Result<Upgrades> {
    let mut old = Version::start(options, 0)?;
    old.until("writes")?;
    let begun = now();
    let (mut between, mut caught_up) = (Vec::new(), Vec::new());
    for number in 1..=upgrades {
        old.order("savepoint")?;
        old.until("savepoint")?;
        let started = Instant::now();
        let mut new = Version::start(options, number)?;
        new.until("ready")?;
        caught_up.push(started.elapsed().as_secs_f64());
        let ordered = now();
        new.order("take over")?;
        new.until("taken over")?;
        let taken = now();
        let status = old.child.wait()?;
        anyhow::ensure!(status.code() == Some(3), "version {} ended with {status}", number - 1);
        between.push(Takeover { ordered, taken, ended: now() });
        new.until("writes")?;
        old = new;
    }
    let ended = now();
    old.order("stop")?;
    old.child.wait()?;
    Ok((between, (begun, ended), caught_up))
}

/// Of each stream and upgrade, the time between the commits before and after it; and of each stream the times between commits
/// that no upgrade is in.
fn silences(
    database: &mut postgres::Client,
    between: &[Takeover],
    (begun, ended): (f64, f64),
) -> Result<(Vec<f64>, Vec<f64>)> {
    let sql = "SELECT stream_id, extract(epoch FROM pg_xact_commit_timestamp(xmin))::float8
               FROM chat_summary_minute ORDER BY 1, 2";
    let rows = database.query(sql, &[])?;
    let (mut silences, mut usual) = (BTreeMap::new(), Vec::new());
    for pair in rows.windows(2) {
        let (stream, before): (&str, f64) = (pair[0].get(0), pair[0].get(1));
        let (same, after): (&str, f64) = (pair[1].get(0), pair[1].get(1));
        if stream != same || before < begun || after > ended || after <= before {
            continue;
        }
        // It cannot be seen which version wrote a row during the takeover: the longer time counts.
        let crosses = |one: &Takeover| before < one.taken && after > one.ordered;
        match between.iter().position(crosses) {
            Some(upgrade) => {
                let longest = silences.entry((stream, upgrade)).or_insert(0.0);
                *longest = f64::max(*longest, after - before);
            }
            None => usual.push(after - before),
        }
    }
    if silences.is_empty() {
        bail!("no row was written before and after an upgrade");
    }
    Ok((silences.into_values().collect(), usual))
}

/// A version of the service: it carries out commands, one a line, and confirms each.
pub(crate) fn version(options: &Options) -> Result<()> {
    let number = options.number("version")?;
    let store = |number: u64| -> Result<PostgresStore> {
        let config = PostgresConfig::from_url(options.text("postgres")?)?;
        Ok(PostgresStore::new(config).pipeline(&format!("version-{number}")))
    };
    let time = TimeConfig {
        idle_after: Some(Duration::from_secs(5)),
        out_of_orderness: Duration::from_millis(options.number("disorder")?),
        allowed_lateness: Duration::from_secs(60),
        ..TimeConfig::default()
    };
    let mut pipeline = pipeline::build(options, pipeline::source(options)?, time, "postgres")?
        .checkpoints(store(number)?, EVERY)
        .checkpoint_pause(Duration::ZERO);
    if let Some(before) = number.checked_sub(1) {
        pipeline = pipeline.from_savepoint_in(store(before)?, SAVEPOINT).standby();
    }
    let running = pipeline.start()?;
    let (send, orders) = channel();
    std::thread::spawn(move || {
        std::io::stdin().lines().map_while(Result::ok).try_for_each(|line| send.send(line).map_err(drop))
    });
    let say = |word: &str| -> Result<()> {
        let mut out = std::io::stdout();
        writeln!(out, "{word}")?;
        Ok(out.flush()?)
    };
    let (mut is_ready, mut since) = (number == 0, None);
    let slide = options.number("slide")?;
    while !running.is_finished() {
        if !is_ready && running.has_caught_up() {
            is_ready = true;
            say("ready")?;
        }
        // Some rows that are its own, so that the next upgrade is one of a version that runs.
        let durable = running.status().durable;
        if !running.stands_by() && durable > EventTime::MIN {
            let first = *since.get_or_insert(durable);
            if first < EventTime::MAX && durable > first.plus(4 * slide) {
                since = Some(EventTime::MAX);
                say("writes")?;
            }
        }
        match orders.recv_timeout(LOOK) {
            Ok(order) if order == "savepoint" => {
                running.savepoint(SAVEPOINT)?;
                say("savepoint")?;
            }
            Ok(order) if order == "take over" => {
                running.take_over()?;
                say("taken over")?;
            }
            Ok(_) => return running.stop().map(drop).map_err(Into::into),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => bail!("nobody gives orders any more"),
        }
    }
    match running.wait() {
        Err(error) if error.is_taken_over() => std::process::exit(3),
        ended => Ok(ended.map(drop)?),
    }
}
