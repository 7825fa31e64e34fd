//! The progress of a pipeline, in a row of `telemetra_progress`.

use serde::{Deserialize, Serialize};
use telemetra_core::{EventTime, ExternalError};

use super::server::{Session, quoted};
use super::tables::PROGRESS;
use crate::owner::Owner;
use crate::run::Run;

/// The version of the format.
const VERSION: u32 = 1;

/// The column `state`, as JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct State {
    version: u32,
    #[serde(flatten)]
    run: Run,
    /// The number of the process that writes: each has a greater one.
    #[serde(default)]
    generation: u64,
}

/// A row of the table.
struct Stored {
    pipeline: String,
    number: u64,
    state: State,
}

/// The progress of the pipeline.
#[derive(Debug)]
pub(super) struct Progress {
    pipeline: String,
    /// The number of times that it was written: the newest row counts.
    number: u64,
    pub(super) run: Run,
    generation: u64,
}

/// Reads the newest rows of all pipelines.
fn read(session: &Session) -> Result<Vec<Stored>, ExternalError> {
    let what = "could not read the table telemetra_progress";
    // Numbers of 64 bits are text in some versions.
    let sql =
        format!("SELECT pipeline, toString(number) AS n, state FROM {PROGRESS} FINAL FORMAT JSONEachRow");
    #[derive(Deserialize)]
    struct Row {
        pipeline: String,
        n: String,
        state: String,
    }
    let stored = |line: &str| {
        let damaged = |error: serde_json::Error| ExternalError::permanent(what).because(error);
        let row: Row = serde_json::from_str(line).map_err(damaged)?;
        let state: State = serde_json::from_str(&row.state).map_err(damaged)?;
        if state.version > VERSION {
            return Err(refuse(format!(
                "the progress of `{}` has version {}, and this version of telemetra knows up to {VERSION}; use the newer one",
                row.pipeline, state.version
            )));
        }
        let number = row.n.parse::<u64>();
        let number = number.map_err(|error| ExternalError::permanent(what).because(error))?;
        Ok(Stored { pipeline: row.pipeline, number, state })
    };
    session.query(&sql, what)?.lines().map(stored).collect()
}

fn refuse(why: String) -> ExternalError {
    ExternalError::permanent(format!("could not go on in ClickHouse: {why}"))
}

/// The last durable time of a pipeline, whoever writes for it.
pub(super) fn reached(session: &Session, pipeline: &str) -> Result<Option<EventTime>, ExternalError> {
    let there = session
        .query(&format!("EXISTS TABLE {PROGRESS}"), "could not look for the table telemetra_progress")?;
    if there.trim() != "1" {
        return Ok(None);
    }
    let own = read(session)?.into_iter().find(|stored| stored.pipeline == pipeline);
    Ok(own.and_then(|stored| stored.state.run.time))
}

impl Progress {
    /// Reads the progress of a pipeline, and registers it as the owner of its tables.
    pub(super) fn enter(
        session: &Session,
        owner: Owner,
        (over, resumes): (bool, bool),
    ) -> Result<Self, ExternalError> {
        let mut own =
            Self { pipeline: owner.pipeline.clone(), number: 0, run: Run::default(), generation: 0 };
        for Stored { pipeline, number, state } in read(session)? {
            if pipeline == owner.pipeline {
                (own.number, own.run, own.generation) = (number, state.run, state.generation);
            } else if let Some(table) = owner.shared(state.run.owner()) {
                return Err(refuse(format!(
                    "the table {table} is written by the pipeline `{pipeline}`, and this one is called `{}`; give the table or \
                     the database another name",
                    owner.pipeline
                )));
            }
        }
        let has_rows = own.run.time.is_some();
        own.run.enter(owner, has_rows, (over, resumes)).map_err(refuse)?;
        own.generation += 1;
        // What the process before it still writes is older than all of this one.
        own.number = own.number.max(own.generation << 32);
        own.store(session)?;
        Ok(own)
    }

    /// Checks that no other process has opened the tables since. ClickHouse has no transactions, so this one may
    /// have written once more before it is known.
    pub(super) fn check(&self, session: &Session) -> Result<(), ExternalError> {
        let own = read(session)?.into_iter().find(|stored| stored.pipeline == self.pipeline);
        if own.is_some_and(|stored| stored.state.generation > self.generation) {
            return Err(ExternalError::taken_over(format!(
                "could not go on in ClickHouse: another process has taken over the pipeline `{}`; stop one of the two, \
                 or give this one another name",
                self.pipeline
            )));
        }
        Ok(())
    }

    /// Makes it durable that everything up to a time is there.
    pub(super) fn reached(&mut self, session: &Session, time: EventTime) -> Result<(), ExternalError> {
        // If this fails, what was reached is not said.
        let before = self.run.time.replace(time);
        self.store(session).inspect_err(|_| self.run.time = before)
    }

    pub(super) fn store(&mut self, session: &Session) -> Result<(), ExternalError> {
        let what = "could not write to the table telemetra_progress";
        self.number += 1;
        let state = State { version: VERSION, run: self.run.clone(), generation: self.generation };
        let state =
            serde_json::to_string(&state).map_err(|error| ExternalError::permanent(what).because(error))?;
        let (pipeline, number, state) = (quoted(&self.pipeline), self.number, quoted(&state));
        let sql = format!(
            "INSERT INTO {PROGRESS} (pipeline, number, state) VALUES ({pipeline}, {number}, {state})"
        );
        session.query(&sql, what).map(|_| ())
    }
}
