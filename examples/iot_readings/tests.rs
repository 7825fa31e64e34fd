//! Tests that the tables equal a batch computation: in memory over restarts, and in Postgres by a process
//! that is killed again and again.

#[path = "../../tests/support/services.rs"]
mod services;

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use postgres::{Client, NoTls};
use services::{Kind, Place, shared};
use telemetra::core::SummaryRow;
use telemetra::core::aggregate::Mean;
use telemetra::sinks::PostgresStore;

use super::*;

type Minute = SummaryRow<String, (u64, Mean, Option<i64>)>;

/// The expected contents of the tables.
#[derive(Debug, Default, PartialEq)]
struct Tables {
    /// By device and minute, the number of readings and the hottest one in millionths.
    minutes: BTreeMap<(String, u64), (u64, i64)>,
    /// By site and first reading, the end of the visit and the number of readings.
    visits: BTreeMap<(u32, u64), (u64, u64)>,
    /// The ids of moments.
    moments: Vec<String>,
}

/// Computes the two groupings in one pass over the lines.
fn batch(lines: &[String]) -> anyhow::Result<Tables> {
    let mut tables = Tables::default();
    let mut by_site: BTreeMap<u32, Vec<u64>> = BTreeMap::new();
    for line in lines {
        let Reading { device, site, time, celsius } = serde_json::from_str(line)?;
        let micros = (celsius * 1e6).round() as i64;
        let minute = tables.minutes.entry((device, time.0 / 60_000 * 60_000)).or_insert((0, i64::MIN));
        *minute = (minute.0 + 1, minute.1.max(micros));
        by_site.entry(site).or_default().push(time.0);
    }
    for (site, mut times) in by_site {
        times.sort_unstable();
        for run in times.chunk_by(|a, b| b - a < 300_000) {
            let ends = run.last().context("a run has a reading")? + 300_000;
            tables.visits.insert((site, run[0]), (ends, run.len() as u64));
        }
    }
    Ok(tables)
}

fn in_memory(sink: &MemorySink) -> Tables {
    let minutes = sink.rows_of::<Minute>().into_iter().map(|row| {
        let (readings, _, hottest) = &*row.summary.value;
        ((row.key, row.summary.window.start.or_epoch().0), (*readings, hottest.unwrap_or(0)))
    });
    let visits = sink.rows_of::<SummaryRow<u32, u64>>().into_iter().map(|row| {
        let window = row.summary.window;
        ((row.key, window.start.or_epoch().0), (window.end.0, *row.summary.value))
    });
    let mut moments: Vec<_> =
        sink.rows_of::<Moment<String>>().iter().map(|moment| moment.id().to_string()).collect();
    moments.sort();
    Tables { minutes: minutes.collect(), visits: visits.collect(), moments }
}

#[test]
fn tables_equal_a_batch_computation_over_restarts() -> anyhow::Result<()> {
    let (folder, sink) = (tempfile::tempdir()?, MemorySink::new());
    let checkpoints = || Directory::new(folder.path());
    let all = lines();
    // The pipeline is stopped after each quarter: events that are not in a checkpoint are read again.
    for part in 1..=3 {
        let mut source = MemorySource::default();
        let handle = source.handle("readings");
        all[..all.len() * part / 4].iter().for_each(|line| handle.append(line.as_str()));
        let running = start(source, sink.clone(), checkpoints())?;
        while running.fates().read < (all.len() * part / 4) as u64 {
            std::thread::sleep(Duration::from_millis(1));
        }
        running.stop()?;
    }
    let source = MemorySource::default().partition("readings", all.clone());
    let fates = start(source, sink.clone(), checkpoints())?.wait()?.fates;
    assert_eq!(fates.on_time + fates.late_applied, all.len() as u64);
    assert!(fates.late_applied > 20, "{fates:?}");

    let (found, expected) = (in_memory(&sink), batch(&all)?);
    assert_eq!((&found.minutes, &found.visits), (&expected.minutes, &expected.visits));
    assert_eq!(found.visits.len(), 4, "each site was silent once");
    let moments = sink.rows_of::<Moment<String>>();
    assert!(moments.iter().any(|moment| moment.key == "d2"), "{moments:?}");
    Ok(())
}

