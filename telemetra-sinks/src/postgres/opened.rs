//! The state of an open sink: its shard, its connection, and what it does beside writing rows.

use std::sync::Arc;

use telemetra_core::{AnyRow, Batch, EventTime, ExternalError};

use super::change_log::Trim;
use super::config::PostgresConfig;
use super::progress::Fence;
use super::retention::{self, Retention};
use super::session::Session;
use super::statements::Plan;
use super::writer::Writer;
use super::{array, error};

/// The state of the sink between `open` and `close`.
pub(super) struct Opened {
    pub(super) fence: Fence,
    pub(super) durable: Option<EventTime>,
    /// True if the tables still hold rows of an earlier run, which the first change of this run deletes.
    pub(super) rows_are_old: bool,
    /// True if the dead letters are those of an earlier run, which the first letter or change of this run
    /// deletes.
    pub(super) letters_are_old: bool,
    pub(super) plans: Vec<Plan>,
    pub(super) retention: Option<Retention>,
    pub(super) trim: Option<Trim>,
    /// `None` after an error; the next attempt opens a new connection.
    pub(super) writer: Option<Writer>,
}

impl Opened {
    /// Runs `work` with the open connection, or with a new one after an error.
    pub(super) fn with_writer<T>(
        &mut self,
        config: &PostgresConfig,
        work: impl FnOnce(&mut Writer, &mut Self) -> Result<T, ExternalError>,
    ) -> Result<T, ExternalError> {
        let mut writer = match self.writer.take() {
            Some(writer) if !writer.session.is_closed() => writer,
            _ => Writer::new(Session::connect(config)?, &self.plans),
        };
        let done = work(&mut writer, self);
        self.writer = done.is_ok().then_some(writer);
        done
    }

    /// Deletes what an earlier run has left. Called when the first row or letter of this run arrives.
    pub(super) fn delete_old(&mut self, writer: &mut Writer, rows: bool) -> Result<(), ExternalError> {
        if rows || self.letters_are_old {
            let tables: Vec<_> = self.plans.iter().map(|plan| Arc::clone(&plan.table)).collect();
            self.fence.delete_old(&writer.session, &mut writer.progress, rows.then_some(&tables[..]))?;
            self.rows_are_old &= !rows;
            self.letters_are_old = false;
        }
        Ok(())
    }

    pub(super) fn apply(&mut self, writer: &mut Writer, batches: &[Batch]) -> Result<(), ExternalError> {
        let Some(last) = batches.last() else { return Ok(()) };
        if batches.iter().any(|batch| !batch.changes.is_empty()) {
            self.delete_old(writer, self.rows_are_old)?;
        }
        if last.time.0 > array::LAST {
            let why = format!("rows as of {} cannot be written: it is after the year 294276", last.time);
            return Err(error::refused(writer.session.place(), why));
        }
        let recorded = self.write(writer, batches, last.time)?;
        let Some(trim) = &mut self.trim else { return Ok(()) };
        trim.count(recorded);
        // As with old days, below.
        self.durable = Some(last.time);
        trim.sweep(&writer.session, &self.fence, &mut writer.progress, last.time)
    }

    fn write(
        &mut self,
        writer: &mut Writer,
        batches: &[Batch],
        last: EventTime,
    ) -> Result<usize, ExternalError> {
        let Some(retention) = &mut self.retention else {
            return writer.write(batches, &self.plans, &self.fence, |_| true);
        };
        let cutoff = retention.cutoff(last);
        let is_kept = |row: &dyn AnyRow| retention::time_of(row).is_none_or(|time| time >= cutoff);
        retention.prepare(&writer.session, batches)?;
        let recorded = writer.write(batches, &self.plans, &self.fence, is_kept)?;
        self.durable = Some(last);
        // The rows are committed. If this fails, the next attempt writes no rows, and the days are dropped
        // another time.
        retention.sweep(&writer.session, &self.fence, last)?;
        Ok(recorded)
    }
}
