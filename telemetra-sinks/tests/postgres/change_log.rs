//! The log of changes: whoever reads it after a time learns what happened after it, and nothing twice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use telemetra_core::{
    Action, Batch, Change, Column, ColumnKind, EventTime, Layout, Retry, Shard, Sink, Table,
};
use telemetra_sinks::{ChangeLog, Postgres};

use super::common::{Alert, Device, alert, batch, change, device, readings, readings_in};
use super::server::{Database, database};

fn logged() -> Vec<Arc<Table>> {
    vec![
        Arc::clone(Layout::<Device>::of_row().table()),
        Arc::clone(readings_in("device_minute").table()),
        Arc::clone(Layout::<Alert>::of_row().table()),
    ]
}

/// The log of a minute of event time: six batches.
fn sink(database: &Database, shard: Shard) -> Postgres {
    let bounds = ChangeLog { keep: Duration::from_secs(60), records: 40 };
    Postgres::new(database.config()).shard(shard).change_log(bounds)
}

fn opened(database: &Database, of: usize, resume: Option<EventTime>) -> Vec<Postgres> {
    let open = |index| {
        let mut sink = sink(database, Shard { index, of });
        sink.open(&logged(), resume).unwrap();
        sink
    };
    (0..of).map(open).collect()
}

/// A row as a reader sees it: its key, and how often it was published before.
type Seen = BTreeMap<String, i64>;

/// A reader of the tables that comes now and then, and knows the rows as of the time of each shard.
#[derive(Default)]
struct Reader {
    history: String,
    times: Vec<Option<i64>>,
    rows: Seen,
    /// The changes that were told: of each row the revision, and whether it was withdrawn.
    told: BTreeSet<(String, i64, bool)>,
    snapshots: usize,
    resumed: usize,
    withdrawn: usize,
}

/// The rows of tables that say when they changed, of subject, key, revision and time in milliseconds.
const ROWS: &str = "
    SELECT device AS subject, 'devices ' || device AS key, revision, (extract(epoch FROM updated_at) * 1000)::bigint
    FROM devices UNION ALL
    SELECT device, 'device_minute ' || device || ' ' || window_start, revision,
        (extract(epoch FROM updated_at) * 1000)::bigint FROM device_minute";
