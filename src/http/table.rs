//! The JSON of a table's definition.

use serde::Serialize;
use telemetra_core::{Column, ColumnKind, Shape, Table};
use utoipa::ToSchema;

/// A table.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Table)]
pub(super) struct TableBody {
    name: String,
    /// The kind of the table's rows.
    shape: ShapeBody,
    columns: Vec<ColumnBody>,
}

/// The kind of the rows of a table.
#[derive(Copy, Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Shape)]
enum ShapeBody {
    /// Each row is the summary of a key in a window.
    Windows,
    /// Each row is a moment of a key.
    Moments,
    /// The rows are of another kind.
    Rows,
}

/// A column of a table.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Column)]
struct ColumnBody {
    name: String,
    /// The type of the column's values.
    kind: Kind,
    /// Whether a value may be null.
    nullable: bool,
    /// Whether the column is part of the key of a row.
    is_key: bool,
}

/// The type of the values of a column. Decimals are strings, times are RFC 3339, and bytes are hexadecimal digits.
#[derive(Copy, Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ColumnKind)]
enum Kind {
    Bool,
    Integer,
    Float,
    Decimal,
    Text,
    Time,
    Json,
    Bytes,
    Integers,
    Floats,
    Texts,
    Other,
}

impl TableBody {
    pub(super) fn new(table: &Table) -> Self {
        let column = |(n, column): (usize, &Column)| ColumnBody {
            name: column.name.to_string(),
            kind: Kind::of(column.kind),
            nullable: column.nullable,
            is_key: n < table.keys().len(),
        };
        Self {
            name: table.name().to_owned(),
            shape: match table.row_shape() {
                Shape::Windows => ShapeBody::Windows,
                Shape::Moments => ShapeBody::Moments,
                _ => ShapeBody::Rows,
            },
            columns: table.all_columns().iter().enumerate().map(column).collect(),
        }
    }
}

impl Kind {
    fn of(kind: ColumnKind) -> Self {
        match kind {
            ColumnKind::Bool => Self::Bool,
            ColumnKind::Integer => Self::Integer,
            ColumnKind::Float => Self::Float,
            ColumnKind::Decimal => Self::Decimal,
            ColumnKind::Text => Self::Text,
            ColumnKind::Time => Self::Time,
            ColumnKind::Json => Self::Json,
            ColumnKind::Bytes => Self::Bytes,
            ColumnKind::Integers => Self::Integers,
            ColumnKind::Floats => Self::Floats,
            ColumnKind::Texts => Self::Texts,
            _ => Self::Other,
        }
    }
}
