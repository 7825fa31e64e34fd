//! Decoding as a user sees it: records in, events or a clear error out.
#![allow(clippy::unwrap_used)]

mod bad_records;
mod bincode;
mod differential;
mod fuzz;
mod good_records;
mod mutate;
mod oracle;
mod records;
mod round_trip;
mod timestamps;

use telemetra_core::{Arena, DecodeError, Decoder, Event};

/// What one record decodes to.
fn decode<'a>(
    decoder: &dyn Decoder,
    record: &'a [u8],
    arena: &'a Arena,
) -> Result<Vec<Event<'a>>, DecodeError> {
    let mut events = Vec::new();
    decoder.decode(record, arena, &mut events)?;
    Ok(events)
}

/// The error of a record that must not decode.
fn error(decoder: &dyn Decoder, record: &[u8]) -> String {
    match decode(decoder, record, &Arena::default()) {
        Err(error) => error.to_string(),
        Ok(events) => panic!("`{}` decodes to {events:?}", record.escape_ascii()),
    }
}
