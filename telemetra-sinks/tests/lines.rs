//! Lines of files and pipes as records.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use telemetra_core::{
    Clock, Event, EventTime, Partition, PartitionId, Polled, Record, RecordBatch, SerdeJson, Source,
};
use telemetra_sinks::{Lines, Pace, event_time_by};

type Line = (Vec<u8>, u64, Option<u64>);

fn open(mut source: Lines, from: Option<u64>) -> Box<dyn Partition> {
    let id = source.partitions().unwrap().remove(0);
    source.open(&id, from).unwrap()
}

fn refused(mut source: Lines, from: Option<u64>) -> String {
    let id = source.partitions().unwrap().remove(0);
    let Err(error) = source.open(&id, from) else { panic!("it was opened") };
    error.to_string()
}

fn lines_of(batch: &RecordBatch) -> Vec<Line> {
    batch.records().iter().map(|r| (batch.bytes_of(r).to_vec(), r.offset, r.oversize)).collect()
}

/// Reads all lines, and after each poll the offset to resume from and the number of lines so far.
fn read(partition: &mut dyn Partition) -> (Vec<Line>, Vec<(u64, usize)>) {
    let (mut lines, mut resumes) = (Vec::new(), Vec::new());
    let mut batch = RecordBatch::default();
    loop {
        batch.clear();
        let polled = partition.poll(&mut batch).unwrap();
        lines.extend(lines_of(&batch));
        resumes.push((partition.offset(), lines.len()));
        match polled {
            Polled::Done => return (lines, resumes),
            Polled::Idle(pause) | Polled::Pending(pause) => std::thread::sleep(pause),
            Polled::Ready => {}
        }
    }
}

fn naive(content: &[u8]) -> Vec<Line> {
    let mut at = 0;
    let mut lines = Vec::new();
    for raw in content.split(|b| *b == b'\n') {
        let line = raw.strip_suffix(b"\r").unwrap_or(raw);
        match line.len() {
            0 => {}
            n if n > RecordBatch::MAX_RECORD_BYTES => {
                lines.push((line[..RecordBatch::OVERSIZE_PREFIX].to_vec(), at, Some(n as u64)));
            }
            _ => lines.push((line.to_vec(), at, None)),
        }
        at += raw.len() as u64 + 1;
    }
    lines
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    /// Lines from nothing to several times what is read at once.
    #[test]
    fn a_file_has_the_lines_of_a_naive_split_from_wherever_it_is_resumed(
        lengths in proptest::collection::vec(
            prop_oneof![8 => 0..300_usize, 2 => 0..100_000_usize, 1 => 60_000..70_000_usize], 0..60),
        ends in proptest::collection::vec(prop_oneof![Just("\n"), Just("\r\n"), Just("\n\n")], 60),
        last in any::<bool>(),
    ) {
        let mut content = Vec::new();
        for (i, (length, end)) in lengths.iter().zip(&ends).enumerate() {
            content.extend(std::iter::repeat_n(b'a' + (i % 26) as u8, *length));
            if last || i + 1 < lengths.len() {
                content.extend_from_slice(end.as_bytes());
            }
        }
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&content).unwrap();
        let (lines, resumes) = read(&mut *open(Lines::file(file.path()), None));
        prop_assert!(lines == naive(&content));
        for (from, given) in resumes {
            prop_assert!(read(&mut *open(Lines::file(file.path()), Some(from))).0 == lines[given..]);
        }
    }
}

#[test]
fn a_line_of_a_hundred_megabytes_is_passed_over() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let piece = vec![b'x'; 1 << 20];
    file.write_all(b"before\n").unwrap();
    for _ in 0..100 {
        file.write_all(&piece).unwrap();
    }
    file.write_all(b"\r\nafter\n").unwrap();
    let mut partition = open(Lines::file(file.path()), None);
    let (mut batch, mut lines) = (RecordBatch::default(), Vec::new());
    loop {
        batch.clear();
        let polled = partition.poll(&mut batch).unwrap();
        lines.extend(lines_of(&batch));
        assert!(
            batch.buffer_mut().capacity() < 4 * RecordBatch::MAX_RECORD_BYTES,
            "it is not held in memory"
        );
        if polled == Polled::Done {
            break;
        }
    }
    let long = (piece[..RecordBatch::OVERSIZE_PREFIX].to_vec(), 7, Some(100 << 20));
    assert_eq!(lines.len(), 3);
    assert!(lines[1] == long);
    assert_eq!(lines[2], (b"after".to_vec(), 7 + (100 << 20) + 2, None));
}