/// The rows of a table that does not say when they changed.
const SILENT: &str = "SELECT device, 'alerts ' || device || ' ' || raised_at, level, 0::bigint FROM alerts";
/// Alerts have their revision as their level here.
const RECORDED: &str = "
    SELECT DISTINCT ON (\"table\", key) subject, \"table\" || ' ' || device || coalesce(' ' || start, ''), revision,
        (extract(epoch FROM time) * 1000)::bigint, action = 'withdraw'
    FROM telemetra_changes, LATERAL (SELECT \"row\" ->> 'device' AS device,
        coalesce(\"row\" ->> 'window_start', \"row\" ->> 'raised_at')::timestamptz AS start
    ) AS shown WHERE pipeline = 'telemetra' ORDER BY \"table\", key, time DESC";

impl Reader {
    /// Learns what changed, in one transaction, or everything where the log does not reach back.
    fn read(&mut self, database: &Database) {
        let mut client = database.client();
        let mut reading = client
            .build_transaction()
            .isolation_level(postgres::IsolationLevel::RepeatableRead)
            .start()
            .unwrap();
        // Until it has a row of its own, a shard that starts over has those of the run before, of other times.
        let shards = "SELECT history::text,
            CASE WHEN starts_over THEN NULL ELSE (extract(epoch FROM time) * 1000)::bigint END,
            (extract(epoch FROM changes_since) * 1000)::bigint FROM telemetra_progress ORDER BY shard";
        let shards = reading.query(shards, &[]).unwrap();
        let history: String = shards.iter().map(|row| row.get::<_, String>(0)).collect();
        let times: Vec<Option<i64>> = shards.iter().map(|row| row.get(1)).collect();
        let since = shards.iter().map(|row| row.get::<_, i64>(2)).max().unwrap();
        let mut rows = |sql: &str| reading.query(sql, &[]).unwrap();
        let row = |row: &postgres::Row| -> (String, String, i64, i64) {
            (row.get(0), row.get(1), row.get(2), row.get(3))
        };
        let mut all: Vec<_> = rows(ROWS).iter().map(row).collect();
        let known = self.times.iter().zip(&times).filter(|(_, now)| now.is_some());
        let reaches = known.clone().all(|(known, now)| *known >= Some(since) && known <= now);
        if history == self.history && known.count() > 0 && reaches {
            self.resumed += 1;
            let is_new = |subject: &str, time: i64| {
                let shard = Shard::index_of(subject, times.len());
                Some(time) > self.times[shard] && Some(time) <= times[shard]
            };
            let mut news: Vec<_> = all.iter().map(|row| (row.clone(), false)).collect();
            news.extend(rows(RECORDED).iter().map(|found| (row(found), found.get(4))));
            all.extend(rows(SILENT).iter().map(row));
            news.retain(|((subject, _, _, time), _)| is_new(subject, *time));
            news.sort_by_key(|((_, _, _, time), _)| *time);
            for ((_, key, revision, _), withdrawn) in news {
                assert!(
                    self.told.insert((key.clone(), revision, withdrawn)),
                    "{key} {revision} was told before"
                );
                self.withdrawn += usize::from(withdrawn);
                if withdrawn {
                    self.rows.remove(&key)
                } else {
                    self.rows.insert(key, revision)
                };
            }
        } else {
            self.snapshots += 1;
            all.extend(rows(SILENT).iter().map(row));
            self.rows = all.iter().map(|(_, key, revision, _)| (key.clone(), *revision)).collect();
            self.told = self.rows.iter().map(|(key, revision)| (key.clone(), *revision, false)).collect();
        }
        (self.history, self.times) = (history, times);
        let all: Seen = all.into_iter().map(|(_, key, revision, _)| (key, revision)).collect();
        assert_eq!(self.rows, all);
    }
}

/// An event in the life of the processes and their readers.
#[derive(Clone, Debug)]
enum Step {
    /// This number of batches, in one transaction or in one each.
    Batches(usize, bool),
    /// This reader comes.
    Read(usize),
    /// The process is killed, and another goes on from the batch of so many before.
    Restart(usize),
    /// Everything is deleted and begins again.
    StartOver,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (1usize..4, any::<bool>()).prop_map(|(count, together)| Step::Batches(count, together)),
        8 => (0usize..3).prop_map(Step::Read),
        2 => (0usize..3).prop_map(Step::Restart),
        1 => Just(Step::StartOver),
    ]
}

/// A change: of which device, how many windows back or none for the device itself, whether it is withdrawn, and
/// whether it is of an alert.
type Raw = (usize, Option<u64>, bool, bool);

fn changes() -> impl Strategy<Value = Vec<Raw>> {
    let back = proptest::option::weighted(0.8, 0u64..3);
    let one = (0usize..5, back, proptest::bool::weighted(0.4), any::<bool>());
    proptest::collection::vec(one, 0..8)
}

/// The batches of a pipeline: each row has the revisions that it has by the changes before.
fn batches(raw: &[Vec<Raw>]) -> Vec<Batch> {
    let mut published: BTreeMap<String, (u32, bool)> = BTreeMap::new();
    let make = |(nth, raw): (usize, &Vec<Raw>)| {
        let mut made: Vec<Change> = Vec::new();
        let mut changed = BTreeSet::new();
        for (of, back, withdraw, is_alert) in raw {
            let name = ["d1", "two words", "a}b{c", "it's", "ü"][*of];
            let nth = back.map(|back| (nth as u64).saturating_sub(back));
            // A device has one row.
            let is_alert = *is_alert && nth.is_some();
            let key = format!("{name} {nth:?} {is_alert}");
            let (revision, is_there) = published.get(&key).copied().unwrap_or_default();
            if !changed.insert(key.clone()) || (*withdraw && !is_there) {
                continue;
            }
            published.insert(key, (revision + 1, !withdraw));
            let action = if *withdraw { Action::Withdraw } else { Action::Upsert };
            made.push(match nth {
                None => change(&Layout::<Device>::of_row(), device(name, None, 1), revision, action),
                Some(nth) if is_alert => {
                    change(&Layout::<Alert>::of_row(), alert(name, nth, revision.into()), revision, action)
                }
                Some(nth) => Change { revision, action, ..readings(name, nth, u64::from(revision)) },
            });
        }
        super::common::sort(&mut made);
        batch(nth as u64, made)
    };
    raw.iter().enumerate().map(make).collect()
}

fn of_shard(batches: &[Batch], index: usize, of: usize) -> Vec<Batch> {
    let ours = |change: &&Change| Shard::index_of(&change.row.subject(), of) == index;
    let batch = |batch: &Batch| Batch {
        time: batch.time,
        changes: batch.changes.iter().filter(ours).cloned().collect(),
    };
    batches.iter().map(batch).collect()
}

fn run(of: usize, all: &[Batch], steps: &[Step]) -> [usize; 3] {
    let database = database();
    let mut sinks = opened(&database, of, None);
    let mut readers = [Reader::default(), Reader::default(), Reader::default()];
    let mut next = 0;
    for step in steps {
        match step {
            Step::Batches(count, together) => {
                let end = (next + count).min(all.len());
                for (index, sink) in sinks.iter_mut().enumerate() {
                    let batches = of_shard(&all[next..end], index, of);
                    batches.chunks(if *together { 8 } else { 1 }).for_each(|some| sink.apply(some).unwrap());
                }
                next = end;
            }
            Step::Read(reader) => readers[*reader].read(&database),
            Step::Restart(back) => {
                let from = next.saturating_sub(*back);
                let resume = from.checked_sub(1).map(|last| all[last].time);
                if let Some(resume) = resume {
                    sinks = opened(&database, of, Some(resume));
                    next = from;
                }
            }
            Step::StartOver => {
                drop(sinks);
                let over = |index| {
                    let mut sink = sink(&database, Shard { index, of }).start_over();
                    sink.open(&logged(), None).unwrap();
                    sink
                };
                sinks = (0..of).map(over).collect();
                next = 0;
            }
        }
    }
    readers.iter_mut().for_each(|reader| reader.read(&database));
    let sum = |of: fn(&Reader) -> usize| readers.iter().map(of).sum();
    [sum(|reader| reader.resumed), sum(|reader| reader.snapshots), sum(|reader| reader.withdrawn)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 20, ..ProptestConfig::default() })]

    #[test]
    fn readers_that_come_at_any_time_learn_every_change_once(
        raw in proptest::collection::vec(changes(), 40),
        steps in proptest::collection::vec(step(), 30),
        of in 1usize..3,
    ) {
        run(of, &batches(&raw), &steps);
    }
}

