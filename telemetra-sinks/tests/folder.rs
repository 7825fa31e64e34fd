//! The files of a folder: they come, grow, are renamed, cut off and deleted.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use telemetra_core::{Partition, PartitionId, Polled, RecordBatch, Retry, Source};
use telemetra_sinks::Folder;

fn folder(path: &Path) -> Folder {
    Folder::new(path).follow(Duration::from_millis(1)).find_files_every(Duration::from_millis(1))
}

/// The partitions of files: the first one stands for the folder.
fn files(source: &mut Folder) -> Vec<PartitionId> {
    source.partitions().unwrap().split_off(1)
}

fn append(path: &Path, text: &str) {
    OpenOptions::new().create(true).append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

/// Reads what there is now: the lines and their offsets, and whether the partition has ended.
fn read(partition: &mut dyn Partition) -> (Vec<String>, Vec<u64>, bool) {
    let (mut lines, mut offsets) = (Vec::new(), Vec::new());
    let mut batch = RecordBatch::default();
    loop {
        batch.clear();
        let polled = partition.poll(&mut batch).unwrap();
        for place in batch.records() {
            lines.push(String::from_utf8(batch.bytes_of(place).to_vec()).unwrap());
            offsets.push(place.offset);
        }
        match polled {
            Polled::Ready => {}
            Polled::Idle(_) => return (lines, offsets, false),
            Polled::Done => return (lines, offsets, true),
            Polled::Pending(_) => panic!("a file is not fetched"),
        }
    }
}

fn lines(partition: &mut dyn Partition) -> Vec<String> {
    read(partition).0
}

/// The offset and identity that a checkpoint keeps of a partition.
fn checkpoint(partition: &mut dyn Partition) -> (u64, Option<u64>) {
    let offset = partition.offset();
    (offset, partition.identity(offset))
}

#[test]
fn new_files_are_found_and_those_that_grow_are_read_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut source = folder(dir.path()).files(|name| name.ends_with(".log"));
    assert_eq!(files(&mut source), []);
    append(&dir.path().join("a.log"), "a1\na2\nunfin");
    append(&dir.path().join("a.txt"), "not wanted\n");
    fs::create_dir(dir.path().join("b.log")).unwrap();
    let [a] = &files(&mut source)[..] else { panic!("there is one file") };
    let mut a = source.open_new(a).unwrap();
    assert_eq!(lines(&mut *a), ["a1", "a2"]);
    append(&dir.path().join("c.log"), "c1\n");
    append(&dir.path().join("a.log"), "ished\n");
    assert_eq!(files(&mut source).len(), 2);
    assert_eq!(lines(&mut *a), ["unfinished"]);
    assert_eq!(source.refresh_every(), Some(Duration::from_millis(1)));
}

#[test]
fn the_folder_itself_is_a_partition_without_an_end() {
    let dir = tempfile::tempdir().unwrap();
    let mut source = folder(dir.path());
    let own = source.partitions().unwrap().remove(0);
    let mut partition = source.open(&own, None).unwrap();
    let polled = partition.poll(&mut RecordBatch::default()).unwrap();
    assert_eq!((polled, partition.offset()), (Polled::Idle(Duration::from_millis(1)), 0));
    assert!(!source.open(&own, Some(0)).unwrap().topic().contains('#'));
}

#[cfg(unix)]
#[test]
fn a_file_that_is_renamed_goes_on_and_the_new_one_of_its_name_is_another() {
    let dir = tempfile::tempdir().unwrap();
    let [log, old] = ["app.log", "app.log.1"].map(|name| dir.path().join(name));
    let mut source = folder(dir.path());
    append(&log, "1\n2\n");
    let first = files(&mut source).remove(0);
    let mut partition = source.open(&first, None).unwrap();
    assert_eq!(lines(&mut *partition), ["1", "2"]);
    // Its writer has not noticed.
    fs::rename(&log, &old).unwrap();
    append(&old, "3\n");
    append(&log, "4\n");
    assert_eq!(lines(&mut *partition), ["3"]);
    let (offset, identity) = checkpoint(&mut *partition);
    append(&old, "3a\n");

    // Over a restart too: the pipeline knows the first one, and the second is new.
    let mut source = folder(dir.path());
    let mut found = files(&mut source);
    found.retain(|id| *id != first);
    let [second] = &found[..] else { panic!("there are two files, one of them known") };
    assert_eq!(lines(&mut *source.resume(&first, offset, identity).unwrap()), ["3a"]);
    assert_eq!(lines(&mut *source.open_new(second).unwrap()), ["4"]);
}

