//! Layouts: the mapping from values of a type to rows of a table.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use crate::column::Value;
use crate::data::Data;
use crate::time::event_time::EventTime;
use crate::write::change::{Action, AnyRow, Change};
use crate::write::row::{Row, compare_keys, plain};
use crate::write::table::Table;

type Put<'p> = &'p mut dyn FnMut(Value<'_>);

/// A mapping from values of type `R` to rows of a table. It is the alternative to implementing [`Row`], for a
/// table whose name or columns are not known before run time.
///
/// ```
/// use telemetra_core::{Column, ColumnKind, Layout, Table, Value};
/// let table = Table::new("totals")
///     .key(Column::new("site", ColumnKind::Integer))
///     .column(Column::new("total", ColumnKind::Integer));
/// let layout = Layout::new(table, |(site, total): &(u32, i64), put| {
///     put(Value::Unsigned((*site).into()));
///     put(Value::Signed(*total));
/// });
/// assert_eq!(layout.table().name(), "totals");
/// ```
pub struct Layout<R> {
    inner: Arc<Inner<R>>,
}

struct Inner<R> {
    table: Arc<Table>,
    values: Arc<dyn Fn(&R, Put<'_>) + Send + Sync>,
    time: Arc<dyn Fn(&R) -> Option<EventTime> + Send + Sync>,
    subject: Arc<dyn for<'r> Fn(&'r R) -> Cow<'r, str> + Send + Sync>,
    compare: Option<fn(&R, &R) -> Ordering>,
}

impl<R> Clone for Layout<R> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<R> fmt::Debug for Layout<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Layout").field(&self.inner.table).finish()
    }
}

impl<R: Row> Layout<R> {
    /// The layout that the implementation of [`Row`] defines.
    #[must_use]
    pub fn of_row() -> Self {
        Self::with(R::table(), R::values, R::time, R::subject, None)
    }
}

