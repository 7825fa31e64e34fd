//! The decoder of Avro.

#[cfg(feature = "schema-registry")]
use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;
#[cfg(feature = "schema-registry")]
use std::sync::{Arc, PoisonError, RwLock};

use serde::de::DeserializeOwned;
use serde_avro_fast::Schema;
use serde_avro_fast::de::read::SliceRead;
use serde_avro_fast::de::{DeserializerConfig, DeserializerState};
#[cfg(feature = "schema-registry")]
use telemetra_core::Preparation;
use telemetra_core::{Arena, ConfigError, DecodeError, Decoder, Event, Record, deserialize_with_path};

#[cfg(feature = "schema-registry")]
use super::confluent;
#[cfg(feature = "schema-registry")]
use crate::registry::SchemaRegistry;

/// A decoder of records that are Avro values, for events that implement `Deserialize`. A record is one event.
///
/// A value is read by the writer's schema, either [one schema](Self::with_schema) for all records or the schema that
/// each record names in a [registry](#method.from_registry). There is no reader's schema: the event type takes its
/// place. The event's fields are matched by name with those of the writer's schema. Fields that only the writer has
/// are ignored; fields that only the event has need `#[serde(default)]`.
///
/// | Avro | field of the event |
/// |---|---|
/// | union with null | `Option` |
/// | enum | `String`, or an enum of unit variants |
/// | `long` in milliseconds, `timestamp-millis` | [`EventTime`](telemetra_core::EventTime) |
/// | `timestamp-micros` | `EventTime` with `#[serde(deserialize_with = "EventTime::from_micros")]` |
///
/// A record is malformed if it does not fit the schema, has bytes after the value, or contains a list of more than
/// 2²⁰ items. The reason in its dead letter names the field and, with a registry, the schema's id. Values are
/// deserialised directly into the event, without an intermediate value.
///
/// ```
/// # use serde::Deserialize;
/// # use telemetra_core::{Arena, Decoder, Event, EventTime, Record};
/// # use telemetra_sinks::formats::Avro;
/// #[derive(Debug, PartialEq, Deserialize)]
/// struct Reading { device: String, time: EventTime }
/// # impl Event for Reading {
/// #     type Key = String;
/// #     fn time(&self) -> EventTime { self.time }
/// #     fn key(&self) -> &str { &self.device }
/// # }
/// let decoder = Avro::<Reading>::with_schema(r#"{
///     "type": "record", "name": "Reading",
///     "fields": [{"name": "device", "type": "string"}, {"name": "time", "type": "long"}]
/// }"#)?;
/// let (arena, mut readings) = (Arena::default(), Vec::new());
/// decoder.decode(Record::new(b"\x04d1\x0a"), &arena, &mut readings)?;
/// assert_eq!(readings, [Reading { device: "d1".into(), time: EventTime(5) }]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Avro<E> {
    schemas: Schemas,
    event: PhantomData<fn() -> E>,
}

/// The origin of the schema of a record.
enum Schemas {
    One(Box<Schema>, String),
    #[cfg(feature = "schema-registry")]
    Registry(SchemaRegistry, Parsed),
}

/// The schemas that were parsed, by their id, or why they could not be.
#[cfg(feature = "schema-registry")]
type Parsed = RwLock<HashMap<u32, Result<Arc<Schema>, DecodeError>>>;

/// The longest list that a record may have. It bounds lists whose items take no bytes; others are shorter than
/// their record.
const LONGEST: usize = 1 << 20;

impl<E> Avro<E> {
    /// Creates a decoder of records that were all written with one schema, and contain the value and nothing
    /// else.
    ///
    /// # Errors
    ///
    /// If `schema` is not an Avro schema in JSON, or names a type that it does not define.
    ///
    /// ```
    /// # use serde::Deserialize;
    /// # use telemetra_core::{Event, EventTime};
    /// # use telemetra_sinks::formats::Avro;
    /// # #[derive(Deserialize)]
    /// # struct Reading { device: String }
    /// # impl Event for Reading {
    /// #     type Key = String;
    /// #     fn time(&self) -> EventTime { EventTime(0) }
    /// #     fn key(&self) -> &str { &self.device }
    /// # }
    /// assert!(Avro::<Reading>::with_schema(r#"{"type": "record"}"#).is_err(), "it has no name and no fields");
    /// ```
    pub fn with_schema(schema: &str) -> Result<Self, ConfigError> {
        let parsed = schema.parse::<Schema>().map_err(|error| {
            ConfigError::new(
                "avro schema",
                error.to_string(),
                "give a schema as JSON, with all that it names",
            )
        })?;
        Ok(Self { schemas: Schemas::One(Box::new(parsed), schema.to_owned()), event: PhantomData })
    }
}

