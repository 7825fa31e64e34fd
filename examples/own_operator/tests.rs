//! Tests that the operator keeps the contract of tactics, and that its table is right whenever the process is
//! killed.

#[path = "../../tests/support/services.rs"]
mod services;

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::ops::Range;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context, ensure};
use postgres::{Client, NoTls, Row};
use telemetra::core::testkit::{event_compliance, row_compliance};
use telemetra::ops::testkit::tactic_compliance;

use super::*;
use crate::heartbeat::{START, State, made_up};
use crate::time_in_state::HOLD;
use services::{Kind, Place, shared};

const HOUR: u64 = 3_600_000;
/// Milliseconds running, idle and at fault, by machine and hour.
type Hours = BTreeMap<(String, u64), [u64; 3]>;

fn heartbeats(lines: &[String]) -> Vec<Heartbeat> {
    lines.iter().map(|line| serde_json::from_str(line).expect("a heartbeat")).collect()
}

/// The effective time of each heartbeat, and the number of those that are too late, by the definition in
/// `docs/time.md`.
fn effective(heartbeats: Vec<Heartbeat>) -> (Vec<(EventTime, Heartbeat)>, u64) {
    let time = TimeConfig::default();
    let (pane, mut greatest, mut too_late) = (time.windows.slide(), EventTime::MIN, 0);
    let mut arrivals = Vec::new();
    for heartbeat in heartbeats {
        greatest = greatest.max(heartbeat.time);
        let floor = time.windows.pane_start(greatest - time.out_of_orderness);
        let end = time.windows.pane_end(heartbeat.time);
        if end + time.allowed_lateness < floor {
            too_late += 1;
        } else {
            arrivals.push((end.max(floor.plus(pane)).minus(1), heartbeat));
        }
    }
    (arrivals, too_late)
}

/// The table, computed in one pass: every millisecond counts for the last heartbeat before it.
fn batch(heartbeats: impl Iterator<Item = Heartbeat>) -> Hours {
    let mut machines: BTreeMap<String, BTreeMap<u64, State>> = BTreeMap::new();
    for Heartbeat { machine, time, state } in heartbeats {
        let then = machines.entry(machine).or_default().entry(time.0).or_insert(state);
        *then = state.max(*then);
    }
    let mut hours = Hours::new();
    for (machine, reports) in machines {
        let ends = reports.keys().skip(1).copied().chain([u64::MAX]);
        for ((from, state), end) in reports.iter().zip(ends) {
            let mut from = *from;
            let end = end.min(from + HOLD);
            while from < end {
                let until = end.min((from / HOUR + 1) * HOUR);
                let row = hours.entry((machine.clone(), from / HOUR * HOUR)).or_default();
                row[*state as usize] += until - from;
                from = until;
            }
        }
    }
    hours
}

fn table(client: &mut Client) -> Result<Hours> {
    let rows = client.query(
        "SELECT machine, (extract(epoch FROM hour) * 1000)::bigint, running_ms, idle_ms, fault_ms FROM machine_hours",
        &[],
    )?;
    let hours = rows.iter().map(|row| {
        let millis = [row.get::<_, i64>(2), row.get(3), row.get(4)].map(i64::unsigned_abs);
        ((row.get(0), row.get::<_, i64>(1).unsigned_abs()), millis)
    });
    Ok(hours.collect())
}

/// A database for one test.
fn database() -> Result<(String, Client)> {
    let Place { url, name } = shared(Kind::Postgres);
    Client::connect(&url, NoTls)?.batch_execute(&format!("CREATE DATABASE {name}"))?;
    let (server, _) = url.rsplit_once('/').context("a URL with a database")?;
    let url = format!("{server}/{name}");
    let client = Client::connect(&url, NoTls)?;
    Ok((url, client))
}

#[test]
fn the_contracts_are_kept() {
    let (arrivals, too_late) = effective(heartbeats(&made_up(4)));
    let hour = |time: &EventTime| time.0 / HOUR;
    let corrects = arrivals.iter().filter(|(time, heartbeat)| hour(time) > hour(&heartbeat.time)).count();
    assert!(corrects > 1 && arrivals.len() > 200, "{corrects} of {}, {too_late} too late", arrivals.len());
    tactic_compliance(|| TimeInState::new(&TimeConfig::default()), &arrivals);
    event_compliance(&arrivals.into_iter().map(|(_, heartbeat)| heartbeat).take(40).collect::<Vec<_>>());
    let row = MachineHour { machine: "mill".to_owned(), hour: EventTime(0), running: 1, idle: 2, fault: 3 };
    let rows =
        [row.clone(), MachineHour { idle: 7, ..row.clone() }, MachineHour { hour: EventTime(HOUR), ..row }];
    row_compliance(&telemetra::core::Layout::of_row(), &rows);
}

/// The process that the next test kills; without its settings it does nothing.
#[test]
#[ignore = "the next test runs it in a process of its own"]
fn a_life() -> Result<()> {
    let variable = |name: &str| std::env::var(format!("OWN_OPERATOR_{name}"));
    let (Ok(url), Ok(file), Ok(workers)) = (variable("URL"), variable("FILE"), variable("WORKERS")) else {
        return Ok(());
    };
    let lines = Lines::file(file).follow(Duration::from_millis(10));
    start(lines, &PostgresConfig::from_url(&url)?, workers.parse()?)?.wait()?;
    Ok(())
}

