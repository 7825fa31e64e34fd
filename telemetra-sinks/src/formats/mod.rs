//! Decoders of formats besides JSON, for event types that are made by serde or prost.
//!
//! | decoder | records | schemas | feature |
//! |---|---|---|---|
//! | `Csv` | rows, of files with a header row or with given columns | none | `csv` |
//! | `MsgPack` | MessagePack values | none | `msgpack` |
//! | `Avro` | Avro values | one that is given, or each record's from a registry | `avro`, `schema-registry` |
//! | `Protobuf` | Protobuf messages, also behind the id of a schema | none needed | `protobuf` |
//! | [`Confluent`] | values of any other decoder behind the id of a schema, as of JSON Schema | none needed | none |

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
