//! Changes of rows: upserts and withdrawals, in batches by event time.

use std::any::Any;
use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt::Debug;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::column::Value;
use crate::time::event_time::EventTime;
use crate::write::table::Table;

/// A row of any table and any type, as sinks see it. A [`Layout`](crate::Layout) makes it from a value; sinks
/// read columns, key and subject without knowing the type. It is shared by all sinks behind an [`Arc`].
///
/// # Contract
///
/// * **Immutable.** All methods return the same for a row each time.
/// * **Columns.** [`values`](Self::values) puts one value for each column of the [table](Self::table), in its
///   order, that [fits](Value::fits) the column's kind.
pub trait AnyRow: Debug + Send + Sync {
    /// The table.
    fn table(&self) -> &Arc<Table>;

    /// Puts the value of each column, the key columns first. Revision and time are placeholders, which
    /// [`Change::values`] replaces.
    fn values(&self, put: &mut dyn FnMut(Value<'_>));

    /// The subject: what the row is about, as [`Row::subject`](crate::Row::subject) defines it.
    fn subject(&self) -> Cow<'_, str>;

    /// The event time that the row describes; `None` if it describes the present.
    fn time(&self) -> Option<EventTime>;

    /// The row in its own type, for a downcast.
    fn typed(&self) -> &dyn Any;

    /// The order by table name and key. The result is equal if both have the same key in the same table.
    fn compare_key(&self, other: &dyn AnyRow) -> Ordering;

    /// Returns whether the other is an equal row of the same table and type.
    fn equals(&self, other: &dyn AnyRow) -> bool;
}

/// A change of one row: an upsert or a withdrawal, as a [`Sink`](crate::Sink) gets it. The row is without its
/// type; [`row`](Self::row) returns it in its own type if that is known.
///
/// ```
/// use telemetra_core::{Action, Column, ColumnKind, EventTime, Layout, Table, Value};
/// let table = Table::new("totals")
///     .key(Column::new("site", ColumnKind::Integer))
///     .column(Column::new("total", ColumnKind::Integer))
///     .revision("revision");
/// let layout = Layout::new(table, |(site, total): &(u32, i64), put| {
///     put(Value::Unsigned((*site).into()));
///     put(Value::Signed(*total));
///     put(Value::Revision);
/// });
/// let change = layout.upsert((7, 40), 2);
/// assert_eq!((change.table(), change.action, change.row::<(u32, i64)>()), ("totals", Action::Upsert, Some(&(7, 40))));
/// let mut values = Vec::new();
/// change.values(EventTime(59_999), &mut |value| values.push(format!("{value:?}")));
/// assert_eq!(values, ["Unsigned(7)", "Signed(40)", "Unsigned(2)"]);
/// ```
#[derive(Clone, Debug)]
pub struct Change {
    /// The new row of an upsert, or the last row before a withdrawal.
    pub row: Arc<dyn AnyRow>,
    /// The number of changes of this row that were published before. A withdrawal counts as a change.
    pub revision: u32,
    /// The kind of the change.
    pub action: Action,
}

impl Change {
    /// The row, if its type is `R`.
    #[must_use]
    pub fn row<R: 'static>(&self) -> Option<&R> {
        self.row.typed().downcast_ref()
    }

    /// The name of the row's table.
    #[must_use]
    pub fn table(&self) -> &str {
        self.row.table().name()
    }

    /// Puts the value of each column of the row, with this change's revision and the given time of
    /// publication.
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

/// The kind of a change.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Action {
    /// The row is inserted, or replaces the row with the same key.
    Upsert,
    /// The row is deleted, since it does not hold after a correction.
    Withdraw,
}

/// All changes that took effect at one event time. A sink applies it as a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The time at which they took effect. All changes up to and including this time are now known.
    pub time: EventTime,
    /// The changes, at most one per row, by table, and by key within a table.
    pub changes: Vec<Change>,
}
