//! The columns of a table as they are in files: names, types, and the text of the schema.

use std::fmt::Write;

use serde::{Deserialize, Serialize};
use telemetra_core::{ColumnKind, Table};

/// The columns that a file has before those of the row, and the name of the partitions.
pub(super) const TIME: &str = "_time";
pub(super) const OP: &str = "_op";
pub(super) const REVISION: &str = "_revision";
pub(super) const DAY: &str = "day";

/// A table as it is in the log and in files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Shape {
    pub(super) name: String,
    pub(super) columns: Vec<ShapeColumn>,
}

/// A column in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ShapeColumn {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) nullable: bool,
    pub(super) key: bool,
}

/// The kind of a column in a file.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Bool,
    Integer,
    Float,
    Decimal,
    Text,
    Time,
    Bytes,
    Integers,
    Floats,
    Texts,
}

impl Kind {
    /// `None` for a kind that this version does not know.
    fn of(kind: ColumnKind) -> Option<Self> {
        Some(match kind {
            ColumnKind::Bool => Self::Bool,
            ColumnKind::Integer => Self::Integer,
            ColumnKind::Float => Self::Float,
            ColumnKind::Decimal => Self::Decimal,
            ColumnKind::Text | ColumnKind::Json => Self::Text,
            ColumnKind::Time => Self::Time,
            ColumnKind::Bytes => Self::Bytes,
            ColumnKind::Integers => Self::Integers,
            ColumnKind::Floats => Self::Floats,
            ColumnKind::Texts => Self::Texts,
            _ => return None,
        })
    }
}

impl ShapeColumn {
    /// Returns whether a value may be missing: a float that is not finite is null in any column.
    pub(super) fn is_optional(&self) -> bool {
        self.nullable || self.kind == Kind::Float
    }
}

impl Shape {
    /// The shape of a table, or the name of a column whose kind is not known.
    pub(super) fn of(table: &Table) -> Result<Self, String> {
        let keys = table.keys().len();
        let column = |(n, column): (usize, &telemetra_core::Column)| {
            let kind = Kind::of(column.kind).ok_or_else(|| column.name.to_string())?;
            let name = name_of(table, &column.name);
            Ok(ShapeColumn { name, kind, nullable: column.nullable, key: n < keys })
        };
        let columns = table.all_columns().iter().enumerate().map(column).collect::<Result<_, String>>()?;
        Ok(Self { name: table.name().to_owned(), columns })
    }

    /// The schema of files of changes, in the language of Parquet.
    pub(super) fn schema(&self) -> String {
        self.schema_after(&format!(
            " required int64 {TIME} (TIMESTAMP(MILLIS,true)); required binary {OP} (STRING); \
             required int64 {REVISION};"
        ))
    }

    /// The same of files of rows.
    pub(super) fn schema_of_rows(&self) -> String {
        self.schema_after("")
    }

    fn schema_after(&self, front: &str) -> String {
        let mut text = format!("message rows {{{front}");
        for column in &self.columns {
            let need = if column.is_optional() { "optional" } else { "required" };
            let name = &column.name;
            let list = |element: &str| {
                format!("{need} group {name} (LIST) {{ repeated group list {{ {element}; }} }}")
            };
            // Writing to a string does not fail.
            let _ = match column.kind {
                Kind::Bool => write!(text, " {need} boolean {name};"),
                Kind::Integer => write!(text, " {need} int64 {name};"),
                Kind::Float => write!(text, " {need} double {name};"),
                Kind::Decimal => write!(text, " {need} fixed_len_byte_array(16) {name} (DECIMAL(38,6));"),
                Kind::Text => write!(text, " {need} binary {name} (STRING);"),
                Kind::Time => write!(text, " {need} int64 {name} (TIMESTAMP(MILLIS,true));"),
                Kind::Bytes => write!(text, " {need} binary {name};"),
                Kind::Integers => write!(text, " {}", list("required int64 element")),
                Kind::Floats => write!(text, " {}", list("optional double element")),
                Kind::Texts => write!(text, " {}", list("required binary element (STRING)")),
            };
        }
        text.push_str(" }");
        text
    }
}

/// The name of a table's column in files: with underscores, if the name is taken.
fn name_of(table: &Table, name: &str) -> String {
    let mut own = name.to_owned();
    while [DAY, TIME, OP, REVISION].contains(&&*own) || (own != name && table.position(&own).is_some()) {
        own.push('_');
    }
    own
}

/// The query for the current rows of a table.
pub(super) fn current_rows(table: &Table, source: &str) -> String {
    let quoted = |name: &str| format!("\"{}\"", name_of(table, name));
    let list = |columns: &[telemetra_core::Column]| {
        columns.iter().map(|column| quoted(&column.name)).collect::<Vec<_>>().join(", ")
    };
    let (columns, keys) = (list(table.all_columns()), list(table.keys()));
    format!(
        "SELECT {columns} FROM (SELECT *, row_number() OVER (PARTITION BY {keys} ORDER BY \"{TIME}\" DESC) AS \
         \"_newest\" FROM {source}) AS changes WHERE \"_newest\" = 1 AND \"{OP}\" = 'upsert'"
    )
}
