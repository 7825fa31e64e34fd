//! Classifies Redis errors as transient or permanent, and adds what to do about them.

use std::fmt::Display;

use redis::{ErrorKind, RedisError, ServerErrorKind};
use telemetra_core::ExternalError;

/// Error codes of the server that pass with time, with advice.
const PASSING: [(&str, &str); 10] = [
    ("LOADING", "it is reading its data from disk"),
    ("BUSY", "a script of somebody's does not end"),
    ("TRYAGAIN", "the cluster moves keys between nodes"),
    ("CLUSTERDOWN", "the cluster has lost nodes"),
    ("MASTERDOWN", "the replica has lost its master"),
    ("READONLY", "it is a replica; if that stays so, check the address or the failover"),
    ("OOM", "its memory is full: raise `maxmemory`"),
    ("NOREPLICAS", "it has fewer replicas than `min-replicas-to-write`"),
    ("MISCONF", "it cannot save its data, see its log"),
    ("ERR max number of clients reached", "raise `maxclients`"),
];

/// Advice for a user without a right that the sink needs.
const LACKS_A_RIGHT: &str =
    "the user lacks a right: it needs the commands and keys in the documentation of `RedisSink`";

/// Error codes of the server that need somebody to act, with advice.
const LASTING: [(&str, &str); 6] = [
    ("NOAUTH", "it wants a password: put it in the URL"),
    ("WRONGPASS", "user or password is wrong"),
    ("NOPERM", LACKS_A_RIGHT),
    ("The user executing the script", LACKS_A_RIGHT),
    ("WRONGTYPE", "the key is of another kind, so somebody else's: use another prefix, or delete it"),
    ("CROSSSLOT", "it is a cluster: connect to it as one"),
];

/// Builds the error of a failed call: what was tried, on which server, whether it may pass, and what to do.
pub(super) fn failed(place: &str, what: &dyn Display, error: RedisError) -> ExternalError {
    let text = error.to_string();
    // Older servers prefix the error of a command in a script with text of their own.
    let says =
        |code: &str| error.code() == Some(code) || text.contains(&format!("{code} ")) || text.ends_with(code);
    let find =
        |codes: &[(&str, &'static str)]| codes.iter().find(|(code, _)| says(code)).map(|(_, hint)| *hint);
    let message = |hint: &str| format!("could not {what} at Redis {place}: {hint}");
    let (lasts, hint) = if let Some(hint) = find(&LASTING) {
        (true, hint)
    } else if let Some(hint) = find(&PASSING) {
        (false, hint)
    } else {
        match error.kind() {
            ErrorKind::AuthenticationFailed => (true, "user or password is wrong"),
            // The client tries the nodes of a cluster one by one, and each node's answer is only in the text.
            ErrorKind::Io if text.contains("AuthenticationFailed") => (true, "user or password is wrong"),
            ErrorKind::Io if text.contains("certificate") || text.contains("invalid peer") => {
                (true, "its certificate is not trusted; give the authority's")
            }
            ErrorKind::Io if error.is_timeout() => (false, "no answer in time"),
            ErrorKind::Io | ErrorKind::Parse | ErrorKind::ClusterConnectionNotFound => {
                (false, "the connection failed")
            }
            ErrorKind::MasterNameNotFoundBySentinel => (false, "no sentinel that answers knows that master"),
            ErrorKind::Server(ServerErrorKind::Moved | ServerErrorKind::Ask) => {
                (false, "the key is on another node; connect to a cluster as one")
            }
            ErrorKind::Server(ServerErrorKind::NoScript) => (false, "it forgot the scripts"),
            _ => (true, "it refused"),
        }
    };
    let error_of = if lasts { ExternalError::permanent } else { ExternalError::transient };
    error_of(message(hint)).because(error)
}

/// Builds the permanent error of a server that this sink does not use.
pub(super) fn refused(place: &str, why: impl Display) -> ExternalError {
    ExternalError::permanent(format!("could not use Redis {place}: {why}"))
}
