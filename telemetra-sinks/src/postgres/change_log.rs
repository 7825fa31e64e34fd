//! The log of changes: a record of each row that was withdrawn, and of changes that the rows themselves do not
//! show, trimmed by age and number. From it and the times of the rows, readers of the tables learn what changed
//! after any recent time.

use std::time::Duration;

use telemetra_core::{EventTime, ExternalError, Table};
use tokio_postgres::{Client, Error};

use super::array::micros;
use super::define::quoted;
use super::progress::{Fence, Prepared};
use super::session::{Session, Timestamp};

/// The most records that one transaction deletes, so that the time it takes is bounded.
const DELETED_AT_ONCE: i64 = 10_000;
/// Records are trimmed when this part of the bounds has been used up again.
const PART: u64 = 16;
/// The longest name in Postgres, in bytes.
const LONGEST: usize = 63;

/// The bounds of a log of changes, for [`Postgres::change_log`](crate::Postgres::change_log): how long records
/// are kept, and how many at most. Records beyond either bound are deleted, and `changes_since` in
/// `telemetra_progress` moves accordingly.
///
/// ```
/// use std::time::Duration;
/// use telemetra_sinks::ChangeLog;
/// let log = ChangeLog { keep: Duration::from_secs(6 * 3600), ..ChangeLog::default() };
/// assert_eq!(log.records, 100_000);
/// ```
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct ChangeLog {
    /// The span of event time that the log reaches back. Default: one hour.
    pub keep: Duration,
    /// The greatest number of records of a pipeline. The log is trimmed each time that a sixteenth of this number
    /// has been recorded or a sixteenth of `keep` has passed, so it may exceed the bounds by about that much.
    /// Default: 100,000.
    pub records: u64,
}

impl Default for ChangeLog {
    fn default() -> Self {
        Self { keep: Duration::from_secs(3600), records: 100_000 }
    }
}

/// The state of trimming a log: the bounds, and when it is due next.
#[derive(Debug)]
pub(super) struct Trim {
    bounds: ChangeLog,
    /// Records since the log was last trimmed.
    recorded: u64,
    next: EventTime,
}

/// Moves the time after which all records are kept, and deletes records up to it.
const TRIM: &str = "
    WITH bound AS (
        SELECT greatest($3::timestamptz, (
            SELECT time FROM telemetra_changes WHERE pipeline = $1 ORDER BY time DESC OFFSET $4::int8 LIMIT 1
        )) AS time
    ), moved AS (
        UPDATE telemetra_progress p SET changes_since = greatest(p.changes_since, bound.time)
        FROM bound WHERE p.pipeline = $1 AND p.shard = $2 RETURNING p.changes_since
    )
    DELETE FROM telemetra_changes WHERE ctid = ANY (ARRAY (
        SELECT w.ctid FROM telemetra_changes w, moved
        WHERE w.pipeline = $1 AND w.time <= moved.changes_since ORDER BY w.time LIMIT $5::int8
    ))";

impl Trim {
    pub(super) fn new(bounds: ChangeLog) -> Self {
        Self { bounds, recorded: 0, next: EventTime::MIN }
    }

    /// Counts records that were written.
    pub(super) fn count(&mut self, records: usize) {
        self.recorded = self.recorded.saturating_add(records as u64);
    }

    /// Deletes what the bounds leave out. The first shard does it for all.
    pub(super) fn sweep(
        &mut self,
        session: &Session,
        fence: &Fence,
        prepared: &mut Prepared,
        now: EventTime,
    ) -> Result<(), ExternalError> {
        let is_due = now >= self.next || self.recorded >= (self.bounds.records / PART).max(1);
        if fence.shard != 0 || !is_due {
            return Ok(());
        }
        let keep = u64::try_from(self.bounds.keep.as_millis()).unwrap_or(u64::MAX);
        let cutoff = Timestamp(micros(now.minus(keep)));
        let most = i64::try_from(self.bounds.records).unwrap_or(i64::MAX);
        let deleted = session.run(&"could not trim telemetra_changes", async |client| {
            if fence.begin(client, prepared).await?.is_none() {
                client.batch_execute("ROLLBACK").await?;
                return Ok(None);
            }
            let (pipeline, shard) = (&fence.pipeline, &fence.shard);
            let trimmed = client.execute(TRIM, &[pipeline, shard, &cutoff, &most, &DELETED_AT_ONCE]).await;
            client.batch_execute(if trimmed.is_ok() { "COMMIT" } else { "ROLLBACK" }).await?;
            trimmed.map(Some)
        })?;
        let deleted = deleted.ok_or_else(|| fence.lost(session.place()))?;
        let is_done = i64::try_from(deleted).is_ok_and(|deleted| deleted < DELETED_AT_ONCE);
        if is_done {
            self.recorded = 0;
            self.next = now.plus((keep / PART).max(1));
        }
        Ok(())
    }
}

/// Returns the statement that creates the index by which the rows that changed after a time are found.
pub(super) fn create_index(table: &Table) -> String {
    let Some(column) = published_at(table) else { return String::new() };
    let (name, on) = (quoted(&index_name(table.name(), column)), quoted(table.name()));
    format!("CREATE INDEX IF NOT EXISTS {name} ON {on} ({});", quoted(column))
}

/// Returns whether the upserts of a table are recorded: its rows do not say when they changed. Rows that have a time of
/// their own, by which they are kept, are found by that.
pub(super) fn records_upserts(table: &Table) -> bool {
    published_at(table).is_none() && table.day_column().is_none()
}

/// Checks that the index can have its name.
pub(super) fn check(table: &Table) -> Result<(), String> {
    let name = table.name();
    let Some(index) = published_at(table).map(|column| index_name(name, column)) else { return Ok(()) };
    if index.len() > LONGEST {
        return Err(format!(
            "the index {index} that the log of changes needs has {} characters in its name, and Postgres \
             allows {LONGEST}; give the table {name} a shorter name, or keep no log",
            index.len()
        ));
    }
    Ok(())
}

fn published_at(table: &Table) -> Option<&str> {
    table.all_columns().get(table.published_at_column()?).map(|column| &*column.name)
}

/// The name that an index of the table's own over this column has.
fn index_name(table: &str, column: &str) -> String {
    format!("{table}_by_{column}")
}

/// Deletes the records of a shard when a pipeline starts over. `is_ours` tells the subjects of the shard.
pub(super) async fn delete(
    client: &Client,
    pipeline: &str,
    of: i64,
    is_ours: impl Fn(&str) -> bool,
) -> Result<(), Error> {
    if of == 1 {
        let all = "DELETE FROM telemetra_changes WHERE pipeline = $1";
        return client.execute(all, &[&pipeline]).await.map(drop);
    }
    let subjects = "SELECT DISTINCT subject FROM telemetra_changes WHERE pipeline = $1";
    let found = client.query(subjects, &[&pipeline]).await?;
    let ours: Vec<&str> =
        found.iter().map(|row| row.get::<_, &str>(0)).filter(|subject| is_ours(subject)).collect();
    let delete = "DELETE FROM telemetra_changes WHERE pipeline = $1 AND subject = ANY($2)";
    client.execute(delete, &[&pipeline, &ours]).await.map(drop)
}
