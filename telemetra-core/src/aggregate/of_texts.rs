//! The aggregates by name of texts: the number of different ones, and the most frequent.

use std::fmt;

use compact_str::CompactString;

use crate::aggregate::by_name::{Aggregate, debug_by_column};
use crate::aggregate::name_counts::Counted;
use crate::aggregate::{Accumulate, Distinct, TopK};
use crate::column::{Column, Value};
use crate::read::event::Events;
use crate::time::window::Window;

debug_by_column!(DistinctOf<F>);

/// The aggregate of [`Aggregates::distinct`](crate::Aggregates::distinct).
#[derive(Clone)]
pub struct DistinctOf<F> {
    pub(crate) column: Column,
    pub(crate) of: F,
}

impl<E: Events, F> Aggregate<E> for DistinctOf<F>
where
    F: for<'e, 'a> Fn(&'e E::Of<'a>) -> &'e str + Send + Sync + 'static,
{
    type State = Distinct;

    fn add(&self, state: &mut Distinct, event: &E::Of<'_>) {
        state.add((self.of)(event));
    }

    fn columns(&self) -> Vec<Column> {
        vec![self.column.clone()]
    }

    fn values(&self, output: &u64, _: Window, put: &mut dyn FnMut(Value<'_>)) {
        put(Value::Unsigned(*output));
    }
}

/// The aggregate of [`Aggregates::top`](crate::Aggregates::top).
#[derive(Clone)]
pub struct TopOf<F, const K: usize> {
    pub(crate) column: Column,
    pub(crate) of: F,
}

impl<F, const K: usize> fmt::Debug for TopOf<F, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TopOf({})", self.column.name)
    }
}

impl<E: Events, F, const K: usize> Aggregate<E> for TopOf<F, K>
where
    F: for<'e, 'a> Fn(&'e E::Of<'a>) -> &'e str + Send + Sync + 'static,
{
    type State = TopK<K>;

    fn add(&self, state: &mut TopK<K>, event: &E::Of<'_>) {
        state.add((self.of)(event));
    }

    fn columns(&self) -> Vec<Column> {
        vec![self.column.clone()]
    }

    fn values(&self, output: &Vec<Counted>, _: Window, put: &mut dyn FnMut(Value<'_>)) {
        put(Value::Json(&CountedJson(output)));
    }
}

/// Names and counts, displayed as JSON: `[{"name":…,"count":…},…]`.
#[derive(Debug)]
pub struct CountedJson<'a>(pub &'a [Counted]);

impl fmt::Display for CountedJson<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (i, Counted { name, count }) in self.0.iter().enumerate() {
            let name: &CompactString = name;
            f.write_str(if i == 0 { "{\"name\":" } else { ",{\"name\":" })?;
            crate::json::string(f, name)?;
            f.write_str(",\"count\":")?;
            crate::json::integer(f, *count)?;
            f.write_str("}")?;
        }
        f.write_str("]")
    }
}
