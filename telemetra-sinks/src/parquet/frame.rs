//! The form of changes that are durable and in no file yet: the tables as JSON, and a frame for each batch.
//!
//! A frame has its length and its checksum before it, so that one that was cut off by a crash is known for it.

use bytes::{Buf, Bytes};
use telemetra_core::{Batch, EventTime, ExternalError, RowKey};

use super::entry::{self, Head};
use super::file::Logged;
use super::shape::Shape;

/// The bytes before a frame: its length and its checksum.
pub(super) const FRONT: usize = 12;

/// A change with its time.
pub(super) type Timed = (EventTime, Head, Bytes);

/// Appends the tables, which come before all batches.
pub(super) fn tables_onto(out: &mut Vec<u8>, shapes: &[Shape]) -> Result<(), serde_json::Error> {
    frame_onto(out, &serde_json::to_vec(shapes)?);
    Ok(())
}

/// Takes the tables. `None` if they are damaged.
#[cfg(feature = "object-store")]
pub(super) fn take_tables(bytes: &mut Bytes) -> Option<Vec<Shape>> {
    serde_json::from_slice(&next_frame(bytes)?).ok()
}

/// Appends a batch.
pub(super) fn batch_onto(out: &mut Vec<u8>, shapes: &[Shape], batch: &Batch) -> Result<(), ExternalError> {
    let start = out.len();
    out.extend([0; FRONT]);
    out.extend(batch.time.0.to_le_bytes());
    for change in &batch.changes {
        let table = change.table();
        let place = shapes.iter().position(|shape| shape.name == table);
        let index = place.and_then(|place| u32::try_from(place).ok().zip(shapes.get(place)));
        let written = match index {
            Some(index) => entry::write(out, index, change, batch.time),
            None => Err("the sink was not opened with its table".to_owned()),
        };
        written.map_err(|why| {
            out.truncate(start);
            let row = RowKey::of(&*change.row);
            ExternalError::permanent(format!("could not write the row {row} to Parquet: {why}"))
        })?;
    }
    let (front, frame) = out[start..].split_at_mut(FRONT);
    front.copy_from_slice(&front_of(frame));
    Ok(())
}

/// Sorts changes by table and day, each group in the order of its times.
pub(super) fn grouped(mut all: Vec<Timed>) -> Vec<((u32, u32), Vec<Logged>)> {
    // Stable, so the times stay in order.
    all.sort_by_key(|(_, head, _)| (head.table, head.day));
    let mut groups: Vec<((u32, u32), Vec<Logged>)> = Vec::new();
    for (time, head, values) in all {
        let place = (head.table, head.day);
        let logged = Logged { time, revision: head.revision, action: head.action, values };
        match groups.last_mut() {
            Some((last, group)) if *last == place => group.push(logged),
            _ => groups.push((place, vec![logged])),
        }
    }
    groups
}

fn front_of(frame: &[u8]) -> [u8; FRONT] {
    let mut front = [0; FRONT];
    front[..8].copy_from_slice(&(frame.len() as u64).to_le_bytes());
    front[8..].copy_from_slice(&crc32fast::hash(frame).to_le_bytes());
    front
}

fn frame_onto(out: &mut Vec<u8>, frame: &[u8]) {
    out.extend(front_of(frame));
    out.extend(frame);
}

/// Takes the next frame; `None` at the end, and where a frame is not whole.
pub(super) fn next_frame(bytes: &mut Bytes) -> Option<Bytes> {
    let mut front = bytes.get(..FRONT)?;
    let (length, sum) = (usize::try_from(front.get_u64_le()).ok()?, front.get_u32_le());
    let frame = bytes.get(FRONT..)?.get(..length)?;
    if crc32fast::hash(frame) != sum {
        return None;
    }
    bytes.advance(FRONT);
    Some(bytes.split_to(length))
}

/// The time of a frame, and its changes with their values. `None` if it is none of ours.
pub(super) fn index(mut frame: Bytes) -> Option<(EventTime, Vec<(Head, Bytes)>)> {
    if frame.remaining() < 8 {
        return None;
    }
    let (time, mut changes) = (EventTime(frame.get_u64_le()), Vec::new());
    while frame.has_remaining() {
        let head = Head::read(&mut frame)?;
        let length = head.length as usize;
        if frame.remaining() < length {
            return None;
        }
        changes.push((head, frame.split_to(length)));
    }
    Some((time, changes))
}
