//! Writes changes from the log as a Parquet file.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use ::parquet::basic::Compression;
use ::parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DataType, DoubleType, FixedLenByteArray, FixedLenByteArrayType,
    Int64Type,
};
use ::parquet::errors::ParquetError;
use ::parquet::file::properties::WriterProperties;
use ::parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use ::parquet::schema::parser::parse_message_type;
use bytes::{Buf, Bytes};
use telemetra_core::{Action, EventTime};

use super::shape::{Kind, Shape};

/// The number of rows at which a row group ends.
const GROUP_ROWS: usize = 65_536;
/// The number of bytes of values at which a row group ends.
const GROUP_BYTES: usize = 16 * 1024 * 1024;

/// A change as it is in the log.
#[derive(Clone, Debug)]
pub(super) struct Logged {
    pub(super) time: EventTime,
    pub(super) revision: u32,
    pub(super) action: Action,
    pub(super) values: Bytes,
}

/// The values of a column for one row group, and its levels.
pub(super) struct Buffer {
    values: Values,
    /// Parquet's definition level of each place, which says whether there is a value; empty if there always is.
    defined: Vec<i16>,
    /// Parquet's repetition level of each place, 1 if it continues a list; empty if there are no lists.
    repeated: Vec<i16>,
}

enum Values {
    Bool(Vec<bool>),
    Integer(Vec<i64>),
    Float(Vec<f64>),
    Bytes(Vec<ByteArray>),
    Fixed(Vec<FixedLenByteArray>),
}

/// Writes a file with these changes and syncs it.
pub(super) fn write(
    path: &Path,
    shape: &Shape,
    changes: &mut dyn Iterator<Item = Logged>,
) -> Result<(), ParquetError> {
    let mut file = write_to(File::create(path)?, shape, changes)?;
    file.flush()?;
    file.sync_all()?;
    Ok(())
}

/// Writes what a file with these changes holds. Equal changes give equal bytes.
pub(super) fn write_to<W: Write + Send>(
    target: W,
    shape: &Shape,
    changes: &mut dyn Iterator<Item = Logged>,
) -> Result<W, ParquetError> {
    let schema = Arc::new(parse_message_type(&shape.schema())?);
    let mut writer = SerializedFileWriter::new(target, schema, properties())?;
    let mut changes = changes.peekable();
    while changes.peek().is_some() {
        let mut front = [Kind::Time, Kind::Text, Kind::Integer].map(Buffer::new);
        let mut buffers: Vec<Buffer> = shape.columns.iter().map(|column| Buffer::new(column.kind)).collect();
        let (mut rows, mut bytes) = (0, 0);
        while rows < GROUP_ROWS && bytes < GROUP_BYTES {
            let Some(Logged { time, revision, action, mut values }) = changes.next() else { break };
            (rows, bytes) = (rows + 1, bytes + values.len());
            let op = if action == Action::Upsert { "upsert" } else { "withdraw" };
            front[0].integer(i64::try_from(time.0).unwrap_or(i64::MAX));
            front[1].bytes(Bytes::from_static(op.as_bytes()));
            front[2].integer(revision.into());
            for (buffer, column) in buffers.iter_mut().zip(&shape.columns) {
                buffer.take(&mut values, column.kind, column.is_optional())?;
            }
        }
        let mut group = writer.next_row_group()?;
        for buffer in front.iter().chain(&buffers) {
            buffer.write(&mut group)?;
        }
        group.close()?;
    }
    writer.into_inner()
}

/// The properties of all files.
pub(super) fn properties() -> Arc<WriterProperties> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_created_by(concat!("telemetra ", env!("CARGO_PKG_VERSION")).to_owned());
    Arc::new(properties.build())
}

fn short() -> ParquetError {
    ParquetError::General("the log ends within a row".to_owned())
}

/// Takes the next bytes of a row.
fn take(row: &mut Bytes, count: usize) -> Result<Bytes, ParquetError> {
    if row.remaining() < count { Err(short()) } else { Ok(row.split_to(count)) }
}

/// Takes a text or bytes, which have their length before them.
fn take_sized(row: &mut Bytes) -> Result<Bytes, ParquetError> {
    let length = take(row, 4)?.get_u32_le() as usize;
    take(row, length)
}

