//! Decoders of CSV, MessagePack, Avro and Protobuf, for event types that derive serde's `Deserialize` or prost's
//! `Message`. JSON is decoded by [`SerdeJson`](telemetra_core::SerdeJson).
//!
//! A decoder is given to a pipeline together with a source, and turns each record of the source into events: see
//! [`Decoder`](telemetra_core::Decoder). A record that cannot be decoded is *malformed*: it is counted and becomes a
//! dead letter, with the decoder's error as its reason, and the pipeline goes on.
//!
//! | decoder | records | schemas | feature |
//! |---|---|---|---|
//! | `Csv` | rows, of files with a header row or with given columns | none | `csv` |
//! | `MsgPack` | MessagePack values | none | `msgpack` |
//! | `Avro` | Avro values | one schema for all records, or the schema of each record from a registry | `avro`, `schema-registry` |
//! | `Protobuf` | Protobuf messages, also in Confluent's wire format | none needed | `protobuf` |
//! | [`Confluent`] | values of any other decoder in Confluent's wire format, for example JSON with a JSON Schema | none needed | none |
//!
//! *Confluent's wire format* is what Confluent's serialisers write to Kafka: a byte 0, the id of a schema in four
//! bytes, and the value.

#[cfg(feature = "avro")]
mod avro;
mod confluent;
#[cfg(feature = "csv")]
mod csv;
#[cfg(feature = "csv")]
mod field;
#[cfg(feature = "msgpack")]
mod msgpack;
#[cfg(feature = "protobuf")]
mod protobuf;

#[cfg(feature = "csv")]
pub use self::csv::Csv;
#[cfg(feature = "csv")]
pub(crate) use self::csv::row as csv_row;
#[cfg(feature = "avro")]
pub use avro::Avro;
pub use confluent::Confluent;
#[cfg(feature = "msgpack")]
pub use msgpack::MsgPack;
#[cfg(feature = "protobuf")]
pub use protobuf::Protobuf;
