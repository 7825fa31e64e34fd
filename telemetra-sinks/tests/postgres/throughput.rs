//! The throughput of the sink. Run in release, one at a time:
//! `cargo test --release -p telemetra-sinks --features postgres --test postgres throughput -- --ignored --nocapture --test-threads 1`

use std::io::{Read, Write};
use std::time::Instant;

use telemetra_core::{Action, Change, Sink};
use telemetra_sinks::Postgres;

use super::common::{batches, tables};
use super::server::{Database, database_in, durable};
use super::services::Server;

/// User and system time of the server's processes and of this one, in seconds.
fn cpu(server: &Server) -> (f64, f64) {
    let ticks = |stat: &str| -> f64 {
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        // Fields 14 to 17: of the process, and of its children that have ended.
        fields[11..15].iter().map(|ticks| ticks.parse::<f64>().unwrap()).sum::<f64>() / 100.0
    };
    let postmaster = server.pid();
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let stat = std::fs::read_to_string(entry.unwrap().path().join("stat")).ok()?;
        let parent: u32 = stat.rsplit(')').next()?.split_whitespace().nth(1)?.parse().ok()?;
        (parent == postmaster || stat.starts_with(&format!("{postmaster} "))).then_some(stat)
    });
    let servers = processes.map(|stat| ticks(&stat)).sum();
    (servers, ticks(&std::fs::read_to_string("/proc/self/stat").unwrap()))
}

fn measure(
    server: &Server,
    name: &str,
    streams: u64,
    windows: u64,
    at_once: usize,
    settings: &str,
) -> Database {
    let database = database_in(server, &format!("{name}_{streams}_{at_once}"));
    let batches = batches(streams, windows);
    let mut sink = Postgres::new(database.config());
    sink.open(&tables(), None).unwrap();
    database.client().batch_execute(settings).unwrap();
    let (before, wal) = (cpu(server), database.text("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn"));
    let start = Instant::now();
    let mut longest = 0.0_f64;
    for batch in batches.chunks(at_once) {
        let begun = Instant::now();
        sink.apply(batch).unwrap();
        longest = longest.max(begun.elapsed().as_secs_f64());
    }
    let took = start.elapsed().as_secs_f64();
    let rows = (streams * windows) as f64;
    let after = cpu(server);
    let written = database.text(&format!("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn - {wal}"));
    println!(
        "{name}: {streams} streams, {at_once} batches at once: {:.0} rows/s, longest apply {:.0} ms; per row: server {:.1} µs, \
         sink {:.1} µs of CPU, {:.0} bytes of log",
        rows / took,
        longest * 1e3,
        (after.0 - before.0) / rows * 1e6,
        (after.1 - before.1) / rows * 1e6,
        written.parse::<f64>().unwrap() / rows,
    );
    database
}

#[test]
#[ignore = "a measurement"]
fn throughput() {
    let server = durable(&[("max_wal_size", "4GB"), ("shared_buffers", "512MB")]);
    for (streams, windows, at_once) in [(1_000, 240, 1), (1_000, 480, 16), (10_000, 48, 1), (10_000, 48, 16)]
    {
        measure(&server, "postgres", streams, windows, at_once, "");
    }
    // A correction of every row.
    let database = measure(&server, "first", 1_000, 64, 16, "");
    let mut batches = batches(1_000, 64);
    for Change { revision, action, .. } in batches.iter_mut().flat_map(|batch| &mut batch.changes) {
        (*revision, *action) = (1, Action::Upsert);
    }
    for batch in &mut batches {
        batch.time = batch.time.plus(1_000_000);
    }
    let mut sink = Postgres::new(database.config());
    sink.open(&tables(), None).unwrap();
    let start = Instant::now();
    for batches in batches.chunks(16) {
        sink.apply(batches).unwrap();
    }
    println!("corrections: {:.0} rows/s", 64_000.0 / start.elapsed().as_secs_f64());
}

/// A measurement of the alternatives, at 16,000 rows a transaction.
#[test]
#[ignore = "a measurement"]
fn alternatives() {
    let server = durable(&[("max_wal_size", "4GB"), ("shared_buffers", "512MB")]);
    let of = |name: &str, settings: &str| measure(&server, name, 1_000, 128, 16, settings);
    of("as_it_is", "");
    of("not_logged", "ALTER TABLE device_minute SET UNLOGGED");
    of("and_blocks_by_time", "CREATE INDEX ON device_minute USING brin (window_start)");
    of(
        "key_by_time_and_index_by_stream",
        "ALTER TABLE device_minute DROP CONSTRAINT device_minute_pkey, ADD PRIMARY KEY (window_start, device);
         CREATE INDEX ON device_minute (device, window_start DESC)",
    );
    let database = of("again", "");
    copies(&server, &database);
}

/// The same rows by binary copy into a temporary table, and from there.
fn copies(server: &Server, database: &Database) {
    let mut client = database.client();
    let mut chunks = Vec::new();
    for chunk in 0..8 {
        let mut bytes = Vec::new();
        let sql = format!(
            "COPY (SELECT * FROM device_minute WHERE (extract(epoch FROM window_start) - 1767225600)::int / 160 = {chunk}
             ORDER BY device, window_start) TO STDOUT (FORMAT binary)"
        );
        client.copy_out(&sql).unwrap().read_to_end(&mut bytes).unwrap();
        chunks.push(bytes);
    }
    client
        .batch_execute(
            "TRUNCATE device_minute;
             CREATE TEMP TABLE stage (LIKE device_minute) ON COMMIT DELETE ROWS",
        )
        .unwrap();
    let insert = "INSERT INTO device_minute SELECT * FROM stage ON CONFLICT (device, window_start) DO UPDATE
        SET readings = excluded.readings, tags = excluded.tags";
    let insert = client.prepare(insert).unwrap();
    let before = cpu(server);
    let start = Instant::now();
    for bytes in chunks {
        let mut transaction = client.transaction().unwrap();
        let mut writer = transaction.copy_in("COPY stage FROM STDIN (FORMAT binary)").unwrap();
        writer.write_all(&bytes).unwrap();
        writer.finish().unwrap();
        transaction.execute(&insert, &[]).unwrap();
        transaction.commit().unwrap();
    }
    let (rate, after) = (128_000.0 / start.elapsed().as_secs_f64(), cpu(server));
    println!(
        "copy: {rate:.0} rows/s; per row: server {:.1} µs of CPU",
        (after.0 - before.0) / 128_000.0 * 1e6
    );
}
