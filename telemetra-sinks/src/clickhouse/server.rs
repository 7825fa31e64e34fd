//! Queries to a ClickHouse server over HTTP, and which of their errors may pass.

use std::fmt::Write;
use std::time::Duration;

use telemetra_core::{ConfigError, ExternalError};

use crate::http::{Answer, Client};

/// The most bytes of an answer to a query.
const MOST: usize = 16 * 1024 * 1024;

/// The address of a server, and the user.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) url: String,
    pub(super) database: String,
    pub(super) user: Option<(String, String)>,
    pub(super) authority: Option<Vec<u8>>,
    pub(super) timeout: Duration,
}

/// A client for the database.
pub(super) struct Session {
    server: Server,
    client: Client,
}

impl Server {
    pub(super) fn connect(&self) -> Result<Session, ConfigError> {
        let client = Client::new(&self.url, self.timeout, self.authority.as_deref())?;
        Ok(Session { server: self.clone(), client })
    }

    /// The server and the database, for errors.
    pub(super) fn shown(&self) -> String {
        format!("ClickHouse at {}, database {}", self.url, self.database)
    }
}

impl Session {
    /// Runs a query without data, and returns its answer. `what` says what it is for.
    pub(super) fn query(&self, sql: &str, what: &str) -> Result<String, ExternalError> {
        let answer = self.post("", sql.as_bytes(), what)?;
        String::from_utf8(answer.body).map_err(|error| ExternalError::permanent(what).because(error))
    }

    /// Runs an INSERT with data.
    pub(super) fn insert(&self, sql: &str, data: &[u8], what: &str) -> Result<(), ExternalError> {
        self.post(&format!("&query={}", encoded(sql)), data, what).map(|_| ())
    }

    fn post(&self, parameters: &str, body: &[u8], what: &str) -> Result<Answer, ExternalError> {
        let Server { url, database, user, .. } = &self.server;
        let url = format!("{}/?database={}{parameters}", url.trim_end_matches('/'), encoded(database));
        let mut headers = vec![("content-type", "application/octet-stream")];
        if let Some((name, password)) = user {
            headers.extend([("x-clickhouse-user", &**name), ("x-clickhouse-key", &**password)]);
        }
        let answer = self.client.post(&url, &headers, body, MOST, what)?;
        if answer.is_good() { Ok(answer) } else { Err(refused(&answer, what)) }
    }
}

/// The error of an answer that is not good. ClickHouse gives 500 also for what cannot succeed, so its own code says.
fn refused(answer: &Answer, what: &str) -> ExternalError {
    let text = String::from_utf8_lossy(&answer.body);
    let code = text.split("Code: ").nth(1).and_then(|rest| {
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<u32>().ok()
    });
    let passes = match code {
        // Timeouts, lost connections, too many parts or queries, no memory, no room, read-only replicas, replicas
        // and keepers that are away.
        Some(
            159
            | 160
            | 164
            | 198..=203
            | 207
            | 209
            | 210
            | 225
            | 236
            | 241..=243
            | 252
            | 254
            | 279
            | 285
            | 319
            | 394,
        ) => true,
        Some(415 | 425 | 439 | 473 | 499 | 722 | 999) => true,
        Some(_) => false,
        None => answer.may_pass(),
    };
    if passes {
        let error = ExternalError::transient(format!("{what}: {}", answer.shown()));
        return answer.retry_after.map_or(error, |_| answer.error(what));
    }
    ExternalError::permanent(format!("{what}: {}", answer.shown()))
}

/// A text as a part of a URL.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(byte.into());
        } else {
            // Writing to a string does not fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// A text in SQL.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// A name in SQL.
pub(super) fn name(text: &str) -> String {
    format!("`{}`", text.replace('\\', "\\\\").replace('`', "\\`"))
}
