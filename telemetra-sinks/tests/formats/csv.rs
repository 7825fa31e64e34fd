//! CSV: files with a header row, and records with given columns.

use std::fs;

use proptest::prelude::*;
use telemetra_core::testkit::{decoder_compliance, source_compliance};
use telemetra_core::{Clock, EventTime};
use telemetra_sinks::formats::Csv;
use telemetra_sinks::{Lines, Pace, event_time_by};

use crate::support::{Reading, error, events, open, read, reading};

#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
struct Row {
    device: String,
    time: EventTime,
    celsius: Option<f64>,
}

impl telemetra_core::Event for Row {
    type Key = String;
    fn time(&self) -> EventTime {
        self.time
    }
    fn key(&self) -> &str {
        &self.device
    }
}

fn row(device: &str, time: u64, celsius: Option<f64>) -> Row {
    Row { device: device.to_owned(), time: EventTime(time), celsius }
}

#[test]
fn columns_are_found_by_the_name_in_the_header_of_their_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.csv");
    let content = "\u{feff}celsius;time;what else;device\r\n20.5;2026-01-01T00:00:00Z;x;d1\r\n\r\n;5;;\"a;\"\"b\"\"\nc\"\r\n\
                   1;2\n1;6;;d3";
    fs::write(&path, content).unwrap();
    let (rows, errors) = events::<Row>(&mut Lines::file(&path).csv(b';'), &Csv::new(), None);
    assert_eq!(
        rows,
        [row("d1", 1_767_225_600_000, Some(20.5)), row("a;\"b\"\nc", 5, None), row("d3", 6, Some(1.0))]
    );
    assert_eq!(errors, ["the row has 2 fields, and there are 4 columns"]);
}

#[test]
fn each_file_has_a_header_of_its_own_and_it_is_read_again_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let [a, b] = ["a.csv", "b.csv"].map(|name| folder.path().join(name));
    fs::write(&a, "device,time,celsius\nd1,1,2\nd2,3,4\n").unwrap();
    fs::write(&b, "time,device\n7,d3\n").unwrap();
    let mut source = Lines::files([&a]).csv(b',');
    let (_, resumes) = read(&mut *open(&mut source, None));
    assert_eq!(resumes[0], (2, 34));
    assert_eq!(events::<Row>(&mut source, &Csv::new(), Some(27)).0, [row("d2", 3, Some(4.0))]);
    assert_eq!(events::<Row>(&mut source, &Csv::new(), Some(34)).0, []);
    // A column that the type has and the file has not, where there may be none.
    assert_eq!(events::<Row>(&mut Lines::file(&b).csv(b','), &Csv::new(), None).0, [row("d3", 7, None)]);
}

#[test]
fn a_paced_file_keeps_its_header() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.csv");
    fs::write(&path, "device,time\nd1,1\nd2,2\n").unwrap();
    let pace = Pace::new(1e9, Clock::system(), event_time_by::<Row>(Csv::new())).unwrap();
    let (rows, errors) = events::<Row>(&mut Lines::file(&path).csv(b',').paced(pace), &Csv::new(), None);
    assert_eq!((rows, errors), (vec![row("d1", 1, None), row("d2", 2, None)], vec![]));
}

#[cfg(feature = "compression")]
#[test]
fn a_compressed_file_is_csv_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.csv");
    fs::write(&path, "device,time\nd1,1\nd2,2\n").unwrap();
    assert!(std::process::Command::new("gzip").arg(&path).status().unwrap().success());
    let mut source = Lines::file(folder.path().join("a.csv.gz")).csv(b',');
    assert_eq!(events::<Row>(&mut source, &Csv::new(), None).0.len(), 2);
    assert_eq!(events::<Row>(&mut source, &Csv::new(), Some(17)).0, [row("d2", 2, None)]);
}

#[test]
fn records_without_a_header_have_the_columns_that_are_given() {
    let decoder = Csv::<Row>::with_columns(["device", "time", "celsius"]).delimiter(b'\t');
    assert_eq!(crate::support::decode(&decoder, b"d1\t1\t-2.5\r\n").unwrap(), row("d1", 1, Some(-2.5)));
    for (record, expected) in [
        (&b"d1\tyesterday\t1"[..], "`time`: the time `yesterday`"),
        (b"d1\t1\twarm", "`celsius`: invalid float literal"),
        (b"d1\t1", "the row has 2 fields, and there are 3 columns"),
        (b"d1\t\t1", "`time`: the time ``"),
        (b"d1\t1\t2\nd1\t1\t2", "the record has several rows"),
        (b"\xff\t1\t2", "it is no text in UTF-8"),
    ] {
        let found = error(&decoder, record);
        assert!(found.starts_with(expected), "{found}");
    }
    let nothing = error(&Csv::<Row>::new(), b"d1,1,2");
    assert!(nothing.contains("`Csv::with_columns`"), "{nothing}");
}