#[test]
fn the_longest_record_is_one() {
    for (extra, oversize) in [(0, None), (1, Some(RecordBatch::MAX_RECORD_BYTES as u64 + 1))] {
        for end in ["", "\n", "\r\n", "\r"] {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(&vec![b'x'; RecordBatch::MAX_RECORD_BYTES + extra]).unwrap();
            file.write_all(end.as_bytes()).unwrap();
            let (lines, _) = read(&mut *open(Lines::file(file.path()), None));
            assert_eq!(lines.len(), 1);
            assert_eq!(lines[0].2, oversize);
        }
    }
}

#[test]
fn what_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    let name = path.to_str().unwrap();
    assert!(refused(Lines::file(&path), None).contains(name));
    assert!(refused(Lines::file(folder.path()), None).contains(folder.path().to_str().unwrap()));
    fs::write(&path, "one\ntwo\nthree").unwrap();
    assert!(refused(Lines::file(&path), Some(14)).contains("cut off or replaced"));
    assert!(refused(Lines::file(&path), Some(5)).contains("no line begins at byte 5"));
    assert!(open(Lines::file(&path), Some(13)).poll(&mut RecordBatch::default()).unwrap() == Polled::Done);
    assert!(refused(Lines::stdin(), Some(5)).contains("write them to a file"));
    assert!(Lines::files([&path, &path]).partitions().unwrap_err().to_string().contains("given twice"));
    let Err(error) = Lines::file(&path).open(&PartitionId::new("other"), None) else { panic!("opened") };
    assert!(error.to_string().contains("`other`"));
}

#[test]
fn several_files_are_several_partitions_named_by_their_paths() {
    let folder = tempfile::tempdir().unwrap();
    let paths = ["b.jsonl", "a.jsonl"].map(|name| folder.path().join(name));
    for path in &paths {
        fs::write(path, path.to_str().unwrap()).unwrap();
    }
    let mut source = Lines::files(&paths);
    let ids = source.partitions().unwrap();
    assert_eq!(ids.iter().map(|id| Path::new(id.as_str())).collect::<Vec<_>>(), paths);
    for id in ids {
        let (lines, _) = read(&mut *source.open(&id, None).unwrap());
        assert_eq!(lines[0].0, id.as_str().as_bytes());
    }
}

#[test]
fn a_file_that_grows_is_followed() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let pause = Duration::from_millis(7);
    let mut partition = open(Lines::file(file.path()).follow(pause), None);
    let mut batch = RecordBatch::default();
    let mut given = Vec::new();
    for piece in ["on", "e\ntw", "o\n", ""] {
        file.write_all(piece.as_bytes()).unwrap();
        loop {
            batch.clear();
            let polled = partition.poll(&mut batch).unwrap();
            given.extend(lines_of(&batch));
            if polled == Polled::Idle(pause) {
                break;
            }
        }
    }
    assert_eq!(given, [(b"one".to_vec(), 0, None), (b"two".to_vec(), 4, None)]);
    file.as_file().set_len(2).unwrap();
    assert!(partition.poll(&mut batch).unwrap_err().to_string().contains("cut off or replaced"));
}

/// A program that the test below runs as a process of its own, with a pipe for its standard input.
#[test]
#[ignore = "reads standard input"]
fn count_standard_input() {
    let mut partition = open(Lines::stdin(), None);
    let start = Instant::now();
    let first = partition.poll(&mut RecordBatch::default()).unwrap();
    assert!(matches!(first, Polled::Idle(_)) && start.elapsed() < Duration::from_millis(500), "it blocked");
    let (lines, _) = read(&mut *partition);
    println!("lines {} bytes {}", lines.len(), lines.iter().map(|line| line.0.len()).sum::<usize>());
}

#[test]
fn standard_input_is_read_and_does_not_block() {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "count_standard_input", "--nocapture"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    std::thread::sleep(Duration::from_millis(700));
    for nth in 0..20_000 {
        writeln!(input, "line {nth:05}").unwrap();
    }
    input.write_all(b"no end").unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("lines 20001 bytes 200006"), "{text}");
}

