//! Ownership of files and databases: a lock that one open sink holds, and the record of which pipeline writes
//! there.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use telemetra_core::{ExternalError, Table};

/// The name of a pipeline that has none.
pub(crate) const UNNAMED: &str = "telemetra";

/// A file that stays locked while the value lives. It contains the id of the process that holds the lock.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Drop for Lock {
    /// Unlocks the file explicitly: a child process that is just being started may hold another handle of it
    /// open.
    fn drop(&mut self) {
        // A file system without locks.
        let _ = self.0.unlock();
    }
}

impl Lock {
    /// Locks `file`, which is created if it is missing, on behalf of the target at `place`. On a file system
    /// without locks this succeeds and gives no protection.
    ///
    /// # Errors
    ///
    /// A transient error if another process holds the lock, as that may be the previous process, which is
    /// about to end. A permanent error if the file cannot be created, opened or written to.
    pub(crate) fn claim(file: PathBuf, place: &Path) -> Result<Self, ExternalError> {
        let failed = |error: io::Error| {
            ExternalError::permanent(format!(
                "could not lock {}; check that its folder exists and may be written to",
                file.display()
            ))
            .because(error)
        };
        let mut opened = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&file)
            .map_err(failed)?;
        match opened.try_lock() {
            Ok(()) => {
                let noted = opened.set_len(0).and_then(|()| write!(opened, "{}", std::process::id()));
                noted.map_err(failed)?;
            }
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // Some systems do not allow to read a locked file.
                let _ = opened.read_to_string(&mut holder);
                let holder = if holder.is_empty() { "another" } else { &holder };
                return Err(ExternalError::transient(format!(
                    "{} is written to by process {holder}, which still runs; stop it, or write elsewhere",
                    place.display()
                )));
            }
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {}
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        Ok(Self(opened))
    }
}

/// The pipeline that writes to a target: its name, and the names of its tables. Both are empty if an earlier
/// release wrote the record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Owner {
    pub(crate) pipeline: String,
    pub(crate) tables: Vec<String>,
}

impl Owner {
    pub(crate) fn new(pipeline: &str, tables: &[Arc<Table>]) -> Self {
        let tables = tables.iter().map(|table| table.name().to_owned()).collect();
        Self { pipeline: pipeline.to_owned(), tables }
    }

    /// Returns why this pipeline must not write where `other` has written under the same name: they have no
    /// table in common, so they are different pipelines. `None` if it may write.
    pub(crate) fn differs(&self, other: &Self) -> Option<String> {
        let known = !other.tables.is_empty() && !self.tables.is_empty();
        (known && !self.tables.iter().any(|table| other.has(table))).then(|| {
            format!(
                "it has the progress of a pipeline `{}` with the tables {}, and this one of the same name has the tables {}; \
                 give this pipeline a name of its own",
                other.pipeline,
                other.tables.join(", "),
                self.tables.join(", ")
            )
        })
    }

    /// Returns a table that both pipelines write to, if there is one.
    #[cfg(any(feature = "sqlite", feature = "postgres", feature = "clickhouse"))]
    pub(crate) fn shared<'a>(&'a self, other: &Self) -> Option<&'a str> {
        self.tables.iter().find(|table| other.has(table)).map(String::as_str)
    }

    fn has(&self, table: &str) -> bool {
        self.tables.iter().any(|known| known.eq_ignore_ascii_case(table))
    }
}
