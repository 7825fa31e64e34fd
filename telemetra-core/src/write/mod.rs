//! Writing: tables, rows and layouts, changes of rows, and the contract of sinks.

pub(crate) mod change;
pub(crate) mod layout;
pub(crate) mod row;
pub(crate) mod rows;
pub(crate) mod sink;
pub(crate) mod table;
