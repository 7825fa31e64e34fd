//! Changes: upserts and withdrawals of rows, as of each event time.

use std::any::Any;
use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt::Debug;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::column::Value;
use crate::time::event_time::EventTime;
use crate::write::table::Table;

/// A row of any table and any type, as sinks see it. Made by a [`Layout`](crate::Layout).
pub trait AnyRow: Debug + Send + Sync {
    /// The table.
    fn table(&self) -> &Arc<Table>;

    /// Puts the value of each column, the key's first; [`Change::values`] puts revision and time in their places.
    fn values(&self, put: &mut dyn FnMut(Value<'_>));

    /// What the row is about.
    fn subject(&self) -> Cow<'_, str>;

    /// The event time that it tells of.
    fn time(&self) -> Option<EventTime>;

    /// The row in its own type, to be downcast.
    fn typed(&self) -> &dyn Any;

    /// The order by table and key: equal if both are the same row.
    fn compare_key(&self, other: &dyn AnyRow) -> Ordering;

    /// Whether the other is a row of the same table with the same content.
    fn equals(&self, other: &dyn AnyRow) -> bool;
}

/// A change of one row.
#[derive(Clone, Debug)]
pub struct Change {
    /// The row: as it is now, or as it was if withdrawn.
    pub row: Arc<dyn AnyRow>,
    /// How often the row was published before: 0 is the first time. Withdrawing counts.
    pub revision: u32,
    /// Upsert or withdrawal.
    pub action: Action,
}

impl Change {
    /// The row in its own type, `None` if it is of another.
    #[must_use]
    pub fn row<R: 'static>(&self) -> Option<&R> {
        self.row.typed().downcast_ref()
    }

    /// The name of the row's table.
    #[must_use]
    pub fn table(&self) -> &str {
        self.row.table().name()
    }

    /// Puts the value of each column of the row as published at `time`.
    pub fn values(&self, time: EventTime, put: &mut dyn FnMut(Value<'_>)) {
        self.row.values(&mut |value| match value {
            Value::Revision => put(Value::Unsigned(self.revision.into())),
            Value::PublishedAt => put(Value::Time(time)),
            value => put(value),
        });
    }
}

impl PartialEq for Change {
    fn eq(&self, other: &Self) -> bool {
        (self.revision, self.action) == (other.revision, other.action) && self.row.equals(&*other.row)
    }
}
impl Eq for Change {}

/// What to do with a row.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Action {
    /// Insert it, or overwrite the one of its key.
    Upsert,
    /// Delete it: a correction made it untrue.
    Withdraw,
}

/// All changes that took effect at one event time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// When they took effect. Everything up to and including this time is now known.
    pub time: EventTime,
    /// At most one per row, table by table, each table's sorted.
    pub changes: Vec<Change>,
}
