//! The decoder of CSV.

use std::fmt;
use std::marker::PhantomData;

use ::csv::{ByteRecord, ReaderBuilder, StringRecord, Terminator};
use serde::de::DeserializeOwned;
use serde::de::value::{self, MapDeserializer};
use telemetra_core::{Arena, DecodeError, Decoder, Event, Record, deserialize_with_path};

use super::field::Field;
use crate::lines::Header;

/// A decoder of records that are rows of CSV (RFC 4180), for events that implement `Deserialize`. A record is
/// one event, or none if it is blank.
///
/// Columns are matched with the fields of the event by name. If the source is [`Lines::csv`](crate::Lines::csv) or
/// [`Folder::csv`](crate::Folder::csv), the names come from the header row of each file; for other sources, such as
/// Kafka, [`with_columns`](Self::with_columns) sets them. Columns that the event does not have are ignored. A row with
/// more or fewer fields than columns is malformed, as is a row that is not UTF-8. The reason in the dead letter names
/// the column.
///
/// An empty field is `None` where the event has an `Option`. Spaces around a field belong to it. An
/// [`EventTime`](telemetra_core::EventTime) is read from milliseconds or RFC 3339.
///
/// ```
/// # use serde::Deserialize;
/// # use telemetra_core::{Arena, Decoder, Event, EventTime, Record};
/// # use telemetra_sinks::formats::Csv;
/// #[derive(Debug, PartialEq, Deserialize)]
/// struct Reading { device: String, time: EventTime, celsius: Option<f64> }
/// # impl Event for Reading {
/// #     type Key = String;
/// #     fn time(&self) -> EventTime { self.time }
/// #     fn key(&self) -> &str { &self.device }
/// # }
/// let decoder = Csv::<Reading>::with_columns(["time", "device", "celsius"]);
/// let (arena, mut readings) = (Arena::default(), Vec::new());
/// decoder.decode(Record::new(b"2026-01-01T00:00:00Z,\"room 4, door\",20.5"), &arena, &mut readings)?;
/// assert_eq!((&*readings[0].device, readings[0].celsius), ("room 4, door", Some(20.5)));
///
/// let error = decoder.decode(Record::new(b"5,d1,warm"), &arena, &mut readings).unwrap_err();
/// assert!(error.to_string().starts_with("`celsius`: "));
/// # Ok::<(), telemetra_core::DecodeError>(())
/// ```
pub struct Csv<E> {
    columns: Option<StringRecord>,
    delimiter: u8,
    event: PhantomData<fn() -> E>,
}