#[test]
fn a_paced_file_gives_records_when_they_are_due() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"1000\n1000 again\nno time\n3000\n2500\n9000\n").unwrap();
    let now = Arc::new(AtomicU64::new(50_000));
    let clock = Clock::from_fn({
        let now = Arc::clone(&now);
        move || EventTime(now.load(Ordering::Relaxed))
    });
    let pace = Pace::new(2.0, clock, |record| {
        assert_eq!(record.topic, "words");
        let word = record.value.split(|b| *b == b' ').next()?;
        std::str::from_utf8(word).ok()?.parse().ok().map(EventTime)
    });
    let mut partition = open(Lines::file(file.path()).topic("words").paced(pace.unwrap()), None);
    let mut due = |at: u64| {
        now.store(at, Ordering::Relaxed);
        let (mut batch, mut lines) = (RecordBatch::default(), Vec::new());
        loop {
            batch.clear();
            let polled = partition.poll(&mut batch).unwrap();
            lines.extend(lines_of(&batch).into_iter().map(|line| String::from_utf8(line.0).unwrap()));
            if polled != Polled::Ready {
                return (lines, partition.offset(), polled);
            }
        }
    };
    let idle = |millis: u64| Polled::Idle(Duration::from_millis(millis));
    let first = ["1000", "1000 again", "no time"].map(String::from).to_vec();
    assert_eq!(due(50_000), (first, 24, idle(100)));
    assert_eq!(due(50_990), (vec![], 24, idle(10)));
    assert_eq!(due(51_000), (vec!["3000".into(), "2500".into()], 34, idle(100)));
    assert_eq!(due(54_000), (vec!["9000".into()], 39, Polled::Done));
    assert_eq!(partition.topic(), "words");
    for factor in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(Pace::new(factor, Clock::system(), |_| None).is_err());
    }
}

#[test]
fn records_are_of_the_topic_that_is_given() {
    let file = tempfile::NamedTempFile::new().unwrap();
    assert_eq!(open(Lines::file(file.path()), None).topic(), "");
    assert_eq!(open(Lines::file(file.path()).topic("alarms"), None).topic(), "alarms");
    assert_eq!(open(Lines::stdin().topic("alarms"), None).topic(), "alarms");
}

#[test]
fn a_decoder_tells_the_pace() {
    #[derive(serde::Deserialize)]
    struct Reading {
        device: String,
        time: EventTime,
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
    let time_of = event_time_by(SerdeJson::<Reading>::new());
    let record = br#"{"device": "d1", "time": "1970-01-01T00:00:01Z"}"#;
    assert_eq!(time_of(Record::new(record)), Some(EventTime(1_000)));
    assert_eq!(time_of(Record::new(b" ")), None);
    assert_eq!(time_of(Record::new(b"{")), None);
}

/// The offset and identity that a checkpoint keeps of a file that was read to its end.
fn place_of(path: &Path) -> (u64, Option<u64>) {
    let mut partition = open(Lines::file(path), None);
    read(&mut *partition);
    let offset = partition.offset();
    (offset, partition.identity(offset))
}

fn resume(mut source: Lines, (from, identity): (u64, Option<u64>)) -> Result<Box<dyn Partition>, String> {
    let id = source.partitions().unwrap().remove(0);
    source.resume(&id, from, identity).map_err(|error| error.to_string())
}

#[test]
fn an_offset_is_one_in_the_file_that_it_was_read_from() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let day = |day: u32| (0..2000).map(|n| format!("2026-01-{day:02} line {n:04}\n")).collect::<String>();
    fs::write(&path, day(1)).unwrap();
    let place = place_of(&path);
    let grown = day(1) + "and one\n";
    fs::write(&path, &grown).unwrap();
    let (rest, _) = read(&mut *resume(Lines::file(&path), place).unwrap());
    assert_eq!(rest, [(b"and one".to_vec(), place.0, None)], "it may grow");
    for other in [
        day(2),
        day(2) + "more",
        grown.replacen("line 0000", "line 000x", 1),
        grown.replace("line 1999", "line 199x"),
    ] {
        fs::write(&path, other).unwrap();
        let error = resume(Lines::file(&path), place).err().expect("another file was taken for the old one");
        assert!(error.contains("start afresh") && error.contains(path.to_str().unwrap()), "{error}");
    }
}

