//! Compares each query with SQL over the same events, on one worker and on several, and over a restart.

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;

use super::*;
use crate::event::{NexmarkEvents, What};

const EVENTS: usize = 30_000;
const RATE: usize = 50;

/// The expected rows of each query, as SQL over the tables `person`, `auction` and `bid`, in the order of its
/// table's columns.
const EXPECTED: [(&str, &str, &str); 12] = [
    ("q1", "id, auction, bidder, price, time", "SELECT id, auction, bidder, price * 908, time FROM bid"),
    ("q2", "id, auction, price", "SELECT id, auction, price FROM bid WHERE auction % 123 = 0"),
    (
        "q3",
        "auction, name, city, state",
        "SELECT a.id, p.name, p.city, p.state FROM auction a JOIN person p ON a.seller = p.id
         WHERE a.category = 10 AND p.state IN ('or', 'id', 'ca')",
    ),
    (
        "q4",
        "category, auctions, mean",
        "SELECT category, COUNT(*), CAST(SUM(price) AS REAL) / COUNT(*) FROM (
             SELECT a.category AS category, MAX(b.price) AS price FROM auction a JOIN bid b ON b.auction = a.id
             WHERE b.time BETWEEN a.time AND a.expires GROUP BY a.id
         ) GROUP BY category",
    ),
    (
        "q5",
        "window_end, auction, bids",
        "WITH hops(k) AS (VALUES (1), (2), (3), (4), (5)),
         counts AS (
             SELECT time / 2000 * 2000 + 2000 * k AS ends, auction, COUNT(*) AS bids
             FROM bid CROSS JOIN hops GROUP BY ends, auction
         )
         SELECT ends, auction, bids FROM counts c
         WHERE bids = (SELECT MAX(bids) FROM counts o WHERE o.ends = c.ends)",
    ),
    (
        "q7",
        "window_end, id, auction, bidder, price",
        "WITH highest AS (SELECT time / 10000 AS tumble, MAX(price) AS price FROM bid GROUP BY tumble)
         SELECT (tumble + 1) * 10000, id, auction, bidder, b.price
         FROM bid b JOIN highest h ON b.time / 10000 = tumble AND b.price = h.price",
    ),
    (
        "q8",
        "window_start, person, name",
        "SELECT DISTINCT p.time / 10000 * 10000, p.id, p.name FROM person p JOIN auction a
         ON a.seller = p.id AND a.time / 10000 = p.time / 10000",
    ),
    (
        "q11",
        "bidder, window_start, window_end, bids",
        "WITH steps AS (
             SELECT bidder, time,
                 time - LAG(time, 1, -10000) OVER (PARTITION BY bidder ORDER BY time, id) >= 10000 AS begins
             FROM bid
         ),
         numbered AS (
             SELECT bidder, time, SUM(begins) OVER (PARTITION BY bidder ORDER BY time) AS session FROM steps
         )
         SELECT bidder, MIN(time), MAX(time) + 10000, COUNT(*) FROM numbered GROUP BY bidder, session",
    ),
    (
        "q15",
        "window_start, bids, bids_1, bids_2, bids_3, bidders, bidders_1, bidders_2, bidders_3, \
         auctions, auctions_1, auctions_2, auctions_3",
        "WITH ranked AS (SELECT *, (price >= 10000) + (price >= 1000000) AS rank FROM bid)
         SELECT time / 86400000 * 86400000 AS day, COUNT(*),
             SUM(rank = 0), SUM(rank = 1), SUM(rank = 2), COUNT(DISTINCT bidder),
             COUNT(DISTINCT CASE rank WHEN 0 THEN bidder END), COUNT(DISTINCT CASE rank WHEN 1 THEN bidder END),
             COUNT(DISTINCT CASE rank WHEN 2 THEN bidder END), COUNT(DISTINCT auction),
             COUNT(DISTINCT CASE rank WHEN 0 THEN auction END), COUNT(DISTINCT CASE rank WHEN 1 THEN auction END),
             COUNT(DISTINCT CASE rank WHEN 2 THEN auction END)
         FROM ranked GROUP BY day",
    ),
    (
        "q18",
        "bidder, auction, time, id, price",
        "SELECT bidder, auction, time, id, price FROM (
             SELECT *, ROW_NUMBER() OVER (PARTITION BY bidder, auction ORDER BY time DESC, id DESC) AS n FROM bid
         ) WHERE n = 1",
    ),
    (
        "q19",
        "auction, rank, price, id, bidder",
        "SELECT auction, n, price, id, bidder FROM (
             SELECT *, ROW_NUMBER() OVER (PARTITION BY auction ORDER BY price DESC, id) AS n FROM bid
         ) WHERE n <= 10",
    ),
    (
        "q20",
        "id, auction, bidder, price, item_name, seller",
        "SELECT b.id, a.id, b.bidder, b.price, a.item_name, a.seller
         FROM bid b JOIN auction a ON b.auction = a.id WHERE a.category = 10",
    ),
];

