//! The prefix of an object store: progress, the log in segments, and the files that are made from it.
//!
//! `progress.json` is replaced by conditional puts only, and names the segments that count. So whatever a process stores
//! that has lost the place to another counts for nothing. A log is closed before files are made from it; what is in them
//! is settled then, and whoever makes them makes the same.

mod progress;

use std::collections::BTreeSet;
use std::error::Error;

use bytes::Bytes;
use telemetra_core::{Batch, EventTime, ExternalError};

pub(super) use self::progress::reached;
use self::progress::{Progress, Segments, claim, log_of_object, read};
use super::entry::day_text;
use super::file;
use super::frame::{self, Timed};
use super::shape::{DAY, Shape};
use super::state::OWN;
use crate::objects::{Bucket, Record};
use crate::owner::Owner;
use crate::progress_file::NAME;

/// The open prefix.
#[derive(Debug)]
pub(super) struct ObjectState {
    bucket: Bucket,
    own: Bucket,
    generation: u64,
    /// The progress as it was last read or written; `None` while it is not known what came of a put.
    record: Option<Record<Progress>>,
    shapes: Vec<Shape>,
    /// The next segment, with the time of its first change.
    segment: Vec<u8>,
    begun: Option<EventTime>,
}

impl ObjectState {
    /// Takes the prefix over from whoever wrote to it.
    pub(super) fn open(
        bucket: &Bucket,
        owner: &Owner,
        shapes: Vec<Shape>,
        (over, resumes): (bool, bool),
    ) -> Result<Self, ExternalError> {
        let own = bucket.under(OWN);
        let record = claim(bucket, &own, owner, (over, resumes))?;
        let generation = record.value.generation;
        let mut state = Self {
            bucket: bucket.clone(),
            own,
            generation,
            record: Some(record),
            shapes,
            segment: Vec::new(),
            begun: None,
        };
        state.finish()?;
        let first = state.progress()?.log.names().next();
        let tables = match first {
            Some(first) => Some(state.segment_of(&first)?.0),
            None => None,
        };
        if tables.is_some_and(|tables| over || tables != state.shapes) {
            // The changes of an earlier run, or of tables as they were, are in files of their own.
            state.rotate()?;
        }
        state.remove_old()?;
        state.remove_left()?;
        Ok(state)
    }

    /// Finds out what came of the last put, if that is not known.
    pub(super) fn settle(&mut self) -> Result<(), ExternalError> {
        (self.segment, self.begun) = (Vec::new(), None);
        if self.record.is_some() {
            return Ok(());
        }
        let what = format!("could not write to {}", self.bucket.url());
        let Some(record) = read(&self.own)? else {
            return Err(ExternalError::permanent(format!("{what}: its {NAME} is gone; restore it")));
        };
        if record.value.generation != self.generation {
            return Err(ExternalError::taken_over(format!(
                "{what}: another process has taken it over; stop one of the two, or write elsewhere"
            )));
        }
        self.record = Some(record);
        Ok(())
    }

    fn progress(&self) -> Result<&Progress, ExternalError> {
        let record = self.record.as_ref().map(|record| &record.value);
        record.ok_or_else(|| {
            ExternalError::transient(format!(
                "could not find out whether the last write to {} took effect",
                self.bucket.url()
            ))
        })
    }

    /// Changes the progress.
    fn store(&mut self, change: impl FnOnce(&mut Progress)) -> Result<(), ExternalError> {
        let mut next = self.progress()?.clone();
        change(&mut next);
        let before = self.record.take();
        self.record = Record::replace(&self.own, NAME, before.as_ref(), next)?;
        if self.record.is_none() {
            // Another process has the place, or the answer to an earlier try was lost.
            self.settle()?;
            return Err(ExternalError::transient(format!("{} changed meanwhile", self.own.url_of(NAME))));
        }
        Ok(())
    }

    /// The last durable time.
    pub(super) fn time(&self) -> Option<EventTime> {
        self.record.as_ref().and_then(|record| record.value.run.time)
    }

    /// Appends batches and makes them durable. A batch for which `is_over` of the log's first time holds begins a
    /// new log, and so does one after a log of `most` bytes.
    pub(super) fn append(
        &mut self,
        batches: &[Batch],
        is_over: impl Fn(EventTime, EventTime) -> bool,
        most: u64,
    ) -> Result<(), ExternalError> {
        self.finish()?;
        let mut last = None;
        for batch in batches {
            if !batch.changes.is_empty() {
                if self.progress()?.run.starts_over {
                    self.begin_over()?;
                }
                let first = self.progress()?.log.first.or(self.begun);
                if first.is_some_and(|first| is_over(first, batch.time)) {
                    self.flush(last)?;
                    self.rotate()?;
                }
                self.take(batch)?;
            }
            last = Some(batch.time);
            if self.progress()?.log.bytes + self.segment.len() as u64 >= most {
                self.flush(last)?;
                self.rotate()?;
            }
        }
        self.flush(last)
    }

    /// Adds a batch to the next segment.
    fn take(&mut self, batch: &Batch) -> Result<(), ExternalError> {
        if self.segment.is_empty() {
            let tables = frame::tables_onto(&mut self.segment, &self.shapes);
            tables.map_err(|error| ExternalError::permanent("could not write a log").because(error))?;
        }
        frame::batch_onto(&mut self.segment, &self.shapes, batch)?;
        self.begun.get_or_insert(batch.time);
        Ok(())
    }

