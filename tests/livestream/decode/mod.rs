//! Decoding as a user sees it: records in, events or a clear error out.

mod bad_records;
mod bincode;
mod differential;
mod fuzz;
mod good_records;
mod kinds;
mod mutate;
mod oracle;
mod records;
mod round_trip;

use telemetra::core::{Arena, DecodeError, Decoder, Record};
use telemetra::livestream::{Event, LiveEvents};

/// What one record decodes to.
fn decode<'a>(
    decoder: &dyn Decoder<LiveEvents>,
    record: &'a [u8],
    arena: &'a Arena,
) -> Result<Vec<Event<'a>>, DecodeError> {
    let mut events = Vec::new();
    decoder.decode(Record::new(record), arena, &mut events)?;
    Ok(events)
}

/// The error of a record that must not decode.
fn error(decoder: &dyn Decoder<LiveEvents>, record: &[u8]) -> String {
    match decode(decoder, record, &Arena::default()) {
        Err(error) => error.to_string(),
        Ok(events) => panic!("`{}` decodes to {events:?}", record.escape_ascii()),
    }
}