/// Puts the events into the tables of the SQL queries.
fn load(database: &Connection, lines: &[String]) -> anyhow::Result<()> {
    database.execute_batch(
        "BEGIN;
         CREATE TABLE person (id PRIMARY KEY, name, city, state, time);
         CREATE TABLE auction (id PRIMARY KEY, item_name, expires, seller, category, time);
         CREATE TABLE bid (id PRIMARY KEY, auction, bidder, price, time);
         CREATE INDEX bid_by_auction ON bid (auction);",
    )?;
    let (arena, mut events) = (telemetra::core::Arena::default(), Vec::new());
    for line in lines {
        Decoder::<NexmarkEvents>::decode(&NexmarkJson, Record::new(line.as_bytes()), &arena, &mut events)?;
    }
    let [mut persons, mut auctions, mut bids] = [
        database.prepare("INSERT INTO person VALUES (?, ?, ?, ?, ?)")?,
        database.prepare("INSERT INTO auction VALUES (?, ?, ?, ?, ?, ?)")?,
        database.prepare("INSERT INTO bid VALUES (?, ?, ?, ?, ?)")?,
    ];
    // SQLite has no unsigned integers.
    let n = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    for event in events {
        let time = n(event.time.0);
        match event.what {
            What::Person(p) => persons.execute((n(p.id), p.name, p.city, p.state, time))?,
            What::Auction(a) => {
                auctions.execute((n(a.id), a.item_name, n(a.expires.0), n(a.seller), n(a.category), time))?
            }
            What::Bid(b) => bids.execute((n(event.id), n(b.auction), n(b.bidder), n(b.price), time))?,
        };
    }
    database.execute_batch("COMMIT")?;
    Ok(())
}

/// The number of rows that the query wrote into this file, after a check that they are those of the SQL.
fn check(database: &Connection, name: &str, path: &Path) -> anyhow::Result<i64> {
    database.execute("ATTACH DATABASE ? AS written", [path.to_string_lossy()])?;
    let (_, columns, expected) =
        EXPECTED.iter().find(|(query, ..)| *query == name).context("no SQL for the query")?;
    let count = |sql: String| database.query_row(&sql, [], |row| row.get::<_, i64>(0));
    let missing = count(format!(
        "SELECT COUNT(*) FROM (SELECT * FROM ({expected}) EXCEPT SELECT {columns} FROM {name})"
    ))?;
    let surplus = count(format!(
        "SELECT COUNT(*) FROM (SELECT {columns} FROM {name} EXCEPT SELECT * FROM ({expected}))"
    ))?;
    let [found, asked] = [
        count(format!("SELECT COUNT(*) FROM {name}"))?,
        count(format!("SELECT COUNT(*) FROM ({expected})"))?,
    ];
    assert_eq!((missing, surplus, found), (0, 0, asked), "{name}: missing, surplus and number of rows");
    database.execute("DETACH DATABASE written", [])?;
    Ok(found)
}

/// A source with two partitions that are read side by side.
fn source(lines: &[String]) -> MemorySource {
    let half = |n| lines.iter().skip(n).step_by(2).cloned();
    MemorySource::default().partition("even", half(0)).partition("odd", half(1))
}

fn pipeline(source: MemorySource, database: &Path, workers: usize) -> Pipeline<NexmarkEvents> {
    let sink = Sqlite::new(database);
    Pipeline::new().source(source, NexmarkJson).time(workload::time()).workers(workers).sink(sink)
}

#[test]
fn each_result_equals_sql_over_the_same_events() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let lines: Vec<_> = workload::lines(EVENTS, RATE).collect();
    let database = Connection::open_in_memory()?;
    load(&database, &lines)?;
    for workers in [1, 3] {
        for query in QUERIES {
            let path = folder.path().join(format!("{}-{workers}.db", query.name));
            let report = (query.start)(pipeline(source(&lines), &path, workers))?.wait()?;
            let fates = report.fates;
            assert_eq!((fates.too_late, fates.malformed), (0, 0), "{}", query.name);
            assert!(fates.late_applied > 0 || query.name == "q15", "a day's pane is open all the time");
            let rows = check(&database, query.name, &path)?;
            assert!(rows > 0, "{} found nothing", query.name);
        }
    }
    Ok(())
}

#[test]
fn a_restart_on_other_workers_changes_nothing() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let lines: Vec<_> = workload::lines(EVENTS, RATE).collect();
    let database = Connection::open_in_memory()?;
    load(&database, &lines)?;
    for query in QUERIES {
        let path = folder.path().join(format!("{}.db", query.name));
        // A pane of this query is a day long, so it has no checkpoint within a minute.
        let every = if query.name == "q15" { hours(24) } else { seconds(10) };
        let checkpoints = || Directory::new(folder.path().join(query.name));
        for (workers, share) in [(2, 3), (1, 6), (3, 8)] {
            let mut open = MemorySource::default();
            let read = lines.len() * share / 10;
            let [even, odd] = ["even", "odd"].map(|name| open.handle(name));
            for (n, line) in lines[..read].iter().enumerate() {
                [&even, &odd][n % 2].append(line.as_str());
            }
            let pipeline = pipeline(open, &path, workers).checkpoints(checkpoints(), every);
            let running = (query.start)(pipeline)?;
            while running.fates().read < read as u64 {
                std::thread::sleep(Duration::from_millis(1));
            }
            running.stop()?;
        }
        let pipeline = pipeline(source(&lines), &path, 2).checkpoints(checkpoints(), every);
        let report = (query.start)(pipeline)?.wait()?;
        assert_eq!(report.fates.read, lines.len() as u64, "{}", query.name);
        check(&database, query.name, &path)?;
    }
    Ok(())
}

/// Runs the compliance suite of decoders.
#[test]
fn the_decoder_keeps_its_contract() {
    let lines: Vec<_> = workload::lines(5, RATE).collect();
    // A person, auctions, and a bid.
    let good: Vec<&[u8]> = lines[..5].iter().map(|line| line.as_bytes()).collect();
    let bad: [&[u8]; 4] = [b"{", b"{\"id\":1}", b"{\"id\":1,\"Bid\":{\"auction\":1}}", b"\xff"];
    telemetra::core::testkit::decoder_compliance::<NexmarkEvents>(&NexmarkJson, &good, &bad);
}
