//! The values of the rules' metrics in the windows of one key, in as few bytes as they need.
//!
//! Most values of a quiet key are 0, missing, or the count of a few events. So a key begins with one byte a value,
//! and goes on with two, four or eight once a value needs them.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::NONE;
use crate::room::{grow, shrink};

/// Rows of values, all of one width.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Values {
    Bytes(VecDeque<i8>),
    Shorts(VecDeque<i16>),
    Words(VecDeque<i32>),
    Longs(VecDeque<i64>),
}

impl Default for Values {
    fn default() -> Self {
        Self::Bytes(VecDeque::new())
    }
}

/// A value in a number of bytes; the least one stands for [`NONE`].
trait Cell: Copy + PartialEq + TryFrom<i64> + Into<i64> {
    const MISSING: Self;

    fn of(value: i64) -> Option<Self> {
        if value == NONE {
            return Some(Self::MISSING);
        }
        Self::try_from(value).ok().filter(|cell| *cell != Self::MISSING)
    }

    fn value(self) -> i64 {
        if self == Self::MISSING { NONE } else { self.into() }
    }
}

macro_rules! cells {
    ($($type:ty),+) => {$(
        impl Cell for $type {
            const MISSING: Self = Self::MIN;
        }
    )+};
}
cells!(i8, i16, i32, i64);

/// A macro that does the same with the queue, whatever its type.
macro_rules! with {
    ($values:expr, $queue:ident => $do:expr) => {
        match $values {
            Values::Bytes($queue) => $do,
            Values::Shorts($queue) => $do,
            Values::Words($queue) => $do,
            Values::Longs($queue) => $do,
        }
    };
}

/// Adds a row at a place. Returns whether its values fit into the type.
fn insert<C: Cell>(queue: &mut VecDeque<C>, at: usize, row: &[i64]) -> bool {
    if row.iter().any(|value| C::of(*value).is_none()) {
        return false;
    }
    grow(queue, row.len());
    let cells = row.iter().filter_map(|value| C::of(*value));
    if at == queue.len() {
        queue.extend(cells);
    } else {
        cells.enumerate().for_each(|(column, cell)| queue.insert(at + column, cell));
    }
    true
}

fn wider<C: Cell, D: Cell>(queue: &VecDeque<C>) -> VecDeque<D> {
    queue.iter().filter_map(|cell| D::of(cell.value())).collect()
}

impl Values {
    /// The number of values.
    pub(super) fn len(&self) -> usize {
        with!(self, queue => queue.len())
    }

    /// The bytes of memory.
    pub(super) fn memory(&self) -> usize {
        with!(self, queue => size_of_val(queue.as_slices().0) + size_of_val(queue.as_slices().1))
    }

    /// A value, which may be [`NONE`]; `None` beyond the end.
    #[inline]
    pub(super) fn get(&self, index: usize) -> Option<i64> {
        with!(self, queue => queue.get(index).map(|cell| cell.value()))
    }

    /// Returns whether this is the last row.
    pub(super) fn ends_with(&self, row: &[i64]) -> bool {
        with!(self, queue => {
            let last = queue.len().checked_sub(row.len()).map(|start| queue.range(start..));
            last.is_some_and(|last| last.map(|cell| cell.value()).eq(row.iter().copied()))
        })
    }

    /// Adds a row before that which begins at an index.
    pub(super) fn insert(&mut self, at: usize, row: &[i64]) {
        while !with!(self, queue => insert(queue, at, row)) {
            *self = match self {
                Self::Bytes(queue) => Self::Shorts(wider(queue)),
                Self::Shorts(queue) => Self::Words(wider(queue)),
                Self::Words(queue) => Self::Longs(wider(queue)),
                Self::Longs(_) => return,
            };
        }
    }

    /// Removes a row.
    pub(super) fn remove(&mut self, at: usize, width: usize) {
        with!(self, queue => drop(queue.drain(at..at + width)));
    }

    /// Gives room back after a burst.
    pub(super) fn shrink(&mut self) {
        with!(self, queue => shrink(queue));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_any_size_are_what_they_were_put_in_as() {
        let edges = [0, 1, 126, 127, 128, -127, -128, 32_767, -32_768, i64::from(i32::MIN), i64::MAX, NONE];
        for first in edges {
            let mut values = Values::default();
            let mut rows: Vec<[i64; 2]> = Vec::new();
            for (n, second) in edges.into_iter().enumerate() {
                let (row, at) = ([first, second], n / 2);
                values.insert(2 * at, &row);
                rows.insert(at, row);
            }
            values.insert(values.len(), &[7, NONE]);
            assert!(values.ends_with(&[7, NONE]) && !values.ends_with(&[NONE, 7]));
            values.remove(values.len() - 2, 2);
            values.remove(0, 2);
            values.shrink();
            let all: Vec<_> = (0..values.len()).filter_map(|index| values.get(index)).collect();
            assert_eq!(all, rows[1..].concat());
        }
    }

    #[test]
    fn small_values_take_a_byte() {
        let mut values = Values::default();
        values.insert(0, &[NONE, 0, 12, 127]);
        assert!(matches!(values, Values::Bytes(_)));
        values.insert(4, &[NONE, 0, 12, 128]);
        assert!(matches!(values, Values::Shorts(_)));
        assert_eq!(values.get(8), None);
    }
}
