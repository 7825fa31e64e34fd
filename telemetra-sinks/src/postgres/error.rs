//! Classifies Postgres errors as transient or permanent by their SQLSTATE, and adds what to do about them.

use std::fmt::Display;

use telemetra_core::{ExternalError, Retry};
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

/// Advice for a pooler between client and server, whose sessions lack the statements that were prepared in
/// another session.
const POOLER: &str = "; if a pooler is between, such as PgBouncer in transaction mode, connect to the database itself \
                      or to a pool with `pool_mode = session`, or let the pooler carry prepared statements \
                      (PgBouncer from 1.21 on, `max_prepared_statements = 200`)";

/// Returns the class of an error, transient or permanent by its SQLSTATE, and advice for the user.
fn judged(error: &Error) -> (Retry, &'static str) {
    use Retry::{Permanent, Transient};
    let Some(code) = error.code() else { return judged_without_code(error) };
    match code.code() {
        "53100" => (Transient, "; its disk is full: it goes on as soon as there is room"),
        "53300" => (Transient, "; it has no connection free"),
        "57P01" | "57P02" => {
            (Transient, "; it was shut down or the connection was ended by an administrator")
        }
        "57P03" => (Transient, "; it is starting up or shutting down"),
        "57014" => (Transient, "; the statement was cancelled or took longer than the statement timeout"),
        "25006" => (Transient, "; it is read-only, as a standby is: connect to the primary"),
        "55P03" => (Transient, "; somebody else holds a lock on it"),
        "28P01" | "28000" => (Permanent, "; check user and password, and its pg_hba.conf"),
        "3D000" => (Permanent, "; make the database first"),
        "42501" => (Permanent, "; grant the role the right to do so"),
        "21000" => (Permanent, "; another row of the same batch has a key that equals its own there"),
        "22P05" => (Permanent, "; the database has to be of the encoding UTF8"),
        _ if *code == SqlState::T_R_SERIALIZATION_FAILURE || *code == SqlState::T_R_DEADLOCK_DETECTED => {
            (Transient, "")
        }
        // A prepared statement that is gone is made anew with the connection; behind a pooler it is gone again.
        "26000" | "42P05" => (Transient, POOLER),
        "25P03" | "25P04" | "57P05" => (Transient, ""),
        // Connection, resources, operator, system.
        code if ["08", "53", "57", "58"].contains(&&code[..2]) => (Transient, ""),
        _ => (Permanent, ""),
    }
}

/// Returns the same as [`judged`] for errors of the connection and of TLS, which have no SQLSTATE.
fn judged_without_code(error: &Error) -> (Retry, &'static str) {
    let source = std::error::Error::source(error);
    let io = source.and_then(|source| source.downcast_ref::<std::io::Error>());
    if let Some(tls) =
        io.and_then(std::io::Error::get_ref).and_then(|inner| inner.downcast_ref::<rustls::Error>())
    {
        return match tls {
            rustls::Error::InvalidCertificate(_) => (
                Retry::Permanent,
                "; its certificate is not trusted: check the root certificates (`sslrootcert`) and the \
                 host's name",
            ),
            rustls::Error::AlertReceived(_) => {
                (Retry::Permanent, "; it wants another certificate or version of TLS")
            }
            _ => (Retry::Permanent, ""),
        };
    }
    if io.is_some() || error.is_closed() {
        return (
            Retry::Transient,
            "; the connection is lost or cannot be made: check that the server runs and can be reached",
        );
    }
    (Retry::Permanent, "")
}

/// Builds the error of a failed call: what was tried, in which database, whether it may pass, and what to do.
pub(super) fn failed(place: &str, what: &dyn Display, error: Error) -> ExternalError {
    let (retry, hint) = judged(&error);
    let what = format!("{what} in the database {place}{hint}");
    match retry {
        Retry::Transient => ExternalError::transient(what),
        Retry::Permanent => ExternalError::permanent(what),
    }
    .because(error)
}

/// Returns whether a row caused the error: by its values, by a constraint, or by another row with an equal key.
pub(super) fn is_of_a_row(error: &Error) -> bool {
    error.code().is_some_and(|code| ["21", "22", "23", "54", "P0"].contains(&&code.code()[..2]))
}

/// Builds the permanent error of a database that this sink does not use.
pub(super) fn refused(place: &str, why: impl Display) -> ExternalError {
    ExternalError::permanent(format!("could not use the database {place}: {why}"))
}

/// Builds the transient error of a server that did not answer in time.
pub(super) fn silent(place: &str, what: &dyn Display, seconds: f32) -> ExternalError {
    ExternalError::transient(format!(
        "{what} in the database {place}: no answer for {seconds} s; the connection is given up"
    ))
}