#[test]
fn a_file_that_is_cut_off_is_read_from_its_beginning_at_greater_offsets() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("app.log");
    let mut source = folder(dir.path());
    append(&log, "1\n2\nhalf");
    let id = files(&mut source).remove(0);
    let mut partition = source.open(&id, None).unwrap();
    let (_, before, _) = read(&mut *partition);
    File::create(&log).unwrap();
    append(&log, "3\n");
    let (found, after, _) = read(&mut *partition);
    assert_eq!(found, ["3"]);
    assert!(after[0] > before[1] && partition.offset() > after[0], "{before:?}, then {after:?}");
    // By the time of the next look there is as much as there was, and more.
    for content in ["xx\n", "yyyy\n", "3\n"] {
        File::create(&log).unwrap();
        append(&log, content);
        assert_eq!(lines(&mut *partition), [content.trim_end()]);
    }
    let (offset, identity) = checkpoint(&mut *partition);
    append(&log, "4\n");
    assert_eq!(lines(&mut *source.resume(&id, offset, identity).unwrap()), ["4"]);

    // It is cut off while nothing runs, and is shorter; then it is as long, and has other lines.
    for content in ["5\n", "5\n6\n7\n"] {
        File::create(&log).unwrap();
        append(&log, content);
        let mut resumed = source.resume(&id, offset, identity).unwrap();
        let (found, offsets, _) = read(&mut *resumed);
        assert_eq!(found, content.lines().collect::<Vec<_>>());
        assert!(offsets[0] > offset);
    }
}

#[cfg(unix)]
#[test]
fn a_file_that_is_deleted_is_read_to_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("app.log");
    let mut source = folder(dir.path());
    append(&log, "1\n");
    let id = files(&mut source).remove(0);
    let mut partition = source.open(&id, None).unwrap();
    assert_eq!(lines(&mut *partition), ["1"]);
    append(&log, "2\nlast");
    fs::remove_file(&log).unwrap();
    let (found, _, ended) = read(&mut *partition);
    assert_eq!((found, ended), (vec!["2".to_owned(), "last".to_owned()], true));
    // The next file of that name is another, though the system may give it the same number.
    append(&log, "3\n");
    assert!(!files(&mut source).contains(&id));

    let Err(error) = source.open_new(&id) else { panic!("it is gone") };
    assert_eq!(error.retry(), Retry::Transient);
    // What a checkpoint has of it stays.
    assert!(source.may_be_gone(&id, 2));
    assert!(!source.may_be_gone(&PartitionId::new("/another/folder#1-2"), 2));
}

#[test]
fn a_folder_that_is_not_there_yet_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let mut source = folder(&dir.path().join("later"));
    let error = source.partitions().unwrap_err();
    assert_eq!(error.retry(), Retry::Transient);
    assert!(error.to_string().contains("later"), "{error}");
    let mut source = folder(&dir.path().join("file"));
    append(&dir.path().join("file"), "");
    assert_eq!(source.partitions().unwrap_err().retry(), Retry::Permanent);
}

#[cfg(feature = "csv")]
#[test]
fn files_of_csv_have_a_header_each_also_after_a_cut() {
    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Row {
        a: u64,
    }
    impl telemetra_core::Event for Row {
        type Key = u64;
        fn time(&self) -> telemetra_core::EventTime {
            telemetra_core::EventTime(0)
        }
        fn key(&self) -> u64 {
            self.a
        }
    }
    use telemetra_core::Decoder;
    fn rows(partition: &mut dyn Partition) -> Vec<u64> {
        let (decoder, arena) =
            (telemetra_sinks::formats::Csv::<Row>::new(), telemetra_core::Arena::default());
        let (mut batch, mut rows) = (RecordBatch::default(), Vec::new());
        while partition.poll(&mut batch).unwrap() == Polled::Ready {}
        for place in batch.records() {
            decoder.decode(batch.record(place, ""), &arena, &mut rows).unwrap();
        }
        rows.iter().map(|row| row.a).collect()
    }
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("a.csv");
    let mut source = folder(dir.path()).csv(b',');
    append(&log, "a,b\n1,2\n");
    let id = files(&mut source).remove(0);
    let mut partition = source.open(&id, None).unwrap();
    assert_eq!(rows(&mut *partition), [1]);
    let (offset, identity) = checkpoint(&mut *partition);
    append(&log, "3,4\n");
    assert_eq!(rows(&mut *source.resume(&id, offset, identity).unwrap()), [3]);
    File::create(&log).unwrap();
    append(&log, "b,a\n5,6\n");
    assert_eq!(rows(&mut *partition), [6]);
}
