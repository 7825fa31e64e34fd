//! Writes all waiting batches in one transaction, which takes two round trips for any number of tables.

use std::future::Future;
use std::pin::Pin;

use telemetra_core::{Action, AnyRow, Batch, DeadLetter, EventTime, ExternalError, RowKey};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Statement};

use super::array::Array;
use super::batch_columns::{Entry, encode, last_changes};
use super::dead_letters;
use super::error::{failed, is_of_a_row, refused};
use super::progress::{self, Fence};
use super::session::{Session, all};
use super::statements::{Plan, Prepared, once};

/// The most rows of one statement, so that the time that a statement takes is bounded.
const ROWS_A_STATEMENT: usize = 16_384;

/// A connection and its prepared statements.
pub(super) struct Writer {
    pub(super) session: Session,
    tables: Vec<Prepared>,
    pub(super) progress: progress::Prepared,
    letters: Option<Statement>,
}

/// A statement and its parameters.
struct Step<'a> {
    statement: Statement,
    arrays: &'a [Array],
}

/// The encoded changes of one table and kind.
struct Part<'a> {
    place: usize,
    action: Action,
    entries: Vec<&'a Entry<'a>>,
    arrays: Vec<Array>,
}

type PendingStatement<'a> = Pin<Box<dyn Future<Output = Result<u64, Error>> + 'a>>;

impl Writer {
    pub(super) fn new(session: Session, plans: &[Plan]) -> Self {
        let tables = plans.iter().map(|_| Prepared::default()).collect();
        Self { session, tables, progress: progress::Prepared::default(), letters: None }
    }

    /// Writes the batches and the time they reach, unless another process has taken over the shard. Returns the
    /// number of changes that were recorded in the log, at most.
    pub(super) fn write(
        &mut self,
        batches: &[Batch],
        plans: &[Plan],
        fence: &Fence,
        is_kept: impl Fn(&dyn AnyRow) -> bool,
    ) -> Result<usize, ExternalError> {
        let Some(last) = batches.last() else { return Ok(0) };
        let by_table =
            last_changes(batches, plans, is_kept).map_err(|why| refused(self.session.place(), why))?;
        let mut parts = Vec::new();
        for (place, entries) in by_table.iter().enumerate() {
            for action in [Action::Upsert, Action::Withdraw] {
                let entries: Vec<_> = entries.iter().filter(|entry| entry.change.action == action).collect();
                for entries in entries.chunks(ROWS_A_STATEMENT) {
                    let arrays = encode(&plans[place], entries, action)?;
                    parts.push(Part { place, action, entries: entries.to_vec(), arrays });
                }
            }
        }
        let what = format!("could not write the rows as of {}", last.time);
        let recorded = parts.iter().filter(|part| plans[part.place].records(part.action));
        let recorded = recorded.map(|part| part.entries.len()).sum();
        let steps = self.prepare(&parts, plans)?;
        let Self { session, progress, .. } = self;
        // Other statements wait while one is executed.
        let outcome = session.run_several(steps.len().max(1), &what, async |client| {
            commit(client, &steps, fence, progress, last.time).await
        })?;
        match outcome {
            Outcome::Done => Ok(recorded),
            Outcome::Lost => Err(fence.lost(self.session.place())),
            Outcome::Refused(step, error) if is_of_a_row(&error) => {
                let part = &parts[step];
                let row = self.find_refused_row(part, &steps[step], &plans[part.place])?;
                Err(failed(self.session.place(), &format!("could not write the row {row}"), error))
            }
            Outcome::Refused(step, error) => {
                let table = plans[parts[step].place].table.name();
                Err(failed(
                    self.session.place(),
                    &format!("could not write to {table} as of {}", last.time),
                    error,
                ))
            }
        }
    }