    /// Makes all that was taken durable, up to this time.
    fn flush(&mut self, last: Option<EventTime>) -> Result<(), ExternalError> {
        let Some(last) = last.filter(|last| Some(*last) > self.time()) else { return Ok(()) };
        let (generation, segment) = (self.generation, std::mem::take(&mut self.segment));
        let bytes = segment.len() as u64;
        let begun = self.begun.take();
        if begun.is_some() {
            let log = &self.progress()?.log;
            let name = log.name(generation, log.of(generation));
            self.own.put(&name, segment)?;
        }
        self.store(|progress| {
            if let Some(first) = begun {
                progress.log.add(generation, first, bytes);
            }
            progress.run.time = Some(last);
        })
    }

    /// Deletes the files of an earlier run.
    fn begin_over(&mut self) -> Result<(), ExternalError> {
        self.store(|progress| {
            progress.run.begin_over();
            progress.from = progress.log.number;
        })?;
        self.remove_old()
    }

    /// Makes files of the log, and begins a new one.
    fn rotate(&mut self) -> Result<(), ExternalError> {
        if !self.has_pending() {
            return Ok(());
        }
        self.store(|progress| {
            let next = Segments { number: progress.log.number + 1, ..Segments::default() };
            progress.closed = Some(std::mem::replace(&mut progress.log, next));
        })?;
        self.finish()
    }

    /// Makes files of the changes that are in none.
    pub(super) fn close(&mut self) -> Result<(), ExternalError> {
        self.finish()?;
        self.rotate()
    }

    /// Returns whether changes are durable that are in no file yet.
    fn has_pending(&self) -> bool {
        self.record.as_ref().is_some_and(|record| !record.value.log.written.is_empty())
    }

    /// Makes the files of a log that is closed, if there is one. Their names depend on the log alone, so files of an
    /// attempt that did not come to its end are replaced.
    fn finish(&mut self) -> Result<(), ExternalError> {
        let Some(closed) = self.progress()?.closed.clone() else { return Ok(()) };
        let (mut all, mut shapes) = (Vec::new(), Vec::new());
        for name in closed.names() {
            let (tables, changes) = self.segment_of(&name)?;
            shapes = tables;
            all.extend(changes);
        }
        let file = format!("{:020}-{:010}.parquet", closed.first.unwrap_or_default().0, closed.number);
        for ((table, day), changes) in frame::grouped(all) {
            let name = |shape: &Shape| format!("{}/{DAY}={}/{file}", shape.name, day_text(day));
            let failed = |why: Box<dyn Error + Send + Sync>| {
                let what = format!("could not make the files of a log in {}", self.bucket.url());
                ExternalError::permanent(what).because(why)
            };
            let Some(shape) = shapes.get(table as usize) else {
                return Err(failed("it names a table that it does not have; restore it".into()));
            };
            let bytes = file::write_to(Vec::new(), shape, &mut changes.into_iter());
            self.bucket.put(&name(shape), bytes.map_err(|error| failed(error.into()))?)?;
        }
        self.store(|progress| progress.closed = None)?;
        for name in closed.names() {
            if let Err(error) = self.own.remove(&name) {
                // The next process removes it.
                tracing::debug!(error = &error as &dyn Error, "a segment that is in files is left");
            }
        }
        Ok(())
    }

    /// Reads a segment: the tables, and the changes with their times.
    fn segment_of(&mut self, name: &str) -> Result<(Vec<Shape>, Vec<Timed>), ExternalError> {
        let damaged = |what: &str| {
            ExternalError::permanent(format!("the segment {} {what}; restore it", self.own.url_of(name)))
        };
        let Some((bytes, _)) = self.own.get(name)? else {
            let gone = damaged("is gone");
            // Another process that has taken the place over may have removed it.
            self.record = None;
            self.settle()?;
            return Err(gone);
        };
        let mut bytes = Bytes::from(bytes);
        let tables = frame::take_tables(&mut bytes).ok_or_else(|| damaged("is damaged"))?;
        let mut all = Vec::new();
        while !bytes.is_empty() {
            let frame = frame::next_frame(&mut bytes).and_then(frame::index);
            let (time, changes) = frame.ok_or_else(|| damaged("is damaged"))?;
            all.extend(changes.into_iter().map(|(head, values)| (time, head, values)));
        }
        Ok((tables, all))
    }

    /// Deletes the files of an earlier run, if this one has begun.
    fn remove_old(&self) -> Result<(), ExternalError> {
        let progress = self.progress()?;
        if progress.from == 0 || progress.run.starts_over {
            return Ok(());
        }
        let is_old = |path: &&String| log_of_object(path).is_some_and(|log| log < progress.from);
        self.bucket.list()?.iter().filter(is_old).try_for_each(|path| self.bucket.remove(path))
    }

    /// Deletes segments that do not count, of writers who cannot write any more.
    fn remove_left(&self) -> Result<(), ExternalError> {
        let named: BTreeSet<_> = self.progress()?.log.names().collect();
        for name in self.own.list()? {
            let writer = name.strip_prefix("log-").and_then(|name| name.split('-').nth(1));
            let writer = writer.and_then(|writer| writer.parse::<u64>().ok());
            if writer.is_some_and(|writer| writer < self.generation) && !named.contains(&name) {
                self.own.remove(&name)?;
            }
        }
        Ok(())
    }
}
