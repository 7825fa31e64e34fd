//! The contract of sinks, and the sharding of their rows.

use std::sync::Arc;

use crate::error::ExternalError;
use crate::read::dead_letter::DeadLetter;
use crate::time::event_time::EventTime;
use crate::write::change::Batch;
use crate::write::table::Table;

/// A sink: it writes the changes of all tables to a system outside of the pipeline, batch by batch.
///
/// A sink runs on its own thread and may block. While it does, batches queue up to a bound, and then reading
/// is held back.
///
/// # Contract
///
/// * **In order.** Batches come in the order of their times, each time once in a run; after a restart, from
///   the last durable batch on.
/// * **Durable on return.** When [`apply`](Self::apply) returns `Ok`, its batches, and all dead letters that
///   came before, survive a crash (if the sink stores anything durably). A call gets all batches that are
///   waiting, so several can be made durable together. It gets none if only dead letters are waiting.
/// * **All or nothing, or idempotent.** After an error or a crash, applying the same batches again has the
///   same effect as applying them once. Rows have keys and dead letters have places, so upserts are enough.
/// * **Reports its progress.** [`open`](Self::open) returns the time of the last durable batch, and gets all
///   later batches. A sink that stores nothing over a restart returns `None` and gets again the rows that
///   the pipeline still holds: those of a start without a checkpoint, or else those within the horizon, which
///   may still change. So a sink whose target was lost is whole again only if the pipeline starts afresh.
///
/// Checked by [`sink_compliance`](crate::testkit::sink_compliance).
///
/// ```
/// use std::sync::Arc;
/// use telemetra_core::{Batch, EventTime, ExternalError, RowKey, Sink, Table};
///
/// /// Prints each change. It stores nothing, so a restarted pipeline prints all current rows again.
/// struct Print;
///
/// impl Sink for Print {
///     fn name(&self) -> &str { "print" }
///     fn open(&mut self, _: &[Arc<Table>], _: Option<EventTime>) -> Result<Option<EventTime>, ExternalError> {
///         Ok(None)
///     }
///     fn apply(&mut self, batches: &[Batch]) -> Result<(), ExternalError> {
///         for batch in batches {
///             for change in &batch.changes {
///                 println!("{} {:?} {}", batch.time, change.action, RowKey::of(&*change.row));
///             }
///         }
///         Ok(())
///     }
/// }
///
/// Print.apply(&[Batch { time: EventTime(59_999), changes: Vec::new() }])?;
/// # Ok::<(), ExternalError>(())
/// ```
pub trait Sink: Send {
    /// Returns the name of the sink in errors, logs and metrics. Give two sinks of one kind different names.
    fn name(&self) -> &str;

    /// Receives the name of the pipeline before the sink is opened. A sink with stored progress should store
    /// it under this name: two pipelines that write to one place must not take each other's progress for
    /// their own. Does nothing by default.
    fn part_of(&mut self, pipeline: &str) {
        let _ = pipeline;
    }

    /// Returns how far the target has been written, by whichever process writes to it, without opening the
    /// sink or taking it over: for a pipeline that stands by until it takes the place of another. Called
    /// before [`open`](Self::open), as often as needed.
    ///
    /// By default the target is [not shared](SinkProgress::NotShared): the sink of a pipeline that stands by
    /// is then opened at once. So a sink whose `open` takes the target over from another process must
    /// implement this.
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open).
    fn progress(&mut self) -> Result<SinkProgress, ExternalError> {
        Ok(SinkProgress::NotShared)
    }

    /// Begins or ends holding back what the sink is given. Called only if its [`progress`](Self::progress) is
    /// [`Rewritten`](SinkProgress::Rewritten): with `true` before it is opened beside another pipeline that
    /// writes to the same target, and with `false` when it takes the place of that one; the next
    /// [`apply`](Self::apply), which may have no batch, then writes all of the current state. Does nothing by
    /// default.
    fn hold(&mut self, holds: bool) {
        let _ = holds;
    }

    /// Opens the sink. `tables` are the tables whose rows it will get. `resume` is the time of the checkpoint
    /// from which the pipeline starts, `None` without one.
    ///
    /// # Errors
    ///
    /// If the system cannot be reached or written to. After a transient error the call is repeated for some
    /// time, so that the system may start later than the pipeline.
    fn open(
        &mut self,
        tables: &[Arc<Table>],
        resume: Option<EventTime>,
    ) -> Result<Option<EventTime>, ExternalError>;

    /// Applies batches and makes them durable, together with the dead letters that came before. There may be
    /// no batch: after a restart, dead letters may come again whose batches the sink has already.
    ///
    /// # Errors
    ///
    /// If the batches cannot be applied. After a transient error the call is repeated with backoff; a
    /// permanent error stops the pipeline. The text names the row.
    fn apply(&mut self, batches: &[Batch]) -> Result<(), ExternalError>;

    /// Takes dead letters. They come in the order in which they are found, not by time, and may come again
    /// after a restart. They must be durable only after the next `apply`. By default they are ignored;
    /// metrics count them in any case.
    ///
    /// # Errors
    ///
    /// As for [`apply`](Self::apply).
    fn dead_letters(&mut self, letters: &[DeadLetter]) -> Result<(), ExternalError> {
        let _ = letters;
        Ok(())
    }

    /// Closes the sink, after the last batch.
    ///
    /// # Errors
    ///
    /// If writing could not be completed.
    fn close(&mut self) -> Result<(), ExternalError> {
        Ok(())
    }
}