/// The property is not held by readers that begin again each time.
#[test]
fn readers_go_on_within_the_bounds_and_begin_again_beyond_them() {
    let raw: Vec<_> = (0..40)
        .map(|nth| {
            vec![
                (0, Some(0), false, false),
                (1, Some(0), false, false),
                (nth % 2, Some(1), true, false),
                (2, None, nth % 2 == 1, false),
                (3, Some(0), false, true),
                (3, Some(1), true, true),
            ]
        })
        .collect();
    let all = batches(&raw);
    let often: Vec<_> = (0..20).flat_map(|_| [Step::Batches(2, false), Step::Read(0)]).collect();
    let [resumed, snapshots, withdrawn] = run(2, &all, &often);
    assert!(resumed >= 20 && snapshots == 3 && withdrawn > 20, "{resumed} {snapshots} {withdrawn}");
    // Seven batches are more than the minute that is kept.
    let seldom: Vec<_> = (0..5).flat_map(|_| vec![Step::Batches(8, false), Step::Read(0)]).collect();
    let [_, snapshots, _] = run(1, &all, &seldom);
    assert!(snapshots >= 5, "{snapshots}");
}

#[test]
fn the_log_is_trimmed_by_number_in_bounded_steps() {
    let database = database();
    let mut sink = sink(&database, Shard::WHOLE);
    sink.open(&logged(), None).unwrap();
    let many = |action| {
        (0..30_000).map(|n| Change { action, ..readings(&format!("d{n:05}"), 0, 1) }).collect::<Vec<_>>()
    };
    sink.apply(&[batch(0, many(Action::Upsert))]).unwrap();
    let held = || database.text("SELECT count(*) FROM telemetra_changes").parse::<u64>().unwrap();
    sink.apply(&[batch(1, many(Action::Withdraw))]).unwrap();
    let mut left = vec![held()];
    for nth in 2..6 {
        // At the same time as the others, of which none can be kept without all.
        sink.apply(&[Batch { time: batch(1, vec![]).time.plus(nth), changes: vec![] }]).unwrap();
        left.push(held());
    }
    assert_eq!(left, [20_000, 10_000, 0, 0, 0]);
    assert_eq!(
        database.text("SELECT changes_since = (SELECT time - interval '5 ms' FROM telemetra_progress) FROM telemetra_progress"),
        "true",
        "what is not in the log is said to be missing"
    );
}

