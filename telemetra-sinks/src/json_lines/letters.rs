//! The dead letters that are already in the files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::Path;

use serde::Deserialize;
use telemetra_core::{DeadLetter, ExternalError};

use super::file::number_of;
use crate::disk::failed;

/// The dead letters that were in the files when the sink was opened.
#[derive(Debug)]
pub(super) struct Known {
    /// The greatest offset and index of each partition. A letter after that is new.
    last: Seen,
    /// The places of all letters, read from the files when a letter before the last arrives: several workers
    /// read a partition, so it may be new.
    places: Option<BTreeMap<String, BTreeSet<(u64, u32)>>>,
}

/// The greatest offset and index of a dead letter, for each partition.
pub(super) type Seen = BTreeMap<String, (u64, u32)>;

/// The fields of a line that identify a letter.
#[derive(Deserialize)]
struct Line {
    partition: String,
    offset: u64,
    index: u32,
}

impl Known {
    pub(super) fn new(last: Seen) -> Self {
        Self { last, places: None }
    }

    /// Returns whether a letter is already in the files.
    pub(super) fn has(&mut self, letter: &DeadLetter, folder: &Path) -> Result<bool, ExternalError> {
        let (partition, place) = (letter.partition.as_str(), (letter.offset, letter.index));
        if self.last.get(partition).is_none_or(|last| place > *last) {
            return Ok(false);
        }
        let places = match &mut self.places {
            Some(places) => places,
            none => none.insert(read(folder)?),
        };
        Ok(places.get(partition).is_some_and(|places| places.contains(&place)))
    }
}

/// Reads the places of all letters in the files of a folder.
fn read(folder: &Path) -> Result<BTreeMap<String, BTreeSet<(u64, u32)>>, ExternalError> {
    let mut places = BTreeMap::<_, BTreeSet<_>>::new();
    for entry in fs::read_dir(folder).map_err(failed("list", folder))? {
        let path = entry.map_err(failed("list", folder))?.path();
        if path.file_name().is_none_or(|name| number_of(&name.to_string_lossy(), "dead_letters-").is_none()) {
            continue;
        }
        let file = File::open(&path).map_err(failed("open", &path))?;
        for line in BufReader::new(file).split(b'\n') {
            let line = line.map_err(failed("read", &path))?;
            // A line that another program wrote is no letter.
            if let Ok(Line { partition, offset, index }) = serde_json::from_slice(&line) {
                places.entry(partition).or_default().insert((offset, index));
            }
        }
    }
    Ok(places)
}
