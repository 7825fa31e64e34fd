//! Writes rows of a table as one Parquet file, row group by row group, to anything that takes bytes.

use std::fmt;
use std::io::Write;
use std::sync::Arc;

use ::parquet::errors::ParquetError;
use ::parquet::file::writer::SerializedFileWriter;
use ::parquet::schema::parser::parse_message_type;
use bytes::Bytes;
use telemetra_core::{ExternalError, Table, Value};

use super::entry;
use super::file::{self, Buffer};
use super::shape::Shape;

/// A writer of a single Parquet file with rows of one table, for exports from a service of your own; it is not a
/// sink. The file has the columns of the table, with the types of the files of [`Parquet`](crate::Parquet),
/// without the columns about changes.
///
/// # Cost
///
/// Each call of [`group`](Self::group) writes one row group, and holds it in memory until it is written. The
/// groups of [`Parquet`](crate::Parquet) have up to 64 Ki rows.
///
/// ```
/// use telemetra_core::{Column, ColumnKind, Table, Value};
/// use telemetra_sinks::ParquetRows;
///
/// let table = Table::new("readings")
///     .key(Column::new("device", ColumnKind::Text))
///     .column(Column::nullable("mean", ColumnKind::Float));
/// let mut file = ParquetRows::new(Vec::new(), &table)?;
/// file.group(&[("d1", 20.5), ("d2", 21.0)], |(device, mean), put| {
///     put(Value::Text(device));
///     put(Value::Float(*mean));
/// })?;
/// let bytes = file.finish()?;
/// assert!(bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1"));
/// # Ok::<(), telemetra_core::ExternalError>(())
/// ```
pub struct ParquetRows<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    shape: Shape,
}

impl<W: Write + Send> ParquetRows<W> {
    /// Begins a file with the columns of `table`, and writes its first bytes to `out`.
    ///
    /// # Errors
    ///
    /// If a column is of a kind that files cannot hold, or the first bytes cannot be written.
    pub fn new(out: W, table: &Table) -> Result<Self, ExternalError> {
        let shape = Shape::of(table).map_err(|column| {
            ExternalError::permanent(format!(
                "the column `{column}` is of a kind that Parquet cannot hold here"
            ))
        })?;
        let schema = parse_message_type(&shape.schema_of_rows()).map_err(failed)?;
        let writer = SerializedFileWriter::new(out, Arc::new(schema), file::properties()).map_err(failed)?;
        Ok(Self { writer, shape })
    }

    /// Writes rows as one row group. For each row, `put` calls the function that it receives with the value of each
    /// column of the table, in order.
    ///
    /// # Errors
    ///
    /// If a value does not fit its column, or the bytes cannot be written.
    pub fn group<R>(
        &mut self,
        rows: &[R],
        put: impl Fn(&R, &mut dyn FnMut(Value<'_>)),
    ) -> Result<(), ExternalError> {
        let mut buffers: Vec<_> = self.shape.columns.iter().map(|column| Buffer::new(column.kind)).collect();
        for row in rows {
            let mut bytes = Vec::new();
            entry::write_values(&mut bytes, &self.shape, |value| put(row, value))
                .map_err(|why| ExternalError::permanent(format!("could not write a row: {why}")))?;
            let mut bytes = Bytes::from(bytes);
            for (buffer, column) in buffers.iter_mut().zip(&self.shape.columns) {
                buffer.take(&mut bytes, column.kind, column.is_optional()).map_err(failed)?;
            }
        }
        let mut group = self.writer.next_row_group().map_err(failed)?;
        buffers.iter().try_for_each(|buffer| buffer.write(&mut group)).map_err(failed)?;
        group.close().map(drop).map_err(failed)
    }

    /// Writes the file's footer, and returns the writer. Without it the file cannot be read.
    ///
    /// # Errors
    ///
    /// If the bytes cannot be written.
    pub fn finish(self) -> Result<W, ExternalError> {
        self.writer.into_inner().map_err(failed)
    }
}

impl<W: Write + Send> fmt::Debug for ParquetRows<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParquetRows").field("shape", &self.shape).finish_non_exhaustive()
    }
}

fn failed(error: ParquetError) -> ExternalError {
    ExternalError::permanent("could not write the Parquet file").because(error)
}
