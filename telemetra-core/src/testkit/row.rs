//! The compliance suite of rows and layouts.

use std::collections::BTreeMap;

use crate::codec;
use crate::column::Value;
use crate::data::Data;
use crate::write::layout::Layout;
use crate::write::row::{RowKey, plain};

/// Checks that rows keep the contract of [`Row`](crate::Row) in a [`Layout`]. Give rows with the same key and
/// different content, and rows with different keys.
///
/// # Panics
///
/// If the contract is broken. The message names the clause.
///
/// ```
/// use telemetra_core::testkit::row_compliance;
/// use telemetra_core::{Column, ColumnKind, Layout, Table, Value};
/// let table = Table::new("totals")
///     .key(Column::new("site", ColumnKind::Integer))
///     .column(Column::new("total", ColumnKind::Integer));
/// let layout = Layout::new(table, |(site, total): &(u32, i64), put| {
///     put(Value::Unsigned((*site).into()));
///     put(Value::Signed(*total));
/// });
/// row_compliance(&layout, &[(1, 5), (1, -6), (2, 5)]);
/// ```
pub fn row_compliance<R: Data>(layout: &Layout<R>, rows: &[R]) {
    let table = layout.table();
    if let Err(error) = table.check() {
        panic!("{error}");
    }
    let mut subjects: BTreeMap<RowKey, String> = BTreeMap::new();
    for row in rows {
        let mut at = 0;
        layout.values(row, &mut |value| {
            let column = table.all_columns().get(at);
            let fits = column.is_some_and(|column| value.fits(column.kind));
            let null = matches!(value, Value::Null) && column.is_some_and(|column| !column.nullable);
            assert!(
                fits && !null,
                "columns: the value {value:?} of {row:?} does not fit its column, which is {column:?}"
            );
            at += 1;
        });
        let columns = table.all_columns().len();
        assert_eq!(at, columns, "columns: {row:?} puts {at} values for {columns} columns");
        assert_eq!(shown(layout, row), shown(layout, &row.clone()), "pure: equal rows put different values");
        let key = RowKey::of(&*layout.erase(row.clone()));
        let subject = layout.subject(row).into_owned();
        let known = subjects.entry(key).or_insert_with(|| subject.clone());
        assert_eq!(*known, subject, "subject: rows of one key are about different subjects");
        let decoded: Result<R, _> = codec::encode(row).and_then(|bytes| codec::decode(&bytes));
        assert!(decoded.is_ok_and(|decoded| decoded == *row), "{row:?} does not survive bincode");
    }
    for one in rows {
        for other in rows {
            let keys = RowKey::of(&*layout.erase(one.clone())) == RowKey::of(&*layout.erase(other.clone()));
            let same = layout.compare(one, other).is_eq();
            assert_eq!(
                keys, same,
                "identity: {one:?} and {other:?} are the same row by one rule and not by the other"
            );
        }
    }
}

fn shown<R: Data>(layout: &Layout<R>, row: &R) -> Vec<String> {
    let mut values = Vec::new();
    layout.values(row, &mut |value| values.push(plain(value)));
    values
}
