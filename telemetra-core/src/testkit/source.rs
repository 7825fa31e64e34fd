//! The compliance suite of sources.

use std::time::Duration;

use crate::error::Retry;
use crate::read::batch::{RecordBatch, RecordPlace};
use crate::read::source::{Partition, PartitionId, Polled, Source};

/// The number of polls in a row without a record after which a partition is considered endless.
const PATIENCE: u32 = 10_000;
/// The longest pause between two polls.
const LONGEST_PAUSE: Duration = Duration::from_millis(2);
/// The approximate number of resumes that are tried on each partition.
const RESUMES: usize = 12;

/// Checks that sources keep the contracts of [`Source`] and [`Partition`]. All sources that `make` makes must
/// be equal, finite, replayable, and unchanging.
///
/// * Every source lists the same partitions in the same order, each once, in every call.
/// * Offsets grow, and [`offset`](Partition::offset) is greater than that of the last record and at most that
///   of the next.
/// * A poll appends: it does not change the records in the batch, and stops when the batch is full, or one
///   record later.
/// * After [`Polled::Done`] a partition has no more records.
/// * A partition that is opened at an offset gives exactly the records from there on. The suite tries offsets
///   of records, offsets between polls, and the end.
///
/// After a transient error the partition is polled again. A source that cannot replay, such as
/// [`Channel`](crate::source::Channel), cannot pass.
///
/// ```
/// use telemetra_core::source::Memory;
/// use telemetra_core::testkit::source_compliance;
/// let memory = Memory::default().partition("letters", ["a", "b", "c"]).partition("nothing", [""; 0]);
/// source_compliance(|| Box::new(memory.clone()));
/// ```
///
/// # Panics
///
/// If a contract is broken. The message names the clause and the place.
pub fn source_compliance(make: impl Fn() -> Box<dyn Source>) {
    let mut source = make();
    let ids = partitions(&mut *source);
    assert_eq!(ids, partitions(&mut *source), "same list everywhere: the second call gives another list");
    assert_eq!(ids, partitions(&mut *make()), "same list everywhere: another source gives another list");
    for (index, id) in ids.iter().enumerate() {
        assert!(!ids[..index].contains(id), "same list everywhere: `{id}` is listed twice");
        partition_compliance(&make, id);
    }
}

fn partitions(source: &mut dyn Source) -> Vec<PartitionId> {
    source.partitions().unwrap_or_else(|error| panic!("cannot list the partitions: {error}"))
}

fn partition_compliance(make: &impl Fn() -> Box<dyn Source>, id: &PartitionId) {
    let whole = read(make, id, Start::Beginning);
    let again = read(make, id, Start::Beginning);
    same(id, "replayable: a second reading", &whole.records, &again.records);

    let at = |index: usize| whole.records.get(index).map_or(whole.end, |(offset, ..)| *offset);
    for index in
        (0..whole.records.len()).step_by(whole.records.len() / RESUMES + 1).chain([whole.records.len()])
    {
        let rest = read(make, id, Start::At(at(index)));
        let what = format!("replayable: reading from offset {}, that of record {index}", at(index));
        same(id, &what, &whole.records[index..], &rest.records);
    }
    for (offset, read_before, identity) in whole.pauses.iter().step_by(whole.pauses.len() / RESUMES + 1) {
        let rest = read(make, id, Start::Resume(*offset, *identity));
        let what =
            format!("resume is exact: reading from {offset}, what `offset` said after {read_before} records");
        same(id, &what, &whole.records[*read_before..], &rest.records);
    }
}

/// The parts of a record that are compared: offset, bytes, and the full length if it is too long.
type Copied = (u64, Vec<u8>, Option<u64>);

/// The result of reading a partition to its end.
#[derive(Default)]
struct Reading {
    records: Vec<Copied>,
    /// The offset, the number of records, and the identity for checkpoints after each poll.
    pauses: Vec<(u64, usize, Option<u64>)>,
    end: u64,
}

/// The position at which a partition is opened.
#[derive(Copy, Clone, Debug)]
enum Start {
    Beginning,
    At(u64),
    Resume(u64, Option<u64>),
}