/// The event time up to which the target of a sink has been written, by this process or another.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum SinkProgress {
    /// No other process writes to it: each has a target of its own, or none that lasts.
    NotShared,
    /// The target has everything up to the time of this batch; `None` if nothing has been written.
    Until(Option<EventTime>),
    /// The target has everything up to that time as well, but the sink keeps all current rows in memory and writes
    /// them as a whole, so it has to be given all of them. It is therefore opened at once, and
    /// [holds](Sink::hold) what it is given.
    Rewritten(Option<EventTime>),
}

impl<K: Sink + ?Sized> Sink for Box<K> {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn part_of(&mut self, pipeline: &str) {
        (**self).part_of(pipeline);
    }

    fn progress(&mut self) -> Result<SinkProgress, ExternalError> {
        (**self).progress()
    }

    fn hold(&mut self, holds: bool) {
        (**self).hold(holds);
    }

    fn open(
        &mut self,
        tables: &[Arc<Table>],
        resume: Option<EventTime>,
    ) -> Result<Option<EventTime>, ExternalError> {
        (**self).open(tables, resume)
    }

    fn apply(&mut self, batches: &[Batch]) -> Result<(), ExternalError> {
        (**self).apply(batches)
    }

    fn dead_letters(&mut self, letters: &[DeadLetter]) -> Result<(), ExternalError> {
        (**self).dead_letters(letters)
    }

    fn close(&mut self) -> Result<(), ExternalError> {
        (**self).close()
    }
}

/// The number of a sink among several that write to one store in parallel. Rows are assigned to shards by the
/// hash of their [subject](crate::Row::subject).
///
/// All rows with the same subject go to the same shard, so no row is written by two. Each shard is opened,
/// gets batches and reports its progress independently. A sink must store its progress by `index` *and* `of`,
/// since with another number of shards rows are assigned differently, and the progress of the old shards does
/// not apply. A shard that returns `None` gets all its current rows again.
///
/// ```
/// use telemetra_core::Shard;
/// let shard = Shard { index: Shard::index_of("ada", 4), of: 4 };
/// assert!(shard.index < 4);
/// assert_eq!(Shard::WHOLE.to_string(), "shard 0 of 1");
/// ```
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shard {
    /// The number of the shard, from 0.
    pub index: usize,
    /// The number of all shards.
    pub of: usize,
}

impl std::fmt::Display for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "shard {} of {}", self.index, self.of)
    }
}

impl Shard {
    /// The only shard.
    pub const WHOLE: Self = Self { index: 0, of: 1 };

    /// The index of the shard for rows with this subject.
    ///
    /// ```
    /// use telemetra_core::Shard;
    /// assert_eq!(Shard::index_of("ada", 1), 0);
    /// assert!(Shard::index_of("ada", 4) < 4);
    /// ```
    #[must_use]
    pub fn index_of(subject: &str, shards: usize) -> usize {
        Self::index_of_hash(crate::key::key_hash(subject), shards)
    }

    /// The index of the shard for a subject of that [hash](crate::key_hash).
    #[doc(hidden)]
    #[must_use]
    pub fn index_of_hash(hash: u64, shards: usize) -> usize {
        // The dataflow assigns keys to workers by the low bits.
        usize::try_from((u128::from(hash) * shards as u128) >> 64).unwrap_or(0)
    }
}
