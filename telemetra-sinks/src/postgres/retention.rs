//! Retention: tables are partitioned by day of event time, and old days are dropped as a whole, which is
//! cheap and leaves no dead rows.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;

use telemetra_core::{Action, AnyRow, Batch, EventTime, ExternalError, SignedTime, Table};
use tokio_postgres::{Client, Error};

use super::array::event_time;
use super::define::quoted;
use super::progress::Fence;
use super::schema::LOCK;
use super::session::{Session, Timestamp};

/// The milliseconds of a day.
const DAY: i64 = 86_400_000;
/// The first day of the year 1, so that the year in a day's name has four digits.
const FIRST_DAY: i64 = -719_162;
/// The event time between two searches for old days, in milliseconds.
const SWEEP_EVERY: u64 = 3_600_000;
/// The time for which new readers may wait while dropping a day waits for current readers.
const LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '1s'";

/// The time for which rows are kept, and the days that are known to exist.
#[derive(Debug)]
pub(super) struct Retention {
    keep: u64,
    /// The tables that are partitioned by day.
    tables: Vec<String>,
    /// Days since 1970, negative before.
    known: BTreeSet<(String, i64)>,
    next_sweep: EventTime,
}

impl Retention {
    pub(super) fn new(keep: u64, tables: &[Arc<Table>]) -> Self {
        let cut = tables.iter().filter(|table| table.day_column().is_some());
        let tables = cut.map(|table| table.name().to_owned()).collect();
        Self { keep, tables, known: BTreeSet::new(), next_sweep: EventTime::MIN }
    }

    /// Returns the first time that is kept as of `now`, the beginning of a day.
    pub(super) fn cutoff(&self, now: EventTime) -> SignedTime {
        let first = SignedTime::from(now).0.saturating_sub_unsigned(self.keep);
        SignedTime(day_of(SignedTime(first)).max(FIRST_DAY) * DAY)
    }

