//! The INSERT statement for the table of dead letters, and the encoding of its parameters.

use telemetra_core::{ColumnKind, DeadLetter, Value};

use super::array::Array;

/// The statement that inserts dead letters, and leaves existing ones as they are.
pub(super) const INSERT: &str = "
    INSERT INTO telemetra_dead_letters (partition, \"offset\", idx, fate, reason, bytes, time, traceparent)
    SELECT unnest($1::text[]), unnest($2::int8[]), unnest($3::int8[]),
           unnest($4::text[]), unnest($5::text[]), unnest($6::bytea[]),
           unnest($7::timestamptz[]), unnest($8::text[])
    ON CONFLICT DO NOTHING";

/// Encodes dead letters as one array for each column.
pub(super) fn encode(letters: &[DeadLetter]) -> [Array; 8] {
    use ColumnKind::{Bytes, Integer, Text, Time};
    let column = |kind, value: for<'a> fn(&'a DeadLetter) -> Value<'a>| {
        let mut array = Array::new(kind);
        for letter in letters {
            // The kinds are in the same order as the values below.
            let _ = array.push(value(letter));
        }
        array
    };
    let mut traces = Array::new(Text);
    for letter in letters {
        let text = letter.traceparent.map(|parent| parent.to_string());
        let _ = traces.push(text.as_deref().map_or(Value::Null, Value::Text));
    }
    [
        column(Text, |letter| Value::Text(letter.partition.as_str())),
        column(Integer, |letter| Value::Unsigned(letter.offset)),
        column(Integer, |letter| Value::Unsigned(letter.index.into())),
        column(Text, |letter| Value::Text(letter.fate.as_str())),
        column(Text, |letter| Value::Text(&letter.reason)),
        column(Bytes, |letter| Value::Bytes(&letter.bytes)),
        column(Time, |letter| letter.time.map_or(Value::Null, Value::Time)),
        traces,
    ]
}