fn read(make: &impl Fn() -> Box<dyn Source>, id: &PartitionId, start: Start) -> Reading {
    let opened = match start {
        Start::Beginning => make().open(id, None),
        Start::At(from) => make().open(id, Some(from)),
        Start::Resume(from, identity) => make().resume(id, from, identity),
    };
    let mut partition =
        opened.unwrap_or_else(|error| panic!("`{id}`: cannot be opened at {start:?}: {error}"));
    if let Start::Resume(from, identity) = start {
        let again = partition.identity(from);
        assert_eq!(again, identity, "`{id}`: the identity at offset {from} is another one after a restart");
    }
    let mut reading = Reading::default();
    let mut batch = RecordBatch::default();
    let mut fruitless = 0;
    loop {
        let before = partition.offset();
        batch.clear();
        // A record that must stay in the batch.
        batch.push(b"kept", u64::MAX);
        let polled = poll(&mut *partition, &mut batch, id);
        let (kept, new) =
            batch.records().split_first().unwrap_or_else(|| panic!("`{id}`: a poll emptied the batch"));
        assert_eq!(batch.bytes_of(kept), b"kept", "`{id}`: a poll changed what was in the batch");
        check(id, &reading, before, partition.offset(), &batch, new);
        let copied = new.iter().map(|r| (r.offset, batch.bytes_of(r).to_vec(), r.oversize));
        reading.records.extend(copied);
        let offset = partition.offset();
        reading.pauses.push((offset, reading.records.len(), partition.identity(offset)));
        fruitless = if new.is_empty() { fruitless + 1 } else { 0 };
        assert!(
            fruitless < PATIENCE,
            "`{id}`: nothing in {PATIENCE} polls, and no end; is the source finite?"
        );
        match polled {
            Some(Polled::Done) => break,
            // The source may need time. A script may also ask for hours.
            Some(Polled::Idle(pause) | Polled::Pending(pause)) => {
                std::thread::sleep(pause.min(LONGEST_PAUSE))
            }
            Some(Polled::Ready) | None => {}
        }
    }
    reading.end = partition.offset();
    batch.clear();
    assert_eq!(
        poll(&mut *partition, &mut batch, id),
        Some(Polled::Done),
        "`{id}`: the end is final: went on after `Done`"
    );
    assert!(batch.is_empty(), "`{id}`: the end is final: gave a record after `Done`");
    assert_eq!(partition.offset(), reading.end, "`{id}`: the offset moved after `Done`");
    reading
}

/// Polls a partition; `None` after a transient error.
fn poll(partition: &mut dyn Partition, batch: &mut RecordBatch, id: &PartitionId) -> Option<Polled> {
    match partition.poll(batch) {
        Ok(polled) => Some(polled),
        Err(error) if error.retry() == Retry::Transient => None,
        Err(error) => panic!("`{id}`: cannot be read at offset {}: {error}", partition.offset()),
    }
}

fn check(
    id: &PartitionId,
    reading: &Reading,
    before: u64,
    after: u64,
    batch: &RecordBatch,
    new: &[RecordPlace],
) {
    let mut last = reading.records.last().map(|(offset, ..)| *offset);
    for record in new {
        let offset = record.offset;
        assert!(last.is_none_or(|last| last < offset), "`{id}`: offsets grow: {offset} follows {last:?}");
        assert!(
            (before..after).contains(&offset),
            "`{id}`: resume is exact: `offset` was {before} before and {after} after a poll \
             that gave {offset}"
        );
        last = Some(offset);
    }
    if let [most @ .., _] = new {
        let bytes: usize = most.iter().map(|record| batch.bytes_of(record).len()).sum();
        assert!(
            bytes <= RecordBatch::TARGET_BYTES,
            "`{id}`: never blocks: a poll went on for a record or more after {bytes} bytes, \
             when the batch was full"
        );
    }
}

fn same(id: &PartitionId, what: &str, expected: &[Copied], given: &[Copied]) {
    assert_eq!(given.len(), expected.len(), "`{id}`: {what}: another number of records");
    for (expected, given) in expected.iter().zip(given) {
        assert!(
            expected == given,
            "`{id}`: {what}: at offset {} came `{}` in place of `{}` at {}",
            given.0,
            given.1.escape_ascii(),
            expected.1.escape_ascii(),
            expected.0
        );
    }
}