    fn prepare<'a>(&mut self, parts: &'a [Part<'_>], plans: &[Plan]) -> Result<Vec<Step<'a>>, ExternalError> {
        let Self { session, tables, .. } = self;
        let mut steps = Vec::with_capacity(parts.len());
        for Part { place, action, arrays, .. } in parts {
            let (table, plan) = (&mut tables[*place], &plans[*place]);
            let what = format!("could not prepare to write to {}", plan.table.name());
            let statement = session.run(&what, async |client| match action {
                Action::Upsert => table.upsert(client, plan).await,
                Action::Withdraw => table.withdraw(client, plan).await,
            })?;
            steps.push(Step { statement, arrays });
        }
        Ok(steps)
    }

    /// Finds the first row that the server rejects, alone or together with earlier rows, by bisection in
    /// transactions that are rolled back.
    fn find_refused_row(
        &self,
        part: &Part<'_>,
        step: &Step<'_>,
        plan: &Plan,
    ) -> Result<String, ExternalError> {
        let (mut taken, mut refused) = (0, part.entries.len());
        while refused - taken > 1 {
            let tried = taken.midpoint(refused);
            let arrays = encode(plan, &part.entries[..tried], part.action)?;
            let outcome =
                self.session.attempt(&"could not find the row that is refused", async |client| {
                    client.batch_execute("BEGIN").await?;
                    let outcome = execute(client, &step.statement, &arrays).await;
                    client.batch_execute("ROLLBACK").await?;
                    outcome
                })?;
            if outcome.is_err() { refused = tried } else { taken = tried }
        }
        let first = part.entries.get(taken).map(|entry| RowKey::of(&*entry.change.row).to_string());
        Ok(first.unwrap_or_default())
    }

    /// Writes dead letters in a transaction of their own. Existing ones are kept.
    pub(super) fn write_letters(
        &mut self,
        letters: &[DeadLetter],
        fence: &Fence,
    ) -> Result<(), ExternalError> {
        let arrays = dead_letters::encode(letters);
        let Self { session, progress, letters, .. } = self;
        let written = session.run(&"could not write to telemetra_dead_letters", async |client| {
            let insert = once(letters, client, dead_letters::INSERT).await?;
            if fence.begin(client, progress).await?.is_none() {
                client.batch_execute("ROLLBACK").await?;
                return Ok(false);
            }
            let commit = async { client.batch_execute("COMMIT").await.map(|()| 0) };
            let pending: Vec<PendingStatement<'_>> =
                vec![Box::pin(execute(client, &insert, &arrays)), Box::pin(commit)];
            all(pending).await.into_iter().collect::<Result<Vec<_>, _>>().map(|_| true)
        })?;
        if written { Ok(()) } else { Err(fence.lost(self.session.place())) }
    }
}

/// The result of a transaction.
enum Outcome {
    Done,
    /// Another process has taken over the shard.
    Lost,
    /// The server rejected the step with this index.
    Refused(usize, Error),
}

async fn commit(
    client: &Client,
    steps: &[Step<'_>],
    fence: &Fence,
    prepared: &mut progress::Prepared,
    time: EventTime,
) -> Result<Outcome, Error> {
    let advance = prepared.advance(client).await?;
    if fence.begin(client, prepared).await?.is_none() {
        client.batch_execute("ROLLBACK").await?;
        return Ok(Outcome::Lost);
    }
    let mut pending: Vec<PendingStatement<'_>> = Vec::with_capacity(steps.len() + 2);
    for step in steps {
        pending.push(Box::pin(execute(client, &step.statement, step.arrays)));
    }
    pending.push(Box::pin(fence.advance(client, &advance, time)));
    // After a failure, the transaction is rolled back.
    pending.push(Box::pin(async { client.batch_execute("COMMIT").await.map(|()| 0) }));
    for (nth, result) in all(pending).await.into_iter().enumerate() {
        match result {
            Ok(_) => {}
            Err(error) if nth < steps.len() && error.as_db_error().is_some() => {
                return Ok(Outcome::Refused(nth, error));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Outcome::Done)
}

async fn execute(client: &Client, statement: &Statement, arrays: &[Array]) -> Result<u64, Error> {
    client.execute_raw(statement, arrays.iter().map(|array| array as &(dyn ToSql + Sync))).await
}
