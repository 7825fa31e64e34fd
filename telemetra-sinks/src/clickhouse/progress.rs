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
}

/// The progress of the pipeline.
#[derive(Debug)]
pub(super) struct Progress {
    pipeline: String,
    /// How often it was written: the newest row counts.
    number: u64,
    pub(super) run: Run,
}

impl Progress {
    /// Reads the progress of a pipeline, and registers it as the owner of its tables.
    pub(super) fn enter(
        session: &Session,
        owner: Owner,
        (over, resumes): (bool, bool),
    ) -> Result<Self, ExternalError> {
        let what = "could not read the table telemetra_progress";
        // Numbers of 64 bits are text in some versions.
        let sql =
            format!("SELECT pipeline, toString(number) AS n, state FROM {PROGRESS} FINAL FORMAT JSONEachRow");
        let refuse = |why: String| ExternalError::permanent(format!("could not go on in ClickHouse: {why}"));
        let mut own = Self { pipeline: owner.pipeline.clone(), number: 0, run: Run::default() };
        #[derive(Deserialize)]
        struct Row {
            pipeline: String,
            n: String,
            state: String,
        }
        for line in session.query(&sql, what)?.lines() {
            let damaged = |error: serde_json::Error| ExternalError::permanent(what).because(error);
            let row: Row = serde_json::from_str(line).map_err(damaged)?;
            let state: State = serde_json::from_str(&row.state).map_err(damaged)?;
            if state.version > VERSION {
                let known = format!("this version of telemetra knows up to {VERSION}; use the newer one");
                return Err(refuse(format!(
                    "the progress of `{}` has version {}, and {known}",
                    row.pipeline, state.version
                )));
            }
            if row.pipeline == owner.pipeline {
                let number = row.n.parse::<u64>();
                own.number = number.map_err(|error| ExternalError::permanent(what).because(error))?;
                own.run = state.run;
            } else if let Some(table) = owner.shared(state.run.owner()) {
                return Err(refuse(format!(
                    "the table {table} is written by the pipeline `{}`, and this one is called `{}`; give the table or \
                     the database another name",
                    row.pipeline, owner.pipeline
                )));
            }
        }
        let has_rows = own.run.time.is_some();
        if own.run.enter(owner, has_rows, (over, resumes)).map_err(refuse)? {
            own.store(session)?;
        }
        Ok(own)
    }

    /// Reads how far a pipeline has come. Nothing is registered or written.
    pub(super) fn time_of(session: &Session, pipeline: &str) -> Result<Option<EventTime>, ExternalError> {
        let what = "could not read the table telemetra_progress";
        if session.query(&format!("EXISTS TABLE {PROGRESS}"), what)?.trim() != "1" {
            return Ok(None);
        }
        let sql =
            format!("SELECT state FROM {PROGRESS} FINAL WHERE pipeline = {} FORMAT TSVRaw", quoted(pipeline));
        let text = session.query(&sql, what)?;
        let Some(line) = text.lines().next() else { return Ok(None) };
        let state: State =
            serde_json::from_str(line).map_err(|error| ExternalError::permanent(what).because(error))?;
        Ok(state.run.time)
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
        let state = State { version: VERSION, run: self.run.clone() };
        let state =
            serde_json::to_string(&state).map_err(|error| ExternalError::permanent(what).because(error))?;
        let (pipeline, number, state) = (quoted(&self.pipeline), self.number, quoted(&state));
        let sql = format!(
            "INSERT INTO {PROGRESS} (pipeline, number, state) VALUES ({pipeline}, {number}, {state})"
        );
        session.query(&sql, what).map(|_| ())
    }
}