    /// Creates the days that these rows need. Readers and writers do not wait for it.
    pub(super) fn prepare(&mut self, session: &Session, batches: &[Batch]) -> Result<(), ExternalError> {
        let Some(last) = batches.last() else { return Ok(()) };
        let cutoff = self.cutoff(last.time);
        let upserts =
            batches.iter().flat_map(|batch| &batch.changes).filter(|change| change.action == Action::Upsert);
        let days = upserts.filter_map(|change| {
            let time = time_of(&*change.row)?;
            (time >= cutoff && time <= EventTime::LATEST).then_some((change.table(), day_of(time)))
        });
        let days: BTreeSet<_> = days.collect();
        let days = days.into_iter().map(|(table, day)| (table.to_owned(), day));
        let missing: BTreeSet<_> = days.filter(|day| !self.known.contains(day)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        session.run(&"could not make the tables of new days", async |client| {
            client.batch_execute(&format!("BEGIN; SELECT pg_advisory_xact_lock({LOCK})")).await?;
            let made = make(client, &missing).await;
            client.batch_execute(if made.is_ok() { "COMMIT" } else { "ROLLBACK" }).await?;
            made
        })?;
        self.known.extend(missing);
        Ok(())
    }

    /// Drops days that no shard needs any more. A day that cannot be dropped because it is being read is
    /// dropped later.
    pub(super) fn sweep(
        &mut self,
        session: &Session,
        fence: &Fence,
        now: EventTime,
    ) -> Result<(), ExternalError> {
        if fence.shard != 0 || now < self.next_sweep {
            return Ok(());
        }
        self.next_sweep = now.plus(SWEEP_EVERY);
        let all_have = session.run(&"could not read telemetra_progress", async |client| {
            let sql = "SELECT CASE WHEN bool_and(time IS NOT NULL) THEN min(time) END
                       FROM telemetra_progress WHERE pipeline = $1";
            client.query_one(sql, &[&fence.pipeline]).await.map(|row| row.get::<_, Option<Timestamp>>(0))
        })?;
        let Some(all_have) = all_have else { return Ok(()) };
        let cutoff = day_of(self.cutoff(event_time(all_have.0)));
        let old = session
            .run(&"could not look for old days", async |client| old(client, &self.tables, cutoff).await)?;
        for name in old {
            let sql = format!("BEGIN; {LOCK_TIMEOUT}; DROP TABLE {}; COMMIT", quoted(&name));
            let what = format!("could not drop {name}");
            match session.attempt(&what, async |client| client.batch_execute(&sql).await)? {
                Ok(()) => tracing::info!(table = name, "dropped a day that is older than the retention"),
                Err(error) => {
                    tracing::warn!(
                        table = name,
                        %error,
                        "could not drop a day that is older than the retention; trying again later"
                    );
                    session.run(&what, async |client| client.batch_execute("ROLLBACK").await)?;
                }
            }
        }
        self.known.retain(|(_, day)| *day >= cutoff);
        Ok(())
    }
}

/// Returns the time by which a row is kept, if its table is partitioned by day.
pub(super) fn time_of(row: &dyn AnyRow) -> Option<SignedTime> {
    let table = row.table();
    let day = table.position(&table.day_column()?.name)?;
    let (mut nth, mut time) = (0, None);
    row.values(&mut |value| {
        if nth == day {
            time = value.time();
        }
        nth += 1;
    });
    time
}

/// Returns the day of a time, counted from 1970, negative before.
fn day_of(time: SignedTime) -> i64 {
    time.0.div_euclid(DAY)
}

/// Returns the name of a day's partition, which ends in year, month and day.
fn name_of(table: &str, day: i64) -> String {
    let date = SignedTime(day * DAY).to_string();
    format!("{table}_{}{}{}", &date[..4], &date[5..7], &date[8..10])
}

/// Creates the partitions of these days.
async fn make(client: &Client, days: &BTreeSet<(String, i64)>) -> Result<(), Error> {
    let there = client
        .query(
            "SELECT relname::text FROM pg_inherits JOIN pg_class ON oid = inhrelid
             WHERE relnamespace = quote_ident(current_schema())::regnamespace",
            &[],
        )
        .await?;
    let there: BTreeSet<&str> = there.iter().map(|row| row.get(0)).collect();
    let mut sql = String::new();
    for (table, day) in days {
        let name = name_of(table, *day);
        if !there.contains(&*name) {
            // Attaching a table takes a weaker lock than creating a partition in place.
            let (name, table) = (quoted(&name), quoted(table));
            let (from, to) = (day * DAY / 1000, (day + 1) * DAY / 1000);
            let _ = write!(
                sql,
                "CREATE TABLE {name} (LIKE {table} INCLUDING ALL EXCLUDING INDEXES);
                 ALTER TABLE {table} ATTACH PARTITION {name}
                     FOR VALUES FROM (to_timestamp({from})) TO (to_timestamp({to}));"
            );
        }
    }
    client.batch_execute(&sql).await
}

/// Returns the partitions of days before `cutoff`.
async fn old(client: &Client, tables: &[String], cutoff: i64) -> Result<Vec<String>, Error> {
    let mut found = Vec::new();
    for table in tables {
        let first_kept = name_of(table, cutoff);
        let names = client
            .query(
                "SELECT relname::text FROM pg_inherits JOIN pg_class ON oid = inhrelid
                 WHERE inhparent = to_regclass(quote_ident($1))",
                &[table],
            )
            .await?;
        // Names of equal length sort as their days do. Other names are not ours.
        let names = names.iter().map(|row| row.get::<_, String>(0));
        found.extend(names.filter(|name| name.len() == first_kept.len() && *name < first_kept));
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_for_longer_than_there_are_days_is_kept() {
        let cutoff = |keep, now| Retention::new(keep, &[]).cutoff(EventTime(now));
        assert_eq!(cutoff(3_600_000, 86_400_001), SignedTime(0));
        assert_eq!(cutoff(3_600_000, 5), SignedTime(-DAY));
        for now in [0, 1_767_225_600_000] {
            assert_eq!(name_of("t", day_of(cutoff(u64::MAX, now))), "t_00010101");
        }
    }
}
