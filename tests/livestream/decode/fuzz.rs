//! Damaged records from a corpus: none panics, and none is taken or refused wrongly.
//!
//! `TELEMETRA_FUZZ_CASES` sets how many; the default is small enough for every run of the tests.

use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use telemetra::core::Arena;
use telemetra::livestream::BincodeDecoder;

use super::differential::compare;
use super::mutate::mutation;

fn corpus() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/livestream/corpus/json");
    let mut files: Vec<_> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

#[test]
fn the_corpus_is_read_as_the_oracle_reads_it() {
    let taken = corpus().iter().filter(|record| compare(record).unwrap() > 0).count();
    assert!(taken >= 10, "only {taken} of the corpus decode");
}

#[test]
fn damaged_records_are_read_as_the_oracle_reads_them() {
    let cases = std::env::var("TELEMETRA_FUZZ_CASES").ok().and_then(|cases| cases.parse().ok());
    let config = Config { cases: cases.unwrap_or(2_000), failure_persistence: None, ..Config::default() };
    let records = (prop::sample::select(corpus()), vec(mutation(), 1..5));
    let outcome = TestRunner::new(config).run(&records, |(mut record, mutations)| {
        for mutation in mutations {
            mutation.apply(&mut record);
        }
        compare(&record)?;
        // As bincode it is noise, which must only not panic.
        let _ = super::decode(&BincodeDecoder, &record, &Arena::default());
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}