impl<E> Csv<E> {
    /// Creates a decoder of files that each have a header row, for [`Lines::csv`](crate::Lines::csv) and
    /// [`Folder::csv`](crate::Folder::csv), which also set the delimiter. Records of another source are malformed.
    ///
    /// ```
    /// # use serde::Deserialize;
    /// # use telemetra_core::{Arena, Decoder, Event, EventTime, RecordBatch, Source};
    /// # use telemetra_sinks::{Lines, formats::Csv};
    /// # #[derive(Deserialize)]
    /// # struct Reading { device: String, time: EventTime }
    /// # impl Event for Reading {
    /// #     type Key = String;
    /// #     fn time(&self) -> EventTime { self.time }
    /// #     fn key(&self) -> &str { &self.device }
    /// # }
    /// let folder = tempfile::tempdir()?;
    /// let path = folder.path().join("readings.csv");
    /// std::fs::write(&path, "time;device\n5;d1\n")?;
    /// let mut source = Lines::file(&path).csv(b';');
    /// let id = source.partitions()?.remove(0);
    /// let (mut partition, mut batch) = (source.open(&id, None)?, RecordBatch::default());
    /// partition.poll(&mut batch)?;
    /// let (arena, mut readings) = (Arena::default(), Vec::new());
    /// Csv::<Reading>::new().decode(batch.record(&batch.records()[0], ""), &arena, &mut readings)?;
    /// assert_eq!((&*readings[0].device, readings[0].time), ("d1", EventTime(5)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn new() -> Self {
        Self { columns: None, delimiter: b',', event: PhantomData }
    }

    /// Creates a decoder of records without a header row, whose columns have these names, in order. The names are part
    /// of the pipeline's identity: a pipeline with other names does not start from a checkpoint of this one.
    #[must_use]
    pub fn with_columns(columns: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let columns = columns.into_iter().collect::<Vec<_>>();
        Self { columns: Some(StringRecord::from(columns)), ..Self::new() }
    }

    /// Sets the byte that separates fields, for a decoder [with columns](Self::with_columns). Default: a comma. It has
    /// no effect on files with a header row, whose source sets the delimiter.
    ///
    /// ```
    /// # use serde::Deserialize;
    /// # use telemetra_core::{Arena, Decoder, Event, EventTime, Record};
    /// # use telemetra_sinks::formats::Csv;
    /// # #[derive(Deserialize)]
    /// # struct Reading { device: String, time: EventTime }
    /// # impl Event for Reading {
    /// #     type Key = String;
    /// #     fn time(&self) -> EventTime { self.time }
    /// #     fn key(&self) -> &str { &self.device }
    /// # }
    /// let decoder = Csv::<Reading>::with_columns(["time", "device"]).delimiter(b'\t');
    /// let (arena, mut readings) = (Arena::default(), Vec::new());
    /// decoder.decode(Record::new(b"5\td1, left"), &arena, &mut readings)?;
    /// assert_eq!(readings[0].device, "d1, left");
    /// # Ok::<(), telemetra_core::DecodeError>(())
    /// ```
    #[must_use]
    pub const fn delimiter(mut self, delimiter: u8) -> Self {
        self.delimiter = delimiter;
        self
    }
}

impl<E> Default for Csv<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E> fmt::Debug for Csv<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Csv<{}>({:?})", std::any::type_name::<E>(), self.columns)
    }
}

/// Parses one row; `None` if it is blank.
pub(crate) fn row(record: &[u8], delimiter: u8) -> Result<Option<StringRecord>, DecodeError> {
    let text = record.strip_suffix(b"\n").unwrap_or(record);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .terminator(Terminator::Any(b'\n'))
        .buffer_capacity(text.len().max(1))
        .from_reader(text);
    let mut row = ByteRecord::new();
    let failed = |error: ::csv::Error| DecodeError::because(error);
    if !reader.read_byte_record(&mut row).map_err(failed)? {
        return Ok(None);
    }
    if reader.read_byte_record(&mut ByteRecord::new()).map_err(failed)? {
        return Err(DecodeError::new("the record has several rows"));
    }
    StringRecord::from_byte_record(row).map(Some).map_err(|_| DecodeError::new("it is no text in UTF-8"))
}

impl<E: Event + DeserializeOwned + 'static> Decoder<E> for Csv<E> {
    fn decode<'a>(&self, record: Record<'a>, _: &'a Arena, events: &mut Vec<E>) -> Result<(), DecodeError> {
        let attached = record.attached::<Header>().map(|(header, _)| header);
        let (columns, delimiter) = match (&self.columns, attached) {
            (Some(columns), _) => (columns, self.delimiter),
            (None, Some(header)) => (&header.columns, header.delimiter),
            (None, None) => {
                return Err(DecodeError::new(
                    "the columns are not known: read files by `Lines::csv`, or name them by `Csv::with_columns`",
                ));
            }
        };
        let Some(row) = row(record.value, delimiter)? else { return Ok(()) };
        if row.len() != columns.len() {
            return Err(DecodeError::because(format_args!(
                "the row has {} fields, and there are {} columns",
                row.len(),
                columns.len()
            )));
        }
        let fields = columns.iter().zip(row.iter().map(Field));
        events.push(deserialize_with_path(MapDeserializer::<_, value::Error>::new(fields))?);
        Ok(())
    }

    fn identity(&self) -> String {
        match &self.columns {
            Some(columns) => format!("{columns:?} by {}", self.delimiter),
            None => String::new(),
        }
    }
}