#[test]
fn fields_are_read_by_their_types() {
    #[derive(Clone, Debug, PartialEq, serde::Deserialize)]
    enum State {
        #[serde(rename = "on")]
        On,
    }
    #[derive(Clone, Debug, PartialEq, serde::Deserialize)]
    struct Wrapped(i16);
    #[derive(Clone, Debug, PartialEq, serde::Deserialize)]
    struct Typed {
        text: String,
        number: Wrapped,
        truth: bool,
        state: Option<State>,
        sign: char,
        value: serde_json::Value,
        #[serde(flatten)]
        rest: std::collections::BTreeMap<String, String>,
    }
    impl telemetra_core::Event for Typed {
        type Key = String;
        fn time(&self) -> EventTime {
            EventTime(0)
        }
        fn key(&self) -> &str {
            &self.text
        }
    }
    let decoder = Csv::<Typed>::with_columns(["text", "number", "truth", "state", "sign", "value", "other"]);
    let found = crate::support::decode(&decoder, b"007,-5,true,on,x,-1.5,nan").unwrap();
    let expected = Typed {
        text: "007".into(),
        number: Wrapped(-5),
        truth: true,
        state: Some(State::On),
        sign: 'x',
        value: (-1.5).into(),
        rest: [("other".into(), "nan".into())].into(),
    };
    assert_eq!(found, expected);
    assert!(
        error(&decoder, b"a,99999,true,on,x,1,b").contains("number too large"),
        "a number that does not fit"
    );
    assert!(error(&decoder, b"a,1,true,off,x,1,b").contains("unknown variant `off`"));
}

#[test]
fn csv_keeps_the_contracts() {
    let decoder = Csv::<Row>::with_columns(["device", "time", "celsius"]);
    decoder_compliance::<Row>(&decoder, &[b"\"d,\"\"1\",1,2.5", b""], &[b"d1,x,1", b"d1"]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.csv");
    let rows: String = (0..5000).map(|n| format!("d{n},{n},\"{}\"\n", "x\n".repeat(n % 9))).collect();
    fs::write(&path, format!("device,time,note\n{rows}")).unwrap();
    source_compliance(|| Box::new(Lines::file(&path).csv(b',')));
}

#[test]
fn a_nested_type_is_no_row() {
    let decoder = Csv::<Reading>::with_columns(["device", "time", "celsius"]);
    assert_eq!(crate::support::decode(&decoder, b"d1,1,2").unwrap(), reading("d1", 1, Some(2.0), 0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Rows that the `csv` crate writes of any fields, with any way to quote, come back, from any offset on.
    #[test]
    fn rows_are_told_apart_as_the_csv_crate_does(
        fields in proptest::collection::vec(proptest::collection::vec("[a\",\n\r; ]{0,6}", 2), 1..20),
        always in any::<bool>(),
    ) {
        let style = if always { ::csv::QuoteStyle::Always } else { ::csv::QuoteStyle::Necessary };
        let mut writer = ::csv::WriterBuilder::new().quote_style(style).from_writer(Vec::new());
        writer.write_record(["a", "b"]).unwrap();
        fields.iter().for_each(|row| writer.write_record(row).unwrap());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        fs::write(&path, writer.into_inner().unwrap()).unwrap();
        let mut source = Lines::file(&path).csv(b',');
        let (rows, errors) = events::<Pair>(&mut source, &Csv::new(), None);
        let expected: Vec<_> = fields.iter().map(|row| Pair { a: row[0].clone(), b: row[1].clone() }).collect();
        prop_assert_eq!(&rows, &expected);
        prop_assert!(errors.is_empty());
        for (n, (_, offset, _)) in read(&mut *open(&mut source, None)).0.iter().enumerate() {
            let (rest, _) = events::<Pair>(&mut source, &Csv::new(), Some((*offset).max(1)));
            prop_assert_eq!(&rest, &expected[n..]);
        }
    }
}

#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
struct Pair {
    a: String,
    b: String,
}

impl telemetra_core::Event for Pair {
    type Key = String;
    fn time(&self) -> EventTime {
        EventTime(0)
    }
    fn key(&self) -> &str {
        &self.a
    }
}