impl<R: Data> Layout<R> {
    /// A layout by a closure that puts the value of each column, the key columns first. The subject of a row
    /// is its first key column, and rows describe the present.
    ///
    /// ```
    /// use telemetra_core::{Column, ColumnKind, Layout, RowKey, Table, Value};
    /// let table = Table::new("totals").key(Column::new("site", ColumnKind::Integer)).column(Column::new("total", ColumnKind::Integer));
    /// let layout = Layout::new(table, |(site, total): &(u32, i64), put| {
    ///     put(Value::Unsigned((*site).into()));
    ///     put(Value::Signed(*total));
    /// });
    /// let change = layout.upsert((7, 40), 0);
    /// assert_eq!(RowKey::of(&*change.row).to_string(), "totals (7)");
    /// assert_eq!((layout.subject(&(7, 40)).as_ref(), layout.time(&(7, 40))), ("7", None));
    /// ```
    pub fn new(table: Table, values: impl Fn(&R, &mut dyn FnMut(Value<'_>)) + Send + Sync + 'static) -> Self {
        let values = Arc::new(values);
        let first = Arc::clone(&values);
        let subject = borrowing(move |row: &R| {
            let mut subject = None;
            first(row, &mut |value| {
                subject.get_or_insert_with(|| plain(value));
            });
            Cow::Owned(subject.unwrap_or_default())
        });
        Self::with(table, move |row: &R, put: Put<'_>| values(row, put), |_| None, subject, None)
    }

    /// A layout with all its functions. Without `compare`, rows are compared by the values of their key
    /// columns.
    #[doc(hidden)]
    pub fn with(
        table: Table,
        values: impl Fn(&R, Put<'_>) + Send + Sync + 'static,
        time: impl Fn(&R) -> Option<EventTime> + Send + Sync + 'static,
        subject: impl for<'r> Fn(&'r R) -> Cow<'r, str> + Send + Sync + 'static,
        compare: Option<fn(&R, &R) -> Ordering>,
    ) -> Self {
        let (values, time, subject) = (Arc::new(values), Arc::new(time), Arc::new(subject));
        Self { inner: Arc::new(Inner { table: Arc::new(table), values, time, subject, compare }) }
    }

    /// The same layout with a changed table: with another name or indexes, or partitioned by day. The columns
    /// must not change, since rows put a value for each of them.
    ///
    /// ```
    /// use telemetra_core::{Layout, Moment};
    /// let layout = Layout::<Moment<String>>::moments("moments", &["device"])
    ///     .map_table(|table| table.index(["device", "started_at"]));
    /// assert_eq!(layout.table().indexes()[0].name, "moments_by_device_started_at");
    /// ```
    #[must_use]
    pub fn map_table(self, change: impl FnOnce(Table) -> Table) -> Self {
        let table = Arc::new(change(Table::clone(self.table())));
        self.with_table(table)
    }

    fn with_table(&self, table: Arc<Table>) -> Self {
        let Inner { values, time, subject, compare, .. } = &*self.inner;
        let (values, time, subject) = (Arc::clone(values), Arc::clone(time), Arc::clone(subject));
        Self { inner: Arc::new(Inner { table, values, time, subject, compare: *compare }) }
    }

    /// The same layout with a count of references of its own.
    #[doc(hidden)]
    #[must_use]
    pub fn apart(&self) -> Self {
        self.with_table(Arc::clone(self.table()))
    }

    /// The table.
    #[must_use]
    pub fn table(&self) -> &Arc<Table> {
        &self.inner.table
    }

    /// Puts the value of each column of a row.
    pub fn values(&self, row: &R, put: &mut dyn FnMut(Value<'_>)) {
        (self.inner.values)(row, put);
    }

    /// The event time that a row describes; `None` if it describes the present.
    #[must_use]
    pub fn time(&self, row: &R) -> Option<EventTime> {
        (self.inner.time)(row)
    }

    /// The subject of a row.
    #[must_use]
    pub fn subject<'r>(&self, row: &'r R) -> Cow<'r, str> {
        (self.inner.subject)(row)
    }

    /// The order of two rows by their keys. The result is equal if both have the same key.
    #[must_use]
    pub fn compare(&self, one: &R, other: &R) -> Ordering {
        match self.inner.compare {
            Some(compare) => compare(one, other),
            None => {
                let keys = self.inner.table.keys().len();
                compare_keys(keys, |put| self.values(one, put), |put| self.values(other, put))
            }
        }
    }

    /// A number of 128 bits that identifies a row within its table: a hash of the values of its key columns.
    /// `scratch` is only used for its memory.
    #[doc(hidden)]
    #[must_use]
    pub fn key_id(&self, row: &R, scratch: &mut String) -> u128 {
        scratch.clear();
        let mut left = self.inner.table.keys().len();
        self.values(row, &mut |value| {
            if left > 0 {
                left -= 1;
                let start = scratch.len();
                let _ = crate::column::write_plain(scratch, value);
                // The length separates the values of adjacent columns.
                let length = scratch.len() - start;
                let _ = fmt::Write::write_fmt(scratch, format_args!("\u{1f}{length}\u{1f}"));
            }
        });
        xxhash_rust::xxh3::xxh3_128(scratch.as_bytes())
    }

    /// The row as sinks see it.
    #[must_use]
    pub fn erase(&self, row: R) -> Arc<dyn AnyRow> {
        Arc::new(Laid { layout: self.clone(), row })
    }

    /// A change that upserts a row.
    #[must_use]
    pub fn upsert(&self, row: R, revision: u32) -> Change {
        Change { row: self.erase(row), revision, action: Action::Upsert }
    }

    /// A change that withdraws a row.
    #[must_use]
    pub fn withdraw(&self, row: R, revision: u32) -> Change {
        Change { row: self.erase(row), revision, action: Action::Withdraw }
    }
}

/// Returns the closure, with the type of one whose result may borrow from its argument.
fn borrowing<R, F: for<'r> Fn(&'r R) -> Cow<'r, str>>(subject: F) -> F {
    subject
}

/// A row with its layout.
struct Laid<R> {
    layout: Layout<R>,
    row: R,
}

impl<R: fmt::Debug> fmt::Debug for Laid<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.row.fmt(f)
    }
}

impl<R: Data> AnyRow for Laid<R> {
    fn table(&self) -> &Arc<Table> {
        self.layout.table()
    }

    fn values(&self, put: &mut dyn FnMut(Value<'_>)) {
        self.layout.values(&self.row, put);
    }

    fn subject(&self) -> Cow<'_, str> {
        self.layout.subject(&self.row)
    }

    fn time(&self) -> Option<EventTime> {
        self.layout.time(&self.row)
    }

    fn typed(&self) -> &dyn std::any::Any {
        &self.row
    }

    fn compare_key(&self, other: &dyn AnyRow) -> Ordering {
        let tables = self.table().name().cmp(other.table().name());
        tables.then_with(|| match other.typed().downcast_ref::<R>() {
            Some(other) => self.layout.compare(&self.row, other),
            None => {
                let keys = self.table().keys().len();
                compare_keys(keys, |put| self.values(put), |put| other.values(put))
            }
        })
    }

    fn equals(&self, other: &dyn AnyRow) -> bool {
        self.table().name() == other.table().name() && other.typed().downcast_ref::<R>() == Some(&self.row)
    }
}
