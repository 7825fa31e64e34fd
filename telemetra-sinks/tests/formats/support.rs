//! An event, and reading it.

use serde::{Deserialize, Serialize};
use telemetra_core::{
    Arena, DecodeError, Decoder, Event, EventTime, Partition, Polled, Record, RecordBatch, Source,
};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Reading {
    pub(crate) device: String,
    pub(crate) time: EventTime,
    pub(crate) celsius: Option<f64>,
    #[serde(default)]
    pub(crate) place: Place,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) site: u32,
}

impl Event for Reading {
    type Key = String;
    fn time(&self) -> EventTime {
        self.time
    }
    fn key(&self) -> &str {
        &self.device
    }
}

pub(crate) fn reading(device: &str, time: u64, celsius: Option<f64>, site: u32) -> Reading {
    Reading { device: device.to_owned(), time: EventTime(time), celsius, place: Place { site } }
}

/// The only event of a record.
pub(crate) fn decode<E: Event + 'static>(decoder: &dyn Decoder<E>, record: &[u8]) -> Result<E, DecodeError> {
    let (arena, mut events) = (Arena::default(), Vec::new());
    decoder.decode(Record::new(record), &arena, &mut events)?;
    assert_eq!(events.len(), 1);
    Ok(events.remove(0))
}

/// The error of a record that cannot be decoded.
pub(crate) fn error<E: Event + std::fmt::Debug + 'static>(decoder: &dyn Decoder<E>, record: &[u8]) -> String {
    decode(decoder, record).unwrap_err().to_string()
}

pub(crate) fn open(source: &mut dyn Source, from: Option<u64>) -> Box<dyn Partition> {
    let id = source.partitions().unwrap().remove(0);
    source.open(&id, from).unwrap()
}

/// A record: its bytes, its offset, and its length if it is too long.
pub(crate) type Read = (String, u64, Option<u64>);

/// Reads all records up to the end, and after each poll their number so far and the offset to go on from.
pub(crate) fn read(partition: &mut dyn Partition) -> (Vec<Read>, Vec<(usize, u64)>) {
    let (mut all, mut resumes) = (Vec::new(), Vec::new());
    let mut batch = RecordBatch::default();
    loop {
        batch.clear();
        let polled = partition.poll(&mut batch).unwrap();
        all.extend(batch.records().iter().map(|place| {
            let text = String::from_utf8_lossy(batch.bytes_of(place)).into_owned();
            (text, place.offset, place.oversize)
        }));
        resumes.push((all.len(), partition.offset()));
        match polled {
            Polled::Done => return (all, resumes),
            Polled::Ready => {}
            Polled::Idle(_) | Polled::Pending(_) => {
                panic!("a file that is read to its end waits for nothing")
            }
        }
    }
}

/// The events of a source's first partition, and what was wrong with the other records.
pub(crate) fn events<E: Event + 'static>(
    source: &mut dyn Source,
    decoder: &dyn Decoder<E>,
    from: Option<u64>,
) -> (Vec<E>, Vec<String>) {
    let mut partition = open(source, from);
    let (arena, mut batch) = (Arena::default(), RecordBatch::default());
    let (mut events, mut errors) = (Vec::new(), Vec::new());
    loop {
        batch.clear();
        let polled = partition.poll(&mut batch).unwrap();
        for place in batch.records() {
            if let Err(error) = decoder.decode(batch.record(place, ""), &arena, &mut events) {
                errors.push(error.to_string());
            }
        }
        if polled == Polled::Done {
            return (events, errors);
        }
    }
}
