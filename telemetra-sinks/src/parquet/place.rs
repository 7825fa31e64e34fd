//! The place that the sink writes to: a folder, or a prefix of an object store.

use std::fmt;
use std::path::PathBuf;

use telemetra_core::{Batch, EventTime, ExternalError};

#[cfg(feature = "object-store")]
use super::objects::{self, ObjectState};
use super::shape::Shape;
use super::state::State;
use crate::owner::Owner;

/// The place.
#[derive(Debug)]
pub(super) enum Place {
    Folder(PathBuf),
    #[cfg(feature = "object-store")]
    Objects(crate::objects::Bucket),
}

/// The open place.
#[derive(Debug)]
pub(super) enum Opened {
    Folder(Box<State>),
    #[cfg(feature = "object-store")]
    Objects(Box<ObjectState>),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => write!(f, "{}", folder.display()),
            #[cfg(feature = "object-store")]
            Self::Objects(bucket) => f.write_str(bucket.url()),
        }
    }
}

impl Place {
    pub(super) fn open(
        &self,
        owner: Owner,
        shapes: Vec<Shape>,
        how: (bool, bool),
    ) -> Result<Opened, ExternalError> {
        Ok(match self {
            Self::Folder(folder) => Opened::Folder(Box::new(State::open(folder, owner, shapes, how)?)),
            #[cfg(feature = "object-store")]
            Self::Objects(bucket) => {
                Opened::Objects(Box::new(ObjectState::open(bucket, &owner, shapes, how)?))
            }
        })
    }

    /// The last durable time, whoever wrote it.
    pub(super) fn reached(&self) -> Result<Option<EventTime>, ExternalError> {
        match self {
            Self::Folder(folder) => State::reached(folder),
            #[cfg(feature = "object-store")]
            Self::Objects(bucket) => objects::reached(bucket),
        }
    }
}

impl Opened {
    /// Finds out what came of the last call, if that is not known.
    pub(super) fn settle(&mut self) -> Result<(), ExternalError> {
        match self {
            Self::Folder(_) => Ok(()),
            #[cfg(feature = "object-store")]
            Self::Objects(state) => state.settle(),
        }
    }

    /// The last durable time.
    pub(super) fn time(&self) -> Option<EventTime> {
        match self {
            Self::Folder(state) => state.time(),
            #[cfg(feature = "object-store")]
            Self::Objects(state) => state.time(),
        }
    }

    /// Appends batches and makes them durable. A batch for which `is_over` of the log's first time holds begins a
    /// new log, and so does one after a log of `most` bytes.
    pub(super) fn append(
        &mut self,
        batches: &[Batch],
        is_over: impl Fn(EventTime, EventTime) -> bool,
        most: u64,
    ) -> Result<(), ExternalError> {
        match self {
            Self::Folder(state) => state.append(batches, is_over, most),
            #[cfg(feature = "object-store")]
            Self::Objects(state) => state.append(batches, is_over, most),
        }
    }

    /// Makes files of the changes that are in none.
    pub(super) fn close(&mut self) -> Result<(), ExternalError> {
        match self {
            Self::Folder(state) if state.has_pending() => state.rotate(state.shapes()),
            Self::Folder(_) => Ok(()),
            #[cfg(feature = "object-store")]
            Self::Objects(state) => state.close(),
        }
    }
}