#[test]
fn a_last_line_may_get_its_end_later() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    for end in ["\n", "\r\n"] {
        fs::write(&path, "one\ntwo").unwrap();
        let place = place_of(&path);
        fs::write(&path, format!("one\ntwo{end}three\n")).unwrap();
        let (rest, _) = read(&mut *resume(Lines::file(&path), place).unwrap());
        assert_eq!(rest.iter().map(|line| &line.0[..]).collect::<Vec<_>>(), [b"three"], "{end:?}");
    }
    fs::write(&path, "one\ntwo").unwrap();
    let place = place_of(&path);
    fs::write(&path, "one\ntwo more\n").unwrap();
    let error = resume(Lines::file(&path), place).err().expect("half a line was given as one");
    assert!(error.contains("still being written") && error.contains("follow"), "{error}");
}

#[cfg(unix)]
#[test]
fn a_followed_file_that_is_replaced_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let (path, old) = (folder.path().join("log"), folder.path().join("log.1"));
    fs::write(&path, "one\n").unwrap();
    let mut partition = open(Lines::file(&path).follow(Duration::from_millis(1)), None);
    let mut batch = RecordBatch::default();
    while partition.poll(&mut batch).unwrap() == Polled::Ready {}
    fs::rename(&path, &old).unwrap();
    assert!(matches!(partition.poll(&mut batch), Ok(Polled::Idle(_))), "the new one is not there yet");
    fs::write(&path, "two\n").unwrap();
    let error = partition.poll(&mut batch).unwrap_err().to_string();
    assert!(error.contains("rotation"), "{error}");
}

#[test]
fn a_byte_order_mark_is_no_part_of_the_first_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    fs::write(&path, "\u{feff}one\n\u{feff}two\n").unwrap();
    let (lines, _) = read(&mut *open(Lines::file(&path), None));
    assert_eq!(lines[0], (b"one".to_vec(), 0, None));
    assert_eq!(lines[1].0, "\u{feff}two".as_bytes(), "only the file's own is none of it");
}

#[cfg(feature = "compression")]
mod compression {
    use super::*;

    fn gzip(text: &str) -> Vec<u8> {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(text.as_bytes()).unwrap();
        packed.finish().unwrap()
    }

    fn zstd(text: &str) -> Vec<u8> {
        ::zstd::encode_all(text.as_bytes(), 1).unwrap()
    }

    #[test]
    fn compressed_files_have_the_lines_of_their_content() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let text: String = (0..20_000).map(|n| format!("line {n}\n")).collect();
        for pack in [gzip, zstd] {
            // Several one after another, as tools make them that work in parallel.
            let (first, second) = text.split_at(text.len() / 2);
            fs::write(&path, [pack(first), pack(second)].concat()).unwrap();
            let mut partition = open(Lines::file(&path), None);
            let (lines, resumes) = read(&mut *partition);
            assert!(lines == naive(text.as_bytes()), "the lines differ");
            let (from, given) = resumes[resumes.len() / 2];
            let place = (from, partition.identity(from));
            let (rest, _) = read(&mut *resume(Lines::file(&path), place).unwrap());
            assert!(rest == lines[given..], "a restart goes on elsewhere");

            fs::write(&path, pack(&text.replace("line 7", "line 8"))).unwrap();
            let error = resume(Lines::file(&path), place).err().expect("another file");
            assert!(error.contains("start afresh"), "{error}");
            let error = refused(Lines::file(&path).follow(Duration::from_millis(1)), None);
            assert!(error.contains("compressed"), "{error}");
        }
    }

    #[test]
    fn a_compressed_file_that_is_cut_off_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        for packed in [gzip("one\ntwo\n"), zstd("one\ntwo\n")] {
            fs::write(&path, &packed[..packed.len() - 3]).unwrap();
            let mut partition = open(Lines::file(&path), None);
            let mut batch = RecordBatch::default();
            let error = loop {
                match partition.poll(&mut batch) {
                    Ok(polled) => assert_eq!(polled, Polled::Ready, "half a file passed for a whole one"),
                    Err(error) => break error.to_string(),
                }
            };
            assert!(error.contains(path.to_str().unwrap()), "{error}");
        }
    }

    #[test]
    fn a_compressed_pipe_has_the_lines_of_its_content() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        for packed in [gzip("one\ntwo\n"), zstd("one\ntwo\n"), b"one\ntwo".to_vec(), b"\x1f\ntwo".to_vec()] {
            let _ = fs::remove_file(&path);
            assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
            let partition = open(Lines::file(&path), None);
            fs::write(&path, packed).unwrap();
            let mut partition = partition;
            let (lines, _) = read(&mut *partition);
            assert_eq!(lines.len(), 2);
            assert_eq!(lines[1].0, b"two");
        }
    }
}
