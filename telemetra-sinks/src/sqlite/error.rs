//! Classifies SQLite errors as transient or permanent, and adds what to do about them.

use std::fmt::Display;
use std::path::Path;

use rusqlite::ErrorCode;
use telemetra_core::ExternalError;

/// Builds the error of a failed call: what was tried, on which database, whether it may pass, and what to do.
pub(super) fn failed(path: &Path, what: &dyn Display, error: rusqlite::Error) -> ExternalError {
    let code = error.sqlite_error_code();
    let hint = match code {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => "; another process is writing to it",
        Some(ErrorCode::DiskFull) => "; it is full: make room on the disk, or raise the limit, and restart",
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            "; give the process the right to write there"
        }
        Some(ErrorCode::CannotOpen) => "; check that its folder exists and may be written to",
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            "; the file is damaged or not a database: restore it, or move it away and start afresh"
        }
        _ => "",
    };
    let what = format!("{what} in the database {}{hint}", path.display());
    match code {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => ExternalError::transient(what),
        _ => ExternalError::permanent(what),
    }
    .because(error)
}

pub(super) fn refused(path: &Path, why: impl Display) -> ExternalError {
    ExternalError::permanent(format!("could not use the database {}: {why}", path.display()))
}

pub(super) fn not_open(path: &Path) -> ExternalError {
    refused(path, "the sink is not open; call `open` first")
}