fn life(url: &str, file: &Path, workers: usize) -> Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--ignored", "--exact", "tests::a_life"]);
    command.env("OWN_OPERATOR_URL", url).env("OWN_OPERATOR_FILE", file);
    command.env("OWN_OPERATOR_WORKERS", workers.to_string()).stdout(Stdio::null());
    Ok(command.spawn()?)
}

/// Kills a process when a condition holds.
fn kill_when(mut life: Child, mut is_so: impl FnMut() -> bool) -> Result<()> {
    let begun = Instant::now();
    loop {
        let (reached, ended) = (is_so(), life.try_wait()?);
        if reached || ended.is_some() || begun.elapsed() > Duration::from_secs(60) {
            life.kill()?;
            life.wait()?;
            ensure!(reached && ended.is_none(), "waited {:?}; the process: {ended:?}", begun.elapsed());
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The boundary of the newest checkpoint, 0 if there is none.
fn boundary(client: &mut Client) -> u64 {
    let names = client.query("SELECT name FROM telemetra_checkpoints WHERE name LIKE '%/complete'", &[]);
    let boundary = |row: &Row| row.get::<_, &str>(0).split('/').next().and_then(|text| text.parse().ok());
    // Before the first process has created the tables there are none.
    names.unwrap_or_default().iter().filter_map(boundary).max().unwrap_or(0)
}

#[test]
fn killed_and_restarted_on_other_numbers_of_workers_the_table_is_that_of_a_batch() -> Result<()> {
    let (url, mut client) = database()?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("heartbeats.jsonl");
    let lines = made_up(48);
    let all = heartbeats(&lines);
    let (arrivals, too_late) = effective(all.clone());
    let on_time = arrivals.iter().filter(|(time, heartbeat)| *time - heartbeat.time < 10_000).count() as u64;
    let expected = batch(arrivals.into_iter().map(|(_, heartbeat)| heartbeat));

    // The input is cut so that both halves of an hour are needed for its row: another process reads the
    // second half.
    let cut = |hours: u64| {
        let at = START.plus(hours * HOUR + 45 * 60_000);
        all.iter().position(|heartbeat| heartbeat.time >= at).context("the log is longer")
    };
    let (first, second) = (cut(15)?, cut(31)?);
    let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
    let mut more = |part: Range<usize>| lines[part].iter().try_for_each(|line| writeln!(file, "{line}"));
    more(0..first)?;
    // The process is killed at one point, and then at one where the rest of the hour depends on the
    // checkpoint's state of its beginning.
    kill_when(life(&url, &path, 1)?, || table(&mut client).is_ok_and(|rows| rows.len() > 20))?;
    kill_when(life(&url, &path, 3)?, || boundary(&mut client) >= START.0 + 15 * HOUR + HOUR / 2)?;
    more(first..second)?;
    kill_when(life(&url, &path, 2)?, || boundary(&mut client) >= START.0 + 31 * HOUR + HOUR / 2)?;
    more(second..lines.len())?;
    let running = start(Lines::file(&path), &PostgresConfig::from_url(&url)?, 3)?;
    let report = running.wait()?;
    assert_eq!((report.fates.read, report.fates.too_late), (lines.len() as u64, too_late));
    assert_eq!(report.fates.on_time, on_time);
    assert!(too_late > 2 && report.fates.late_applied > 100, "{:?}", report.fates);
    assert_eq!(table(&mut client)?, expected);
    let revised = client.query_one("SELECT count(*) FROM machine_hours WHERE revision > 0", &[])?;
    let revised: i64 = revised.get(0);
    assert!(revised > 9, "late heartbeats correct hours that are out: {revised}");
    Ok(())
}

#[test]
fn a_program_without_a_database_says_so() -> Result<()> {
    let options = |args: &[&str]| {
        let without_variable = command().mut_arg("database", |arg| arg.env(None::<&str>));
        options(without_variable, [&["own_operator"], args].concat()).map_err(|error| error.to_string())
    };
    assert!(options(&[]).is_err_and(|error| error.contains("DATABASE_URL or --database")));
    assert!(options(&["--database", "nonsense:secret"]).is_err_and(|error| !error.contains("secret")));
    let follow = ["--database", "postgres://localhost/x", "--follow"];
    assert!(options(&follow).is_err_and(|error| error.contains("<FILE>")));
    assert!(options(&[&follow[..], &["a.jsonl"]].concat()).is_ok_and(|options| options.follow));

    let nobody = telemetra::ops::free_addresses(1)?.remove(0);
    let database = PostgresConfig::from_url(&format!("postgres://telemetra@{nobody}/telemetra"))?;
    let source = MemorySource::default().partition("made up", made_up(1));
    let error = start(source, &database, 1).map(drop).map_err(|error| format!("{error:#}"));
    let error = error.err().unwrap_or_default();
    assert!(error.contains(&nobody), "{error}");
    Ok(())
}
