//! The contract of sinks: where answers go.

use std::sync::Arc;

use crate::error::ExternalError;
use crate::read::dead_letter::DeadLetter;
use crate::time::event_time::EventTime;
use crate::write::change::Batch;
use crate::write::table::Table;

/// Keeps rows in step with the answer, as of each event time.
///
/// A sink runs on a thread of its own and may block. It never sees the dataflow.
///
/// # Contract
///
/// * **In order.** Batches come in order of their time, each time once in a life; after a restart from what was durable on.
/// * **Durable on return.** When [`apply`](Self::apply) returns `Ok`, all batches it was given, and the letters given before, survive a crash
///   (as far as the sink has anything that can). A sink may make several batches durable in one go; it is given all that wait,
///   and none where only letters do.
/// * **All or nothing, or idempotent.** After an error or a crash, applying the same batches again has the same effect
///   as applying them once. Rows have keys and letters have places, so upserts will do.
/// * **Says what it has.** [`open`](Self::open) returns the time of the last batch that is durable. It will be given
///   everything later; a sink that keeps nothing over a restart returns `None` and is given the whole state anew.
///
/// Checked by [`sink_compliance`](crate::testkit::sink_compliance).
pub trait Sink: Send {
    /// Its name in errors, logs and metrics.
    fn name(&self) -> &str;

    /// Opens it. `tables` are those whose rows it will be given; `resume` is the time of the checkpoint that the pipeline starts from,
    /// `None` if from the beginning.
    ///
    /// # Errors
    ///
    /// If it cannot be reached or written. A transient one is tried again for a while, so that the store may come up later than
    /// the pipeline.
    fn open(
        &mut self,
        tables: &[Arc<Table>],
        resume: Option<EventTime>,
    ) -> Result<Option<EventTime>, ExternalError>;

    /// Applies all changes of these times and makes them durable, and with them the letters given before. There may be no
    /// batch: after a restart letters may come before a time that the sink has and is not given again.
    ///
    /// # Errors
    ///
    /// A transient one is tried again with backoff; a permanent one stops the pipeline. Its text names the row.
    fn apply(&mut self, batches: &[Batch]) -> Result<(), ExternalError>;

    /// Takes records that were not counted. They come as they are found, not by time, and again after a restart;
    /// they need be durable only when the next `apply` is. By default they are dropped: they are counted in any case.
    ///
    /// # Errors
    ///
    /// As for [`apply`](Self::apply).
    fn dead_letters(&mut self, letters: &[DeadLetter]) -> Result<(), ExternalError> {
        let _ = letters;
        Ok(())
    }

    /// Closes it. Nothing comes after.
    ///
    /// # Errors
    ///
    /// If what was written could not be brought to its end.
    fn close(&mut self) -> Result<(), ExternalError> {
        Ok(())
    }
}

impl<K: Sink + ?Sized> Sink for Box<K> {
    fn name(&self) -> &str {
        (**self).name()
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

/// One of several sinks that share the rows of one store among them, by [subject](crate::Row::subject).
///
/// All rows about one subject go to one shard, so no row is written by two. Each shard is opened, is given batches, and says what it
/// has on its own. What a sink remembers of its progress it must keep by `index` *and* `of`: among another number of
/// shards the subjects fall elsewhere, and what one of those has says nothing of what this one lacks. A shard that says `None`
/// is given the whole state.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shard {
    /// Which one, from 0.
    pub index: usize,
    /// Of how many.
    pub of: usize,
}

impl std::fmt::Display for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "shard {} of {}", self.index, self.of)
    }
}

impl Shard {
    /// The only one.
    pub const WHOLE: Self = Self { index: 0, of: 1 };

    /// The index of the shard that the rows about a subject go to.
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