/// The process that the next test kills; without its settings it does nothing.
#[test]
#[ignore = "the next test runs it in a process of its own"]
fn a_life() -> anyhow::Result<()> {
    let variable = |name: &str| std::env::var(format!("IOT_READINGS_{name}"));
    let (Ok(url), Ok(file)) = (variable("URL"), variable("FILE")) else { return Ok(()) };
    let database = PostgresConfig::from_url(&url)?;
    let source = Lines::file(file).follow(Duration::from_millis(10));
    start(source, Postgres::new(database.clone()), PostgresStore::new(database))?.wait()?;
    Ok(())
}

fn in_postgres(client: &mut Client) -> anyhow::Result<Tables> {
    let millis = |column: &str| format!("(extract(epoch FROM {column}) * 1000)::bigint");
    let start = millis("window_start");
    let mut tables = Tables::default();
    let sql =
        format!("SELECT device, {start}, readings, round(hottest * 1000000)::bigint FROM device_minute");
    for row in client.query(&sql, &[])? {
        let [start, readings] = [1, 2].map(|column| row.get::<_, i64>(column).unsigned_abs());
        tables.minutes.insert((row.get(0), start), (readings, row.get(3)));
    }
    let sql = format!("SELECT site, {start}, {}, readings FROM site_visits", millis("window_end"));
    for row in client.query(&sql, &[])? {
        let [site, start, end, readings] =
            [0, 1, 2, 3].map(|column| row.get::<_, i64>(column).unsigned_abs());
        tables.visits.insert((u32::try_from(site)?, start), (end, readings));
    }
    let moments = client.query("SELECT moment_id FROM device_minute_moments", &[])?;
    tables.moments = moments.iter().map(|row| row.get(0)).collect();
    tables.moments.sort();
    Ok(tables)
}

#[test]
fn killed_at_random_the_tables_in_postgres_equal_a_batch_computation() -> anyhow::Result<()> {
    let Place { url, name } = shared(Kind::Postgres);
    Client::connect(&url, NoTls)?.batch_execute(&format!("CREATE DATABASE {name}"))?;
    let (server, _) = url.rsplit_once('/').context("a URL with a database")?;
    let url = format!("{server}/{name}");
    let mut client = Client::connect(&url, NoTls)?;

    let folder = tempfile::tempdir()?;
    let path = folder.path().join("readings.jsonl");
    let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
    let all = lines();
    const KILLS: usize = 6;
    for (n, part) in all.chunks(all.len() / KILLS + 1).enumerate() {
        let mut life = Command::new(std::env::current_exe()?)
            .args(["--ignored", "--exact", "tests::a_life"])
            .envs([("IOT_READINGS_URL", url.as_str()), ("IOT_READINGS_FILE", &path.to_string_lossy())])
            .stdout(Stdio::null())
            .spawn()?;
        // It is killed while it writes its last batch, each time a bit later.
        let rows = |client: &mut Client| in_postgres(client).map_or(0, |tables| tables.minutes.len());
        let before = rows(&mut client);
        part.iter().try_for_each(|line| writeln!(file, "{line}"))?;
        while rows(&mut client) <= before {
            ensure!(life.try_wait()?.is_none(), "the process ended before it was killed");
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(n as u64 * 7));
        life.kill()?;
        life.wait()?;
    }
    let database = PostgresConfig::from_url(&url)?;
    let report =
        start(Lines::file(&path), Postgres::new(database.clone()), PostgresStore::new(database))?.wait()?;
    assert_eq!(report.fates.on_time + report.fates.late_applied, all.len() as u64);

    let undisturbed = MemorySink::new();
    let source = MemorySource::default().partition("readings", all.clone());
    start(source, undisturbed.clone(), Directory::new(folder.path().join("undisturbed")))?.wait()?;
    let expected = Tables { moments: in_memory(&undisturbed).moments, ..batch(&all)? };
    assert!(!expected.moments.is_empty());
    assert_eq!(in_postgres(&mut client)?, expected);
    Ok(())
}

#[test]
fn the_event_keeps_its_contract() {
    let lines = lines();
    let good: Vec<&[u8]> = lines[..20].iter().map(|line| line.as_bytes()).collect();
    telemetra::core::testkit::decoder_compliance::<Reading>(
        &SerdeJson::<Reading>::new(),
        &good,
        &[b"{}", b"7"],
    );
}