#[cfg(feature = "schema-registry")]
impl<E> Avro<E> {
    /// Creates a decoder of records in [Confluent's wire format](super): the id of the schema is before the value.
    /// Each schema, and the schemas that it refers to, are fetched from the registry once, and parsed at the first
    /// record with their id.
    ///
    /// In a pipeline, records wait for their schemas: see [`SchemaRegistry`]. If you call the decoder yourself, a
    /// record whose schema has not been fetched yet is an error, so
    /// [prepare](telemetra_core::Preparation::prepare) batches before decoding them. A record that is not in that
    /// format, or whose registered schema is not one of Avro, is malformed.
    ///
    /// ```
    /// # use serde::Deserialize;
    /// # use telemetra_core::{Arena, Decoder, Event, EventTime, Record};
    /// # use telemetra_sinks::{SchemaRegistry, formats::Avro};
    /// # #[derive(Deserialize)]
    /// # struct Reading { device: String }
    /// # impl Event for Reading {
    /// #     type Key = String;
    /// #     fn time(&self) -> EventTime { EventTime(0) }
    /// #     fn key(&self) -> &str { &self.device }
    /// # }
    /// let decoder = Avro::<Reading>::from_registry(SchemaRegistry::new("http://127.0.0.1:8081")?);
    /// let (arena, mut readings) = (Arena::default(), Vec::new());
    /// let error = decoder.decode(Record::new(b"\0\0\0\0\x07\x04d1"), &arena, &mut readings).unwrap_err();
    /// assert!(error.to_string().contains("schema 7"), "it has not been fetched");
    /// # Ok::<(), telemetra_core::ConfigError>(())
    /// ```
    #[must_use]
    pub fn from_registry(registry: SchemaRegistry) -> Self {
        Self { schemas: Schemas::Registry(registry, RwLock::default()), event: PhantomData }
    }
}

impl<E> fmt::Debug for Avro<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Avro<{}>", std::any::type_name::<E>())
    }
}

/// The schema with that id, parsed at its first record.
#[cfg(feature = "schema-registry")]
fn parsed(registry: &SchemaRegistry, parsed: &Parsed, id: u32) -> Result<Arc<Schema>, DecodeError> {
    if let Some(known) = parsed.read().unwrap_or_else(PoisonError::into_inner).get(&id) {
        return known.clone();
    }
    let registered = registry.schema(id)?;
    let result = if registered.kind == "AVRO" {
        Schema::from_schemata(&registered.text, &registered.references).map(Arc::new).map_err(|error| {
            DecodeError::because(format_args!("the registered schema is not one of Avro: {error}"))
        })
    } else {
        Err(DecodeError::because(format_args!(
            "the registered schema is of {}, not of Avro",
            registered.kind
        )))
    };
    parsed.write().unwrap_or_else(PoisonError::into_inner).insert(id, result.clone());
    result
}

/// Decodes a value by its schema.
fn value<E: DeserializeOwned>(bytes: &[u8], schema: &Schema) -> Result<E, DecodeError> {
    let mut config = DeserializerConfig::new(schema);
    config.max_seq_size = LONGEST;
    let mut state = DeserializerState::with_config(SliceRead::new(bytes), config);
    let value = deserialize_with_path(state.deserializer())?;
    // What the reader has not read.
    let mut rest = state.into_reader();
    if std::io::Read::read(&mut rest, &mut [0]).is_ok_and(|count| count > 0) {
        return Err(DecodeError::new("there are bytes behind the value"));
    }
    Ok(value)
}

impl<E: Event + DeserializeOwned + 'static> Decoder<E> for Avro<E> {
    fn decode<'a>(&self, record: Record<'a>, _: &'a Arena, events: &mut Vec<E>) -> Result<(), DecodeError> {
        events.push(match &self.schemas {
            Schemas::One(schema, _) => value(record.value, schema)?,
            #[cfg(feature = "schema-registry")]
            Schemas::Registry(registry, known) => {
                let (id, bytes) = confluent::split(record.value)?;
                parsed(registry, known, id)
                    .and_then(|schema| value(bytes, &schema))
                    .map_err(|error| confluent::by_schema(id, error))?
            }
        });
        Ok(())
    }

    fn identity(&self) -> String {
        match &self.schemas {
            Schemas::One(_, text) => text.clone(),
            // The ids of a registry are for ever, wherever it is.
            #[cfg(feature = "schema-registry")]
            Schemas::Registry(..) => "confluent".to_owned(),
        }
    }

    #[cfg(feature = "schema-registry")]
    fn preparation(&self) -> Option<Arc<dyn Preparation>> {
        match &self.schemas {
            Schemas::One(..) => None,
            Schemas::Registry(registry, _) => Some(Arc::new(registry.clone())),
        }
    }
}