impl Buffer {
    pub(super) fn new(kind: Kind) -> Self {
        let values = match kind {
            Kind::Bool => Values::Bool(Vec::new()),
            Kind::Integer | Kind::Time | Kind::Integers => Values::Integer(Vec::new()),
            Kind::Float | Kind::Floats => Values::Float(Vec::new()),
            Kind::Text | Kind::Bytes | Kind::Texts => Values::Bytes(Vec::new()),
            Kind::Decimal => Values::Fixed(Vec::new()),
        };
        Self { values, defined: Vec::new(), repeated: Vec::new() }
    }

    fn integer(&mut self, n: i64) {
        if let Values::Integer(values) = &mut self.values {
            values.push(n);
        }
    }

    fn bytes(&mut self, bytes: Bytes) {
        if let Values::Bytes(values) = &mut self.values {
            values.push(ByteArray::from(bytes));
        }
    }

    /// Takes the next value of a row.
    pub(super) fn take(&mut self, row: &mut Bytes, kind: Kind, optional: bool) -> Result<(), ParquetError> {
        let is_there = take(row, 1)?[0] != 0;
        if matches!(kind, Kind::Integers | Kind::Floats | Kind::Texts) {
            return self.take_list(row, kind, i16::from(optional), is_there);
        }
        if optional {
            self.defined.push(is_there.into());
        }
        if is_there { self.take_one(row) } else { Ok(()) }
    }

    /// Takes a list. `base` is the level of a list that is there and empty.
    fn take_list(
        &mut self,
        row: &mut Bytes,
        kind: Kind,
        base: i16,
        is_there: bool,
    ) -> Result<(), ParquetError> {
        let count = if is_there { take(row, 4)?.get_u32_le() } else { 0 };
        if count == 0 {
            self.defined.push(if is_there { base } else { 0 });
            self.repeated.push(0);
        }
        for n in 0..count {
            self.repeated.push(i16::from(n > 0));
            if kind == Kind::Floats {
                let x = take(row, 8)?.get_f64_le();
                // One that is not finite is null.
                self.defined.push(base + 1 + i16::from(x.is_finite()));
                if let (Values::Float(values), true) = (&mut self.values, x.is_finite()) {
                    values.push(x);
                }
            } else {
                self.defined.push(base + 1);
                self.take_one(row)?;
            }
        }
        Ok(())
    }

    fn take_one(&mut self, row: &mut Bytes) -> Result<(), ParquetError> {
        match &mut self.values {
            Values::Bool(values) => values.push(take(row, 1)?[0] != 0),
            Values::Integer(values) => values.push(take(row, 8)?.get_i64_le()),
            Values::Float(values) => values.push(take(row, 8)?.get_f64_le()),
            Values::Bytes(values) => values.push(ByteArray::from(take_sized(row)?)),
            Values::Fixed(values) => values.push(ByteArray::from(take(row, 16)?).into()),
        }
        Ok(())
    }

    /// Writes the column as the next one of a row group.
    pub(super) fn write<W: Write + Send>(
        &self,
        group: &mut SerializedRowGroupWriter<'_, W>,
    ) -> Result<(), ParquetError> {
        match &self.values {
            Values::Bool(values) => self.write_as::<BoolType, W>(values, group),
            Values::Integer(values) => self.write_as::<Int64Type, W>(values, group),
            Values::Float(values) => self.write_as::<DoubleType, W>(values, group),
            Values::Bytes(values) => self.write_as::<ByteArrayType, W>(values, group),
            Values::Fixed(values) => self.write_as::<FixedLenByteArrayType, W>(values, group),
        }
    }

    fn write_as<T: DataType, W: Write + Send>(
        &self,
        values: &[T::T],
        group: &mut SerializedRowGroupWriter<'_, W>,
    ) -> Result<(), ParquetError> {
        let column = group.next_column()?;
        let mut column =
            column.ok_or_else(|| ParquetError::General("the schema has fewer columns".to_owned()))?;
        let defined = (!self.defined.is_empty()).then_some(&*self.defined);
        let repeated = (!self.repeated.is_empty()).then_some(&*self.repeated);
        column.typed::<T>().write_batch(values, defined, repeated)?;
        column.close()
    }
}