#[test]
fn a_log_that_was_off_in_between_begins_again() {
    let database = database();
    let since =
        || database.one("SELECT (extract(epoch FROM changes_since) * 1000)::bigint FROM telemetra_progress");
    let time = |nth| batch(nth, vec![]).time;
    opened(&database, 1, None);
    assert_eq!(since().as_deref(), Some("0"), "all is known from the beginning");
    let mut off = Postgres::new(database.config());
    off.open(&logged(), None).unwrap();
    off.apply(&[batch(0, vec![readings("d", 0, 1)])]).unwrap();
    assert_eq!(since(), None);
    off.apply(&[batch(1, vec![Change { action: Action::Withdraw, ..readings("d", 0, 1) }])]).unwrap();
    assert_eq!(database.text("SELECT count(*) FROM telemetra_changes"), "0");
    opened(&database, 1, Some(time(1)));
    assert_eq!(since(), Some(time(1).0.to_string()));
    // One that is about to start over, and has no row yet, changes nothing of it.
    let mut over = Postgres::new(database.config()).start_over();
    over.open(&logged(), None).unwrap();
    opened(&database, 1, Some(time(1)));
    assert_eq!(since(), Some(time(1).0.to_string()));
}

#[test]
fn another_number_of_shards_is_another_history() {
    let database = database();
    let history = || database.text("SELECT string_agg(history::text, ' ') FROM telemetra_progress");
    let mut sinks = opened(&database, 1, None);
    sinks[0].apply(&[batch(0, vec![readings("d", 0, 1)])]).unwrap();
    let first = history();
    opened(&database, 1, Some(batch(0, vec![]).time));
    assert_eq!(history(), first, "a restart goes on");
    opened(&database, 2, Some(batch(0, vec![]).time));
    assert!(!history().contains(&first));
}

#[test]
fn a_table_whose_index_can_have_no_name_is_refused() {
    let database = database();
    let long = "a".repeat(60);
    let table = Table::new(long).key(Column::new("id", ColumnKind::Text)).published_at("updated_at");
    let error = sink(&database, Shard::WHOLE).open(&[Arc::new(table)], None).unwrap_err();
    assert_eq!(error.retry(), Retry::Permanent);
    assert!(error.to_string().contains("has 74 characters in its name"), "{error}");
    assert_eq!(database.one("SELECT to_regclass('telemetra_schema')"), None, "nothing was made");
}
