//! The log of changes that are durable and in no file yet: the file of a sink that writes to a folder.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use telemetra_core::{Batch, EventTime, ExternalError};

use super::file::Logged;
use super::frame::{self, FRONT, index, next_frame};
use super::shape::Shape;
use crate::disk::{failed, sync_folder};

/// The open log.
#[derive(Debug)]
pub(super) struct Log {
    folder: PathBuf,
    path: PathBuf,
    file: File,
    number: u64,
    shapes: Vec<Shape>,
    /// The state at the last sync.
    synced: Mark,
    /// The state after the last frame.
    written: Mark,
    /// True if a failed write may have left a part of a frame.
    torn: bool,
    buffer: Vec<u8>,
}

/// The progress of a log.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
struct Mark {
    length: u64,
    /// The time of the first and of the last frame.
    times: Option<(EventTime, EventTime)>,
    changes: u64,
}

impl Mark {
    fn add(&mut self, bytes: u64, time: EventTime, changes: u64) {
        self.length += bytes;
        self.times = Some((self.times.map_or(time, |(first, _)| first), time));
        self.changes += changes;
    }
}

impl Log {
    /// Makes an empty log.
    pub(super) fn create(folder: &Path, number: u64, shapes: Vec<Shape>) -> Result<Self, ExternalError> {
        let path = folder.join(name_of(number));
        let mut front = Vec::new();
        frame::tables_onto(&mut front, &shapes).map_err(|error| failed("write", &path)(error.into()))?;
        let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path);
        let mut file = file.map_err(failed("make", &path))?;
        let made = file.set_len(0).and_then(|()| file.write_all(&front)).and_then(|()| file.sync_all());
        made.map_err(failed("write", &path))?;
        sync_folder(folder)?;
        let mark = Mark { length: front.len() as u64, ..Mark::default() };
        let (synced, written, folder) = (mark, mark, folder.to_owned());
        Ok(Self { folder, path, file, number, shapes, synced, written, torn: false, buffer: Vec::new() })
    }

    /// Opens a log, and cuts off a frame that is not whole. `None` if there is none.
    pub(super) fn load(folder: &Path, number: u64) -> Result<Option<Self>, ExternalError> {
        let path = folder.join(name_of(number));
        let mut file = match OpenOptions::new().read(true).write(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("open", &path)(error)),
        };
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(failed("read", &path))?;
        let mut bytes = Bytes::from(bytes);
        let damaged = |path: &Path| {
            ExternalError::permanent(format!(
                "could not go on in {}: the log {} is damaged; restore it, or use another folder",
                folder.display(),
                path.display()
            ))
        };
        let front = next_frame(&mut bytes).ok_or_else(|| damaged(&path))?;
        let shapes = serde_json::from_slice(&front).map_err(|error| damaged(&path).because(error))?;
        let mut mark = Mark { length: (FRONT + front.len()) as u64, ..Mark::default() };
        while let Some(frame) = next_frame(&mut bytes) {
            let length = (FRONT + frame.len()) as u64;
            let (time, changes) = index(frame).ok_or_else(|| damaged(&path))?;
            mark.add(length, time, changes.len() as u64);
        }
        let (synced, written, folder) = (mark, mark, folder.to_owned());
        // Whatever is behind the last whole frame is cut off before the next.
        Ok(Some(Self { folder, path, file, number, shapes, synced, written, torn: true, buffer: Vec::new() }))
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn shapes(&self) -> &[Shape] {
        &self.shapes
    }

    /// The time of the last durable frame.
    pub(super) fn time(&self) -> Option<EventTime> {
        self.synced.times.map(|(_, last)| last)
    }

    /// The time of the first frame.
    pub(super) fn first(&self) -> Option<EventTime> {
        self.written.times.map(|(first, _)| first)
    }

    /// The length in bytes.
    pub(super) fn length(&self) -> u64 {
        self.written.length
    }

    /// Returns whether there are changes in it.
    pub(super) fn has_changes(&self) -> bool {
        self.written.changes > 0
    }

    /// Appends a batch, which is durable after [`sync`](Self::sync).
    pub(super) fn append(&mut self, batch: &Batch) -> Result<(), ExternalError> {
        self.mend()?;
        self.buffer.clear();
        frame::batch_onto(&mut self.buffer, &self.shapes, batch)?;
        self.torn = true;
        self.file.write_all(&self.buffer).map_err(failed("write to", &self.path))?;
        self.torn = false;
        self.written.add(self.buffer.len() as u64, batch.time, batch.changes.len() as u64);
        Ok(())
    }

    /// Forgets frames that a failed call wrote and did not sync: they come again.
    pub(super) fn rewind(&mut self) -> Result<(), ExternalError> {
        self.torn |= self.written != self.synced;
        self.mend()
    }

    /// Cuts off what a failed write left.
    fn mend(&mut self) -> Result<(), ExternalError> {
        if self.torn {
            self.written = self.synced;
            let cut = self.file.set_len(self.synced.length);
            let sought = cut.and_then(|()| self.file.seek(SeekFrom::Start(self.synced.length)));
            sought.map_err(failed("cut off", &self.path))?;
            self.torn = false;
        }
        Ok(())
    }

    /// Makes all frames durable.
    pub(super) fn sync(&mut self) -> Result<(), ExternalError> {
        if self.written != self.synced {
            // After a failed sync nobody knows what is on the disk.
            self.torn = true;
            self.file.sync_data().map_err(failed("sync", &self.path))?;
            self.torn = false;
            self.synced = self.written;
        }
        Ok(())
    }

    /// Reads all durable changes, by table and day, in the order of their times.
    pub(super) fn read(&mut self) -> Result<Vec<((u32, u32), Vec<Logged>)>, ExternalError> {
        let path = &self.path;
        let mut bytes = vec![0; usize::try_from(self.synced.length).unwrap_or(usize::MAX)];
        let sought = self.file.seek(SeekFrom::Start(0));
        sought.and_then(|_| self.file.read_exact(&mut bytes)).map_err(failed("read", path))?;
        let damaged =
            || ExternalError::permanent(format!("the log {} is damaged; restore it", path.display()));
        let mut bytes = Bytes::from(bytes);
        next_frame(&mut bytes).ok_or_else(damaged)?;
        let mut all = Vec::new();
        while let Some(frame) = next_frame(&mut bytes) {
            let (time, changes) = index(frame).ok_or_else(damaged)?;
            all.extend(changes.into_iter().map(|(head, values)| (time, head, values)));
        }
        if all.len() as u64 != self.synced.changes {
            return Err(damaged());
        }
        Ok(frame::grouped(all))
    }

    /// Deletes all logs of the folder but this one.
    pub(super) fn remove_others(&self) -> Result<(), ExternalError> {
        let folder = &self.folder;
        for entry in fs::read_dir(folder).map_err(failed("list", folder))? {
            let path = entry.map_err(failed("list", folder))?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if number_of(name).is_some_and(|number| number != self.number) {
                fs::remove_file(&path).map_err(failed("remove", &path))?;
            }
        }
        Ok(())
    }
}

fn name_of(number: u64) -> String {
    format!("pending-{number:010}.log")
}

fn number_of(name: &str) -> Option<u64> {
    name.strip_prefix("pending-")?.strip_suffix(".log")?.parse().ok()
}
