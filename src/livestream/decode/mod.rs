//! Decoders from records to events, and encoders back.

mod bincode;
mod json;
mod scored;
mod valid;

pub use bincode::{BincodeDecoder, encode_bincode};
pub(super) use json::integer;
pub use json::{JsonDecoder, encode_json, encode_json_with_topic};
pub use scored::{Scored, WithSentiment};
